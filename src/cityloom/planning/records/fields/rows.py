"""A table within a record, and the values of several fields together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Instance, json_value
from cityloom.planning.records.fields.field import Field, is_empty, not_one, parsed_json, too_many


class Rows(Field, frozen=True, kw_only=True):
    """A table in the record: a tuple of rows by column's name. What a row does not say is not in it."""

    columns: tuple[Field, ...]
    most: int = 100

    def check(self, value: Any, where: str) -> tuple[dict[str, Any], ...]:
        rows = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else None
        if rows is None or not all(isinstance(row, Mapping) for row in rows):
            raise not_one(Worded("table"), where)
        if len(rows) > self.most:
            raise too_many(len(rows), self.most, where)
        checked = (checked_values(self.columns, row, f"{where}.{place}.") for place, row in enumerate(rows))
        return tuple(row for row in checked if row)

    def plain(self, value: Any) -> list[dict[str, Any]]:
        return [plain_values(self.columns, row) for row in value]

    def typed(self, plain: Any) -> tuple[dict[str, Any], ...] | None:
        if not isinstance(plain, list):
            return None
        return tuple(typed_values(self.columns, row) for row in plain if isinstance(row, Mapping))

    def text(self, value: Any) -> str:
        return json.dumps(self.plain(value), ensure_ascii=False)

    def parsed(self, text: str, where: str) -> tuple[dict[str, Any], ...]:
        rows = parsed_json(text, where)
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise not_one(Worded("table"), where)
        return self.check([typed_values(self.columns, row) for row in rows], where)

    def instance(self, value: Any) -> Instance:
        return json_value(self.plain(value))


def checked_values(
    fields: Sequence[Field], values: Mapping[str, Any], before: str = "", *, complete: bool = True
) -> dict[str, Any]:
    """The values in their normal form, without empty ones. Raises BadInput naming `before` and the field.

    `complete`: required fields must be there, unless nothing is.
    """
    known = {field.name for field in fields}
    for name in values:
        if name not in known:
            raise BadInput(
                Worded("There is no field %(name)s", name=repr(str(name)[:40])),
                hint=Worded("Fields are: %(names)s.", names=", ".join(sorted(known))),
                where=f"{before}{str(name)[:40]}",
            )
    checked = {}
    for field in fields:
        value = values.get(field.name)
        if not is_empty(value):
            normal = field.check(value, f"{before}{field.name}")
            if not is_empty(normal):
                checked[field.name] = normal
    if complete and (checked or not before):
        for field in fields:
            if field.required and field.name not in checked:
                raise BadInput(
                    Worded("%(label)s is missing", label=field.label),
                    hint=Worded("Fill it in."),
                    where=f"{before}{field.name}",
                )
    return checked


def plain_values(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON."""
    return {field.name: field.plain(values[field.name]) for field in fields if field.name in values}


def typed_values(fields: Sequence[Field], plain: Mapping[str, Any]) -> dict[str, Any]:
    """From JSON that anybody may have written; without what a field cannot be."""
    found = {field.name: field.typed(plain[field.name]) for field in fields if field.name in plain}
    return {name: value for name, value in found.items() if not is_empty(value)}
