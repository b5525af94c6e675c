"""A city on PostgreSQL: it lives through its own end and through its database's, and loses nothing."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from contextlib import closing

import httpx2
import psycopg
import pytest

from cityloom.adapters.postgres.address import Address
from postgres_server import PostgresServer
from running_city import RunningCity, ask


@pytest.fixture
def home(tmp_path, postgres_address: Address, postgres_server: PostgresServer):
    folder = tmp_path / "city"
    ask("init", "--home", folder, "--name", "Newtown", "--place", "10.2,56.1", "--language", "en")
    with (folder / "city.toml").open("a") as file:
        file.write("[outbound]\ninside = true\n")
        file.write(f'\n[storage]\nurl = "{postgres_server.url()}"\nschema = "{postgres_address.schema}"\n')
    return folder


def thing(name: object, value: object = 1) -> dict:
    return {"id": f"urn:ngsi-ld:Thing:{name}", "type": "Thing", "count": {"type": "Property", "value": value}}


def counts(city: RunningCity) -> dict[str, object]:
    found: dict[str, object] = {}
    page = [{}]
    while page:
        asked = {"type": "Thing", "limit": 1000, "offset": len(found), "options": "keyValues"}
        answer = city.web.get("/ngsi-ld/v1/entities", params=asked, headers=city.as_terminal)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found |= {one["id"].rpartition(":")[2]: one["count"] for one in page}
    return found


def test_city_finds_everything_after_it_was_killed(home):
    assert "nothing is wrong" in ask("check", "--home", home)
    city = RunningCity(home, "up")
    assert [one.name for one in home.glob("*.db")] == ["keys.db"]
    for number in range(5):
        answer = city.web.post("/ngsi-ld/v1/entities", json=thing(number), headers=city.as_terminal)
        assert answer.status_code == 201, answer.text
    many = [thing(number, 2) for number in range(3, 400)]
    answer = city.web.post("/ngsi-ld/v1/entityOperations/upsert", json=many, headers=city.as_terminal)
    assert answer.status_code in (200, 201, 204), answer.text
    subscription = {
        "id": "urn:ngsi-ld:Subscription:one",
        "type": "Subscription",
        "entities": [{"type": "Thing"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/told"}},
    }
    answer = city.web.post("/ngsi-ld/v1/subscriptions", json=subscription, headers=city.as_terminal)
    assert answer.status_code == 201, answer.text
    assert city.stop(signal.SIGKILL) == -signal.SIGKILL

    city = RunningCity(home, "up")
    assert counts(city) == {str(number): 1 if number < 3 else 2 for number in range(400)}
    answer = city.web.get("/ngsi-ld/v1/subscriptions/urn:ngsi-ld:Subscription:one", headers=city.as_terminal)
    assert answer.status_code == 200
    second = home.parent / "second"
    second.mkdir()
    (second / "city.toml").write_text((home / "city.toml").read_text())
    assert "running already" in ask("up", "--home", second, "--port", "0", status=1)
    assert city.stop() == 0

    assert "admin" in ask("account", "list", "--home", home)
    city = RunningCity(home, "up")
    assert len(counts(city)) == 400
    assert city.stop() == 0


def test_city_keeps_what_it_acknowledged_while_its_database_is_restarted(
    home, postgres_server, postgres_address
):
    city = RunningCity(home, "up")
    acknowledged: list[str] = []
    refused: list[int] = []
    stop = threading.Event()
    numbers = itertools.count()

    def write(batch: int) -> None:
        with closing(httpx2.Client(base_url=city.address, timeout=60, headers=city.as_terminal)) as web:
            while not stop.is_set():
                names = [str(next(numbers)) for _ in range(batch)]
                answer = web.post("/ngsi-ld/v1/entityOperations/create", json=[thing(one) for one in names])
                if answer.status_code == 201:
                    acknowledged.extend(names)
                else:
                    refused.append(answer.status_code)
                    stop.wait(0.05)

    writers = [threading.Thread(target=write, args=(size,)) for size in (1, 1, 20)]
    for one in writers:
        one.start()
    for end in (postgres_server.stop, postgres_server.crash, postgres_server.stop):
        grows(acknowledged, 50)
        end()
        postgres_server.start()
    grows(acknowledged, 50)
    stop.set()
    for one in writers:
        one.join()
    assert set(refused) <= {503}
    assert len(acknowledged) == len(set(acknowledged))
    found = counts(city)
    assert set(acknowledged) <= found.keys()
    assert city.stop(signal.SIGKILL) == -signal.SIGKILL

    city = RunningCity(home, "up")
    assert counts(city) == found
    remembered = dict.fromkeys(found, 1)
    assert readings_by_thing(postgres_server, postgres_address.schema) == remembered
    assert city.stop() == 0
    assert not list(home.glob("*.duckdb"))


def readings_by_thing(server: PostgresServer, schema: str) -> dict[str, int]:
    """How many readings of `count` the history has, once it has come as far as the feed."""
    until = time.monotonic() + 60
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema}")
        behind = "SELECT (SELECT last FROM feed_head) > (SELECT last_sequence FROM history_progress)"
        while (connection.execute(behind).fetchone() or [True])[0]:
            assert time.monotonic() < until, "the history does not come as far as the feed"
            time.sleep(0.05)
        rows = connection.execute(
            "SELECT entity_id, count(*) FROM reading JOIN series ON id = series"
            " WHERE attribute = 'count' AND entity_id LIKE 'urn:ngsi-ld:Thing:%' GROUP BY 1"
        ).fetchall()
    return {entity_id.rpartition(":")[2]: count for entity_id, count in rows}


def test_what_lies_in_the_folder_is_backed_up_while_the_city_runs(home, tmp_path):
    city = RunningCity(home, "up")
    try:
        snapshot = {"id": "urn:ngsi-ld:Snapshot:1", "type": "Snapshot"}
        snapshot["snapshotQueries"] = [{"type": "Query", "entities": [{"type": "Thing"}]}]
        answer = city.web.post("/ngsi-ld/v1/entities", json=thing(1), headers=city.as_terminal)
        assert answer.status_code == 201, answer.text
        answer = city.web.post("/ngsi-ld/v1/snapshots", json=snapshot, headers=city.as_terminal)
        assert answer.status_code == 201, answer.text
        (home / "photos").mkdir(exist_ok=True)
        (home / "photos" / "one").write_bytes(b"a street lamp")
        said = ask("backup", "--home", home, tmp_path / "backups")
        assert "NOT in this backup" in said and "pg_dump" in said
    finally:
        assert city.stop() == 0
    (made,) = [one for one in (tmp_path / "backups").iterdir() if one.name != ".lock"]
    ask("restore", made, "--home", tmp_path / "again")
    again = tmp_path / "again"
    assert (again / "photos" / "one").read_bytes() == b"a street lamp"
    assert [one.name for one in (again / "snapshots").iterdir()] == [
        one.name for one in (home / "snapshots").iterdir() if one.suffix == ".db"
    ]


def test_city_without_its_database_tells_what_it_knows_and_takes_nothing(
    home, postgres_server, postgres_address
):
    city = RunningCity(home, "up")
    first, second = thing("first"), thing("second")

    def write(one: dict) -> httpx2.Response:
        return city.web.post("/ngsi-ld/v1/entities", json=one, headers=city.as_terminal)

    assert write(first).status_code == 201
    writes_nothing_more(postgres_server, postgres_address.schema)
    postgres_server.stop()
    try:
        answer = write(second)
        assert answer.status_code == 503, answer.text
        assert "Nothing of this was stored" in answer.text
        assert counts(city) == {"first": 1}
        assert city.web.get("/ngsi-ld/v1/types").status_code == 200
        system = city.web.get("/system.json", headers=city.as_terminal)
        assert system.status_code == 200, system.text
        assert "database-away" in ask("doctor", "--home", home, "--json", status=2)
    finally:
        postgres_server.start()
    until = time.monotonic() + 60
    while (status := write(second).status_code) == 503 and time.monotonic() < until:
        time.sleep(0.1)
    assert status == 201
    assert counts(city) == {"first": 1, "second": 1}
    assert city.stop() == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('url = "postgresql://city:horse@127.0.0.1:1/city"', "cannot be reached"),
        ('url = "city.db"', "no URL of PostgreSQL"),
        ('url = "postgresql://127.0.0.1/city"\nschema = "My City"', "not the name of a schema"),
        ("url = 5", "This is to be a text"),
    ],
)
def test_check_and_up_explain_what_is_wrong_with_the_storage(tmp_path, line, said):
    (tmp_path / "city.toml").write_text(f"[storage]\n{line}\n")
    told = ask("check", "--home", tmp_path, status=1) + ask("up", "--home", tmp_path, "--port", "0", status=1)
    assert told.count(said) == 2
    assert "horse" not in told


def writes_nothing_more(server: PostgresServer, schema: str) -> None:
    """Wait until a city has written what it writes when it starts.

    What is on its way to a database that goes is in doubt, and whoever writes next waits until it is back.
    """
    seen, since, until = -1, time.monotonic(), time.monotonic() + 60
    with psycopg.connect(server.url(), autocommit=True) as connection:
        while time.monotonic() < since + 2:
            assert time.monotonic() < until, "the city does not come to rest"
            (last,) = connection.execute(f"SELECT last FROM {schema}.feed_head").fetchone() or (0,)
            if last != seen:
                seen, since = last, time.monotonic()
            time.sleep(0.05)


def grows(what: list, by: int) -> None:
    """Wait until so many more are in a list."""
    enough, until = len(what) + by, time.monotonic() + 60
    while len(what) < enough:
        assert time.monotonic() < until, "it does not come about"
        time.sleep(0.02)
