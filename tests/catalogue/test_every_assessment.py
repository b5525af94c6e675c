"""What holds for every questionnaire and register that comes along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.planning.action.areas import AREAS
from cityloom.planning.assessments.evaluating import Answer, evaluated
from cityloom.planning.assessments.questionnaire import Kind, Question
from cityloom.planning.assessments.reading import read_library
from cityloom.planning.assessments.register import searched
from cityloom.web.languages import available

ROOT = Path(__file__).parents[2]
FOLDER = Path(cityloom_catalogue.__file__).parent / "assessments"
LIBRARY = read_library(one.parent for one in sorted(FOLDER.glob("*/manifest.toml")))
QUESTIONNAIRES, REGISTERS = LIBRARY.questionnaires, LIBRARY.registers


def texts(said: object) -> Iterator[dict[str, str]]:
    """Every text by language that lies in something."""
    if isinstance(said, dict):
        if said and set(said) <= {"en", "da"}:
            yield said
            return
        said = list(said.values())
    if isinstance(said, list | tuple):
        for one in said:
            yield from texts(one)
    elif hasattr(said, "__struct_fields__"):
        for name in said.__struct_fields__:
            yield from texts(getattr(said, name))


def best(question: Question) -> str | float:
    if question.kind is Kind.CHECK:
        return "yes"
    if question.kind is Kind.CHOICE:
        return question.options[0].id
    return "x" if question.kind is Kind.EVIDENCE else question.ends[1]


@pytest.mark.parametrize("name", QUESTIONNAIRES)
def test_every_questionnaire_can_be_answered_and_comes_to_something(name):
    asked = QUESTIONNAIRES[name]
    result = evaluated(asked, {one.id: Answer(best(one)) for one in asked.questions})
    assert result.answered == result.asked and result.missing == ()
    if asked.categories:
        assert result.category
    scored = asked.scored and any(one.kind in (Kind.CHECK, Kind.SCALE) for one in asked.questions)
    assert (result.score == 100.0) is scored
    nothing = evaluated(asked, {})
    assert (nothing.category, nothing.score) == ("", None)


@pytest.mark.parametrize("one", [*QUESTIONNAIRES.values(), *REGISTERS.values()], ids=lambda one: one.id)
def test_every_text_is_there_in_every_language(one):
    found = list(texts(one))
    assert len(found) > 5
    for said in found:
        assert set(said) == set(available()), said
        assert all(text.strip() for text in said.values()), said
    assert one.source and one.provenance["en"]


def test_every_category_of_the_choices_can_be_reached():
    for name in ("city_category", "city_development_stage"):
        asked = QUESTIONNAIRES[name]
        for category in asked.categories:
            answers = {}
            for question in asked.questions:
                first = max(question.options, key=lambda one: one.points.get(category.id, 0.0))
                answers[question.id] = Answer(first.id)
            assert evaluated(asked, answers).category == category.id


def test_the_registers_are_whole():
    assert {name: len(one.rows) for name, one in REGISTERS.items()} == {
        "fgssc_deliverables": 21,
        "smart_cities_52": 52,
        "success_cases": 26,
        "y4900_series": 7,
    }
    cities = REGISTERS["smart_cities_52"].rows
    assert all(row.point and row.facets["country"] for row in cities)
    assert [row.id for row in cities if "industry" in row.facets.get("area", ())] == ["jubail"]
    assert sum("area" in row.facets for row in cities) == 14
    # Whoever types without marks finds it all the same.
    assert [row.id for row in searched(REGISTERS["smart_cities_52"], "besancon", {})] == ["besancon"]


def test_the_areas_of_the_register_the_questionnaire_and_initiatives_are_the_same():
    (facet,) = [one for one in REGISTERS["smart_cities_52"].facets if one.id == "area"]
    asked = [one.id for one in QUESTIONNAIRES["areas_of_adoption"].questions]
    assert list(AREAS) == list(facet.values) == asked
    assert list(AREAS.values()) == [words["en"] for words in facet.values.values()]


def test_what_is_said_to_implement_a_row_is_there():
    pages = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    known = {re.sub(r"\{\w+\}", "", one) for one in re.findall(r"`(/[^`]*)`", pages)}
    for register in REGISTERS.values():
        for row in register.rows:
            for one in row.implemented_by:
                if one.startswith("/plan/assessments/"):
                    assert one.rsplit("/", 1)[1] in QUESTIONNAIRES, (row.id, one)
                elif one.startswith("/"):
                    assert one in known, (row.id, one)
                else:
                    assert (ROOT / one).is_file(), (row.id, one)
            for one in row.see:
                assert one in QUESTIONNAIRES, (row.id, one)


def test_no_figure_is_given_that_the_source_does_not_have():
    # Fig. 1 of the source draws seven cities; its figures are not in hand.
    drivers = QUESTIONNAIRES["three_drivers"]
    assert drivers.references and all(one.values == {} for one in drivers.references)
    assert "not in hand" in drivers.provenance["en"]
