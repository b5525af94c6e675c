"""A small city filled with a demo town's examples, and with what is made of them as it runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cityloom.app.demo_agreements import DemoAgreements
from cityloom.app.demo_plan import DemoPlan
from cityloom.context.publishing import working_id
from cityloom.kernel.actor import CITY, InformationClass
from cityloom_catalogue.cities.loomby.source import open_city

#: Of what the examples say nothing.
_LEFT_OUT = {"Device", "RoadSegment", "WasteContainer", "WarningRecipient", "OffStreetParking"}


def house_of(city: Any) -> Any:
    """A small city as the making of examples sees a house."""
    return SimpleNamespace(
        broker=city.broker,
        clock=city.clock,
        zone=city.rooms.city.zone,
        evidence=city.evidence,
        history=city.rooms.history,
        all_is_remembered=city.remembered,
        assessments=city.rooms.assessments,
        plan=city.plan,
    )


async def fill(city: Any) -> dict[str, Any]:
    """Write what Loomby begins with; what its rooms are to make of it."""
    town = open_city(None, lambda *_: None, begins=city.clock.now())
    for document in town.seeds(city.clock.now()):
        if document["type"][0] in _LEFT_OUT:
            continue
        inside = document["id"] == working_id(document["id"])
        secrecy = InformationClass.INTERNAL if inside else InformationClass.OPEN
        await city.broker.create(CITY, document, information_class=secrecy)
    return dict(town.agreements)


async def run_examples(city: Any, agreements: dict[str, Any]) -> None:
    """All that is made of the examples while a demo city runs."""
    house = house_of(city)
    made, plan = DemoAgreements(house, agreements), DemoPlan(house, agreements["plan"])
    await made.begin()
    await plan.begin()
    # What was worked out of the empty city is due anew.
    city.clock.pass_by(hours=7)
    await city.indicators.compute()
    await made.go_on()
    await plan.go_on()
