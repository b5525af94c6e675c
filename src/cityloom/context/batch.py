"""Batches of commands: each Entity on its own, in the order given, in few commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import msgspec

from cityloom.context.revision import Revision
from cityloom.kernel.change import Change
from cityloom.kernel.errors import CityError

#: Entities of a batch that are worked on before others get their turn on the event loop.
_TURN = 1000

#: One command of a batch: the id it is about, and what makes its Revision.
Step = tuple[str, Callable[[], Revision]]
Submit = Callable[[Sequence[Revision]], "asyncio.Future[None]"]


class BatchOutcome(msgspec.Struct):
    """What became of a batch (ETSI GS CIM 009, 5.6.7 to 5.6.10): each Entity on its own."""

    created: list[str] = msgspec.field(default_factory=list)
    updated: list[str] = msgspec.field(default_factory=list)
    deleted: list[str] = msgspec.field(default_factory=list)
    #: The id of each Entity that was refused, and why.
    errors: list[tuple[str, CityError]] = msgspec.field(default_factory=list)

    def note(self, changes: Iterable[Change]) -> None:
        """Sort in the ids of changes that are durable."""
        by_kind = (self.created, self.updated, self.deleted)
        for change in changes:
            by_kind[change.kind].append(change.entity_id)


async def run_batch(steps: Iterable[Step], submit: Submit) -> BatchOutcome:
    """Run the steps and wait until what they made is durable.

    Raises what a commit raised (StorageFull, NotReady) when nothing of the batch was stored.
    """
    outcome = BatchOutcome()
    parts: list[tuple[list[Revision], asyncio.Future[None]]] = []
    remaining = iter(steps)
    while turn := list(islice(remaining, _TURN)):
        if parts:
            await asyncio.sleep(0)
        revisions = _prepare(turn, submit, outcome)
        if revisions:
            parts.append((revisions, submit(revisions)))
    await _settle(parts, outcome)
    return outcome


def _prepare(turn: Sequence[Step], submit: Submit, outcome: BatchOutcome) -> list[Revision]:
    """The Revisions of some steps; those refused go into the outcome."""
    revisions: list[Revision] = []
    for entity_id, step in turn:
        try:
            revisions.append(step())
        except CityError as error:
            outcome.errors.append((entity_id, error))
        except BaseException:
            # A defect. What was made must go its way all the same, or its sequences would leave a hole.
            if revisions:
                submit(revisions)
            raise
    return revisions


async def _settle(parts: list[tuple[list[Revision], asyncio.Future[None]]], outcome: BatchOutcome) -> None:
    """Wait for the commits and sort the ids. Raises what a commit raised when nothing at all was stored."""
    results = await asyncio.gather(*(future for _, future in parts), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures and len(failures) == len(parts):
        raise failures[0]
    for (revisions, _), result in zip(parts, results, strict=True):
        changes = [revision.change for revision in revisions]
        if isinstance(result, CityError):
            outcome.errors += [(change.entity_id, result) for change in changes]
        else:
            outcome.note(changes)
