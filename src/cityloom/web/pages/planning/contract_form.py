"""The form of a contract: its terms, and a group of fields for each thing that is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from starlette.responses import Response

from cityloom.kernel.errors import BadInput
from cityloom.kernel.units import UNITS
from cityloom.planning.contracts.model import Contract
from cityloom.planning.contracts.terms import (
    INDICATOR_VALUE,
    Band,
    Direction,
    Every,
    Line,
    Method,
    Rule,
    Terms,
    WithoutData,
)
from cityloom.planning.money import CURRENCIES
from cityloom.web.forms import Form
from cityloom.web.languages import noted as n
from cityloom.web.looks import name_of
from cityloom.web.pages.planning.naming import initiatives, named, offered
from cityloom.web.visit import Visit

#: Things measured that the form has at the least, and at the most.
LEAST_LINES, MOST_LINES = 2, 8
LONGEST = 4000
_INDICATOR = "urn:ngsi-ld:KeyPerformanceIndicator:"
_Word = TypeVar("_Word", bound=StrEnum)

WORDS: Mapping[StrEnum, str] = {
    Every.MONTH: n("every month"),
    Every.QUARTER: n("every quarter"),
    Every.YEAR: n("every year"),
    Every.ONCE: n("once, at the end"),
    Method.MEAN: n("the mean of the period"),
    Method.LEAST: n("the least value"),
    Method.MOST: n("the greatest value"),
    Method.TOTAL: n("the sum"),
    Method.LAST: n("the last value"),
    Direction.HIGHER: n("higher is better"),
    Direction.LOWER: n("lower is better"),
    Rule.THRESHOLD: n("all or nothing at the target"),
    Rule.LINEAR: n("in proportion, from the worst value to the target"),
    Rule.BANDS: n("by bands"),
    WithoutData.HOLD: n("the price is held back"),
    WithoutData.PRICE: n("the plain price is paid"),
    WithoutData.WORST: n("it counts as a score of 0"),
}
#: How often a reading may be expected, as ISO 8601 has it.
OFTEN: Mapping[str, str] = {
    "PT15M": n("every 15 minutes"),
    "PT1H": n("every hour"),
    "P1D": n("every day"),
    "P7D": n("every week"),
    "P1M": n("every month"),
    "P3M": n("every quarter"),
    "P1Y": n("every year"),
}


def blank(visit: Visit) -> Form:
    """The form of a new contract."""
    values: dict[str, object] = {
        "currency": visit.city.currency,
        "every": Every.MONTH.value,
        "dispute_days": 30,
        "payment_days": 30,
        "initiative": visit.query("initiative"),
    }
    values |= {f"line_{row}_{name}": value for row in range(MOST_LINES) for name, value in _PLAIN.items()}
    values["line_0_about"] = visit.query("indicator")
    return Form.filled(visit.language, values)


_PLAIN: Mapping[str, object] = {
    "attribute": INDICATOR_VALUE,
    "method": Method.MEAN.value,
    "every": "P1D",
    "least_coverage": 80,
    "direction": Direction.HIGHER.value,
    "rule": Rule.LINEAR.value,
    "expected": 80,
    "without_data": WithoutData.HOLD.value,
}


def filled(visit: Visit, contract: Contract) -> Form:
    """The form of what is there."""
    terms = contract.terms
    values: dict[str, object] = {
        "version": contract.version,
        "provider": terms.provider,
        "initiative": terms.initiative,
        "examiner": visit.rooms.access.accounts.user_name(terms.examiner),
        "currency": terms.currency,
        "starts": terms.starts,
        "ends": terms.ends,
        "every": terms.every.value,
        "bonus_cap": terms.bonus_cap,
        "malus_cap": terms.malus_cap,
        "dispute_days": terms.dispute_days,
        "payment_days": terms.payment_days,
    }
    values |= {f"name_{code}": text for code, text in terms.name.items()}
    values |= {f"conditions_{code}": text for code, text in terms.conditions.items()}
    for row in range(MOST_LINES):
        of_line = _line_values(terms.lines[row]) if row < len(terms.lines) else _PLAIN
        values |= {f"line_{row}_{name}": value for name, value in of_line.items()}
    return Form.filled(visit.language, values)


def _line_values(line: Line) -> dict[str, object]:
    numbers = {"target": f"{line.target:g}", "worst": f"{line.worst:g}"}
    return {
        **{f"name_{code}": text for code, text in line.name.items()},
        "about" if line.about.startswith(_INDICATOR) else "other": line.about,
        **{name: getattr(line, name) for name in ("attribute", "unit_code", "every")},
        **{name: getattr(line, name) for name in ("least_coverage", "expected", "price", "bonus", "malus")},
        **{name: getattr(line, name).value for name in ("method", "direction", "rule", "without_data")},
        **numbers,
        "bands": "; ".join(f"{band.bound:g} = {band.score}" for band in line.bands),
    }


def form_page(visit: Visit, form: Form, contract: Contract | None, *, status: int = 200) -> Response:
    """The form's page."""
    rooms = visit.rooms
    indicators = [
        (one["id"], name_of(one, visit.wording))
        for one in rooms.broker.of_type(visit.actor, "KeyPerformanceIndicator")
    ]
    shown, is_all = offered(initiatives(visit), (form.value("initiative"),))
    return visit.render(
        "plan-contract-form.html",
        status=status,
        form=form,
        contract=contract,
        languages=visit.desk.languages,
        indicators=sorted(indicators, key=lambda pair: pair[1]),
        parties=[(one.id, one.name) for one in rooms.contracts.parties.all()],
        initiatives=shown,
        all_initiatives=is_all,
        currencies=[(one, one) for one in sorted(CURRENCIES)],
        units=[(one.code, one.name) for one in sorted(UNITS.values(), key=lambda one: one.name)],
        rows=_rows(form),
        said={kind.__name__: _choices(visit, kind) for kind in (Every, Method, Direction, Rule, WithoutData)},
        often=[(one, visit.gettext(words)) for one, words in OFTEN.items()],
    )


def _choices(visit: Visit, kind: Iterable[StrEnum]) -> list[tuple[str, str]]:
    return [(one.value, visit.gettext(WORDS[one])) for one in kind]


def _rows(form: Form) -> int:
    used = _used(form)
    return min(MOST_LINES, max(LEAST_LINES, (used[-1] + 2) if used else 0))


def _used(form: Form) -> list[int]:
    """The rows in which something to be measured is named."""
    return [row for row in range(MOST_LINES) if _about(form, row)]


def _about(form: Form, row: int) -> str:
    """What a row measures: an indicator of the list, or another entity by its id."""
    return form.text(f"line_{row}_other", longest=500) or form.text(f"line_{row}_about", longest=500)


def terms_of(visit: Visit, form: Form) -> Terms:
    """What was typed. Raises WrongForm; what the room refuses is told by `at_field`."""
    zone, codes = visit.city.zone, visit.desk.languages
    name = {code: text for code in codes if (text := form.text(f"name_{code}"))}
    conditions = {code: text for code in codes if (text := form.text(f"conditions_{code}", longest=LONGEST))}
    if not name:
        form.wrong(f"name_{codes[0]}", visit.gettext("Give it a name."))
    missing = visit.gettext("Enter a day.")
    starts, ends = form.day("starts", zone, required=missing), form.day("ends", zone, required=missing)
    provider = form.text("provider", required=visit.gettext("Choose who delivers."), longest=300)
    examiner = _examiner(visit, form)
    days = {one: form.number(one, least=0, most=3660) or 0 for one in ("dispute_days", "payment_days")}
    caps = {one: form.decimal(one) for one in ("bonus_cap", "malus_cap")}
    currency = form.choice(
        "currency", {one: one for one in CURRENCIES}, required=visit.gettext("Choose a currency.")
    )
    every = _word(form, "every", Every)
    rows = _used(form)
    if not rows:
        form.wrong("line_0_about", visit.gettext("Say what is measured."))
    lines = tuple(_line(visit, form, row) for row in rows)
    serves = named(visit, form, "initiative", initiatives(visit))
    form.raise_if_wrong()
    return Terms(
        name=name,
        conditions=conditions,
        provider=provider,
        initiative=next(iter(serves), ""),
        examiner=examiner,
        currency=currency,
        starts=starts.date() if starts else date.min,
        ends=ends.date() if ends else date.min,
        every=every,
        lines=lines,
        bonus_cap=caps["bonus_cap"],
        malus_cap=caps["malus_cap"],
        dispute_days=int(days["dispute_days"]),
        payment_days=int(days["payment_days"]),
    )


def _examiner(visit: Visit, form: Form) -> str:
    typed = form.text("examiner", required=visit.gettext("Name who examines."), longest=80)
    found = visit.rooms.access.accounts.id_of(typed)
    if typed and found is None:
        form.wrong("examiner", visit.gettext("There is no account with this name."))
    return found or ""


def _line(visit: Visit, form: Form, row: int) -> Line:
    def at(name: str) -> str:
        return f"line_{row}_{name}"

    number = visit.gettext("Enter a number.")
    rule = _word(form, at("rule"), Rule)
    return Line(
        name={code: text for code in visit.desk.languages if (text := form.text(at(f"name_{code}")))},
        about=_about(form, row),
        attribute=form.text(at("attribute")) or INDICATOR_VALUE,
        method=_word(form, at("method"), Method),
        unit_code=form.text(at("unit_code"), longest=10),
        every=form.choice(at("every"), dict(OFTEN), required=visit.gettext("Choose one of the list.")),
        least_coverage=form.decimal(at("least_coverage")) or Decimal(0),
        direction=_word(form, at("direction"), Direction),
        rule=rule,
        target=form.number(at("target"), required="" if rule is Rule.BANDS else number) or 0.0,
        worst=form.number(at("worst"), required=number if rule is Rule.LINEAR else "") or 0.0,
        bands=_bands(visit, form, at("bands")),
        expected=form.decimal(at("expected")) or Decimal(0),
        price=form.decimal(at("price"), required=number) or Decimal(0),
        bonus=form.decimal(at("bonus")) or Decimal(0),
        malus=form.decimal(at("malus")) or Decimal(0),
        without_data=_word(form, at("without_data"), WithoutData),
    )


def _bands(visit: Visit, form: Form, name: str) -> tuple[Band, ...]:
    """Bands typed as "95 = 50; 98 = 80"."""
    bands = []
    for piece in filter(None, (one.strip() for one in form.text(name, longest=500).split(";"))):
        bound, _, score = piece.partition("=")
        try:
            bands.append(Band(float(bound.replace(",", ".")), Decimal(score.strip().replace(",", "."))))
        except (ValueError, InvalidOperation):
            form.wrong(name, visit.gettext("Write bands as value = score, such as 95 = 50; 98 = 80."))
    return tuple(bands)


def _word(form: Form, name: str, kind: type[_Word]) -> _Word:
    words = {one.value: one for one in kind}
    return words.get(form.choice(name, words), next(iter(kind)))


def at_field(form: Form, error: BadInput) -> None:
    """Note what the room refuses at the field that it is about: lines.2.target is line_2_target."""
    place = error.where or ""
    if place.startswith("lines."):
        _, row, field, *_ = [*place.split("."), ""]
        used = _used(form)
        if row.isdecimal() and int(row) < len(used):
            field = "name_en" if field == "name" else field
            form.wrong(f"line_{used[int(row)]}_{field}", form.words_of(error))
            return
    fields = ("provider", "examiner", "initiative", "currency", "starts", "ends", "every")
    form.take(error, *fields, "bonus_cap", "malus_cap", "dispute_days", "payment_days")
