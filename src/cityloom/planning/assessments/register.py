"""Registers: facts to look up and to be linked from, such as cities, cases, reports. Searchable by words."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import msgspec

from cityloom.planning.assessments.questionnaire import Texts


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One fact. `provenance` says where in the source it stands, and what of it is ours."""

    id: str
    name: Texts
    text: Texts = {}
    #: Values by facet, such as country or area: ids of the facet's values.
    facets: dict[str, list[str]] = {}
    #: Longitude and latitude, WGS 84 degrees.
    point: tuple[float, float] | None = None
    #: What of CityLoom implements it: a path of a page, or a file of its documentation (docs/…).
    implemented_by: list[str] = []
    #: Rows of other registers, as "register/row", and questionnaires.
    see: list[str] = []
    year: int | None = None
    provenance: str


class Facet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to filter by, with the words for its values."""

    id: str
    title: Texts
    values: dict[str, Texts]


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A register's manifest.toml, its rows with it."""

    id: str
    kind: str
    title: Texts
    about: Texts
    owner: str
    edition: str
    source: str
    provenance: Texts
    facets: tuple[Facet, ...] = ()
    rows: tuple[Row, ...] = ()

    def row(self, row_id: str) -> Row | None:
        """One row by its id."""
        return next((one for one in self.rows if one.id == row_id), None)


def searched(register: Register, text: str, chosen: Mapping[str, str]) -> Sequence[Row]:
    """The rows that have all the words, in any language, and the chosen value of each facet."""
    words = _folded(text).split()[:20]
    return [
        row
        for row in register.rows
        if all(value in row.facets.get(facet, ()) for facet, value in chosen.items() if value)
        and all(word in _all_words(register, row) for word in words)
    ]


def counted(register: Register, rows: Sequence[Row], facet: Facet) -> dict[str, int]:
    """How many of the rows have each value of a facet, for those that any row of the register has."""
    there = {value for row in register.rows for value in row.facets.get(facet.id, ())}
    return {
        value: sum(value in row.facets.get(facet.id, ()) for row in rows)
        for value in facet.values
        if value in there
    }


def sharing(
    registers: Mapping[str, Register], register: Register, row: Row, facet: str
) -> Mapping[str, Sequence[Row]]:
    """The rows of other registers that have a value of a facet in common with a row, by register."""
    own = set(row.facets.get(facet, ()))
    found = {
        name: [one for one in other.rows if own & set(one.facets.get(facet, ()))]
        for name, other in registers.items()
        if name != register.id
    }
    return {name: rows for name, rows in found.items() if rows}


def _all_words(register: Register, row: Row) -> str:
    several = [*row.name.values(), *row.text.values(), row.id]
    for facet in register.facets:
        for value in row.facets.get(facet.id, ()):
            several += facet.values.get(value, {}).values()
    return _folded(" ".join(several))


def _folded(text: str) -> str:
    """Without case and marks: who types malmo finds Malmö."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in plain if not unicodedata.combining(one))
