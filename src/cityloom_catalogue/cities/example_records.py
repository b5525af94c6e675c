"""Example records of a demo city's plan, kept as data: what each says, by field, as a form would have it.

Years below 200 count from the one in which the city opens. A table is a list of rows. Every Entity says that
it is an example: the Property `example` is true, and its badge is "simulated".
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cityloom.sdk import BadInput, Document, Instance, entity, format_instant, json_value, prop, rel, text

#: Examples of what things cost and bring, for either city.
MONEY = Path(__file__).with_name("money.toml")
#: Fields that are years.
_YEARS = frozenset({"baseYear", "until", "since", "year", "launch"})


class ExampleRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record: the type of its Entity, what it is called by language, and its other fields."""

    type: str
    id: str
    name: dict[str, str]
    description: dict[str, str]
    values: dict[str, Any]


class ExampleRecords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    record: tuple[ExampleRecord, ...]


def read_records(path: Path, city: str, opens: datetime, meant: Mapping[str, Any] = {}) -> list[Document]:
    """The Entities of a file of examples. `meant` says what Entities, amounts and numbers the names in it
    stand for; a field that names another one is left out. Raises BadInput naming the file.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        records = msgspec.convert(said, ExampleRecords).record
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"The examples are not right: {error}",
            hint="Correct them; cities/example_records.py says how.",
            where=str(path),
        ) from None
    return [document for one in records for document in _record(one, city, opens, meant)]


def _record(
    one: ExampleRecord, city: str, opens: datetime, meant: Mapping[str, Any]
) -> tuple[Document, Document]:
    """What everybody sees, and the staff's working copy."""
    values = _years_meant(one.values, opens.year)
    attributes: dict[str, Instance] = {
        "name": text(**one.name),
        "description": text(**one.description),
        "example": prop(True),
        "dataOrigin": prop("simulated"),
    }
    for name, value in _links_meant(values, meant).items():
        attributes[name] = _instance(value)
    published = {"status": prop("published"), "dateIssued": prop(format_instant(opens.astimezone(UTC)))}
    return (
        entity(one.type, f"urn:ngsi-ld:{one.type}:{city}-{one.id}", attributes | published),
        entity(
            one.type, f"urn:ngsi-ld:{one.type}:draft-{city}-{one.id}", attributes | {"status": prop("draft")}
        ),
    )


def _instance(value: Any) -> Instance:
    if isinstance(value, list):
        return json_value(value)
    if isinstance(value, str) and value.startswith("urn:"):
        return rel(value)
    return prop(value)


def _years_meant(value: Any, opens: int, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _years_meant(one, opens, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_years_meant(one, opens) for one in value]
    return opens + value if name in _YEARS and isinstance(value, int) and value < 200 else value


def _links_meant(value: Any, meant: Mapping[str, Any]) -> Any:
    """With what names in braces stand for."""
    if isinstance(value, dict):
        made = {key: _links_meant(one, meant) for key, one in value.items()}
        return {key: one for key, one in made.items() if one is not None}
    if isinstance(value, list):
        return [_links_meant(one, meant) for one in value]
    if isinstance(value, str) and value.startswith("{"):
        return meant.get(value.strip("{}"))
    return value
