"""`cityloom doctor` on cities that something is really wrong with: each trouble is made, and named."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cityloom.adapters.sqlite.parked_readings import SqliteParkedStore
from cityloom.adapters.sqlite.records import Records
from cityloom.app.watch.growth import DAY_S, Sample, write_samples
from cityloom.kernel.errors import BadInput
from cityloom.kernel.findings import KINDS
from cityloom.sensing.model import Message
from cityloom.sensing.parked import ParkedReadings
from running_city import RunningCity, ask, run

CITY = 'name = "Illtown"\nframeworks = []\n'
FREE_PORTS = ("--port", "0", "--mqtt-port", "0")
SMALL_DISK = sys.platform == "linux" and os.geteuid() == 0


def examine(home, *words):
    """The status, and the findings by their ids."""
    words = words or FREE_PORTS
    done = run("doctor", "--home", home, "--json", *words)
    assert done.returncode in (0, 1, 2), done.stderr
    told = json.loads(done.stdout)
    found = {one["id"]: one for one in told["findings"]}
    for one in found.values():
        assert one["what"] and one["why"] and one["remedy"]
    worst = {one["level"] for one in found.values()}
    assert done.returncode == (2 if "bad" in worst else 1 if worst else 0)
    return told, found


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """The folder of a city that has lived and was stopped."""
    home = tmp_path_factory.mktemp("lived") / "city"
    home.mkdir(mode=0o700)
    (home / "city.toml").write_text(CITY)
    city = RunningCity(home, "up")
    thing = {"id": "urn:ngsi-ld:Bench:1", "type": "Bench", "seats": {"type": "Property", "value": 3}}
    assert city.web.post("/ngsi-ld/v1/entities", json=thing, headers=city.as_terminal).status_code == 201
    assert city.stop() == 0
    return home


@pytest.fixture
def home(lived, tmp_path):
    """A copy of it to spoil."""
    copy = tmp_path / "city"
    shutil.copytree(lived, copy)
    return copy


def configure(home, text):
    (home / "city.toml").write_text(CITY + text)


def test_nothing_is_wrong_with_a_city_that_is_well(home):
    told, found = examine(home)
    assert found == {}
    assert told["running"] is False
    done = run("doctor", "--home", home, *FREE_PORTS)
    assert "Nothing is wrong." in done.stdout
    assert done.returncode == 0


DAY = 86_400


def first_started(home, days_ago):
    at = time.time() - days_ago * DAY
    os.utime(home / "lock", (at, at))


def test_a_city_that_nobody_backs_up(home, tmp_path):
    first_started(home, 6.5)
    assert examine(home)[1] == {}
    first_started(home, 8.5)
    assert examine(home)[1]["backup-old"]["what"] == "No backup was made in 8 days"
    ask("backup", "--home", home, tmp_path / "backups")
    assert examine(home)[1] == {}
    noted = json.loads((home / "backup.json").read_text())
    assert Path(noted["path"]).parent == tmp_path / "backups"
    noted["made"] = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    (home / "backup.json").write_text(json.dumps(noted))
    found = examine(home)[1]["backup-old"]
    assert (found["what"], found["where"]) == ("The last backup is 9 days old", noted["path"])
    configure(home, "[backup]\nremind-after-days = 10\n")
    assert examine(home)[1] == {}
    configure(home, "[backup]\nremind-after-days = 0\n")
    (home / "backup.json").write_text("no JSON")
    first_started(home, 4000)
    assert examine(home)[1] == {}


def test_a_running_city_that_nobody_backs_up(home, tmp_path):
    first_started(home, 8.5)
    city = RunningCity(home, "up")
    try:
        assert "backup-old" in examine(home)[1]
        page = city.web.get("/system", headers=city.as_terminal).text
        assert "No backup was made in 8 days" in page
        ask("backup", "--home", home, tmp_path / "backups")
        assert "backup-old" not in examine(home)[1]
    finally:
        city.stop()


def test_it_changes_nothing(home):
    before = {path: path.read_bytes() for path in home.iterdir() if path.is_file()}
    examine(home)
    assert {path: path.read_bytes() for path in before} == before


def test_no_city(tmp_path):
    assert set(examine(tmp_path / "nowhere")[1]) == {"no-city"}


@pytest.mark.parametrize("text", ['language = "en"\n', "name =\n", 'time-zone = "Nowhere/Never"\n'])
def test_a_wrong_configuration(home, text):
    configure(home, text)
    assert set(examine(home)[1]) == {"configuration-wrong"}


def test_a_folder_that_cannot_be_written(home):
    home.chmod(0o500)
    try:
        assert "folder-not-writable" in examine(home)[1]
    finally:
        home.chmod(0o700)


def test_a_folder_that_others_look_into(home):
    home.chmod(0o755)
    (home / "records.db").chmod(0o644)
    _, found = examine(home)
    assert set(found) == {"folder-open-to-others"}
    assert "records.db" in found["folder-open-to-others"]["what"]


@pytest.mark.skipif(not SMALL_DISK, reason="amber: a small disk needs Linux and root, to mount one")
def test_a_disk_that_is_nearly_full(home, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(small)])
    if mounted.returncode:
        pytest.skip("amber: a small disk needs the right to mount one")
    try:
        shutil.copytree(home, small / "city")
        (small / "ballast").write_bytes(b"\0" * (shutil.disk_usage(small).free - 300_000))
        _, found = examine(small / "city")
        assert set(found) == {"disk-nearly-full"}
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_disk_that_fills_up(home):
    free = shutil.disk_usage(home).free
    now = time.time()
    # It has lost a tenth of its room each day, of what is left now.
    samples = [Sample(now - h * 3600, int(free + free / 10 * h / 24)) for h in range(72, -1, -1)]
    write_samples(home / "growth.json", samples)
    _, found = examine(home)
    assert set(found) == {"disk-fills-up"}
    assert "10 days" in found["disk-fills-up"]["what"]
    write_samples(home / "growth.json", [one for one in samples if now - one.at < DAY_S / 2])
    assert examine(home)[1] == {}


def test_a_clock_that_is_behind(home):
    ahead = time.time() + 90 * DAY_S
    os.utime(home / "feed.db", (ahead, ahead))
    _, found = examine(home)
    assert set(found) == {"clock-wrong"}
    assert "feed.db" in found["clock-wrong"]["what"]


def certificate(folder, ends):
    """A certificate and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "city.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=400))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "listener.pem", folder / "listener.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.mark.parametrize(
    ("days", "kind"), [(10.5, "certificate-expires"), (-3, "certificate-expired"), (90, None)]
)
def test_a_certificate_that_ends(home, tmp_path, days, kind):
    pem, key = certificate(tmp_path, datetime.now(UTC) + timedelta(days=days))
    configure(home, f'[mqtt]\ntls-certificate = "{pem}"\ntls-key = "{key}"\n')
    _, found = examine(home)
    assert set(found) == ({kind} if kind else set())


def test_a_certificate_that_cannot_be_used(home, tmp_path):
    pem, _ = certificate(tmp_path, datetime.now(UTC) + timedelta(days=90))
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other", datetime.now(UTC) + timedelta(days=90))
    for key in (other, tmp_path / "none.key"):
        configure(home, f'[mqtt]\ntls-certificate = "{pem}"\ntls-key = "{key}"\n')
        assert set(examine(home)[1]) == {"certificate-unusable"}
    configure(home, f'[mqtt]\ntls-certificate = "{tmp_path}/none.pem"\ntls-key = "{other}"\n')
    assert set(examine(home)[1]) == {"certificate-unusable"}


def test_what_strangers_may_do(home):
    text = 'proxies = ["0.0.0.0/0"]\n[mqtt]\nhost = "0.0.0.0"\n[outbound]\ninside = true\n'
    configure(home, text)
    assert set(examine(home)[1]) == {"mqtt-without-tls", "proxies-trust-everybody", "reaches-inside"}
    configure(home, "")
    assert set(examine(home, "--host", "0.0.0.0", *FREE_PORTS)[1]) == {
        "mqtt-without-tls",
        "pages-without-tls",
    }


def test_a_file_that_is_gone(home):
    (home / "records.db").unlink()
    assert set(examine(home)[1]) == {"file-missing"}


@pytest.mark.parametrize("name", ["feed.db", "state.db", "records.db", "history.duckdb"])
def test_a_damaged_database(home, name):
    path = home / name
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    _, found = examine(home)
    assert set(found) == {"database-damaged"}
    assert name in found["database-damaged"]["what"]


def test_one_page_of_a_database_that_is_lost(home):
    path = home / "state.db"
    connection = apsw.Connection(str(path))
    (root,) = connection.execute("SELECT max(rootpage) FROM sqlite_schema").fetchone()
    size = int(connection.pragma("page_size"))
    connection.pragma("wal_checkpoint", "truncate")
    connection.close()
    whole = bytearray(path.read_bytes())
    # The head of the page stays what it was, what it points at does not.
    whole[root * size - size // 2 : root * size] = b"\xff" * (size // 2)
    path.write_bytes(whole)
    _, found = examine(home)
    assert set(found) == {"database-damaged"}
    assert "state.db" in found["database-damaged"]["what"]


def test_a_database_of_a_newer_version(home):
    connection = apsw.Connection(str(home / "feed.db"))
    connection.pragma("user_version", 99)
    connection.close()
    assert set(examine(home)[1]) == {"written-by-newer"}


def test_an_old_sqlite(home, monkeypatch):
    from cityloom.app.doctor.databases import sqlite_findings

    assert list(sqlite_findings()) == []
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    assert [one.id for one in sqlite_findings()] == ["sqlite-too-old"]


def test_a_port_that_is_taken(home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for option, beside in (("--port", "--mqtt-port"), ("--mqtt-port", "--port")):
            _, found = examine(home, option, port, beside, "0")
            assert set(found) == {"port-taken"}
            assert port in found["port-taken"]["what"] and option in found["port-taken"]["what"]


def test_a_city_that_was_killed_and_one_that_hangs(home):
    city = RunningCity(home, "up")
    try:
        assert examine(home)[1] == {}
        city.process.send_signal(signal.SIGSTOP)
        # Hanging is seen by patience running out; a port nobody listens on is seen at once.
        told = json.loads((home / "running.json").read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (home / "running.json").write_text(json.dumps(told | {"address": f"http://127.0.0.1:{port}"}))
        assert set(examine(home)[1]) == {"does-not-answer"}
    finally:
        city.process.send_signal(signal.SIGCONT)
        city.stop(signal.SIGKILL)
    assert set(examine(home)[1]) == {"was-killed"}


def test_open_access_of_a_running_city(tmp_path):
    city = RunningCity(tmp_path / "city", "up", "--open-access")
    try:
        assert set(examine(tmp_path / "city")[1]) == {"open-access"}
    finally:
        city.stop()


def park(home):
    records = Records(home / "records.db")
    message = Message("http_push", "somewhere", b"{", datetime.now(UTC))
    error = BadInput("It is no JSON", hint="Send JSON.")
    asyncio.run(ParkedReadings(SqliteParkedStore(records)).park([(message, error)]))
    records.close()


def test_a_running_city_that_others_do_not_answer(home):
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    park(home)
    configure(
        home,
        "[outbound]\ninside = true\n"
        f'[connectors.mqtt_bridge]\nbroker = "{dead.replace("http", "mqtt")}"\n'
        'mappings = [{topic = "a/+id", type = "A", id = "{id}"}]\n',
    )
    city = RunningCity(home, "up")
    try:
        api, key = "/ngsi-ld/v1", city.as_terminal
        wanted = {
            "id": "urn:ngsi-ld:Subscription:1",
            "type": "Subscription",
            "entities": [{"type": "Bench"}],
            "notification": {"endpoint": {"uri": f"{dead}/told"}},
        }
        assert city.web.post(f"{api}/subscriptions", json=wanted, headers=key).status_code == 201
        source = {
            "id": "urn:ngsi-ld:ContextSourceRegistration:1",
            "type": "ContextSourceRegistration",
            "information": [{"entities": [{"type": "Lamp"}]}],
            "endpoint": dead,
        }
        assert city.web.post(f"{api}/csourceRegistrations", json=source, headers=key).status_code == 201
        city.web.get(f"{api}/entities?type=Lamp", headers=key)
        bench = {"id": "urn:ngsi-ld:Bench:2", "type": "Bench", "seats": {"type": "Property", "value": 1}}
        assert city.web.post(f"{api}/entities", json=bench, headers=key).status_code == 201
        others = {"endpoint-failing", "source-failing", "connector-down"}
        wanted_ids = others | {"parked-messages", "reaches-inside"}
        deadline = time.monotonic() + 60
        while set(examine(home)[1]) != wanted_ids and time.monotonic() < deadline:
            time.sleep(0.2)
        told, found = examine(home)
        assert set(found) == wanted_ids
        assert told["running"] is True
        assert dead in found["endpoint-failing"]["what"]
        page = city.web.get("/system", headers=key).text
        assert found["parked-messages"]["what"] in page
    finally:
        city.stop()


def test_every_finding_has_a_test():
    told = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [kind for kind in KINDS if f'"{kind}"' not in told] == []
