"""Recall: after a restart the current state is the table, and what the feed has beyond it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from cityloom.context.ports import FollowedFeed, StateTable
from cityloom.context.revision import Revision, past_revision, revise
from cityloom.context.stages import BATCH
from cityloom.context.state import CurrentState
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadConfig

_log = logging.getLogger(__name__)

_EVERY_CLASS = tuple(InformationClass)


class Recall:
    """The current state as it is put together. Also while another process writes: then it is kept up with
    that one's commits, until this one takes over. Blocking; one thread at a time."""

    def __init__(self, feed: FollowedFeed, table: StateTable, state: CurrentState | None = None) -> None:
        self._feed = feed
        self._table = table
        self.state = state or CurrentState()
        #: The change up to which `state` is, -1 before the table was loaded.
        self.at = -1
        #: The newest revision of each Entity that the table may not have yet, in the order of their
        #: sequences: of hundreds of thousands, what is overtaken is not kept in memory.
        self._newest: dict[int, Revision] = {}
        self._folded = 0

    def follow(self) -> None:
        """Come as far as the feed is. Raises BadConfig when feed and table do not belong together."""
        if self.at < 0:
            self._load()
        while changes := self._feed.read(self.at, BATCH):
            if changes[0].sequence != self.at + 1:
                raise _torn(
                    self._feed, f"the changes from {self.at + 1} to {changes[0].sequence - 1} are missing"
                )
            for change in changes:
                revision = _revision(change, self.state)
                self.state.apply(revision)
                self._newest.pop(revision.created, None)
                self._newest[revision.created] = revision
            self.at = changes[-1].sequence

    def forget_folded(self) -> int:
        """Keep no revision that the table has; the change up to which that is."""
        folded = self._table.folded_through()
        if folded == self._folded:
            return folded
        self._folded = folded
        self._newest = {
            created: revision
            for created, revision in self._newest.items()
            if revision.change.sequence > folded
        }
        return folded

    def finish(self, feed: FollowedFeed, table: StateTable) -> tuple[int, list[Revision]]:
        """Come to the end of the feed, which this process writes from now on.

        Returns how many changes the table has not got yet, and the newest of each Entity among them.
        Raises BadConfig when feed and table do not belong together.
        """
        self._feed, self._table = feed, table
        self.follow()
        last = feed.last_sequence()
        folded = self.forget_folded()
        if last < folded:
            raise _torn(feed, f"the feed ends at change {last}, the table of states is at {folded}")
        if self.at < last:
            raise _torn(feed, f"the changes from {self.at + 1} to {last} are missing")
        _log.info("State of change %d, %d of them not in the table yet", last, last - folded)
        newest, self._newest = self._newest, {}
        return last - folded, list(newest.values())

    def _load(self) -> None:
        at = self._table.folded_through()
        if at:
            # What is folded meanwhile is newer than `at`; the feed brings it again, and changes nothing.
            with _without_garbage_collection():
                for folded in self._table.load():
                    self.state.load(folded)
        self.at = at


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """While millions of objects come that all stay, looking for garbage takes most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _revision(change: Change, state: CurrentState) -> Revision:
    if change.kind is ChangeKind.PAST:
        return past_revision(change)
    held = state.find(change.tenant, change.entity_id, _EVERY_CLASS)
    created = change.sequence if held is None else held.created
    return revise(change, created, orjson.loads(change.document))


def _torn(feed: FollowedFeed, what: str) -> BadConfig:
    return BadConfig(
        f"The files of this city do not belong together: {what}",
        hint="Restore the feed and the state from one and the same backup.",
        where=feed.where,
    )
