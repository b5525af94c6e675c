"""A statement: what a period came to, line by line, with what each line rests on; sealed by a hash. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from enum import StrEnum

import msgspec

from cityloom.history.model import Reading
from cityloom.kernel.canonical import digest_of
from cityloom.planning.contracts.gathering import Evidence, Exclusion, gather
from cityloom.planning.contracts.periods import Period
from cityloom.planning.contracts.scoring import NONE, capped, due_of, score_of, total_score
from cityloom.planning.contracts.terms import Line, Terms


class Known(StrEnum):
    """Whether a line could be scored."""

    SCORED = "scored"
    TOO_LITTLE = "tooLittleData"
    NOTHING = "nothingRead"


class StatementLine(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line. Amounts are in the statement's currency, scores in percent."""

    terms: Line
    evidence: Evidence
    known: Known
    score: Decimal | None
    price: Decimal
    bonus: Decimal
    malus: Decimal
    held: Decimal
    payable: Decimal


class Statement(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one period of a contract comes to; sums are sums of the lines, to the cent."""

    contract: str
    first: str
    end: str
    #: Of the terms that were in force.
    terms_digest: str
    currency: str
    lines: tuple[StatementLine, ...]
    exclusions: tuple[Exclusion, ...]
    score: Decimal | None
    price: Decimal
    bonus: Decimal
    malus: Decimal
    held: Decimal
    payable: Decimal
    #: When it was worked out, by the city's clock: RFC 3339.
    computed_at: str


class Later(msgspec.Struct, frozen=True):
    """What has come since a line was settled, and what it would come to now. Nothing of it is applied."""

    place: int
    #: Days (UTC) of which other readings stand there now.
    days: tuple[str, ...]
    count_then: int
    count_now: int
    value_now: float | None
    score_now: Decimal | None
    payable_now: Decimal


def statement_of(
    contract: str,
    terms: Terms,
    period: Period,
    readings: Mapping[int, Sequence[Reading]],
    exclusions: Sequence[Exclusion],
    *,
    zone: tzinfo,
    computed_at: str,
) -> Statement:
    """Work a period out. `readings` by the line's place; `exclusions` are those of the whole contract."""
    since, until = period.begins(zone), period.finishes(zone)
    touching = tuple(one for one in exclusions if _touches(one, since, until))
    found = [
        gather(line, readings.get(place, ()), since, until, touching, zone=zone)
        for place, line in enumerate(terms.lines)
    ]
    judged = [_judged(line, evidence) for line, evidence in zip(terms.lines, found, strict=True)]
    scores = [score for _, score in judged]
    dues = capped(
        [due_of(line, score, terms.currency) for line, score in zip(terms.lines, scores, strict=True)],
        terms.currency,
        bonus_cap=terms.bonus_cap,
        malus_cap=terms.malus_cap,
    )
    lines = tuple(
        StatementLine(
            terms=line,
            evidence=evidence,
            known=known,
            score=score,
            price=due.price,
            bonus=due.bonus,
            malus=due.malus,
            held=due.held,
            payable=due.payable,
        )
        for line, evidence, (known, score), due in zip(terms.lines, found, judged, dues, strict=True)
    )
    return Statement(
        contract=contract,
        first=period.first.isoformat(),
        end=period.end.isoformat(),
        terms_digest=digest_of(terms),
        currency=terms.currency,
        lines=lines,
        exclusions=touching,
        score=total_score(terms.lines, scores),
        price=sum((one.price for one in lines), NONE),
        bonus=sum((one.bonus for one in lines), NONE),
        malus=sum((one.malus for one in lines), NONE),
        held=sum((one.held for one in lines), NONE),
        payable=sum((one.payable for one in lines), NONE),
        computed_at=computed_at,
    )


def later_than(settled: Statement, now: Statement) -> tuple[Later, ...]:
    """The lines of which other readings stand there now than when the statement was made."""
    return tuple(
        Later(
            place,
            _changed_days(then.evidence, there.evidence),
            then.evidence.count,
            there.evidence.count,
            there.evidence.value,
            there.score,
            there.payable,
        )
        for place, (then, there) in enumerate(zip(settled.lines, now.lines, strict=True))
        if then.evidence.digest != there.evidence.digest
    )


def _judged(line: Line, evidence: Evidence) -> tuple[Known, Decimal | None]:
    if evidence.value is None:
        return Known.NOTHING, None
    if evidence.coverage is None or evidence.coverage < line.least_coverage:
        return Known.TOO_LITTLE, None
    return Known.SCORED, score_of(line, evidence.value)


def _touches(exclusion: Exclusion, since: datetime, until: datetime) -> bool:
    begin, end = datetime.fromisoformat(exclusion.since), datetime.fromisoformat(exclusion.until)
    return begin < until and since < end


def _changed_days(then: Evidence, now: Evidence) -> tuple[str, ...]:
    before, after = ({one.day: one.digest for one in evidence.days} for evidence in (then, now))
    return tuple(day for day in sorted({*before, *after}) if before.get(day) != after.get(day))
