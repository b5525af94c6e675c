"""Recall: after a restart the current state is the table, and what the feed has beyond it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from cityloom.context.ports import Feed, StateTable
from cityloom.context.revision import Revision, past_revision, revise
from cityloom.context.stages import BATCH
from cityloom.context.state import CurrentState
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.errors import BadConfig

_log = logging.getLogger(__name__)

_EVERY_CLASS = tuple(InformationClass)


def recall(feed: Feed, table: StateTable, state: CurrentState) -> tuple[int, list[Revision]]:
    """Load the table into `state` and replay the feed after it.

    Returns how many changes were replayed, and the newest of each Entity in the order of their sequences:
    of hundreds of thousands, what is overtaken is not kept in memory.

    Blocks. Raises BadConfig when feed and table do not belong together.
    """
    at, last = table.folded_through(), feed.last_sequence()
    if at:
        with _without_garbage_collection():
            for folded in table.load():
                state.load(folded)
    if last < at:
        raise _torn(feed, f"the feed ends at change {last}, the table of states is at {at}")
    begun = at
    newest: dict[int, Revision] = {}
    while changes := feed.read(at, BATCH):
        if changes[0].sequence != at + 1:
            raise _torn(feed, f"the changes from {at + 1} to {changes[0].sequence - 1} are missing")
        for change in changes:
            revision = _revision(change, state)
            state.apply(revision)
            newest.pop(revision.created, None)
            newest[revision.created] = revision
        at = changes[-1].sequence
    if at < last:
        raise _torn(feed, f"the changes from {at + 1} to {last} are missing")
    _log.info("State of change %d, %d of them replayed", last, last - begun)
    return last - begun, list(newest.values())


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


def _torn(feed: Feed, what: str) -> BadConfig:
    return BadConfig(
        f"The files of this city do not belong together: {what}",
        hint="Restore the feed and the state from one and the same backup.",
        where=feed.where,
    )
