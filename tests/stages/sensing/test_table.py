"""Tables, row by row and played."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime

import pytest

from cityloom.kernel.errors import BadConfig, BadInput, NotReady
from cityloom.ngsild.model import value_of
from cityloom.sensing.model import STORED, Message
from cityloom.sensing.table import TableMapping, TablePlayer, read_rows

NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)
SETTINGS = {
    "table": "",
    "separator": ",",
    "decimal": ".",
    "missing": ["", "NA"],
    "time": "at",
    "time_zone": "Europe/Copenhagen",
    "type": "WeatherObserved",
    "id": "urn:x:{station}",
    "fields": {"t": {"attribute": "temperature", "unit": "CEL"}, "sky": "weatherType"},
    "longitude": "",
    "latitude": "",
    "speed": 1,
}
HEADER = "station,at,t,sky"


def mapping(**more):
    return TableMapping({**SETTINGS, **more})


def decode(body, **more):
    (document,) = mapping(**more).decode(Message("replay", "t.csv line 2", body, NOON))
    return document


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2014-08-01 02:20:00", "2014-08-01T00:20:00Z"),
        ("2014-12-01T02:20", "2014-12-01T01:20:00Z"),
        ("2014-08-01T02:20:00Z", "2014-08-01T02:20:00Z"),
        ("1406859600", "2014-08-01T02:20:00Z"),
        ("1406859600000", "2014-08-01T02:20:00Z"),
    ],
)
def test_decode_reads_instants_with_and_without_a_zone(text, instant):
    document = decode(b'{"station": "a", "at": "%s", "t": "1"}' % text.encode())
    assert document["attrs"]["temperature"][0]["observedAt"] == instant


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-1.50", -1.5), ("+2e1", 20.0), (".5", 0.5), (" 7 ", 7), ("1" * 20, 1e20 / 9)],
)
def test_decode_reads_numbers(text, value):
    document = decode(b'{"station": "a", "at": "2014-08-01T00:00:00Z", "t": "%s"}' % text.encode())
    assert value_of(document, "temperature") == pytest.approx(value)
    assert type(value_of(document, "temperature")) is type(value)


def test_decode_reads_other_decimal_marks():
    row = b'{"station": "a", "at": "2014-08-01T00:00:00Z", "t": "1,5"}'
    assert value_of(decode(row, decimal=","), "temperature") == 1.5


def test_decode_leaves_out_what_is_missing_and_keeps_words():
    document = decode(b'{"station": "a", "at": "2014-08-01T00:00:00Z", "t": "NA", "sky": "fair"}')
    assert list(document["attrs"]) == ["weatherType", "dataOrigin"]
    assert value_of(document, "weatherType") == "fair"
    assert value_of(document, "dataOrigin") == "replayed"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'["a", "b"]', "row"),
        (b'{"station": "a b", "at": "2014-08-01T00:00:00Z", "t": "1"}', "station"),
        (b'{"at": "2014-08-01T00:00:00Z", "t": "1"}', "station"),
        (b'{"station": "a", "at": "soon", "t": "1"}', "at"),
        (b'{"station": "a", "t": "1"}', "at"),
        (b'{"station": "a", "at": "2014-08-01T00:00:00Z", "t": ""}', "body"),
        (b'{"station": "a", "at": "1e300", "t": "1"}', "at"),
    ],
)
def test_decode_names_the_column_that_is_wrong(body, where):
    with pytest.raises(BadInput) as caught:
        decode(body)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("setting", "where"),
    [({"time_zone": "Mars"}, "replay.time_zone"), ({"fields": {"t": 3}}, "replay.fields.t")],
)
def test_mapping_names_the_setting_that_is_wrong(setting, where):
    with pytest.raises(BadConfig) as caught:
        mapping(**setting)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("setting", "where"), [({"separator": ""}, "replay.separator"), ({"speed": 0}, "replay.speed")]
)
def test_player_names_the_setting_that_is_wrong(setting, where):
    with pytest.raises(BadConfig) as caught:
        TablePlayer({**SETTINGS, **setting}, mapping())
    assert caught.value.where == where


def table(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_read_rows_tells_line_and_instant_of_each_row(tmp_path, name):
    path = table(tmp_path, f"\ufeff{HEADER}\na,1406851200,1,\n\nb,1406851260,2,\n", name)
    rows = list(read_rows(path, ",", mapping()))
    assert [(row.line, row.due.minute) for row in rows] == [(2, 0), (4, 1)]
    assert rows[0].body == b'{"station":"a","at":"1406851200","t":"1","sky":""}'


def test_read_rows_sends_broken_rows_along_with_the_one_before(tmp_path):
    path = table(tmp_path, f'{HEADER}\na,1406851200,1,\na,soon,1,\na,1406851260\n"{"x" * 200_000}",1,1,1\n')
    rows = list(read_rows(path, ",", mapping()))
    assert [row.due.minute for row in rows] == [0, 0, 0, 0]
    assert rows[2].body == b'["a","1406851260"]'
    assert b"field larger than field limit" in rows[3].body


@pytest.mark.parametrize(("text", "words"), [("", "no column"), ("a,b\n1,2\n", "no column 'at'")])
def test_read_rows_refuses_a_table_without_its_columns(tmp_path, text, words):
    with pytest.raises(BadConfig, match=words):
        list(read_rows(table(tmp_path, text), ",", mapping()))


def test_read_rows_refuses_what_is_not_there_or_no_table(tmp_path):
    with pytest.raises(BadConfig, match="cannot be read"):
        list(read_rows(tmp_path / "nowhere.csv", ",", mapping()))
    (tmp_path / "t.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(BadConfig, match="no header"):
        list(read_rows(tmp_path / "t.csv.gz", ",", mapping()))


class Inlet:
    """Keeps what it gets."""

    connector = "replay"

    def __init__(self):
        self.messages, self.places, self.trouble, self.fail = [], [], [], 0

    async def deliver_many(self, messages):
        if self.fail:
            self.fail -= 1
            raise NotReady("full", hint="")
        self.messages += messages
        return [STORED] * len(messages)

    def listening(self, place):
        self.places.append(place)

    def troubled(self, error):
        self.trouble.append(error)


async def play(path, inlet, ended, speed=1440):
    player = TablePlayer({**SETTINGS, "table": str(path), "speed": speed}, mapping())
    task = asyncio.create_task(player.play(inlet))
    async with asyncio.timeout(20):
        while not task.done() and not ended():
            await asyncio.sleep(0.001)
    task.cancel()
    if task.done() and not task.cancelled():
        task.result()


async def test_play_delivers_every_row_in_order_with_its_line(tmp_path):
    # 600 rows, two minutes apart: 20 hours, which at a day a second takes a good while less than one.
    lines = "".join(f"a,{1406851200 + 120 * number},{number},\n" for number in range(600))
    inlet = Inlet()
    await play(table(tmp_path, f"{HEADER}\n{lines}"), inlet, lambda: len(inlet.places) == 2)
    assert [message.address for message in inlet.messages] == [f"t.csv line {n}" for n in range(2, 602)]
    assert inlet.places == ["t.csv, from 2014-08-01T00:00:00Z", "t.csv, played to its end"]


async def test_play_waits_for_a_row_that_is_not_due(tmp_path):
    inlet = Inlet()
    path = table(tmp_path, f"{HEADER}\na,1406851200,1,\na,1506851200,2,\n")
    await play(path, inlet, lambda: inlet.messages)
    assert len(inlet.messages) == 1


async def test_play_tries_again_what_could_not_be_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("cityloom.sensing.table._RETRY", 0)
    inlet = Inlet()
    inlet.fail = 2
    await play(table(tmp_path, f"{HEADER}\na,1406851200,1,\n"), inlet, lambda: len(inlet.places) == 2)
    assert (len(inlet.messages), len(inlet.trouble)) == (1, 2)


async def test_play_raises_for_a_table_that_is_none(tmp_path):
    with pytest.raises(BadConfig):
        await play(tmp_path / "nowhere.csv", Inlet(), lambda: False)
