"""What tests of several rooms share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest


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
