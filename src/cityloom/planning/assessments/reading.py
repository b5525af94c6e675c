"""Reads questionnaires and registers from their folders, and checks that they hold together.

manifest.toml    all of it: questions, categories and reference rows, or a register's rows
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from cityloom.kernel.errors import BadInput, BrokenPlugin
from cityloom.planning.assessments.evaluating import names_used
from cityloom.planning.assessments.questionnaire import Kind, Questionnaire
from cityloom.planning.assessments.register import Register

#: Every text must be there in this language.
_LANGUAGE = "en"


class Library(msgspec.Struct, frozen=True):
    """All questionnaires and registers, by id."""

    questionnaires: Mapping[str, Questionnaire]
    registers: Mapping[str, Register]


def read_library(folders: Iterable[Path]) -> Library:
    """What lies in these folders, one each. Raises BrokenPlugin naming the file."""
    return library_of([read_assessment(folder) for folder in folders])


def library_of(found: Sequence[Questionnaire | Register]) -> Library:
    """Questionnaires and registers by id."""
    return Library(
        {one.id: one for one in found if isinstance(one, Questionnaire)},
        {one.id: one for one in found if isinstance(one, Register)},
    )


def read_assessment(folder: Path) -> Questionnaire | Register:
    """The questionnaire or register in a folder. Raises BrokenPlugin."""
    path = folder / "manifest.toml"
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        if said.get("kind") == "register":
            register = msgspec.convert(said, Register)
            _check_register(register)
            return register
        questionnaire = msgspec.convert(said, Questionnaire)
        _check(questionnaire)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, BadInput) as error:
        raise BrokenPlugin(
            f"The assessment is not right: {error}", hint="Correct it.", where=str(path)
        ) from None
    return questionnaire


def _check(questionnaire: Questionnaire) -> None:
    ids = [one.id for one in questionnaire.questions]
    dimensions = {one.id for one in questionnaire.dimensions}
    categories = {one.id for one in questionnaire.categories}
    names = {*ids, *dimensions, *questionnaire.formulas}
    _require(len(set(ids)) == len(ids), "two questions have one id")
    _require(bool(ids), "there are no questions")
    _require(names_used(questionnaire) <= {*names, "score"}, "a formula names what is not there")
    for one in questionnaire.questions:
        _require(not one.dimension or one.dimension in dimensions, f"{one.id} has an unknown dimension")
        _require((one.kind is Kind.CHOICE) == bool(one.options), f"{one.id} has options, or has none")
        _require(one.ends[0] != one.ends[1], f"{one.id} has one end twice")
        _require(one.weight > 0, f"{one.id} has no weight")
        _require(_LANGUAGE in one.text, f"{one.id} has no text in {_LANGUAGE}")
        pointed = {name for option in one.options for name in option.points}
        _require(pointed <= categories, f"{one.id} speaks for an unknown category")
    for reference in questionnaire.references:
        _require(
            not reference.category or reference.category in categories, f"{reference.name}: its category"
        )
        _require(set(reference.values) <= names, f"{reference.name} has an unknown value")
    for case in questionnaire.cases:
        ways = [one.id for one in case.ways]
        _require(bool(ways) and len(set(ways)) == len(ways), f"{case.id}: its ways")
    if questionnaire.scatter:
        _require({questionnaire.scatter.x, questionnaire.scatter.y} <= names, "the scatter's axes")


def _check_register(register: Register) -> None:
    ids = [one.id for one in register.rows]
    _require(len(set(ids)) == len(ids), "two rows have one id")
    facets = {one.id: set(one.values) for one in register.facets}
    for row in register.rows:
        for facet, values in row.facets.items():
            _require(facet in facets, f"{row.id} has an unknown facet {facet}")
            _require(set(values) <= facets.get(facet, set()), f"{row.id} has an unknown {facet}")
        if row.point:
            longitude, latitude = row.point
            _require(-180 <= longitude <= 180 and -90 <= latitude <= 90, f"{row.id} lies nowhere")


def _require(right: bool, fault: str) -> None:
    if not right:
        raise BadInput(fault, hint="", where=None)
