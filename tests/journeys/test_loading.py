"""`cityloom load` as a person types it: into a city that runs, one that does not, and after a kill."""

import os
import signal
import subprocess

import pytest

from running_city import COMMAND, RunningCity, ask

CITY = 'name = "Newtown"\nplugins = ["cityloom_catalogue"]\n'
MAPPING = """
type = "Bench"
id = "urn:ngsi-ld:Bench:{bench}"
[time]
column = "time"
format = "unix"
[readings.temperature]
column = "temp"
unit = "CEL"
"""
ENTITY = "/ngsi-ld/v1/entities/urn:ngsi-ld:Bench:b1"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    (folder / "city.toml").write_text(CITY)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return folder


def _table(home, rows):
    path = home.parent / "table.csv"
    lines = (f"b{row % 7},{1_700_000_000 + row},{row / 10}" for row in range(rows))
    path.write_text("bench,time,temp\n" + "\n".join(lines) + "\n")
    return ["load", path, "--mapping", home.parent / "mapping.toml", "--home", home]


def test_into_a_city_that_runs_and_one_that_does_not(home):
    words = _table(home, 700)
    city = RunningCity(home, "up")
    try:
        said = ask(*words, "--dry-run")
        assert "Nothing was written" in said and "Readings   700" in said
        assert city.web.get(ENTITY, headers=city.as_terminal).status_code == 404
        assert "700 readings were kept" in ask(*words)
        assert city.web.get(ENTITY, headers=city.as_terminal).json()["temperature"]["value"] == 69.4
        assert city.web.post("/loads/undo", json={"load": "x"}).status_code == 401
    finally:
        city.stop()
    assert "loaded already" in ask(*words)
    listed = ask("load", "--list", "--home", home)
    assert "700 readings of 700 rows, done" in listed
    assert "700 readings of table.csv" in ask("load", "--undo", listed.split(":")[0], "--home", home)
    assert "taken out" in ask(*words, status=1)
    assert "700 readings were kept" in ask(*words, "--again")


def test_a_kill_in_the_middle_loses_nothing_and_brings_nothing_twice(home):
    words = _table(home, 900_000)
    killed = subprocess.Popen(
        [*COMMAND, *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        for line in killed.stderr:
            if "of 900,000 rows" in line:
                break
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        killed.stderr.close()
    assert "on its way" in ask("load", "--list", "--home", home)
    assert "900,000 readings were kept" in ask(*words)
    assert "loaded already" in ask(*words)
    assert not list((home / "exports").glob("load-*")) and not list((home / "exports").glob("portion-*"))
    undone = ask("load", "--undo", ask("load", "--list", "--home", home).split(":")[0], "--home", home)
    assert "Taken out: 900,000 readings" in undone


def test_a_guess_is_a_mapping_that_can_be_tried(home):
    table = home.parent / "Søndag.csv"
    table.write_bytes(
        "station;Tidspunkt;Temperatur (°C);lon;lat\nÅ1;01.02.2026 10:00;-1,5;10,2;56,15\n"
        "Å1;01.02.2026 11:00;2,5;10,2;56,15\n".encode("cp1252")
    )
    said = ask("load", table, "--guess")
    for expected in ('encoding = "cp1252"', 'decimal = ","', 'unit = "CEL"', "{station}", "%d.%m.%Y %H:%M"):
        assert expected in said
    mapping = home.parent / "guessed.toml"
    mapping.write_text(said)
    tried = ask("load", table, "--mapping", mapping, "--home", home, "--dry-run")
    assert "1 new" in tried and "Readings   2, 2026-02-01T10:00:00Z" in tried
    # Trying something out begins no city.
    assert not [*home.glob("*.db"), *home.glob("*.duckdb")]
    assert ask("load", "--list", "--home", home) == "Nothing was loaded yet.\n"
    assert not [*home.glob("*.db"), *home.glob("*.duckdb")]


def test_a_table_of_which_every_row_is_rejected_ends_in_failure(home):
    words = _table(home, 3)
    words[1].write_text("bench,time,temp\nb1,never,1\nb2,soon,2\n")
    for more in (["--dry-run"], []):
        said = ask(*words, *more, status=1)
        assert "Rejected   2" in said and "No reading came of it" in said
    # One good row makes it a load.
    words[1].write_text("bench,time,temp\nb1,never,1\nb2,1700000000,2\n")
    assert "1 readings were kept" in ask(*words)


def test_an_export_whose_file_and_format_differ_is_refused(home):
    for name, said in (("x.parquet", "csv"), ("x.csv", "ngsild")):
        told = ask("export", "history", "--to", home / name, "--format", said, "--home", home, status=1)
        assert f"--format says {said}" in told
    assert not (home / "x.parquet").exists()
    assert "0 readings" in ask("export", "history", "--to", home / "x.csv", "--format", "csv", "--home", home)
