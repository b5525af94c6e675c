"""History is looked after beside everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cityloom.history import keeping
from cityloom.history.keeping import Keeping
from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import to_millis

NOW = datetime(2026, 5, 4, tzinfo=UTC)


class _Clock:
    def now(self):
        return NOW


class _Store:
    def __init__(self, *pieces):
        self.pieces, self.asked = list(pieces), []

    def settle(self, before):
        self.asked.append(before)
        found = self.pieces.pop(0) if self.pieces else 0
        if isinstance(found, Exception):
            raise found
        return found


async def test_all_that_is_over_is_moved_piece_by_piece():
    store = _Store(5, 7)
    assert await Keeping(store, _Clock()).tidy() == 12
    assert store.asked == [to_millis(NOW - timedelta(days=2))] * 3


async def test_what_fails_is_tried_again(monkeypatch, caplog):
    class Enough(Exception):
        pass

    async def sleep(seconds, pauses=[]):  # noqa: B006 - counts its calls
        pauses.append(seconds)
        if pauses.count(keeping.PAUSE_S) == 2:
            assert pauses[0] == keeping.FIRST_PAUSE_S, "a city that starts is left in peace"
            raise Enough

    monkeypatch.setattr(keeping.asyncio, "sleep", sleep)
    store = _Store(NotReady("no", hint="none"), 3)
    try:
        await Keeping(store, _Clock()).run()
    except Enough:
        assert len(store.asked) == 3
        assert "put in order later" in caplog.text
    else:
        raise AssertionError("it goes on for ever")
