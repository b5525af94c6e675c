"""A city is backed up by one command while it is written to, and goes on elsewhere as if power had failed."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from small_disk import small_disk, why_not
from test_notifications_after_a_kill import Receiver

from cityloom import __version__
from cityloom.adapters.duckdb.connection import hold_of
from cityloom.adapters.files.hold import held
from cityloom.app.backup import making
from cityloom.app.backup.checking import checked
from cityloom.app.backup.restoring import restore
from cityloom.app.folder import CityFolder
from cityloom.kernel.errors import BadConfig
from loopback_servers import NO_CERTIFICATES
from plain_browser import Browser
from running_city import COMMAND, RunningCity, ask

PATIENCE = 60
WRITERS = 3


def begun(home):
    """A city that may notify Receivers on this machine."""
    ask("init", "--home", home, "--name", "Cutby", "--time-zone", "UTC", "--place", "0,0", "--language", "en")
    with (home / "city.toml").open("a") as file:
        file.write("\n[outbound]\ninside = true\n")
    return RunningCity(home, "up", "--open-access")


def subscribed(city, port):
    subscription = {
        "id": "urn:x:s",
        "type": "Subscription",
        "entities": [{"type": "Road"}],
        "notification": {"endpoint": {"uri": f"http://127.0.0.1:{port}/"}},
    }
    assert city.web.post("/ngsi-ld/v1/subscriptions", json=subscription).status_code == 201


def write(web, number, speed):
    """One reading of a road, an hour or so after the one before."""
    at = f"2026-04-{1 + speed // 1440:02}T{speed // 60 % 24:02}:{speed % 60:02}:00Z"
    road = {"id": f"urn:x:{number}", "type": "Road", "speed": {"value": speed, "observedAt": at}}
    answer = web.post("/ngsi-ld/v1/entityOperations/upsert", json=[road])
    assert answer.status_code in (201, 204), answer.text


class Writers:
    """Each writes 0, 1, 2 … to a road of its own until told to stop, and knows what was acknowledged."""

    def __init__(self, city):
        self.acknowledged = [-1] * WRITERS
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(city.address, number)) for number in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, address, number):
        with httpx2.Client(base_url=address, timeout=30, verify=NO_CERTIFICATES) as web:
            for speed in itertools.count():
                if self._over.is_set():
                    return
                try:
                    write(web, number, speed)
                except httpx2.HTTPError:  # the city was killed: this one was not acknowledged
                    return
                self.acknowledged[number] = speed

    def have_written(self, count):
        until(lambda: min(self.acknowledged) >= count, "the writers")
        return list(self.acknowledged)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def until(true, what):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)


def now_of(city, number):
    return city.web.get(f"/ngsi-ld/v1/entities/urn:x:{number}?options=keyValues").json()["speed"]


def past_of(city, number):
    path = f"/ngsi-ld/v1/temporal/entities/urn:x:{number}?options=temporalValues&lastN=10000"
    return [value for value, _ in city.web.get(path).json()["speed"]["values"]]


def only(folder):
    (found,) = [one for one in folder.iterdir() if not one.name.startswith(".")]
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A backup of a small city; tests that spoil it take a copy."""
    root = tmp_path_factory.mktemp("kept")
    city = begun(root / "city")
    try:
        for speed in range(3):
            write(city.web, 0, speed)
        until(lambda: past_of(city, 0) == [0, 1, 2], "the history")
        photos = root / "city" / "photos" / "ab"
        photos.mkdir(parents=True)
        (photos / "photo.jpg").write_bytes(b"a photo")
        (root / "city/history.new").write_bytes(b"not finished")
        ask("backup", "--home", root / "city", root / "backups")
    finally:
        city.stop()
    return only(root / "backups")


@pytest.fixture
def copy(kept, tmp_path):
    return Path(shutil.copytree(kept, tmp_path / kept.name))


def test_a_city_backed_up_while_it_is_written_to_goes_on_elsewhere(tmp_path):
    home = tmp_path / "city"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    city = begun(home)
    subscribed(city, port)
    writers = Writers(city)
    backups, before = [], []
    try:
        for round_ in range(3):
            before.append(writers.have_written(40 * (round_ + 1)))
            ask("backup", "--home", home, tmp_path / f"backups-{round_}")
            backups.append(only(tmp_path / f"backups-{round_}"))
        during = writers.have_written(max(before[-1]) + 5)
    finally:
        city.stop(signal.SIGKILL)
        writers.stop()
    assert min(during) > max(before[-1]), "writing went on"
    receiver = Receiver(port)
    for backup, acknowledged in zip(backups, before, strict=True):
        other = tmp_path / f"restored-{backup.parent.name}"
        receiver.told.clear()
        assert "Cutby as at" in ask("restore", backup, "--home", other)
        goes_on(other, acknowledged, receiver)
    receiver.close()


def goes_on(home, acknowledged, receiver):
    city = RunningCity(home, "up", "--open-access")
    try:
        for number, last in enumerate(acknowledged):
            newest = now_of(city, number)
            assert newest >= last, "what was acknowledged before it began is there"
            write(city.web, number, newest + 1)
            everything = list(range(newest + 2))
            until(lambda n=number, all_=everything: past_of(city, n)[-1:] == all_[-1:], "the history")
            assert past_of(city, number) == everything, "each reading once"
            until(lambda n=number, all_=everything: set(receiver.speeds(n)) >= set(all_), "the notifications")
    finally:
        assert city.stop() == 0


def test_people_sign_in_after_it(tmp_path):
    home = tmp_path / "city"
    ask("init", "--home", home, "--name", "Cutby", "--time-zone", "UTC", "--place", "0,0", "--language", "en")
    city = RunningCity(home, "up")
    try:
        until(lambda: "password" in city.said, "the first password")
        (password,) = re.findall(r"Sign in .*? password (\S+)", city.said)
        ask("backup", "--home", home, tmp_path / "backups")
    finally:
        city.stop()
    ask("restore", only(tmp_path / "backups"), "--home", tmp_path / "other")
    city = RunningCity(tmp_path / "other", "up")
    try:
        desk = Browser(city.address)
        page = desk.open("/sign-in").press("Sign in", name="admin", password=password)
        desk.close()
        assert page.path == "/password", "the first password waits to be changed"
    finally:
        city.stop()


def test_what_is_left_out_and_who_may_read_the_rest(kept):
    files = {path.relative_to(kept).as_posix(): path for path in kept.rglob("*") if path.is_file()}
    assert {"city/city.toml", "city/feed.db", "city/state.db", "city/records.db"} < files.keys()
    assert {"city/notifications.db", "city/history.duckdb", "city/photos/ab/photo.jpg"} < files.keys()
    left_out = ("lock", "running.json", "exports", "history.hold", "history.new", "history.duckdb.wal")
    assert not {f"city/{name}" for name in left_out} & files.keys()
    assert not [name for name in files if name.endswith(("-wal", "-shm"))]
    for path in kept.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_stopped_city_is_backed_up_and_one_that_was_killed_too(tmp_path):
    city = begun(tmp_path / "city")
    write(city.web, 0, 7)
    city.stop(signal.SIGKILL)
    ask("backup", "--home", tmp_path / "city", tmp_path / "backups")
    ask("restore", only(tmp_path / "backups"), "--home", tmp_path / "other")
    city = RunningCity(tmp_path / "other", "up", "--open-access")
    try:
        assert now_of(city, 0) == 7
    finally:
        assert city.stop() == 0


SNAPSHOT = "urn:ngsi-ld:Snapshot:1"


def test_a_snapshot_goes_along_as_it_was(tmp_path):
    city = begun(tmp_path / "city")
    in_it = {"ngsild-snapshot": SNAPSHOT}
    path = "/ngsi-ld/v1/entities/urn:x:0/attrs"
    try:
        write(city.web, 0, 7)
        roads = [{"type": "Query", "entities": [{"type": "Road"}]}]
        wanted = {"id": SNAPSHOT, "type": "Snapshot", "snapshotQueries": roads}
        assert city.web.post("/ngsi-ld/v1/snapshots", json=wanted).status_code == 201

        def ready():
            return city.web.get(f"/ngsi-ld/v1/snapshots/{SNAPSHOT}").json()["snapshotStatus"] == "success"

        until(ready, "the snapshot")
        assert city.web.patch(path, json={"speed": 8}, headers=in_it).status_code == 204
        ask("backup", "--home", tmp_path / "city", tmp_path / "backups")
        assert city.web.patch(path, json={"speed": 9}, headers=in_it).status_code == 204
    finally:
        city.stop()
    backup = only(tmp_path / "backups")
    (feed,) = (backup / "city/snapshots").iterdir()
    assert feed.suffix == ".db"
    ask("restore", backup, "--home", tmp_path / "other")
    city = RunningCity(tmp_path / "other", "up", "--open-access")
    try:
        path = "/ngsi-ld/v1/entities/urn:x:0?options=keyValues"
        assert city.web.get(path, headers=in_it).json()["speed"] == 8
        assert now_of(city, 0) == 7
    finally:
        assert city.stop() == 0


def test_a_snapshot_that_ends_while_a_backup_begins_stops_no_backup(tmp_path, monkeypatch):
    city = begun(tmp_path / "city")
    write(city.web, 0, 7)
    city.stop()
    folder = CityFolder(tmp_path / "city")
    folder.snapshots.mkdir()
    ending = folder.snapshots / "ends.db"
    shutil.copy(folder.feed, ending)
    listed = making.databases_of

    def listed_before(asked):
        found = listed(asked)
        ending.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(making, "databases_of", listed_before)
    path, manifest = making.make_backup(
        folder, "Cutby", tmp_path / "backups", postgresql=False, progress=lambda *_: None
    )
    assert manifest.sequence
    assert not (path / "city/snapshots").exists()


def test_a_flipped_byte_in_any_file_is_found(kept, copy, tmp_path):
    assert complaints(copy) == []
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        spoilt = bytearray(whole)
        spoilt[len(spoilt) // 2] ^= 1
        path.write_bytes(spoilt)
        assert complaints(copy), path
        with pytest.raises(BadConfig, match="damaged"):
            restore(copy, tmp_path / "other", silent)
        assert not (tmp_path / "other").exists()
        path.write_bytes(whole)
    assert "whole" in ask("backup", "--check", copy)
    restore(copy, tmp_path / "other", silent)


def silent(_label, _done, _total):
    """Nobody watches."""


def complaints(copy):
    """What is wrong with a backup, the manifest among it."""
    try:
        return checked(copy, silent)[1]
    except BadConfig as error:
        return [error.message]


def test_what_was_cut_short_is_missing_or_came_later_is_named(copy):
    with (copy / "city/feed.db").open("r+b") as file:
        file.truncate(100)
    (copy / "city/photos/ab/photo.jpg").unlink()
    (copy / "city/plugin.py").write_text("surprise()")
    said = ask("backup", "--check", copy, status=1)
    for line in ("feed.db: 100 bytes instead of", "photo.jpg: No such file", "city/plugin.py: the manifest"):
        assert line in said
    assert "3 files" in said


def told_otherwise(copy, **members):
    """The manifest says something else, with a seal that fits."""
    path = copy / "manifest.json"
    text = json.dumps(json.loads(path.read_text()) | members).encode()
    path.write_bytes(text)
    (copy / "manifest.sha256").write_text(f"{hashlib.sha256(text).hexdigest()}  manifest.json\n")


@pytest.mark.parametrize("path", ["../outside", "/outside", "photos/../../outside", "photos//x", "", "a\0b"])
def test_a_file_that_leads_out_of_the_folder_is_refused(copy, tmp_path, path):
    one = {"path": path, "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    (copy / "outside").write_text("x")
    told_otherwise(copy, files=[one])
    assert "outside the city's folder" in ask("restore", copy, "--home", tmp_path / "a" / "b", status=1)
    assert not (tmp_path / "a" / "b").exists()
    assert "outside the city's folder" in ask("backup", "--check", copy, status=1)


def test_a_link_in_a_backup_is_not_followed(copy, tmp_path):
    secret = copy / "city/feed.db"
    secret.rename(tmp_path / "feed.db")
    secret.symlink_to(tmp_path / "feed.db")
    ask("restore", copy, "--home", tmp_path / "other", status=1)
    (tmp_path / "photos").mkdir()
    (copy / "city/photos/ab/photo.jpg").rename(tmp_path / "photos/photo.jpg")
    (copy / "city/photos/ab").rmdir()
    (copy / "city/photos/ab").symlink_to(tmp_path / "photos")
    assert "photo.jpg" in ask("backup", "--check", copy, status=1)
    assert not (tmp_path / "other").exists()


def test_a_backup_of_a_newer_version_is_refused(copy, tmp_path):
    newer = ".".join([str(int(__version__.split(".")[0]) + 1), "0", "0"])
    for members in ({"version": newer}, {"format": 2}):
        told_otherwise(copy, **members)
        assert "made this backup" in ask("restore", copy, "--home", tmp_path / "other", status=1)
    assert not (tmp_path / "other").exists()


def test_a_damaged_database_with_a_fitting_checksum_is_refused(copy, tmp_path):
    path = copy / "city/records.db"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096 + path.read_bytes()[8192:])
    files = json.loads((copy / "manifest.json").read_text())["files"]
    (one,) = [one for one in files if one["path"] == "records.db"]
    one["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    told_otherwise(copy, files=files)
    assert "could not be used" in ask("restore", copy, "--home", tmp_path / "other", status=1)
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_not_empty_is_left_alone(kept, tmp_path):
    home = tmp_path / "other"
    home.mkdir()
    (home / "letter.txt").write_text("mine")
    assert "something in this folder" in ask("restore", kept, "--home", home, status=1)
    assert [path.name for path in home.iterdir()] == ["letter.txt"]
    (home / "letter.txt").unlink()
    # An attempt that was killed left this.
    (home / ".restoring").mkdir()
    (home / ".restoring/feed.db").write_text("half")
    ask("restore", kept, "--home", home)
    assert not (home / ".restoring").exists()


def test_one_that_is_killed_leaves_nothing_that_looks_whole_and_history_goes_on(tmp_path):
    home, target = tmp_path / "city", tmp_path / "backups"
    city = begun(home)
    try:
        write(city.web, 0, 0)
        until(lambda: past_of(city, 0) == [0], "the history")
        with held(hold_of(home / "history.duckdb")):
            backup = subprocess.Popen([*COMMAND, "backup", "--home", str(home), str(target)])
            until(lambda: list(target.glob(".unfinished-*")), "the beginning")
            write(city.web, 0, 1)
            assert now_of(city, 0) == 1, "writing goes on while the history is held"
            backup.kill()
            backup.wait()
        assert [path for path in target.iterdir() if not path.name.startswith(".")] == []
        ask("backup", "--check", next(target.glob(".unfinished-*")), status=1)
        until(lambda: past_of(city, 0) == [0, 1], "the history")
        ask("backup", "--home", home, target)
        assert list(target.glob(".unfinished-*")) == []
        ask("backup", "--check", only(target))
    finally:
        assert city.stop() == 0


def test_the_newest_of_this_city_are_kept_and_nothing_else_is_touched(tmp_path, copy):
    home, target = tmp_path / "city", tmp_path / "backups"
    begun(home).stop()
    target.mkdir()
    shutil.copytree(copy, target / "of-another-city")
    (target / "letters").mkdir()
    made = []
    for _ in range(3):
        said = ask("backup", "--home", home, target, "--keep", "2")
        made.append(next(line.split(":")[0] for line in said.splitlines() if "Cutby as at" in line))
        until(lambda: f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}" not in made[-1], "the next second")
    here = {str(path) for path in target.iterdir() if not path.name.startswith(".")}
    assert here == {*made[1:], str(target / "of-another-city"), str(target / "letters")}
    # One that does not hold is no backup, and is not counted.
    (Path(made[2]) / "manifest.sha256").write_text("spoilt")
    ask("backup", "--home", home, target, "--keep", "2")
    assert Path(made[1]).exists()


def test_a_target_inside_the_folder_does_not_copy_itself(tmp_path):
    home = tmp_path / "city"
    begun(home).stop()
    for _ in range(2):
        ask("backup", "--home", home, home / "backups", "--keep", "1")
        time.sleep(1.1 - time.time() % 1)
    assert not (only(home / "backups") / "city/backups").exists()


@pytest.mark.faults
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_full_disk_leaves_no_backup_and_no_city(tmp_path, kept):
    home = tmp_path / "city"
    begun(home).stop()
    with (home / "photos/large.jpg").open("wb") as file:
        file.write(b"\1" * 40_000_000)
    with small_disk(tmp_path / "small", "50m"):
        said = ask("backup", "--home", home, tmp_path / "small/backups", status=1)
        assert "needs" in said
        assert [one for one in (tmp_path / "small/backups").iterdir() if one.name != ".lock"] == []
    with small_disk(tmp_path / "tiny", "10m"):
        assert "needs" in ask("restore", kept, "--home", tmp_path / "tiny/city", status=1)
        assert list((tmp_path / "tiny").iterdir()) == []


def test_a_city_on_postgresql_is_told_what_is_missing(tmp_path, monkeypatch):
    home = tmp_path / "city"
    begun(home).stop()
    monkeypatch.setenv("CITYLOOM_STORAGE_URL", "postgresql://nobody@127.0.0.1:9/none")
    said = ask("backup", "--home", home, tmp_path / "backups")
    assert "pg_dump" in said
    assert json.loads((only(tmp_path / "backups") / "manifest.json").read_text())["storage"] == "postgresql"


def test_where_there_is_no_city_there_is_no_backup(tmp_path):
    assert "no city here" in ask("backup", "--home", tmp_path / "nothing", tmp_path / "backups", status=1)
    assert "no whole backup" in ask("backup", "--check", tmp_path, status=1)
    assert list(tmp_path.iterdir()) == []
