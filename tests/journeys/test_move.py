"""A village that has grown: its folder is carried into PostgreSQL, and the city answers as it did."""

from __future__ import annotations

import shutil
import signal
import tomllib

import psycopg
import pytest

from cityloom.app.folder import CityFolder
from cityloom.app.move import carrying, village
from running_city import RunningCity, ask

NGSI = "/ngsi-ld/v1"


def thing(number: int, value: object, at: str = "2026-03-01T12:00:00Z") -> dict:
    return {
        "id": f"urn:ngsi-ld:Thing:{number}",
        "type": "Thing" if number % 3 else "Other",
        "count": {"type": "Property", "value": value, "observedAt": at, "unitCode": "CEL"},
        "word": {"type": "Property", "value": f"ø \N{CITYSCAPE} {number}"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [10.2, 56.1]}},
    }


QUESTIONS = (
    f"{NGSI}/entities?type=Thing,Other&limit=1000&options=sysAttrs",
    f"{NGSI}/entities?type=Thing&georel=near;maxDistance==2000&geometry=Point&coordinates=[10.2,56.1]",
    f"{NGSI}/temporal/entities?type=Thing,Other&limit=1000&options=sysAttrs&lastN=50",
    f"{NGSI}/temporal/entities?type=Thing&aggrMethods=avg,max,distinctCount&aggrPeriodDuration=P1D"
    "&options=aggregatedValues&timerel=after&timeAt=2026-02-01T00:00:00Z",
    f"{NGSI}/subscriptions",
    f"{NGSI}/csourceRegistrations?type=Thing",
)


def answers(city: RunningCity) -> dict[str, object]:
    found: dict[str, object] = {}
    for question in QUESTIONS:
        answer = city.web.get(question, headers=city.as_terminal)
        found[question] = (answer.status_code, answer.json() if answer.status_code == 200 else None)
    return found


def write(city: RunningCity, method: str, path: str, body: object) -> None:
    answer = city.web.request(method, NGSI + path, json=body, headers=city.as_terminal)
    assert answer.status_code < 300, answer.text


@pytest.fixture
def lived(a_village, tmp_path):
    """A village that has lived, and what it answers."""
    home, before = a_village
    return shutil.copytree(home, tmp_path / "village"), before


@pytest.fixture(scope="module")
def a_village(tmp_path_factory):
    home = tmp_path_factory.mktemp("first") / "village"
    ask("init", "--home", home, "--name", "Grown", "--place", "10.2,56.1", "--language", "en")
    with (home / "city.toml").open("a") as file:
        file.write("\n[outbound]\ninside = true\n")
    ask("account", "create", "anna", "--role", "operator", "--home", home)
    city = RunningCity(home, "up")
    write(city, "POST", "/entityOperations/create", [thing(number, number) for number in range(200)])
    write(city, "POST", "/entityOperations/upsert", [thing(number, -number) for number in range(50)])
    later = [thing(number, number / 7, f"2026-0{4 + number % 3}-01T12:00:00Z") for number in range(99)]
    write(city, "POST", "/entityOperations/upsert", later)
    write(city, "POST", "/entityOperations/delete", [thing(number, 0)["id"] for number in range(5)])
    subscription = {
        "id": "urn:ngsi-ld:Subscription:one",
        "type": "Subscription",
        "entities": [{"type": "Thing"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/told"}},
    }
    write(city, "POST", "/subscriptions", subscription)
    before = answers(city)
    assert [status for status, _ in before.values()] == [200] * len(QUESTIONS), before
    assert city.stop() == 0
    return home, before


def test_village_is_moved_and_answers_alike(lived, postgres_server, postgres_address):
    home, before = lived
    to = ("--to", postgres_server.url(), "--schema", postgres_address.schema, "--home", home)
    files = {path.name: path.read_bytes() for path in home.iterdir() if path.suffix in (".db", ".duckdb")}
    # The keys stay in the folder: no dump of the database may hold them.
    del files["keys.db"]
    settings = (home / "city.toml").read_text()

    told = ask("move", "--dry-run", *to)
    assert "readings" in told and "accounts" in told
    with psycopg.connect(postgres_server.url()) as connection:
        row = connection.execute("SELECT to_regnamespace(%s)", (postgres_address.schema,)).fetchone()
        assert row == (None,)
    assert (home / "city.toml").read_text() == settings

    told = ask("move", *to)
    assert "alike" in told and "DIFFERENT" not in told
    assert files == {path.name: path.read_bytes() for path in home.iterdir() if path.name in files}
    configuration = tomllib.loads((home / "city.toml").read_text())
    storage = {"url": postgres_server.url(), "schema": postgres_address.schema}
    assert configuration == {**tomllib.loads(settings), "storage": storage}

    for name in files:
        (home / name).rename(home.parent / name)
    city = RunningCity(home, "up")
    assert answers(city) == before
    write(city, "POST", "/entities", thing(1000, 1))
    assert city.stop() == 0
    assert [path.name for path in (*home.glob("*.db"), *home.glob("*.duckdb"))] == ["keys.db"]
    assert "anna" in ask("account", "list", "--home", home)
    city = RunningCity(home, "up")
    assert (
        city.web.get(f"{NGSI}/entities/{thing(1000, 1)['id']}", headers=city.as_terminal).status_code == 200
    )
    assert city.stop(signal.SIGTERM) == 0


def test_move_that_was_cut_off_goes_on_and_no_city_runs_meanwhile(
    lived, postgres_server, postgres_address, monkeypatch
):
    home, before = lived
    monkeypatch.setattr(carrying, "_ROWS_AT_ONCE", 30)
    schema = postgres_address.schema
    to = ("--to", postgres_server.url(), "--schema", schema, "--home", home)
    cut_off_after(12, home, postgres_address, monkeypatch)
    with psycopg.connect(postgres_server.url()) as connection:
        parts = dict(connection.execute(f"SELECT name, rows FROM {schema}.moved_part").fetchall())
    assert 0 < parts["change"] == 12 * 30
    # A city on half of its data would be another city.
    second = home.parent / "second"
    second.mkdir()
    storage = f'\n[storage]\nurl = "{postgres_server.url()}"\nschema = "{schema}"\n'
    (second / "city.toml").write_text((home / "city.toml").read_text() + storage)
    assert "on its way" in ask("up", "--home", second, "--port", "0", status=1)

    assert "DIFFERENT" not in ask("move", *to)
    city = RunningCity(home, "up")
    assert answers(city) == before
    assert city.stop() == 0


def cut_off_after(portions, home, address, monkeypatch) -> None:
    from cityloom.adapters.postgres import moving
    from cityloom.adapters.postgres.database import Database
    from cityloom.adapters.postgres.schema import PARTS

    class CutOff(Exception):
        pass

    left = iter(range(portions))

    def copied(*told, copy=carrying.copy_rows):
        if next(left, None) is None:
            raise CutOff
        copy(*told)

    database = Database(address)
    try:
        database.prepare(PARTS)
        with village.open_village(CityFolder(home)) as opened, monkeypatch.context() as patched:
            patched.setattr(carrying, "copy_rows", copied)
            moving.begin(database, opened.fingerprint())
            with pytest.raises(CutOff):
                carrying.Carrier(opened, database, lambda *_: None).carry()
    finally:
        database.close()


def test_move_says_what_is_not_alike_and_names_no_database(lived, postgres_server, postgres_address):
    home, _ = lived
    settings = (home / "city.toml").read_text()
    to = ("--to", postgres_server.url(), "--schema", postgres_address.schema, "--home", home)
    assert "DIFFERENT" not in ask("move", *to)
    (home / "city.toml").write_text(settings)
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute(f"SET search_path = {postgres_address.schema}")
        connection.execute("UPDATE reading SET number = number + 1 WHERE number > 100")
        connection.execute("UPDATE entity SET document = document || 'x' WHERE created < 10")
    told = ask("move", *to, status=1)
    assert told.count("DIFFERENT") >= 2
    assert (home / "city.toml").read_text() == settings


def test_move_refuses_a_village_that_runs_and_a_schema_where_somebody_lives(
    lived, postgres_server, postgres_address
):
    home, _ = lived
    to = ("--to", postgres_server.url(), "--schema", postgres_address.schema, "--home", home)
    settings = (home / "city.toml").read_text()
    city = RunningCity(home, "up")
    assert "running already" in ask("move", *to, status=1)
    assert city.stop() == 0
    assert "DIFFERENT" not in ask("move", *to)
    other = shutil.copytree(home, home.parent / "stranger")
    (other / "city.toml").write_text(settings)
    told = ask("move", "--dry-run", *to[:4], "--home", other, status=1)
    assert "Something else was being carried into this schema" in told
    told = ask("move", "--dry-run", "--to", "mysql://x", "--home", other, status=1)
    assert "--to" in told and "storage.url" not in told
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute(f"SET search_path = {postgres_address.schema}")
        row = connection.execute("DELETE FROM moved_from RETURNING *").fetchone()
    assert "There is a city in this schema already" in ask(
        "move", "--dry-run", *to[:4], "--home", other, status=1
    )
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute(f"INSERT INTO {postgres_address.schema}.moved_from VALUES (%s, %s, %s)", row)
    assert "already" in ask(
        "move", "--to", postgres_server.url(), "--schema", "other", "--home", home, status=1
    )
    other = home.parent / "other"
    ask("init", "--home", other, "--name", "Other", "--place", "10.2,56.1", "--language", "en")
    city = RunningCity(other, "up")
    write(city, "POST", "/entities", thing(1, 1))
    assert city.stop() == 0
    told = ask("move", *to[:-1], other, status=1)
    # The city that lives there has come further than this one.
    assert "has lived on" in told and "DROP" not in told


def test_readings_that_lie_in_the_folder_still_follow_the_city_into_its_database(
    lived, postgres_server, postgres_address
):
    """A city that is on PostgreSQL, as those were whose readings stayed in the folder."""
    home, before = lived
    schema = postgres_address.schema
    to = ("--to", postgres_server.url(), "--schema", schema, "--home", home)
    assert "DIFFERENT" not in ask("move", *to)
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute(f"SET search_path = {schema}")
        connection.execute("TRUNCATE reading, series, load, load_entity, moved_from, moved_part")
        connection.execute("UPDATE history_progress SET last_sequence = 0")
    for path in home.glob("*.db"):
        path.unlink()
    assert "lie in its folder still" in ask("up", "--home", home, "--port", "0", status=1)

    told = ask("move", "--dry-run", *to)
    assert "readings" in told and "accounts" not in told
    told = ask("move", *to)
    assert "alike" in told and "DIFFERENT" not in told
    city = RunningCity(home, "up")
    assert answers(city) == before
    write(city, "POST", "/entities", thing(1000, 1))
    assert city.stop() == 0
    # What is old in the folder turns nothing back.
    assert "has lived on" in ask("move", *to, status=1)
    city = RunningCity(home, "up")
    assert city.web.get(f"{NGSI}/entities/{thing(1000, 1)['id']}", headers=city.as_terminal).is_success
    assert city.stop() == 0


def test_a_village_that_was_moved_by_an_address_of_the_environment_is_not_turned_back(
    lived, postgres_server, postgres_address
):
    home, _ = lived
    settings = (home / "city.toml").read_text()
    to = ("--to", postgres_server.url(), "--schema", postgres_address.schema, "--home", home)
    assert "DIFFERENT" not in ask("move", *to)
    city = RunningCity(home, "up")
    write(city, "POST", "/entities", thing(1000, 1))
    assert city.stop() == 0
    named = (home / "city.toml").read_text()
    (home / "city.toml").write_text(settings)
    assert "has lived on" in ask("move", *to, status=1)
    (home / "city.toml").write_text(named)
    city = RunningCity(home, "up")
    assert city.web.get(f"{NGSI}/entities/{thing(1000, 1)['id']}", headers=city.as_terminal).is_success
    assert city.stop() == 0
