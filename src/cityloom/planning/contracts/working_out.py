"""From the past to the statement of a period: what is read, what is kept of it, and whether that proves it.

Blocking: hundreds of thousands of readings take a while, so whoever asks does it beside the event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Protocol

import msgspec

from cityloom.history.model import Reading
from cityloom.indicators.ports import EvidenceStore
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.canonical import digest_of
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.worded import Worded
from cityloom.planning.contracts.gathering import Exclusion, window
from cityloom.planning.contracts.kept_readings import (
    Proof,
    joined,
    kept_of,
    read_again,
    with_kept,
    written,
)
from cityloom.planning.contracts.periods import Period
from cityloom.planning.contracts.statement import Statement, statement_of
from cityloom.planning.contracts.terms import Line, Terms

#: Readings of one line in one period.
MOST_READINGS = 300_000
#: Readings are read as the city's staff may: nothing of the security class decides about money.
_READER = msgspec.structs.replace(
    CITY, clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL})
)


class Past(Protocol):
    """The part of history that settling needs. Blocking."""

    def raw(
        self,
        actor: Actor,
        entity_id: str,
        attributes: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        limit: int = ...,
        dataset: str | None = None,
    ) -> list[Reading]:
        """Readings of an Entity. Raises NotFound."""
        ...

    def rolled_up(
        self, actor: Actor, entity_id: str, attribute: str, since: datetime, until: datetime
    ) -> tuple[datetime, datetime] | None:
        """From when until before when there are roll-ups in place of readings."""
        ...


class Ledger(msgspec.Struct, frozen=True):
    """A period of a contract, under the terms that are in force in it."""

    contract: str
    terms: Terms
    period: Period
    exclusions: Sequence[Exclusion]


class WorkingOut:
    """Works statements out of what is remembered, and of what was kept. Days are those of `zone`."""

    def __init__(self, history: Past, evidence: EvidenceStore, zone: tzinfo) -> None:
        self._history = history
        self._evidence = evidence
        self._zone = zone

    def statement(self, ledger: Ledger, now: str, settled: Statement | None = None) -> Statement:
        """What a period comes to by what is known at the instant `now`.

        Of time whose readings have become roll-ups what was kept with `settled` is taken.
        """
        return self._worked_out(ledger, self._read(ledger, settled), now)

    def sealed(self, ledger: Ledger, now: str, settled: Statement | None = None) -> Statement:
        """The same, with all that it is worked out from kept for good. Raises Conflict, StorageFull."""
        if settled is None:
            self._check_is_remembered(ledger)
        found = self._read(ledger, settled)
        digests = {place: self._evidence.put(written(readings)) for place, readings in found.items()}
        return with_kept(self._worked_out(ledger, found, now), digests)

    def is_rolled_up(self, ledger: Ledger) -> bool:
        """Whether history tells of some of the period by roll-ups alone."""
        return any(self._rolled_up(line, ledger.period) for line in ledger.terms.lines)

    def table(self, statement: Statement, place: int) -> bytes | None:
        """What was kept of a line; None where nothing was, or where it is gone or not what it was."""
        digest = kept_of(statement).get(place)
        return None if digest is None else self._evidence.get(digest)

    def proof(self, ledger: Ledger, settled: Statement) -> Proof:
        """Work a statement out again of what was kept with it, and of nothing else."""
        digests = kept_of(settled)
        if len(digests) < len(settled.lines):
            return Proof.NOT_KEPT
        tables = {place: self._evidence.get(digest) for place, digest in digests.items()}
        readings = {
            place: read_again(table, settled.lines[place].terms)
            for place, table in tables.items()
            if table is not None
        }
        if len(readings) < len(digests):
            return Proof.GONE
        again = with_kept(self._worked_out(ledger, readings, settled.computed_at), digests)
        return Proof.AGAIN if digest_of(again) == digest_of(settled) else Proof.OTHERWISE

    def _worked_out(self, ledger: Ledger, readings: Mapping[int, Sequence[Reading]], now: str) -> Statement:
        return statement_of(
            ledger.contract,
            ledger.terms,
            ledger.period,
            readings,
            ledger.exclusions,
            zone=self._zone,
            computed_at=now,
        )

    def _read(self, ledger: Ledger, settled: Statement | None) -> dict[int, list[Reading]]:
        """Readings by line."""
        found: dict[int, list[Reading]] = {}
        for place, line in enumerate(ledger.terms.lines):
            readings = self._remembered(line, ledger.period)
            gone = self._rolled_up(line, ledger.period) if settled else None
            table = self.table(settled, place) if settled and gone else None
            found[place] = joined(readings, read_again(table, line), gone) if gone and table else readings
            if len(found[place]) > MOST_READINGS:
                hint = Worded("Let an indicator stand for them, or settle more often.")
                raise BadInput(Worded("There are too many readings"), hint=hint, where=f"lines.{place}.about")
        return found

    def _remembered(self, line: Line, period: Period) -> list[Reading]:
        since, until = self._window(line, period)
        try:
            return self._history.raw(
                _READER, line.about, [line.attribute], since, until, limit=MOST_READINGS + 1, dataset=""
            )
        except NotFound:
            return []

    def _rolled_up(self, line: Line, period: Period) -> tuple[datetime, datetime] | None:
        return self._history.rolled_up(_READER, line.about, line.attribute, *self._window(line, period))

    def _window(self, line: Line, period: Period) -> tuple[datetime, datetime]:
        return window(line, period.begins(self._zone), period.finishes(self._zone))

    def _check_is_remembered(self, ledger: Ledger) -> None:
        for place, line in enumerate(ledger.terms.lines):
            if self._rolled_up(line, ledger.period):
                raise Conflict(
                    Worded("Readings of this period have become roll-ups, so it cannot be settled any more"),
                    hint=Worded("Load them from the archive again, and let city.toml keep readings longer."),
                    where=f"lines.{place}.about",
                )
