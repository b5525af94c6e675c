"""Whether terms can be settled at all: every field, and the rules over several. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite

import msgspec

from cityloom.history.periods import parse_step
from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_languages, check_line, check_text
from cityloom.kernel.worded import Worded
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.periods import periods_of
from cityloom.planning.contracts.scoring import FULL, NONE
from cityloom.planning.contracts.terms import Direction, Line, Rule, Terms
from cityloom.planning.money import Money, check_money

MOST_LINES = 20
MOST_BANDS = 20
MOST_PERIODS = 240
MOST_EXCLUSIONS = 200
LONGEST_NAME = 200
LONGEST_TEXT = 4000
_MOST_DAYS = 3660


def check_terms(terms: Terms) -> Terms:
    """The terms with texts and amounts as they are kept. Raises BadInput naming the field."""
    if not terms.starts < terms.ends:
        hint = Worded("Let it end after it begins.")
        raise BadInput(Worded("The contract ends before it begins"), hint=hint, where="ends")
    if len(periods_of(terms)) > MOST_PERIODS:
        hint = Worded("Settle less often: %(most_periods)s times at most.", most_periods=MOST_PERIODS)
        raise BadInput(Worded("There are too many periods"), hint=hint, where="every")
    for name in ("dispute_days", "payment_days"):
        if not 0 <= getattr(terms, name) <= _MOST_DAYS:
            raise BadInput(
                Worded("This is no number of days"),
                hint=Worded("Enter 0 to %(most_days)s.", most_days=_MOST_DAYS),
                where=name,
            )
    if not 0 < len(terms.lines) <= MOST_LINES:
        hint = Worded("Enter 1 to %(most_lines)s things to be measured.", most_lines=MOST_LINES)
        raise BadInput(Worded("Nothing is measured, or too much"), hint=hint, where="lines")
    names = check_languages(terms.name, where="name", longest=LONGEST_NAME)
    conditions = terms.conditions
    if any(text.strip() for text in conditions.values()):
        conditions = check_languages(conditions, where="conditions", longest=LONGEST_TEXT)
    return msgspec.structs.replace(
        terms,
        name=names,
        conditions=conditions,
        provider=check_line(terms.provider, where="provider", longest=300),
        examiner=check_line(terms.examiner, where="examiner", longest=300),
        initiative=check_line(terms.initiative, where="initiative", longest=300, optional=True),
        bonus_cap=_cap(terms.bonus_cap, terms.currency, "bonus_cap"),
        malus_cap=_cap(terms.malus_cap, terms.currency, "malus_cap"),
        lines=tuple(_line(one, terms.currency, f"lines.{place}") for place, one in enumerate(terms.lines)),
    )


def check_exclusion(exclusion: Exclusion) -> Exclusion:
    """An exclusion with the decision behind it. Raises BadInput naming the field."""
    if exclusion.until <= exclusion.since:
        raise BadInput(Worded("It ends before it begins"), hint=Worded("Exchange the days."), where="until")
    return msgspec.structs.replace(
        exclusion,
        reason=check_text(exclusion.reason, where="reason", longest=LONGEST_TEXT),
        decision=check_line(exclusion.decision, where="decision", longest=500),
    )


def _line(line: Line, currency: str, where: str) -> Line:
    for check in (_check_numbers, _check_rule, _check_pay):
        _checked(check, line, where)
    if parse_step(line.every, where=f"{where}.every") == parse_step("PT0S"):
        raise BadInput(
            Worded("A reading is expected without a pause"),
            hint=Worded("Say how often."),
            where=f"{where}.every",
        )
    amounts = {
        name: check_money(Money(getattr(line, name), currency), where=f"{where}.{name}").amount
        for name in ("price", "bonus", "malus")
    }
    if amounts["malus"] > amounts["price"]:
        hint = Worded("Whoever delivers is never to pay the city for having delivered.")
        raise BadInput(Worded("The malus is more than the price"), hint=hint, where=f"{where}.malus")
    return msgspec.structs.replace(
        line,
        name=check_languages(line.name, where=f"{where}.name", longest=LONGEST_NAME),
        about=check_line(line.about, where=f"{where}.about", longest=500),
        attribute=check_line(line.attribute, where=f"{where}.attribute", longest=200),
        price=amounts["price"],
        bonus=amounts["bonus"],
        malus=amounts["malus"],
    )


def _checked(check: Callable[[Line], tuple[str, str, str] | None], line: Line, where: str) -> None:
    fault = check(line)
    if fault is not None:
        field, message, hint = fault
        raise BadInput(message, hint=hint, where=f"{where}.{field}")


def _check_numbers(line: Line) -> tuple[str, str, str] | None:
    if not all(map(isfinite, (line.target, line.worst, *(band.bound for band in line.bands)))):
        return "target", "This is no number", "Enter a number."
    percents = [("expected", line.expected), ("least_coverage", line.least_coverage)]
    for field, value in [*percents, *(("bands", band.score) for band in line.bands)]:
        if not (value.is_finite() and NONE <= value <= FULL):
            return field, "This is no percentage", "Enter 0 to 100."
    return None


def _check_rule(line: Line) -> tuple[str, str, str] | None:
    if line.rule is Rule.LINEAR:
        rises = line.target > line.worst
        if line.target == line.worst or rises is not (line.direction is Direction.HIGHER):
            hint = Worded("Let the target be better than the worst value, in the direction that is chosen.")
            return "worst", "The worst value is not worse than the target", hint
    if line.rule is Rule.BANDS and not 0 < len(line.bands) <= MOST_BANDS:
        return "bands", "There are no bands, or too many", f"Enter 1 to {MOST_BANDS}."
    return None


def _check_pay(line: Line) -> tuple[str, str, str] | None:
    if line.expected == FULL and line.bonus:
        return "bonus", "No score earns the bonus", "Let the score for the plain price be below 100."
    if line.expected == NONE and line.malus:
        return "malus", "No score costs the malus", "Let the score for the plain price be above 0."
    return None


def _cap(cap: Decimal | None, currency: str, where: str) -> Decimal | None:
    return None if cap is None else check_money(Money(cap, currency), where=where).amount


def check_amendment(standing: Terms, terms: Terms) -> None:
    """What has been settled must stay what it is: parties, currency and periods are not changed."""
    for name in ("provider", "currency", "starts", "every", "ends"):
        if getattr(standing, name) != getattr(terms, name):
            hint = Worded("Write a new contract for that.")
            raise BadInput(
                Worded("This cannot be changed once the contract is concluded"), hint=hint, where=name
            )
