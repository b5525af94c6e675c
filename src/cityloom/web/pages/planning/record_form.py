"""The form of a record, made of its kind's fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cityloom.kernel.errors import CityError
from cityloom.planning.money import CURRENCIES, Money
from cityloom.planning.records.fields import (
    Amount,
    Choice,
    Choices,
    Field,
    Flag,
    Link,
    Links,
    Number,
    Prose,
    Rows,
    Said,
    is_empty,
)
from cityloom.planning.records.kinds import RecordKind
from cityloom.web.forms import WHOLE, Form
from cityloom.web.pages.planning.links import candidates, how_many
from cityloom.web.visit import Visit

#: Fields that a form may send: a table of a hundred rows with a dozen columns, and what is around it.
MOST_FIELDS = 2000
#: Rows that are empty at the end of a table.
BLANK_ROWS = 2
#: More things than this to choose from are typed by name or id instead.
MOST_OFFERED = 300


class Input(msgspec.Struct, frozen=True):
    """One field of the form as the page draws it."""

    shape: str
    name: str
    label: str
    hint: str = ""
    required: bool = False
    unit: str = ""
    choices: Sequence[tuple[str, str]] = ()
    ticked: Sequence[str] = ()
    longest: int = 0
    #: By language: the name of its field, the language.
    languages: Sequence[tuple[str, str]] = ()
    #: Of a table: what its columns are called, and its rows.
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Input]] = ()


def filled(visit: Visit, kind: RecordKind, values: Mapping[str, Any], version: str = "") -> Form:
    """The form of what a record says."""
    typed: dict[str, object] = {"version": version}
    for field in kind.fields:
        if field.name in values:
            typed |= _typed(field, values[field.name], field.name)
    return Form.filled(visit.language, typed)


def _typed(field: Field, value: Any, name: str) -> dict[str, object]:
    if isinstance(field, Said):
        return {f"{name}_{code}": text for code, text in value.items()}
    if isinstance(field, Amount):
        return {f"{name}_amount": value.amount, f"{name}_currency": value.currency}
    if isinstance(field, Rows):
        cells: dict[str, object] = {}
        for place, row in enumerate(value):
            for column in field.columns:
                if column.name in row:
                    cells |= _typed(column, row[column.name], f"{name}_{place}_{column.name}")
        return cells
    return {name: field.text(value)}


def inputs(visit: Visit, kind: RecordKind, form: Form) -> list[Input]:
    """The fields of the form, in the kind's order."""
    written = [field for field in kind.fields if field.name not in kind.by_room]
    return [_input(visit, field, form, field.name) for field in written]


def _input(visit: Visit, field: Field, form: Form, name: str) -> Input:
    say = visit.language.say
    made = Input(
        shape=type(field).__name__.lower(),
        name=name,
        label=say(field.label),
        hint=say(field.hint),
        required=field.required,
    )
    return msgspec.structs.replace(made, **_special(visit, field, form, name))


def _special(visit: Visit, field: Field, form: Form, name: str) -> dict[str, Any]:
    match field:
        case Said():
            codes = visit.desk.languages
            shape = "prose" if field.several_lines else "line"
            languages = [(f"{name}_{code}", visit.language_name(code)) for code in codes]
            return {"shape": f"said-{shape}", "languages": languages, "longest": field.longest}
        case Number():
            return {"unit": visit.wording.unit(field.unit)}
        case Amount():
            if not (form.value(f"{name}_amount") or form.value(f"{name}_currency")):
                form.fill(**{f"{name}_currency": visit.city.currency})
            return {"choices": [(one, one) for one in sorted(CURRENCIES)]}
        case Choice():
            return {"choices": _said_choices(visit, field.choices)}
        case Choices():
            return {"choices": _said_choices(visit, field.choices), "ticked": _ticked(form, name)}
        case Flag():
            return {"choices": [("true", visit.gettext("yes")), ("false", visit.gettext("no"))]}
        case Link() | Links():
            return _link_input(visit, field, form, name)
        case Rows():
            return _rows_input(visit, field, form, name)
    return {}


def _link_input(visit: Visit, field: Link | Links, form: Form, name: str) -> dict[str, Any]:
    if how_many(visit, field) > MOST_OFFERED:
        hint = visit.gettext("Type the name or the id; several with a semicolon between them.")
        return {"shape": "line", "hint": hint}
    return {"choices": candidates(visit, field), "ticked": _ticked(form, name)}


def _rows_input(visit: Visit, field: Rows, form: Form, name: str) -> dict[str, Any]:
    count = min(_rows_typed(visit, field, form, name) + BLANK_ROWS, field.most)
    rows = [
        [_input(visit, column, form, f"{name}_{place}_{column.name}") for column in field.columns]
        for place in range(count)
    ]
    return {"columns": [visit.language.say(column.label) for column in field.columns], "rows": rows}


def _rows_typed(visit: Visit, field: Rows, form: Form, name: str) -> int:
    """Rows up to the last one in which something stands."""
    last = 0
    for place in range(field.most):
        if any(_anything(visit, column, form, f"{name}_{place}_{column.name}") for column in field.columns):
            last = place + 1
    return last


def _anything(visit: Visit, field: Field, form: Form, name: str) -> bool:
    if isinstance(field, Amount):
        return bool(form.value(f"{name}_amount"))
    if isinstance(field, Said):
        return any(form.value(f"{name}_{code}") for code in visit.desk.languages)
    return bool(form.value(name) or form.values(name))


def _said_choices(visit: Visit, choices: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(value, visit.language.say(words)) for value, words in choices.items()]


def _ticked(form: Form, name: str) -> list[str]:
    """What is ticked: as it was sent, or as it was first filled in."""
    return form.values(name) or [part for part in form.value(name).split(";") if part]


def values_of(visit: Visit, kind: RecordKind, form: Form) -> dict[str, Any]:
    """What was typed, for the room to check. Mistakes of writing are noted in the form."""
    values = {field.name: _value(visit, field, form, field.name) for field in kind.fields}
    return {name: value for name, value in values.items() if not is_empty(value)}


def _value(visit: Visit, field: Field, form: Form, name: str) -> Any:
    match field:
        case Said():
            said = {code: form.value(f"{name}_{code}").strip() for code in visit.desk.languages}
            return {code: text for code, text in said.items() if text}
        case Amount():
            return _amount(visit, form, name)
        case Links() | Choices():
            return _several(visit, field, form, name)
        case Rows():
            return _rows(visit, field, form, name)
        case Link():
            return _by_name(visit, field, [form.value(name).strip()])[0]
    text = form.value(name).strip()
    if not text or isinstance(field, Prose):
        return text
    try:
        return field.parsed(text, name)
    except CityError as error:
        form.wrong(name, form.words_of(error))
        return None


def _amount(visit: Visit, form: Form, name: str) -> Money | None:
    amount, currency = form.decimal(f"{name}_amount"), form.value(f"{name}_currency")
    if amount is None:
        return None
    if currency not in CURRENCIES:
        form.wrong(f"{name}_currency", visit.gettext("Choose a currency."))
        return None
    return Money(amount, currency)


def _several(visit: Visit, field: Links | Choices, form: Form, name: str) -> tuple[str, ...]:
    sent = [part.strip() for one in form.values(name) for part in one.split(";")]
    several = dict.fromkeys(part for part in sent if part)
    if isinstance(field, Choices):
        return tuple(several)
    return _by_name(visit, field, list(several))


def _by_name(visit: Visit, field: Link | Links, typed: Sequence[str]) -> tuple[str, ...]:
    """The ids of what was typed by its name, where just one thing is called so."""
    if all(not one or one.startswith("urn:") for one in typed):
        return tuple(typed)
    # Looked through once: thousands may be typed, and there may be thousands to choose from.
    called: dict[str, list[str]] = {}
    for one, words in candidates(visit, field):
        called.setdefault(words.casefold(), []).append(one)
    found = (called.get(one.casefold(), []) if not one.startswith("urn:") else [] for one in typed)
    return tuple(ids[0] if len(ids) == 1 else one for one, ids in zip(typed, found, strict=True))


def _rows(visit: Visit, field: Rows, form: Form, name: str) -> tuple[dict[str, Any], ...]:
    rows = []
    for place in range(_rows_typed(visit, field, form, name)):
        typed = {one.name: _value(visit, one, form, f"{name}_{place}_{one.name}") for one in field.columns}
        rows.append({key: value for key, value in typed.items() if not is_empty(value)})
    return tuple(rows)


def take(form: Form, kind: RecordKind, error: CityError, visit: Visit) -> None:
    """Note what the room found wrong, at the field it names."""
    said = (error.where or "").replace(".", "_")
    known = set(_names(visit, kind.fields, ""))
    # The room speaks of a field that the form has in parts: its languages, its amount and currency.
    parts = (said, *(f"{said}_{code}" for code in visit.desk.languages), f"{said}_amount")
    place = next((one for one in parts if one in known), WHOLE)
    form.wrong(place, form.words_of(error, _row_of(visit, error.where)))


def _row_of(visit: Visit, where: str | None) -> str:
    """Which row of a table an error is in, for people, who count from one."""
    parts = (where or "").split(".")
    if len(parts) < 3 or not parts[1].isdecimal():
        return ""
    return " " + visit.gettext("(row %(number)s)", number=int(parts[1]) + 1)


def _names(visit: Visit, fields: Sequence[Field], before: str) -> Iterator[str]:
    for field in fields:
        name = f"{before}{field.name}"
        if isinstance(field, Said):
            yield from (f"{name}_{code}" for code in visit.desk.languages)
        elif isinstance(field, Amount):
            yield from (f"{name}_amount", f"{name}_currency")
        elif isinstance(field, Rows):
            for place in range(field.most):
                yield from _names(visit, field.columns, f"{name}_{place}_")
        else:
            yield name
