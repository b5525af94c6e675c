"""Fields that are chosen from what is there: values of a list, other Entities, a place on the map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_line
from cityloom.kernel.worded import Worded
from cityloom.ngsild.geometry import check_geometry
from cityloom.ngsild.model import Instance, geo, rel
from cityloom.planning.records.fields.field import (
    SEPARATOR,
    Field,
    a_text,
    not_one,
    parsed_json,
    parts,
    several,
    texts,
    too_many,
)

MOST_LINKS = 500


class Choice(Field, frozen=True, kw_only=True):
    """One of several values: str. `choices` are the values with what they are called."""

    choices: Mapping[str, str]

    def check(self, value: Any, where: str) -> str:
        return _chosen(value, self.choices, where)

    def typed(self, plain: Any) -> str | None:
        return plain if isinstance(plain, str) else None


class Choices(Field, frozen=True, kw_only=True):
    """Several of several values: tuple of str, in the order of the choices."""

    choices: Mapping[str, str]

    def check(self, value: Any, where: str) -> tuple[str, ...]:
        wanted = {_chosen(one, self.choices, where) for one in several(value, where)}
        return tuple(one for one in self.choices if one in wanted)

    def plain(self, value: Any) -> list[str]:
        return list(value)

    def typed(self, plain: Any) -> tuple[str, ...] | None:
        return texts(plain)

    def text(self, value: Any) -> str:
        return SEPARATOR.join(value)

    def parsed(self, text: str, where: str) -> tuple[str, ...]:
        return self.check(parts(text), where)


class Link(Field, frozen=True, kw_only=True):
    """Another Entity, of one of the types `to`: its id."""

    to: tuple[str, ...]

    def check(self, value: Any, where: str) -> str:
        return check_line(a_text(value, where), where=where, longest=500, optional=True)

    def typed(self, plain: Any) -> str | None:
        found = texts(plain)
        return found[0] if found else None

    def instance(self, value: Any) -> Instance:
        return rel(value)


class Links(Field, frozen=True, kw_only=True):
    """Several Entities, of the types `to`: a tuple of ids, each once."""

    to: tuple[str, ...]

    def check(self, value: Any, where: str) -> tuple[str, ...]:
        ids = dict.fromkeys(check_line(one, where=where, longest=500) for one in several(value, where))
        if len(ids) > MOST_LINKS:
            raise too_many(len(ids), MOST_LINKS, where)
        return tuple(ids)

    def plain(self, value: Any) -> list[str]:
        return list(value)

    def typed(self, plain: Any) -> tuple[str, ...] | None:
        return texts(plain)

    def text(self, value: Any) -> str:
        return SEPARATOR.join(value)

    def parsed(self, text: str, where: str) -> tuple[str, ...]:
        return self.check(parts(text), where)

    def instance(self, value: Any) -> Instance:
        return rel(list(value))


class Place(Field, frozen=True, kw_only=True):
    """A place: a GeoJSON geometry in WGS 84. In a table a point: latitude, longitude in degrees."""

    def check(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise not_one(Worded("place"), where)
        try:
            return check_geometry(dict(value))
        except BadInput as error:
            raise BadInput(error.message, hint=error.hint, where=where) from None

    def typed(self, plain: Any) -> dict[str, Any] | None:
        return dict(plain) if isinstance(plain, Mapping) and "coordinates" in plain else None

    def text(self, value: Any) -> str:
        if value["type"] != "Point":
            return json.dumps(value)
        longitude, latitude = value["coordinates"][:2]
        return f"{latitude}, {longitude}"

    def parsed(self, text: str, where: str) -> dict[str, Any]:
        if text.lstrip().startswith("{"):
            return self.check(parsed_json(text, where), where)
        try:
            latitude, longitude = (float(part) for part in text.split(","))
        except ValueError:
            raise BadInput(
                Worded("This is no place"),
                hint=Worded("Write latitude and longitude in degrees: 56.15, 10.21."),
                where=where,
            ) from None
        return self.check({"type": "Point", "coordinates": [longitude, latitude]}, where)

    def instance(self, value: Any) -> Instance:
        return geo(value)


def _chosen(value: Any, choices: Mapping[str, str], where: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise BadInput(
            Worded("%(value)s is none of the choices", value=repr(str(value)[:40])),
            hint=Worded("Choose one of: %(choices)s.", choices=", ".join(choices)),
            where=where,
        )
    return value
