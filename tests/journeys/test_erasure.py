"""One person is erased: nothing of theirs can be read in any file of the city, nor in its backup."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import apsw
import pytest

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.app.configuration import read_configuration
from cityloom.app.retaining import rules_of
from cityloom.history.keeping import Keeping
from cityloom.kernel.time import WallClock
from one_person import EMAIL, PIXELS, TEXT, WORDS, found_in, reported, sqlite_rows
from running_city import RunningCity, ask

PERSON = "urn:ngsi-ld:Person:7"
NAME, HEIGHT = "Åse Ørnereden5b90", 1739.125


def begun(home: Path, *, person: bool = True) -> RunningCity:
    """A city of its own, that knows what a Person is."""
    ask("init", "--home", home, "--name", "Cutby", "--time-zone", "UTC", "--place", "0,0", "--language", "en")
    with (home / "city.toml").open("a") as file:
        file.write('\n[erasure]\nalone = "a test with one officer"\n')
        if person:
            file.write(
                '\n[[personal]]\ntype = "Person"\n\n[[personal]]\ntype = "Visit"\nattributes = ["note"]\n'
            )
            file.write('subject = "of"\n\n[[history.retention]]\ntypes = ["Person", "Visit"]\ndays = 1\n')
    return RunningCity(home, "up", "--open-access")


def test_erased_report_is_nowhere_and_stays_in_the_statistics(tmp_path: Path):
    home, backups, keys = tmp_path / "city", tmp_path / "backups", tmp_path / "apart" / "keys"
    city = begun(home, person=False)
    code, report = reported(city)
    ask("backup", backups, "--home", home, "--keys", keys)
    dry = ask("erase", "--home", home, "--email", EMAIL, "--dry-run")
    assert report in dry and "description" in dry and "Nothing was changed." in dry
    assert TEXT in city.web.get(f"/report/{code}").text, "a dry run changes nothing"
    ask("person", "export", "--home", home, "--code", code, "--to", tmp_path / "copy.zip")
    with zipfile.ZipFile(tmp_path / "copy.zip") as pack:
        said = pack.read("held.json").decode()
        assert all(word in said for word in WORDS), said
        assert any(PIXELS in pack.read(name) for name in pack.namelist())
    (tmp_path / "copy.zip").unlink()

    assert "Erased at" in ask("erase", "--home", home, "--email", EMAIL, "--yes")

    shown = city.web.get(f"/ngsi-ld/v1/entities/{report}").json()
    assert shown["category"]["value"] == "road"
    assert shown["location"]["value"]["coordinates"] == [0.654, 0.123]
    assert "description" not in shown and "erasedAt" in shown
    assert city.web.get(f"/report/{code}").status_code == 404
    assert (
        city.web.get(f"/ngsi-ld/v1/temporal/entities/{report}?attrs=description")
        .json()
        .get("description", [])
        == []
    )
    assert ask("erase", "--home", home, "--email", EMAIL, "--yes", status=1)
    city.stop()

    assert not found_in(tmp_path)
    # The copy of the keys is new, too; what is restored of the backup cannot be read.
    again = tmp_path / "again"
    ask("restore", next(backups.glob("*/manifest.json")).parent, "--home", again, "--keys", keys)
    other = RunningCity(again, "up", "--open-access")
    back = other.web.get(f"/ngsi-ld/v1/entities/{report}").json()
    other.stop()
    assert back["category"]["value"] == "road" and "description" not in back and "erasedAt" in back
    assert not found_in(tmp_path)


#: Ends the process as a power cut does, when it comes to this step of an erasure.
KILLED_AT = """
import os, signal, sys
from cityloom.adapters.sealed.keys import KeyFile
from cityloom.app.command_line import main
from cityloom.people.erasure import Erasure
def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
setattr({"KeyFile": KeyFile, "Erasure": Erasure}[sys.argv[1]], sys.argv[2], killed)
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("step", ["Erasure _forget_past", "KeyFile destroy"])
def test_erasure_that_was_cut_off_is_finished_at_the_next_start(tmp_path: Path, step: str):
    home, keys = tmp_path / "city", tmp_path / "apart" / "keys"
    city = begun(home, person=False)
    code, report = reported(city)
    ask("backup", tmp_path / "backups", "--home", home, "--keys", keys)
    city.stop()
    words = [sys.executable, "-c", KILLED_AT, *step.split(), "erase", "--yes", "--code", code, "--home"]
    if step == "KeyFile _remove":
        # That is called when the keys are opened, too: with nothing to remove.
        words[2] = KILLED_AT.replace(
            "def killed(*_, **__):", "def killed(self, names, order=''):\n    if order:"
        )
        words[2] = words[2].replace("    os.kill", "        os.kill")
    done = subprocess.run([*words, str(home)], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert TEXT not in done.stdout

    city = RunningCity(home, "up", "--open-access")
    shown = city.web.get(f"/ngsi-ld/v1/entities/{report}").json()
    city.stop()
    assert "description" not in shown and "erasedAt" in shown
    assert not found_in(tmp_path)
    with apsw.Connection(str(home / "keys.db")) as connection:
        assert not connection.execute("SELECT * FROM orders").fetchall()
        assert not connection.execute("SELECT * FROM key WHERE entity_id = ?", (report,)).fetchall()
    # Nor has any file a key that could open what lies in the backup.
    assert not _secrets_before(tmp_path) & _secrets_now(home, keys)


def _secrets_before(folder: Path) -> set[str]:
    """Names of the keys with which anything in a backup's feed is sealed."""
    (feed,) = folder.glob("backups/**/feed.db")
    found = set(re.findall(r'@sealed":"([0-9a-f]{32})\.', repr(sqlite_rows(feed))))
    assert found
    return found


def _secrets_now(*places: Path) -> set[str]:
    found: set[str] = set()
    for place in places:
        path = place / "keys.db" if place.is_dir() else place
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        found |= {name for (name,) in connection.execute("SELECT id FROM key")}
    return found


def test_declared_person_is_erased_from_past_archive_and_backup_with_what_is_about_them(tmp_path: Path):
    home = tmp_path / "city"
    city = begun(home)
    old = "2026-01-05T10:00:00Z"
    person = {
        "id": PERSON,
        "type": "Person",
        "name": {"type": "Property", "value": NAME, "observedAt": old},
        "height": {"type": "Property", "value": HEIGHT, "observedAt": old},
    }
    visit = {
        "id": "urn:ngsi-ld:Visit:1",
        "type": "Visit",
        "note": {"type": "Property", "value": f"{NAME} came late", "observedAt": old},
        "purpose": {"type": "Property", "value": "library", "observedAt": old},
        "of": {"type": "Relationship", "object": PERSON},
    }
    for one in (person, visit):
        assert city.web.post("/ngsi-ld/v1/entities", json=one).status_code == 201
    renamed = {"name": {"type": "Property", "value": f"{NAME} II", "observedAt": "2026-01-06T10:00:00Z"}}
    assert city.web.patch(f"/ngsi-ld/v1/entities/{PERSON}/attrs", json=renamed).status_code == 204
    past = city.web.get(f"/ngsi-ld/v1/temporal/entities/{PERSON}").json()
    assert sorted(one["value"] for one in past["name"]) == [NAME, f"{NAME} II"], "it reads as it was"
    assert [one["value"] for one in past["height"]] == [HEIGHT]
    ask("person", "export", "--home", home, "--entity", PERSON, "--to", tmp_path / "copy.zip")
    with zipfile.ZipFile(tmp_path / "copy.zip") as pack:
        held = json.loads(pack.read("held.json"))["past"]
    (tmp_path / "copy.zip").unlink()
    told = {
        (one["entity"], one["attribute"]): [reading["value"] for reading in one["readings"]] for one in held
    }
    assert told[PERSON, "name"] == [NAME, f"{NAME} II"] and told[PERSON, "height"] == [HEIGHT]
    assert told["urn:ngsi-ld:Visit:1", "note"] == [f"{NAME} came late"]
    city.stop()
    _let_old_readings_go(home)
    assert list((home / "archive").rglob("*.parquet"))
    # A disk never has it in clear, also before anybody asks.
    assert not found_in(home, (NAME, repr(HEIGHT)), ())
    city = RunningCity(home, "up", "--open-access")
    ask("backup", tmp_path / "backups", "--home", home)
    assert city.web.get(f"/ngsi-ld/v1/entities/{PERSON}").json()["name"]["value"] == f"{NAME} II"

    assert PERSON in ask("erase", "--home", home, "--entity", PERSON, "--yes")

    assert "name" not in city.web.get(f"/ngsi-ld/v1/entities/{PERSON}").json()
    left = city.web.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Visit:1").json()
    assert left["purpose"]["value"] == "library" and "note" not in left
    city.stop()
    assert not _secrets_before(tmp_path) & _secrets_now(home)
    again = tmp_path / "again"
    ask("restore", next(tmp_path.glob("backups/*/manifest.json")).parent, "--home", again)
    (again / "keys.db").write_bytes((home / "keys.db").read_bytes())
    other = RunningCity(again, "up", "--open-access")
    back = other.web.get(f"/ngsi-ld/v1/entities/{PERSON}").json()
    told = other.web.get(f"/ngsi-ld/v1/temporal/entities/{PERSON}").text
    other.stop()
    assert "erasedAt" in back and "name" not in back and NAME not in told and str(HEIGHT) not in told


def _let_old_readings_go(home: Path) -> None:
    """What the running city does once an hour."""
    store = DuckHistory(home / "history.duckdb", home / "exports")
    rules = rules_of(read_configuration(home / "city.toml"))
    assert asyncio.run(Keeping(store, WallClock(), rules).retire())
    store.close()
