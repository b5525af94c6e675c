"""A closed survey's result becomes the value of an indicator."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cityloom.indicators.framework import point_id
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.ngsild.model import value_of

HOMES = point_id("u4ssc", "EC:ICT:ICT:1C", "")
PAGE = "/indicators/u4ssc/EC:ICT:ICT:1C"
PERIOD = {"since": "2026-01-01", "until": "2026-03-31"}
OFFICER = Actor(
    id="person:officer",
    name="officer",
    permissions=frozenset({"stakeholders:edit", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
)


@pytest.fixture
async def city(small_city_class):
    city = await small_city_class(frameworks=("u4ssc",)).start()
    await city.indicators.publish()
    yield city
    await city.stop()


async def survey(city, name, *, ago=5, published=True, **changed):
    day = (city.clock.now() - timedelta(days=ago)).date()
    values = {"name": {"en": name}, "activity": "survey", "day": day, "citizens": 400.0, **changed}
    draft = await city.records.draft(OFFICER, "EngagementActivity", values)
    if published:
        draft = await city.records.publish(OFFICER, draft.id)
    await city.broker.caught_up()
    return draft.id


async def test_an_officer_takes_a_closed_survey_s_result_as_a_value(city, reader_class):
    held = await survey(city, "Homes <online>")
    planner = await reader_class(city).sign_in("planner")
    assert "Homes <online>, 5 Apr 2026, 400 answers" in await planner.text(PAGE)
    form = {"act": "enter", "point": HOMES, **PERIOD, "survey": held, "numerator": "340", "quality": "6"}
    await planner.done(PAGE, form, seen=PAGE)
    visitor = reader_class(city)
    (figure,) = (await visitor.data(f"{PAGE}.json"))["figures"]
    assert (figure["value"], figure["numerator"], figure["denominator"]) == (85.0, 340.0, 400.0)
    assert (figure["survey"], figure["respondents"]) == (held, 400)
    assert (figure["quality"], figure["source"], figure["method"]) == (
        "from a survey", "Homes <online>", "manual",
    )  # fmt: skip
    page = await visitor.text(PAGE)
    assert f'href="/entities/{held}"' in page and "400 answers" in page and "not verified" in page
    await planner.done(PAGE, {"act": "withdraw", "point": HOMES}, seen=PAGE)
    gone = city.broker.find(ANONYMOUS, HOMES)
    assert value_of(gone, "refSurvey") is None and value_of(gone, "respondents") is None


async def test_only_surveys_that_everybody_can_look_at_and_that_are_over_are_taken(city, reader_class):
    wrong = [
        await survey(city, "Still inside", published=False),
        await survey(city, "Not over", ago=0),
        await survey(city, "A hearing", activity="hearing"),
        await survey(city, "Nobody counted", citizens=None),
        "urn:ngsi-ld:EngagementActivity:nowhere",
    ]
    planner = await reader_class(city).sign_in("planner")
    assert "Result of the survey" not in await planner.text(PAGE)
    form = {"act": "enter", "point": HOMES, **PERIOD, "numerator": "340"}
    for one in wrong:
        said = await planner.refused(PAGE, {**form, "survey": one}, seen=PAGE)
        assert "There is no such closed survey" in said, one
    assert "Say where the value comes from" in await planner.refused(PAGE, form, seen=PAGE)
    assert city.indicators.summary(ANONYMOUS, HOMES).value is None
