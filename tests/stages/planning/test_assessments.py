"""Questionnaires as data: what answers come to, with reasons; versions; what is shown to whom."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.access.errors import NotSignedIn
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, BrokenPlugin, Conflict, NotAllowed, NotFound
from cityloom.ngsild.model import entity, prop
from cityloom.planning.assessments.assessments import Assessments
from cityloom.planning.assessments.evaluating import Answer, check_answers, evaluated
from cityloom.planning.assessments.formulas import evaluate, names_in
from cityloom.planning.assessments.questionnaire import (
    Case,
    Category,
    Dimension,
    Kind,
    Option,
    Question,
    Questionnaire,
    Way,
)
from cityloom.planning.assessments.reading import Library, read_assessment
from cityloom.planning.assessments.register import Facet, Register, Row, counted, searched

# Formulas


def test_formulas_reckon_and_compare():
    values = {"a": 60.0, "b": 20.0, "gone": None}
    assert evaluate("0.5 * a + b / 2 - 1", values) == 39
    assert evaluate("a >= 60 and not b > 20", values) is True
    assert evaluate("10 < b < 15", values) is False
    assert evaluate("min(a, b) + max(a, 1) + abs(-3)", values) == 83
    assert evaluate("a + gone", values) is None
    assert evaluate("a / (b - 20)", values) is None
    assert names_in("min(a, b) > c") == {"a", "b", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "a.b",
        "a ** 9",
        "a[0]",
        "'x' * 9",
        "lambda: 1",
        "[1]",
        "a if a else 1",
        "open(1)",
        "min(a, key=b)",
        "a :=1",
        "",
        "(" * 300,
        "1 +" * 400 + "1",
        "1 << 9",
        "f'{a}'",
        "a is b",
        "a in b",
    ],
)
def test_nothing_else_is_a_formula(text):
    with pytest.raises(BadInput):
        evaluate(text, {"a": 1.0, "b": 1.0})


@given(st.text(max_size=60))
def test_no_text_breaks_the_formulas(text):
    try:
        evaluate(text, {"a": 1.0})
    except BadInput:
        pass
    except OverflowError:
        pytest.fail(text)


# Evaluating


def test_the_first_way_that_holds_is_advised_and_none_where_one_before_it_is_not_known():
    ways = (Way("yes", {"en": "Do"}, "a >= 50"), Way("else", {"en": "Wait"}))
    asked = Questionnaire(
        id="x",
        title={"en": "X"},
        about={"en": "X"},
        group="city",
        owner="x",
        edition="1",
        source="x",
        provenance={"en": "x"},
        questions=(Question(id="a", text={"en": "A"}), Question(id="b", text={"en": "B"})),
        cases=(Case("c", {"en": "C"}, ways),),
        least_answered=50.0,
    )
    assert evaluated(asked, {"a": Answer("yes")}).advised == {"c": "yes"}
    assert evaluated(asked, {"a": Answer("no")}).advised == {"c": "else"}
    assert evaluated(asked, {"b": Answer("no")}).advised == {}
    assert evaluated(asked, {}).advised == {}


def a_questionnaire(**changes) -> Questionnaire:
    plain = Questionnaire(
        id="q",
        title={"en": "Q"},
        about={"en": "q"},
        group="city",
        owner="us",
        edition="1",
        source="here",
        provenance={"en": "ours"},
        dimensions=(Dimension("one", {"en": "One"}), Dimension("two", {"en": "Two"}, weight=3.0)),
        questions=(
            Question(id="c1", text={"en": "?"}, dimension="one", action={"en": "Do it"}, required=True),
            Question(id="c2", text={"en": "?"}, dimension="one", weight=3.0),
            Question(id="s", text={"en": "?"}, kind=Kind.SCALE, ends=(0.0, 4.0), dimension="two"),
            Question(id="n", text={"en": "?"}, kind=Kind.NUMBER, ends=(100.0, 0.0), dimension="two"),
            Question(id="e", text={"en": "?"}, kind=Kind.EVIDENCE),
        ),
        formulas={"gap": "one - two"},
        categories=(
            Category("ahead", {"en": "Ahead"}, {"en": "x"}, when="gap > 0"),
            Category("behind", {"en": "Behind"}, {"en": "x"}, when="gap <= 0"),
        ),
    )
    return msgspec.structs.replace(plain, **changes)


def test_scores_are_weighted_means_of_what_was_answered():
    answers = {"c1": Answer("no"), "c2": Answer("yes"), "s": Answer(3.0), "n": Answer(75.0), "e": Answer("x")}
    result = evaluated(a_questionnaire(), answers)
    assert [one.score for one in result.dimensions] == [75.0, 50.0]
    assert result.score == (75.0 + 3 * 50.0) / 4
    assert (result.values["gap"], result.category) == (25.0, "ahead")
    assert result.reasons[0].formula == "gap > 0"
    assert (result.open_actions, result.missing) == (("c1",), ("c1",))


def test_what_is_left_out_is_not_no_and_too_little_gives_no_category():
    result = evaluated(a_questionnaire(), {"c2": Answer("yes")})
    assert (result.score, result.category, result.answered, result.asked) == (100.0, "", 1, 5)
    assert result.unanswered == ("c1", "s", "n", "e")
    assert result.missing == ("c1",)


def test_what_does_not_apply_counts_neither_way():
    result = evaluated(a_questionnaire(), {"c1": Answer("notApplicable"), "c2": Answer("partly")})
    assert result.dimensions[0].score == 50.0
    assert result.missing == ()


def test_the_category_with_most_points_is_told_with_its_reasons_and_a_tie_is_told_as_one():
    options = (Option("a", {"en": "a"}, points={"x": 2.0}), Option("b", {"en": "b"}, points={"y": 2.0}))
    asked = a_questionnaire(
        dimensions=(),
        formulas={},
        categories=(Category("x", {"en": "X"}, {"en": "x"}), Category("y", {"en": "Y"}, {"en": "y"})),
        questions=tuple(
            Question(id=f"q{n}", text={"en": "?"}, kind=Kind.CHOICE, options=options) for n in range(3)
        ),
    )
    told = evaluated(asked, {"q0": Answer("a"), "q1": Answer("a"), "q2": Answer("b")})
    assert (told.category, told.points) == ("x", {"x": 4.0, "y": 2.0})
    assert [(one.category, one.question, one.points) for one in told.reasons] == [
        ("x", "q0", 2.0),
        ("x", "q1", 2.0),
        ("y", "q2", 2.0),
    ]
    tied = evaluated(asked, {"q0": Answer("a"), "q1": Answer("b")})
    assert (tied.category, tied.tied) == ("", ("x", "y"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("c1", "maybe"), ("s", 5.0), ("s", 1.5), ("s", "x"), ("n", "x"), ("n", float("nan")), ("z", "yes")],
)
def test_what_is_no_answer_is_refused(name, value):
    with pytest.raises(BadInput) as refused:
        check_answers(a_questionnaire(), {name: Answer(value)})
    assert refused.value.where == name


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "c1": st.sampled_from(["yes", "partly", "no", "notApplicable"]),
        "c2": st.sampled_from(["yes", "partly", "no", "notApplicable"]),
        "s": st.integers(0, 4).map(float),
        "n": st.floats(-1e9, 1e9),
    },
)


@given(VALUES)
def test_scores_stay_within_0_and_100_and_results_are_kept_as_they_are(values):
    answers = check_answers(a_questionnaire(), {name: Answer(value) for name, value in values.items()})
    result = evaluated(a_questionnaire(), answers)
    assert result.score is None or 0 <= result.score <= 100
    assert msgspec.convert(msgspec.to_builtins(result), type(result)) == result


# Registers


def test_a_register_is_searched_by_words_and_facets_without_marks():
    facet = Facet(
        "country", {"en": "Country"}, {"SE": {"en": "Sweden", "da": "Sverige"}, "DK": {"en": "Denmark"}}
    )
    rows = (
        Row(id="m", name={"en": "Malmö"}, facets={"country": ["SE"]}, provenance="1"),
        Row(id="k", name={"en": "Copenhagen", "da": "København"}, facets={"country": ["DK"]}, provenance="2"),
    )
    register = Register(
        id="r",
        kind="register",
        title={"en": "R"},
        about={"en": "r"},
        owner="us",
        edition="1",
        source="s",
        provenance={"en": "p"},
        facets=(facet,),
        rows=rows,
    )
    assert [one.id for one in searched(register, "malmo sverige", {})] == ["m"]
    assert [one.id for one in searched(register, "KØBENHAVN", {})] == ["k"]
    assert [one.id for one in searched(register, "", {"country": "DK"})] == ["k"]
    assert searched(register, "malmo", {"country": "DK"}) == []
    assert counted(register, rows[:1], facet) == {"SE": 1, "DK": 0}


# Reading

BROKEN = {
    "an unknown key": 'colour = "red"',
    "a formula of nothing": 'formulas = { x = "y + 1" }',
    "a formula that is code": 'formulas = { x = "__import__" }',
}


@pytest.mark.parametrize("more", BROKEN.values(), ids=BROKEN)
def test_a_questionnaire_that_does_not_hold_together_is_refused(tmp_path, more):
    texts = 'title = { en = "Q" }\nabout = { en = "q" }\nprovenance = { en = "p" }\n'
    head = f'id = "q"\ngroup = "city"\nowner = "us"\nedition = "1"\nsource = "s"\n{texts}{more}\n'
    body = '[[questions]]\nid = "a"\ntext = { en = "?" }\n'
    (tmp_path / "manifest.toml").write_text(head + body)
    with pytest.raises(BrokenPlugin):
        read_assessment(tmp_path)


# The room


@pytest.fixture
def room(living_city):
    library = Library({"q": a_questionnaire(subjects=("Streetlight",))}, {})
    return Assessments(living_city.broker, living_city.clock, library)


ANSWERS = {"c1": Answer("no", "Seen on Monday"), "c2": Answer("yes"), "s": Answer(3.0)}


async def test_answers_are_internal_kept_in_versions_and_published_without_evidence(living_city, room):
    planner, other = living_city.person("planner"), living_city.person("operator")
    lamp = await living_city.streetlight(1, InformationClass.INTERNAL)
    first = await room.answer(planner, "q", ANSWERS, subject=lamp, note="A first look")
    assert (first.newest.by, len(first.versions)) == (planner.id, 1)
    with pytest.raises(NotFound):
        room.get(ANONYMOUS, first.id)
    again = {**ANSWERS, "c1": Answer("yes", "Seen on Monday")}
    second = await room.answer_again(planner, first.id, again, note="A first look")
    assert [one.result.missing for one in second.versions] == [("c1",), ()]
    assert room.get(other, first.id).newest.answers["c1"].value == "yes"
    await room.publish(planner, first.id)
    (public,) = room.list(ANONYMOUS)
    assert len(public.versions) == 1 and public.newest.by == "" and public.subject == ""
    assert all(word not in str(public.document) for word in ("Monday", "first look", "person:", lamp))
    assert len(room.list(planner)) == 1
    await room.withdraw(planner, first.id)
    assert room.list(ANONYMOUS) == []
    with pytest.raises(Conflict):
        await room.withdraw(planner, first.id)


async def test_who_may_not_plan_answers_nothing(living_city, room):
    planner = living_city.person("planner")
    made = await room.answer(planner, "q", ANSWERS)
    for stranger in (ANONYMOUS, living_city.person("operator"), living_city.person("provider")):
        for attempt in (room.answer(stranger, "q", ANSWERS), room.publish(stranger, made.id)):
            with pytest.raises((NotAllowed, NotSignedIn)):
                await attempt
    assert room.list(ANONYMOUS) == []


async def test_what_a_questionnaire_is_not_about_is_refused(living_city, room):
    planner = living_city.person("planner")
    thing = entity("Thing", "urn:ngsi-ld:Thing:1", {"name": prop("x")})
    await living_city.broker.create(CITY, thing, information_class=InformationClass.OPEN)
    for subject in ("urn:ngsi-ld:Thing:1", "urn:ngsi-ld:Streetlight:none"):
        with pytest.raises(BadInput):
            await room.answer(planner, "q", ANSWERS, subject=subject)
    with pytest.raises(BadInput):
        await room.answer(planner, "q", {})
    with pytest.raises(NotFound):
        await room.answer(planner, "z", ANSWERS)


async def test_somebody_who_looked_before_a_change_is_told(room, living_city):
    planner = living_city.person("planner")
    made = await room.answer(planner, "q", ANSWERS)
    await room.answer_again(planner, made.id, {**ANSWERS, "c1": Answer("yes")}, version=made.version)
    with pytest.raises(Conflict):
        await room.answer_again(planner, made.id, ANSWERS, version=made.version)
    with pytest.raises(Conflict):
        await room.publish(planner, made.id, version=made.version)
    assert room.list(ANONYMOUS) == []


async def test_a_gate_learns_what_is_missing(living_city, room):
    planner = living_city.person("planner")
    lamp = await living_city.streetlight(1)
    assert room.missing(planner, "q", lamp) == ("c1",)
    await room.answer(planner, "q", {**ANSWERS, "c1": Answer("yes")}, subject=lamp)
    assert room.missing(planner, "q", lamp) == ()
