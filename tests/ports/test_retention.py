"""Old readings become hourly roll-ups, after they were written to the archive."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pytest

from cityloom.adapters.duckdb import retention_statements
from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.files.archive import CHECKSUMS
from cityloom.adapters.postgres import retention_statements as postgres_statements
from cityloom.adapters.postgres.history import PostgresHistory
from cityloom.adapters.postgres.history_writing import forget_series
from cityloom.app.command_line import main
from cityloom.app.folder import CityFolder
from cityloom.app.move.carrying import Carrier
from cityloom.app.move.comparing import compare
from cityloom.app.move.village import open_village
from cityloom.history import keeping
from cityloom.history.keeping import Keeping
from cityloom.history.model import EntityNews, Erasure, NewReading, ValueKind, Window
from cityloom.history.pools import Holding, pooled
from cityloom.history.retention import Outgoing, Rule, due_of
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import to_millis

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = datetime(2024, 8, 20, tzinfo=UTC)
OPEN, INTERNAL = InformationClass.OPEN, InformationClass.INTERNAL
DAY = 86_400_000
WEATHER = Rule(("Weather",), (), days=100)
METHODS = ("totalCount", "sum", "avg", "min", "max", "stddev", "sumsq")
DAYS = to_millis(MARCH) + DAY * np.arange(160, dtype=np.int64)


@pytest.fixture(params=["duckdb", "postgres"])
def again(request, tmp_path):
    """Opens the history, as a city that starts does."""
    if request.param == "duckdb":
        return lambda: DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    database = request.getfixturevalue("postgres")
    return lambda: PostgresHistory(database, tmp_path / "exports")


@pytest.fixture
def duck(tmp_path):
    """The history in a file, whichever it is otherwise."""
    yield from _filled(DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports"))


@pytest.fixture
def store(again):
    yield from _filled(again())


def _filled(made):
    news = []
    for days in range(0, 150, 3):
        for entity, types, secrecy in (
            ("urn:a", ("Weather",), OPEN),
            ("urn:b", ("Weather",), OPEN),
            ("urn:secret", ("Weather",), INTERNAL),
            ("urn:car", ("Traffic",), OPEN),
        ):
            sequence = len(news) + 1
            readings = tuple(
                _reading(MARCH + timedelta(days=days, minutes=minute), sequence % 7 + minute)
                for minute in (0, 20, 21, 70)
            )
            news.append(_news(sequence, entity, types, secrecy, readings))
    made.record(news, sequence)
    sequence += 1
    # A correction.
    made.record([_news(sequence, "urn:a", ("Weather",), OPEN, (_reading(MARCH, 99.0),))], sequence)
    yield made
    made.close()


def _rows(store, statement):
    """What the tables of a store say."""
    if isinstance(store, PostgresHistory):
        return store._writer.rows(statement)
    with store._file.cursor() as cursor:
        return cursor.execute(statement).fetchall()


def _reading(at, value):
    return NewReading("x", "", "Property", "CEL", to_millis(at), ValueKind.NUMBER, float(value), None)


def _news(sequence, entity, types, secrecy, readings):
    return EntityNews(sequence, "", entity, types, ChangeKind.UPDATED, secrecy, 5 * sequence, readings)


def _due(store, *rules):
    return due_of(store.series(""), rules or [WEATHER], NOW)


def _all(store, *rules):
    found = []
    while (one := store.retire(_due(store, *rules))) is not None:
        found.append(one)
    return found


def _raw(store):
    return store.raw(Window(np.array([one.id for one in store.series("")], np.int64), corrected=True))


def _answers(store):
    """What is asked of all series by days."""
    series = store.series("")
    window = Window(np.array([one.id for one in series], np.int64), int(DAYS[0]), int(DAYS[-1]))
    found = store.aggregate(window, DAYS, METHODS)
    pool = pooled(store.grouped(""), window).pool
    cells = store.cells(pool, DAYS, medians=True)
    presence = store.presence(pool, DAYS)
    return [*found.values(), *cells, presence.readings, presence.present, np.array(presence.gaps)]


def test_what_would_go_is_told_and_nothing_changes(store, tmp_path):
    before = len(_raw(store).at)
    assert store.outgoing(_due(store)) == [
        Outgoing("Weather", OPEN, "2024-03", 89),
        Outgoing("Weather", OPEN, "2024-04", 80),
        Outgoing("Weather", INTERNAL, "2024-03", 44),
        Outgoing("Weather", INTERNAL, "2024-04", 40),
    ]
    assert len(_raw(store).at) == before
    assert not (tmp_path / "archive").exists()
    assert store.outgoing(_due(store, Rule((), (), days=None))) == []
    assert store.outgoing([]) == []


def test_the_first_rule_that_fits_counts(store):
    rules = [Rule((), (INTERNAL,), None), Rule(("Traffic",), (), 100), Rule((), (), 5)]
    found = store.outgoing(_due(store, *rules))
    assert {(one.type, one.information_class) for one in found} == {("Weather", OPEN), ("Traffic", OPEN)}
    assert {one.month for one in found if one.type == "Weather"} >= {"2024-07"}
    assert max(one.month for one in found if one.type == "Traffic") == "2024-04"


def test_answers_by_the_hour_stay_what_they_were(store, again):
    before = _answers(store)
    gone = _all(store)
    assert [one.readings for one in gone] == [89, 80, 44, 40]
    store.close()
    store = again()
    assert _raw(store).at.min() < to_millis(datetime(2024, 5, 1, tzinfo=UTC))  # those of Traffic
    assert len(_raw(store).at) == 801 - 253
    for one, other in zip(before, _answers(store), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, equal_nan=True)
    assert store.outgoing(_due(store)) == []
    store.close()


def _lasting(store, *entities):
    """What needs single readings: what held for how long, and means over time."""
    window = Window(np.empty(0, np.int64), int(DAYS[0]), int(DAYS[-1]))
    pool = pooled(store.grouped("", entity_ids=entities or None), window).pool
    held = store.held(pool, Holding(int(DAYS[-1]), DAY, np.ones(pool.groups), above=20.0))
    weighted = store.time_weighted(pool.window.series, DAYS, since=int(DAYS[0]) - DAY, hold=DAY)
    return [*held, *weighted]


def test_what_held_how_long_is_read_from_the_archive(store):
    before = _lasting(store)
    _all(store)
    for one, other in zip(before, _lasting(store), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, equal_nan=True)
    number = store.last_sequence() + 1
    store.record([_news(number, "urn:b", ("Weather",), OPEN, (_reading(MARCH, 1000.0),))], number)
    late = _lasting(store)
    # Corrected late, it counts once, and as it is now.
    assert late[0].tolist() == before[0].tolist()
    assert late[3][1][0] > before[3][1][0]


def test_a_file_of_a_higher_class_than_what_is_asked_for_stays_closed(store, tmp_path):
    whole = _lasting(store, "urn:a")
    _all(store)
    for file in (tmp_path / "archive").glob("class=internal/**/*.parquet"):
        file.write_bytes(b"to open it would fail")
    for one, other in zip(whole, _lasting(store, "urn:a"), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, equal_nan=True)
    with pytest.raises((duckdb.Error, NotReady)):
        _lasting(store, "urn:secret")


def test_a_type_with_a_name_longer_than_a_file_s_is_archived(store, tmp_path):
    name = "https://example.org/" + "ø/" * 300
    news = _news(10_000, "urn:long", (name,), OPEN, (_reading(MARCH, 1.0),))
    store.record([news], 10_000)
    assert _all(store, Rule((name,), (), days=100))[0].type == name
    (file,) = (tmp_path / "archive").rglob("*.parquet")
    assert file.parent.parent.name.startswith("type=https%3A%2F%2Fexample.org%2F")


def test_the_archive_has_every_reading_and_its_checksums(store, tmp_path):
    _all(store)
    archive = tmp_path / "archive"
    files = sorted(str(path.relative_to(archive)) for path in archive.rglob("*.parquet"))
    assert files == [
        f"class={secrecy}/type=Weather/month=2024-{month}/part-1.parquet"
        for secrecy in ("internal", "open")
        for month in ("03", "04")
    ]
    listed = dict(reversed(line.split("  ")) for line in (archive / CHECKSUMS).read_text().splitlines())
    assert sorted(listed) == files
    for file, checksum in listed.items():
        assert hashlib.sha256((archive / file).read_bytes()).hexdigest() == checksum
    assert {one.file: one.sha256 for one in store.archived()} == listed
    rows = duckdb.sql(
        f"SELECT number, superseded, unit_code, month, class FROM read_parquet('{archive}/**/*.parquet', "
        "hive_partitioning = true) WHERE entity_id = 'urn:a' ORDER BY observed_at, sequence LIMIT 2"
    ).fetchall()
    assert rows == [(1.0, True, "CEL", "2024-03", "open"), (99.0, False, "CEL", "2024-03", "open")]


def test_without_an_archive_only_the_rollups_stay(store, tmp_path):
    before = _answers(store)
    assert {one.file for one in _all(store, Rule(("Weather",), (), 100, archive=False))} == {""}
    assert not (tmp_path / "archive").exists()
    np.testing.assert_allclose(_answers(store)[0], before[0])


def test_what_comes_late_is_rolled_up_with_what_is_there(store):
    _all(store)
    at = MARCH + timedelta(minutes=30)
    store.record([_news(1000, "urn:b", ("Weather",), OPEN, (_reading(at, 500),))], 1000)
    before = _answers(store)
    assert [(one.readings, one.file.rpartition("/")[2]) for one in _all(store)] == [(1, "part-2.parquet")]
    for one, other in zip(before, _answers(store), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, equal_nan=True)
    last = _rows(
        store, f"SELECT count, max, last, covered FROM hourly WHERE hour = {to_millis(MARCH)} AND max = 500"
    )
    assert last == [(4, 500.0, 500.0, 4)]


def test_what_is_corrected_late_counts_once(store):
    """The old value is in the roll-up and in the archive; the hour is rolled up anew from the latter."""
    _all(store)
    (number,) = (one.id for one in store.series("") if one.key.entity_id == "urn:b")
    window = Window(np.array([number], np.int64), to_millis(MARCH), to_millis(MARCH) + 2 * DAY // 24)
    hours = window.since + DAY // 24 * np.arange(3, dtype=np.int64)
    methods = ("totalCount", "sum", "min", "max", "sumsq")
    before = store.aggregate(window, hours, methods)
    assert before["max"][0].tolist() == [23.0, 72.0]
    for sequence, value in ((1000, 5.0), (1001, 6.0)):
        at = MARCH + timedelta(minutes=21)
        store.record([_news(sequence, "urn:b", ("Weather",), OPEN, (_reading(at, value),))], sequence)
        _all(store)
    after = store.aggregate(window, hours, methods)
    assert {name: column[0].tolist() for name, column in after.items()} == {
        "totalCount": [3, 1], "sum": [2 + 22 + 6, 72], "min": [2, 72], "max": [22, 72],
        "sumsq": [4 + 484 + 36, 72 * 72],
    }  # fmt: skip
    rows = _rows(
        store, f"SELECT count, last, covered FROM hourly WHERE series = {number} AND hour = {window.since}"
    )
    assert rows == [(3, 6.0, 3)]


def test_without_an_archive_what_comes_late_is_added(store):
    _all(store, Rule(("Weather",), (), 100, archive=False))
    at = MARCH + timedelta(minutes=30)
    for sequence, archive in ((1000, True), (1001, False), (1002, True)):
        store.record([_news(sequence, "urn:b", ("Weather",), OPEN, (_reading(at, 500),))], sequence)
        _all(store, Rule(("Weather",), (), 100, archive=archive))
    found = _rows(store, f"SELECT count, min FROM hourly WHERE hour = {to_millis(MARCH)} AND max = 500")
    assert found == [(6, 2.0)]


def test_who_is_forgotten_is_in_no_rollup_and_in_no_file(store, tmp_path):
    _all(store)
    secret = [one.id for one in store.series("") if one.key.entity_id == "urn:secret"]
    columns = {_columns(path) for path in (tmp_path / "archive").rglob("*.parquet")}
    store.forget(np.array(secret, np.int64))
    assert {_columns(path) for path in (tmp_path / "archive").rglob("*.parquet")} == columns
    for path in (tmp_path / "archive").rglob("*.parquet"):
        found = duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}') WHERE entity_id = 'urn:secret'")
        assert found.fetchall() == [(0,)]
        assert b"urn:secret" not in path.read_bytes()
    assert _rows(store, f"SELECT count(*) FROM hourly WHERE series = {secret[0]}") == [(0,)]
    listed = dict(
        reversed(line.split("  ")) for line in (tmp_path / "archive" / CHECKSUMS).read_text().splitlines()
    )
    for file, checksum in listed.items():
        assert hashlib.sha256((tmp_path / "archive" / file).read_bytes()).hexdigest() == checksum


def test_what_another_process_forgot_is_out_of_the_archive_soon(postgres, tmp_path):
    """Whoever follows partitions has no archive: it owes that the city's process writes it anew."""
    store = next(_filled(PostgresHistory(postgres, tmp_path / "exports")))
    _all(store)
    gone = {one.key.entity_id: one.id for one in store.series("")}
    line = postgres.line("another process")
    for name, starts in (("urn:secret", False), ("urn:a", True)):
        with line.transaction() as connection:
            forget_series(connection, np.array([gone[name]], np.int64))
        if starts:
            store.close()
            store = PostgresHistory(postgres, tmp_path / "exports")
        else:
            store.retire([])
        for path in (tmp_path / "archive").rglob("*.parquet"):
            assert name.encode() not in path.read_bytes()
        for one in store.archived():
            assert hashlib.sha256((tmp_path / "archive" / one.file).read_bytes()).hexdigest() == one.sha256
    assert line.rows("SELECT count(*) FROM archive_owed") == [(0,)]
    store.close()


def test_where_the_archive_is_away_that_is_said_and_the_rest_is_answered(postgres, tmp_path):
    store = next(_filled(PostgresHistory(postgres, tmp_path / "exports")))
    before = _answers(store)
    _all(store)
    (tmp_path / "archive").rename(tmp_path / "not mounted")
    with pytest.raises(NotReady, match="archive cannot be read here"):
        _lasting(store)
    np.testing.assert_allclose(_answers(store)[0], before[0])
    with pytest.raises(NotReady, match="is not here"):
        _all(store, Rule(("Traffic",), (), days=100))
    assert not (tmp_path / "archive").exists()
    number = next(one.id for one in store.series("") if one.key.entity_id == "urn:a")
    # It is forgotten, and owed to the archive.
    erased = EntityNews(
        5000, "", "urn:a", ("Weather",), ChangeKind.PAST, OPEN, 1, erasures=(Erasure((0, 1, 2)),)
    )
    store.record([erased], 5000)
    assert number not in [one.id for one in store.series("")]
    assert _rows(store, "SELECT count(*) FROM archive_owed") == [(1,)]
    store.close()


def _columns(path):
    found = duckdb.sql(f"DESCRIBE FROM read_parquet('{path}', hive_partitioning = false)").fetchall()
    return tuple(row[:2] for row in found)


def test_what_was_left_of_an_export_is_gone_at_the_next_start(store, tmp_path, again):
    for suffix in ("csv", "parquet", "json"):
        (tmp_path / "exports" / f"portion-1.{suffix}").write_text("secret")
    store.close()
    again().close()
    assert list((tmp_path / "exports").iterdir()) == []


def test_what_fails_leaves_all_readings_and_is_begun_again(store, tmp_path, monkeypatch):
    before = len(_raw(store).at)
    with monkeypatch.context() as patch:
        patch.setattr(retention_statements, "GO", "THIS IS NO STATEMENT")
        patch.setattr(postgres_statements, "NOTE_FILE", "THIS IS NO STATEMENT %s %s %s")
        with pytest.raises(Exception, match="THIS"):
            store.retire(_due(store))
    assert len(_raw(store).at) == before
    assert store.archived() == []
    assert [one.readings for one in _all(store)] == [89, 80, 44, 40]
    assert len(list((tmp_path / "archive").rglob("*.parquet"))) == 4


def test_an_answer_tells_how_far_it_rests_on_rollups(store):
    series = np.array([one.id for one in store.series("", types=["Weather"])], np.int64)
    assert store.rolled(Window(series)) is None
    _all(store)
    until = to_millis(datetime(2024, 4, 30, 2, tzinfo=UTC))
    assert store.rolled(Window(series)) == (to_millis(MARCH), until)
    assert store.rolled(Window(series, since=until)) is None
    assert store.rolled(Window(np.array([one.id for one in store.series("", types=["Traffic"])]))) is None


async def test_the_city_keeps_to_its_rules_and_tells_what_went(store, monkeypatch):
    class Clock:
        def now(self):
            return NOW

    monkeypatch.setattr(keeping, "REST", 0.0)
    assert await Keeping(store, Clock()).retire() == []
    gone = await Keeping(store, Clock(), [WEATHER]).retire()
    assert [one.readings for one in gone] == [89, 80, 44, 40]


def test_the_command_tells_and_changes_nothing(tmp_path, capsys, duck):
    duck.close()
    (tmp_path / "city.toml").write_text(
        '[[history.retention]]\ntypes = ["Weather"]\nclasses = ["open"]\ndays = 30\n', encoding="utf-8"
    )
    assert main(["retention", "--home", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "2024-03            89  Weather (open)" in told
    assert "internal" not in told
    assert "readings would become hourly roll-ups" in told
    again = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
    assert len(_raw(again).at) == 801
    again.close()
    (tmp_path / "city.toml").write_text("", encoding="utf-8")
    assert main(["retention", "--home", str(tmp_path)]) == 0
    assert "all readings are kept" in capsys.readouterr().out


def test_a_village_with_rollups_is_moved_with_them_and_answers_alike(duck, postgres, tmp_path):
    _all(duck)
    before = [*_answers(duck), *_lasting(duck)]
    duck.close()
    with open_village(CityFolder(tmp_path), history_alone=True) as village:
        carrier = Carrier(village, postgres, lambda *_: None)
        carrier.carry(history_alone=True)
        lines = compare(village, carrier.line, lambda *_: None, history_alone=True)
    assert all(line.alike for line in lines)
    assert {"hourly roll-ups", "files of the archive"} <= {line.what for line in lines}
    with closing(PostgresHistory(postgres, tmp_path / "exports")) as grown:
        assert len(_raw(grown).at) == 801 - 253
        for one, other in zip(before, [*_answers(grown), *_lasting(grown)], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-9, equal_nan=True)


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from cityloom.adapters.files import archive
from cityloom.adapters.duckdb.history import DuckHistory

home, where, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = DuckHistory(home / "history.duckdb", home / "exports")
step = getattr(archive, where.removesuffix(" done"))

def killed(*said):
    global count
    if count == 0 and not where.endswith(" done"):
        os._exit(9)
    found = step(*said)
    if count == 0:
        os._exit(9)
    count -= 1
    return found

setattr(archive, where.removesuffix(" done"), killed)
series = [one.id for one in store.series("") if one.key.entity_id == "urn:a"]
store.forget(np.array(series, np.int64))
"""


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("where", ["written done", "put_in_place", "put_in_place done"])
def test_a_city_killed_while_its_archive_is_written_anew_comes_up_with_what_its_database_says(
    duck, tmp_path, where, count
):
    """Before the transaction the old files stand; after it each new one takes its place."""
    _all(duck)
    (number,) = (one.id for one in duck.series("") if one.key.entity_id == "urn:a")
    duck.close()
    (tmp_path / "killed.py").write_text(KILLED)
    killed = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path), where, str(count)]
    assert subprocess.run(killed, check=False, timeout=60).returncode == 9
    is_gone = where != "written done"
    archive = tmp_path / "archive"
    for _ in range(2):
        again = DuckHistory(tmp_path / "history.duckdb", tmp_path / "exports")
        assert bool(again.known(np.array([number]))) is not is_gone
        files = sorted(path for path in archive.rglob("*") if path.is_file() and path.name != CHECKSUMS)
        assert [str(path.relative_to(archive)) for path in files] == [one.file for one in again.archived()]
        listed = (archive / CHECKSUMS).read_text().splitlines()
        for one, path in zip(again.archived(), files, strict=True):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == one.sha256
            assert f"{one.sha256}  {one.file}" in listed
            held = duckdb.sql(
                f"SELECT count(*), count(*) FILTER (series = {number}) FROM '{path}'"
            ).fetchone()
            assert held[0] == one.readings
            assert bool(held[1]) is (not is_gone and "class=open" in one.file)
        again.forget(np.array([number], np.int64))
        is_gone = True
        again.close()
