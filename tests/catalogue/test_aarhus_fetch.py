"""Building the Aarhus pack from its originals, against a real server on this machine."""

import csv
import gzip
import hashlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import numpy as np
import pytest

from cityloom.kernel.errors import BadInput, NotReady
from cityloom_catalogue.cities.aarhus import fetch, layout
from cityloom_catalogue.cities.aarhus.pack import find_pack, is_whole, read_pack

RESOURCES, DATASETS = fetch.COMMITS
TRAFFIC = "wrapper_dev/aarhus_traffic/historicdata/trafficData{}.csv"


def link(number):
    record = {f"POINT_{end}_{field}": "x" for end in (1, 2) for field in ("NAME", "STREET", "STREET_NUMBER")}
    record |= {f"POINT_{end}_{field}": "8000" for end in (1, 2) for field in ("POSTAL_CODE", "CITY")}
    record |= {
        "POINT_1_LAT": "56.10000004",
        "POINT_1_LNG": "10.2",
        "POINT_2_LAT": "56.2",
        "POINT_2_LNG": "10.1",
    }
    return record | {
        "REPORT_ID": number,
        "REPORT_NAME": f"AAR {number}",
        "ROAD_TYPE": "ROAD",
        "DISTANCE_IN_METERS": 900,
        "DURATION_IN_SEC": 60,
        "NDT_IN_KMH": 54,
        "ORGANISATION": "COWI",
        "RBA_ID": 1,
        "_id": 7,
    }


def event(title, starts):
    row = [""] * 19
    for index, value in {
        2: title,
        7: "10.2",
        12: starts,
        13: "56.15",
        14: "http://x/1/",
        16: "Musik",
        18: "null",
    }.items():
        row[index] = value
    return row


def table(*rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def parking_rows():
    head = ("vehiclecount", "updatetime", "_id", "totalspaces", "garagecode", "streamtime")
    night = [("02:28:41", 10), ("02:58:41", 11), ("02:28:41", 12), ("02:58:41", 13), ("03:28:41", 14)]
    return table(
        head,
        (5, "2014-09-01 10:00:00.5", 1, 40, "SALLING", ""),
        *((6, f"2014-10-26 {clock}.1", number, 40, "SALLING", "") for clock, number in night),
    )


FILES = {
    (RESOURCES, "wrapper_dev/aarhus_traffic/aarhus-traffic-points.json"): json.dumps(
        {"result": {"records": [link(20), link(3)]}}
    ).encode(),
    (RESOURCES, "wrapper_dev/aarhus_parking/aarhus_parking-address.csv"): table(
        ("garagecode", "city", "postalcode", "street", "housenumber", "latitude", "longitude"),
        ("SALLING", "Aarhus", "8000", "Østergade", "25", "56.15", "10.2"),
        ("DOKK1", "Aarhus", "8000", "", "", "56.15", "10.2"),
    ),
    (DATASETS, "aarhus_parking.csv"): parking_rows(),
    (DATASETS, "cultural_events_aarhus.csv"): table(
        event("Late", "2014-09-20T20:00:00"), event("Early  one", "2014-08-20T20:00:00")
    ),
    (DATASETS, "Files/tempm.csv"): b"TIMESTAMP,tempm\n2014-08-01T01:00:00,18\n2014-08-01T00:20:00,\n",
    (DATASETS, "Files/hum.csv"): b"TIMESTAMP,hum\n2014-08-01T01:00:00,64\n",
    (DATASETS, "Files/wspdm.csv"): b"TIMESTAMP,wspdm\n2014-08-01T01:00:00,7.2\n",
    (DATASETS, "Files/wdird.csv"): b"TIMESTAMP,wdird\n2014-08-01T01:00:00,0\n",
    (DATASETS, "Files/pressurem.csv"): b"TIMESTAMP,pressurem\n2014-08-01T01:00:00,1012\n",
    (RESOURCES, TRAFFIC.format(20)): b"TIMESTAMP,avgSpeed,vehicleCount,avgMeasuredTime\n"
    b"2014-07-31T23:55:00,1,1,1\n2014-08-01T00:05:00,50,7,66\n2014-08-01T00:05:00,51,8,66\n2014-10-01T00:00:00,9,9,9\n",
    (
        RESOURCES,
        TRAFFIC.format(3),
    ): b"TIMESTAMP,avgSpeed,vehicleCount,avgMeasuredTime\n2014-09-30T23:55:00,40,0,1\n",
}
LISTED = [
    fetch.Original(repository, path, len(body), hashlib.sha256(body).hexdigest())
    for (repository, path), body in FILES.items()
]


class Origin(ThreadingHTTPServer):
    """A server of the originals that can be told to misbehave for one path."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.trouble = {}
        self.gzip = True

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        owner, name, commit, path = unquote(self.path).lstrip("/").split("/", 3)
        assert commit == fetch.COMMITS[f"{owner}/{name}"]
        self.server.asked.append(path)
        body = FILES[f"{owner}/{name}", path]
        trouble = self.server.trouble.get(path)
        if trouble:
            trouble(self, body)
        else:
            self.answer(body, packed=self.server.gzip)

    def answer(self, body, *, packed=False, size=None):
        body = gzip.compress(body, mtime=0) if packed else body
        self.send_response(200)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(size or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def origin():
    server = Origin()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def build(folder, origin, listed=LISTED, shown=None):
    def progress(label, done, total):
        if shown is not None:
            shown.append((label, done, total))

    fetch.build_pack(folder, progress, origin=origin.address, listed=listed, pause=0)


@pytest.mark.parametrize("packed", [True, False])
def test_build_pack_makes_what_read_pack_reads(tmp_path, origin, packed):
    origin.gzip = packed
    shown = []
    build(tmp_path, origin, shown=shown)
    assert is_whole(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(layout.FILES)
    pack = read_pack(tmp_path)
    assert [one.report_id for one in pack.links] == [3, 20]
    assert pack.links[0].point_1_lat == 56.1
    assert pack.counts.shape == (layout.STEPS, 2)
    assert (pack.counts[1, 1], pack.speeds[1, 1]) == (8, 51), "of two records for one step the later is kept"
    assert (pack.counts[-1, 0], pack.speeds[-1, 0]) == (0, 40)
    assert int((pack.counts >= 0).sum()) == 2, "other months are left out, what is missing stays missing"
    assert [garage.code for garage in pack.garages] == ["SALLING"], "a garage without records is left out"
    assert [one.title for one in pack.events] == ["Early one", "Late"]
    assert np.isnan(pack.weather.temperature).tolist() == [True, False]
    total = sum(original.bytes for original in LISTED)
    assert shown[-1] == ("Aarhus open data", total, total)
    assert [done for _, done, _ in shown] == sorted(done for _, done, _ in shown)


def test_build_pack_tells_the_two_hours_of_the_october_night_apart(tmp_path, origin):
    build(tmp_path, origin)
    times = read_pack(tmp_path).parked["SALLING"].times
    assert np.diff(times[1:]).tolist() == [30 * 60_000] * 4


def breaks_off_at_the_second_link(tmp_path):
    """Trouble for link 3 that comes when link 20 is safe."""

    def trouble(handler, body):
        waited = threading.Event()
        for _ in range(2000):
            if (tmp_path / fetch.PARTS / "20.npy").exists():
                break
            waited.wait(0.005)
        handler.send_error(404)

    return trouble


def test_build_pack_goes_on_where_it_was_broken_off(tmp_path, origin):
    origin.trouble[TRAFFIC.format(3)] = breaks_off_at_the_second_link(tmp_path)
    with pytest.raises(NotReady, match="404"):
        build(tmp_path, origin)
    assert not is_whole(tmp_path)
    assert not (tmp_path / layout.TRAFFIC).exists()
    origin.trouble.clear()
    origin.asked.clear()
    build(tmp_path, origin)
    assert is_whole(tmp_path)
    assert origin.asked == [TRAFFIC.format(3)]


def wrong_shape(part):
    np.save(part, np.zeros((2, 5), np.int16))


def of_another_type(part):
    np.save(part, np.zeros((2, layout.STEPS)))


@pytest.mark.parametrize("damage", [lambda part: part.write_bytes(b""), wrong_shape, of_another_type])
def test_build_pack_fetches_again_what_a_power_cut_left_broken(tmp_path, origin, damage):
    origin.trouble[TRAFFIC.format(3)] = breaks_off_at_the_second_link(tmp_path)
    with pytest.raises(NotReady):
        build(tmp_path, origin)
    damage(tmp_path / fetch.PARTS / "20.npy")
    origin.trouble.clear()
    build(tmp_path, origin)
    assert read_pack(tmp_path).counts[1, 1] == 8


def another(handler, body):
    handler.answer(body.replace(b"18", b"81"))


def longer(handler, body):
    handler.answer(body + b"2014-08-02T01:00:00,20\n")


def swelling(handler, body):
    """A small answer that unpacks to a large one."""
    handler.answer(b"0" * 50_000_000, packed=True)


def endless(handler, body):
    """More than anybody should read; stops when the other side hangs up."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(3000):
            handler.wfile.write(b"0" * 65536)
    except OSError:
        return
    handler.server.asked.append("everything was read")


def broken_off(handler, body):
    handler.answer(body[:10], size=len(body))


def unknown_coding(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Encoding", "br")
    handler.end_headers()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (another, "checksum"),
        (longer, "more than"),
        (swelling, "more than"),
        (endless, "more than"),
        (broken_off, "bytes were expected|IncompleteRead"),
        (unknown_coding, "coding"),
        (lambda handler, body: handler.send_error(403), "403"),
    ],
)
def test_build_pack_refuses_what_is_not_the_original(tmp_path, origin, trouble, said):
    path = "Files/tempm.csv"
    origin.trouble[path] = trouble
    with pytest.raises(NotReady, match=said) as caught:
        build(tmp_path, origin)
    assert caught.value.where == f"{origin.address}/{DATASETS}/{fetch.COMMITS[DATASETS]}/{path}"
    assert not (tmp_path / layout.WEATHER).exists()
    assert "everything was read" not in origin.asked
    assert origin.asked.count(path) == (1 if said == "403" else 3)


def test_build_pack_tries_again_when_an_answer_breaks_off(tmp_path, origin):
    path = "Files/hum.csv"

    def once(handler, body):
        origin.trouble.clear()
        broken_off(handler, body)

    origin.trouble[path] = once
    build(tmp_path, origin)
    assert is_whole(tmp_path)
    assert origin.asked.count(path) == 2


def test_build_pack_asks_an_origin_that_is_not_there_once(tmp_path, monkeypatch):
    asked = []

    def refused(*arguments, **named):
        asked.append(named["timeout"])
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr(fetch.urllib.request, "urlopen", refused)
    with pytest.raises(NotReady, match="nobody"):
        fetch.build_pack(tmp_path, lambda *_: None, listed=LISTED)
    assert len(asked) == 1
    assert asked[0] < 10


def test_build_pack_names_the_row_of_an_original_that_cannot_be_read(tmp_path, origin):
    path = TRAFFIC.format(20)
    body = FILES[RESOURCES, path].replace(b"50,7,66", b"50,seven,66")
    listed = [
        original
        if original.path != path
        else fetch.Original(RESOURCES, path, len(body), hashlib.sha256(body).hexdigest())
        for original in LISTED
    ]
    origin.trouble[path] = lambda handler, _: handler.answer(body)
    with pytest.raises(BadInput, match="seven") as caught:
        build(tmp_path, origin, listed)
    assert caught.value.where == f"{path}: row 3"


def test_build_pack_says_when_the_folder_cannot_be_written(tmp_path, origin):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="cannot be written"):
        build(tmp_path / "file" / "pack", origin)


def test_find_pack_fetches_into_the_cache_and_says_what_to_do_when_it_cannot(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CITYLOOM_DATA", raising=False)

    def refused(*arguments, **named):
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr(fetch.urllib.request, "urlopen", refused)
    with pytest.raises(NotReady, match="not on this machine") as caught:
        find_pack(None, lambda *_: None)
    assert str(tmp_path / "cityloom" / "aarhus") in caught.value.hint
    assert "CITYLOOM_DATA" in caught.value.hint


def test_find_pack_takes_the_cache_before_the_shared_folder(tmp_path, origin, monkeypatch):
    cache, shared = tmp_path / "cache", tmp_path / "shared"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("CITYLOOM_DATA", str(shared))
    build(shared / "aarhus", origin)
    assert find_pack(None, lambda *_: None) == shared / "aarhus"
    build(cache / "cityloom" / "aarhus", origin)
    assert find_pack(None, lambda *_: None) == cache / "cityloom" / "aarhus"


def test_find_pack_takes_a_given_folder_or_says_what_it_lacks(tmp_path, origin):
    build(tmp_path / "aarhus", origin)
    assert find_pack(tmp_path, lambda *_: None) == tmp_path / "aarhus"
    assert find_pack(tmp_path / "aarhus", lambda *_: None) == tmp_path / "aarhus"
    (tmp_path / "aarhus" / layout.EVENTS).unlink()
    with pytest.raises(BadInput, match=layout.EVENTS):
        find_pack(tmp_path / "aarhus", lambda *_: None)


def test_originals_lists_every_link_once_with_its_checksum():
    listed = fetch.originals()
    assert len({(one.repository, one.path) for one in listed}) == len(listed) == 458
    assert sum(one.path.startswith(TRAFFIC.split("{")[0]) for one in listed) == 449
    assert all(len(one.sha256) == 64 and one.bytes > 0 and one.repository in fetch.COMMITS for one in listed)


@pytest.mark.parametrize(
    ("name", "content", "said", "row"),
    [
        (layout.GARAGES, b"garage,city\nX,Y\n", "longitude|street", 2),
        (layout.EVENTS, b"title,starts_local\nX,soon\n", "soon|place", 2),
        (
            layout.PARKING,
            gzip.compress(b"garage,observed_utc,vehicle_count\nSALLING,2014-09-01T00:00:00,3\n", mtime=0),
            "time zone",
            2,
        ),
        (
            layout.PARKING,
            gzip.compress(b"garage,observed_utc,vehicle_count\nNOWHERE,2014-09-01T00:00:00Z,3\n", mtime=0),
            "NOWHERE",
            None,
        ),
        (layout.PARKING, b"not packed", "gzip", 2),
        (
            layout.WEATHER,
            gzip.compress(b"observed_local,temperature_c\n2014-08-01T00:00:00,warm\n", mtime=0),
            "warm|wind",
            2,
        ),
        (layout.LINKS, b"[]", "links are not those", None),
        (layout.LINKS, b"{", "damaged", None),
        (layout.TRAFFIC, b"PK", "damaged", None),
    ],
)
def test_read_pack_names_the_file_and_the_row_that_is_damaged(tmp_path, origin, name, content, said, row):
    build(tmp_path, origin)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        read_pack(tmp_path)
    expected = (
        f"{tmp_path / name}: row {row}" if row else (str(tmp_path / name), str(tmp_path / layout.TRAFFIC))
    )
    assert caught.value.where in expected if isinstance(expected, tuple) else caught.value.where == expected


def test_read_pack_notices_swapped_coordinates(tmp_path, origin):
    build(tmp_path, origin)
    path = tmp_path / layout.LINKS
    links = json.loads(path.read_text())
    links[0]["POINT_1_LAT"], links[0]["POINT_1_LNG"] = links[0]["POINT_1_LNG"], links[0]["POINT_1_LAT"]
    path.write_text(json.dumps(links))
    with pytest.raises(BadInput, match="swapped"):
        read_pack(tmp_path)
