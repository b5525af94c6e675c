"""A process that is killed while it makes, migrates, folds or trims its files: the next start finds all.

It is killed at the n-th change of a file, for n = 1, 2, 3 … until the work succeeds: SQLite's changes are
counted in the process itself, DuckDB's by a tracer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from short_life import ENDED

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.sqlite import feed
from cityloom.adapters.sqlite.connection import open_writer
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.register import SqliteRegister
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.context.broker import Broker
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.actor import CITY
from cityloom.kernel.time import WallClock
from running_city import run

pytestmark = pytest.mark.faults

LIFE = Path(__file__).with_name("short_life.py")
#: Calls by which SQLite and DuckDB change what a process that was killed leaves (flushes change nothing).
CALLS = "pwrite64,ftruncate,unlink,rename"
#: In the suite one moment in so many is tried; `--fuzz` of this much tries them all.
STRIDE = 6
#: Entities in a feed that an earlier CityLoom wrote.
OLD = 5
OLD_ROW = (
    "INSERT INTO change (sequence, tenant, entity_id, types, kind, information_class, document, attributes,"
    " at_millis, by, trace) VALUES (?, '', ?, '[\"Old\"]', 1, 1, ?, '[]', 0, '', '')"
)


@pytest.fixture(scope="module")
def left_by_the_first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city's folder whose feed has the first of all schemas."""
    folder = tmp_path_factory.mktemp("old") / "city"
    folder.mkdir()
    connection = open_writer(folder / "feed.db", feed.MIGRATIONS[:1])
    for number in range(1, OLD + 1):
        name = f"urn:ngsi-ld:Old:{number}"
        document = b'{"id":"%s","types":["Old"],"attrs":{}}' % name.encode()
        connection.execute(OLD_ROW, (number, name, document))
    connection.close()
    return folder


def live(folder: Path, *, call: int = 0, traced: bool = False) -> tuple[int, list[str]]:
    """A short life in a folder, killed at its n-th change; its status, and what it acknowledged."""
    if not traced:
        done = run(LIFE, folder, *([call] if call else []))
    else:
        inject = f"inject={CALLS}:signal=KILL:when={call}"
        tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", inject]
        # -B: no file of Python's own is among the changes.
        command = [*tracer, sys.executable, "-B", str(LIFE), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert call or done.returncode == 0, done.stderr
    return done.returncode, done.stdout.splitlines()


async def look(folder: Path) -> tuple[set[str], set[str]]:
    """What is there: in the state and the registers, and in history."""
    for path in folder.glob("*.db"):
        assert apsw.Connection(str(path)).pragma("integrity_check") == "ok", path.name
    changes, table = SqliteFeed(folder / "feed.db"), SqliteStateTable(folder / "state.db")
    kept = Records(folder / "records.db")
    history = DuckHistory(folder / "history.duckdb", folder / "exports", threads=1)
    broker = Broker(changes, table, WallClock())
    await broker.start()
    stage = HistoryStage(history, pause=0.0)
    broker.follow(STAGE, stage.handle, durable=True, after=stage.through)
    await stage.reached(broker.last_sequence)
    found = {one["id"] for kind in ("Old", "Mark") for one in broker.of_type(CITY, kind)}
    found |= {f"thing {entry.id}" for entry in SqliteRegister(kept).load("thing")}
    with history._file.cursor() as cursor:
        remembered = {name for (name,) in cursor.execute("SELECT entity_id FROM series").fetchall()}
    await broker.stop()
    for store in (history, table, changes, kept):
        store.close()
    return found, remembered


@pytest.mark.parametrize("traced", [False, True], ids=["sqlite", "duckdb"])
async def test_a_kill_at_any_moment_of_a_life_leaves_what_was_there_and_what_was_acknowledged(
    tmp_path: Path, left_by_the_first_version: Path, request: pytest.FixtureRequest, traced: bool
):
    if traced and shutil.which("strace") is None:
        pytest.skip("amber: killing at a call needs strace")
    stride = max(1, round(STRIDE * (4 if traced else 1) / request.config.getoption("--fuzz")))
    old = {f"urn:ngsi-ld:Old:{number}" for number in range(1, OLD + 1)}
    call, status, tried = 1, ENDED, 0
    while status != 0:
        folder = tmp_path / str(call)
        shutil.copytree(left_by_the_first_version, folder)
        status, acknowledged = live(folder, call=call, traced=traced)
        assert status in (0, ENDED, -9, 137), status
        found, remembered = await look(folder)
        assert found >= old | set(acknowledged), f"killed at call {call}"
        assert remembered >= {name for name in acknowledged if "Mark" in name}, f"killed at call {call}"
        # And it goes on from there.
        if tried % 5 == 0:
            _, again = live(folder)
            assert set(again) <= (await look(folder))[0]
        shutil.rmtree(folder)
        call += stride
        tried += 1
    assert tried > 3, "nothing was killed"
