"""Tenders: how bids stand by what was announced, and what an award takes and tells."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.planning.money import Money
from cityloom.planning.procurement.awarding import Awarding
from cityloom.planning.procurement.kinds import KINDS
from cityloom.planning.records.records import Records

TENDER = {
    "name": {"en": "Upkeep of lights"},
    "procedure": "open",
    "closes": date(2026, 3, 1),
    "criteria": (
        {"criterion": "Price", "measure": "price", "weight": 60.0},
        {"criterion": "Speed", "measure": "quality", "weight": 40.0},
    ),
}


class Wound:
    """A clock that stands where it is put."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Office:
    def __init__(self, city) -> None:
        self.clock = Wound(datetime(2026, 3, 5, 12, tzinfo=UTC))
        self.records = Records(city.broker, self.clock, KINDS)
        self.planner = city.person("planner")
        self.awarding = Awarding(self.records, self.clock, UTC)

    async def bid(self, name, price, speed=None, came=date(2026, 2, 20), **more):
        values = {
            "name": {"en": name},
            "tender": self.tender.id,
            "receivedOn": came,
            "price": Money(Decimal(price), more.pop("currency", "DKK")),
            **more,
        }
        if speed is not None:
            values["points"] = ({"criterion": "Speed", "points": float(speed)},)
        return await self.records.draft(self.planner, "TenderBid", values)

    def standings(self):
        return self.awarding.standings(self.planner, self.tender)


@pytest.fixture
async def office(living_city):
    office = Office(living_city)
    office.tender = await office.records.draft(office.planner, "Tender", TENDER)
    return office


async def test_bids_stand_by_the_criteria_that_were_announced(office):
    await office.bid("Cheap", "100.00", 50)
    await office.bid("Fast", "200.00", 100)
    await office.bid("Late", "10.00", 100, came=date(2026, 3, 2))
    await office.bid("Foreign", "10.00", 100, currency="EUR")
    await office.bid("Out", "10.00", 100, leftOut="No guarantee")
    found = [(one.bid.name["en"], one.points, bool(one.left_out)) for one in office.standings()]
    # 60 + 20, and half of 60 + 40: the price of what does not count lowers no points.
    assert found[:2] == [("Cheap", Decimal("80.00"), False), ("Fast", Decimal("70.00"), False)]
    assert {name for name, points, out in found[2:] if out and points is None} == {"Late", "Foreign", "Out"}


async def test_an_award_takes_the_last_day_all_points_and_a_reason(office):
    cheap = await office.bid("Cheap", "100.00", 50)
    slow = await office.bid("Slow", "150.00")
    late = await office.bid("Late", "10.00", 100, came=date(2026, 3, 2))
    award = office.awarding.award
    with pytest.raises(Conflict) as refused:
        await award(office.planner, office.tender.id, cheap.id, "It is the best.")
    assert "Points" in refused.value.message
    points = ({"criterion": "Speed", "points": 10.0},)
    await office.records.change(office.planner, slow.id, {"points": points})
    office.clock.at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with pytest.raises(Conflict) as refused:
        await award(office.planner, office.tender.id, cheap.id, "It is the best.")
    assert refused.value.where == "closes"
    office.clock.at = datetime(2026, 3, 5, 12, tzinfo=UTC)
    for bid, reason in ((late, "It is cheap."), (cheap, "")):
        with pytest.raises(BadInput):
            await award(office.planner, office.tender.id, bid.id, reason)
    with pytest.raises(NotAllowed):
        await award(ANONYMOUS, office.tender.id, cheap.id, "It is the best.")
    await award(office.planner, office.tender.id, cheap.id, "It is the best.")
    public = office.records.get(ANONYMOUS, office.tender.id)
    assert [(row["bidder"], row["won"]) for row in public.get("result")] == [
        ("Cheap", True),
        ("Slow", False),
        ("Late", False),
    ]
    assert (public.get("awardedOn"), public.get("reason")) == (date(2026, 3, 5), "It is the best.")
    # Of the bids themselves nobody outside learns.
    assert office.records.list(ANONYMOUS, "TenderBid") == []
    with pytest.raises(Conflict):
        await award(office.planner, office.tender.id, slow.id, "It is the best.")


async def test_a_bid_is_closed_until_the_last_day_for_bids_is_over(office, living_city):
    bid = await office.bid("Cheap", "100.00", 50)
    colleague = msgspec.structs.replace(office.planner, id="person:colleague")
    auditor, engineer = map(living_city.person, ("auditor", "engineer"))
    broker, records = living_city.broker, office.records
    office.clock.at = datetime(2026, 3, 1, 23, tzinfo=UTC)
    # Who wrote it down may still correct it.
    await records.change(office.planner, bid.id, {"leftOut": "No guarantee"})
    await records.undo(office.planner, bid.id)
    draft = bid.id.replace("TenderBid:", "TenderBid:draft-")
    for other in (colleague, auditor, engineer, ANONYMOUS):
        assert records.find(other, bid.id) is None, other.name
        assert records.list(other, "TenderBid") == [], other.name
        assert records.pointing_at(other, office.tender.id) == [], other.name
        assert broker.find(other, draft) is None, other.name
    with pytest.raises(ResourceNotFound):
        await records.change(colleague, bid.id, {"leftOut": "No guarantee"})
    office.clock.at = datetime(2026, 3, 2, 0, tzinfo=UTC)
    for evaluator in (colleague, auditor):
        assert records.get(evaluator, bid.id).get("price") == Money(Decimal("100.00"), "DKK")
        assert [one.id for one in records.list(evaluator, "TenderBid")] == [bid.id]
    assert records.find(engineer, bid.id) is None and records.list(engineer, "TenderBid") == []
    # On every other way it is of a class that none of them is cleared for.
    assert all(broker.find(one, draft) is None for one in (office.planner, colleague, auditor, engineer))


async def test_an_award_is_written_by_awarding_alone(office):
    records, planner = office.records, office.planner
    cheap, fast = await office.bid("Cheap", "100.00", 50), await office.bid("Fast", "200.00", 100)
    awarded = await office.awarding.award(planner, office.tender.id, cheap.id, "It is the best.")
    with pytest.raises(Conflict):
        await records.undo(planner, awarded.id)
    for forged in ({"awardedOn": None}, {"reason": "Another"}, {"result": None}):
        with pytest.raises(BadInput) as refused:
            await records.change(planner, awarded.id, forged)
        assert [refused.value.where] == list(forged)
    # A form does not say it, and leaves it as it stands.
    edited = await records.edit(planner, awarded.id, TENDER | {"name": {"en": "Lights"}})
    assert edited.get("reason") == "It is the best." and len(edited.get("result")) == 2
    with pytest.raises(Conflict):
        await office.awarding.award(planner, awarded.id, fast.id, "It is the best.")


async def test_what_was_handed_in_stays_once_it_is_open(office):
    records, planner = office.records, office.planner
    office.clock.at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    bid = await office.bid("Cheap", "100.00")
    await records.change(planner, bid.id, {"price": Money(Decimal("110.00"), "DKK")})
    office.clock.at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    lower = {"price": Money(Decimal("90.00"), "DKK")}
    for changes in (lower, {"receivedOn": date(2026, 2, 1)}, {"name": {"en": "Another"}}):
        with pytest.raises(BadInput) as refused:
            await records.change(planner, bid.id, changes)
        assert [refused.value.where] == list(changes)
    for act in (records.undo, records.discard):
        with pytest.raises(BadInput):
            await act(planner, bid.id)
    points = {"points": ({"criterion": "Speed", "points": 10.0},), "leftOut": "No guarantee"}
    assert (await records.change(planner, bid.id, points)).get("leftOut") == "No guarantee"


async def test_a_tender_is_not_closed_earlier_once_a_bid_lies_there(office):
    records, planner = office.records, office.planner
    office.clock.at = datetime(2026, 2, 21, tzinfo=UTC)
    await records.change(planner, office.tender.id, {"closes": date(2026, 2, 25)})
    await records.change(planner, office.tender.id, {"closes": date(2026, 3, 1)})
    await office.bid("Cheap", "100.00")
    with pytest.raises(BadInput) as refused:
        await records.change(planner, office.tender.id, {"closes": date(2026, 2, 20)})
    assert refused.value.where == "closes"
    with pytest.raises(BadInput):
        await records.undo(planner, office.tender.id)
    later = await records.change(planner, office.tender.id, {"closes": date(2026, 3, 8)})
    assert later.get("closes") == date(2026, 3, 8)


async def test_bids_that_were_internal_are_brought_into_their_class(office, living_city):
    bid = await office.bid("Cheap", "100.00")
    draft = bid.id.replace("TenderBid:", "TenderBid:draft-")
    broker = living_city.broker
    await broker.classify(CITY, draft, InformationClass.INTERNAL)
    assert await office.records.sealing.keep_close() == 1
    assert broker.class_of(CITY, draft) is InformationClass.SECURITY
    assert await office.records.sealing.keep_close() == 0


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"criteria": ({"criterion": "Price", "measure": "price", "weight": 60.0},)}, "criteria"),
        (
            {
                "criteria": (
                    {"criterion": "Price", "measure": "price", "weight": 50.0},
                    {"criterion": "Price too", "measure": "price", "weight": 50.0},
                )
            },
            "criteria",
        ),
        ({"announcedOn": date(2026, 3, 2)}, "closes"),
        ({"awardedOn": date(2026, 3, 4)}, "awardedOn"),
        ({"result": ({"bidder": "Cheap", "price": Money(Decimal("1.00"), "DKK")},)}, "result"),
    ],
)
async def test_a_tender_that_contradicts_itself_is_refused(office, changes, where):
    with pytest.raises(BadInput) as refused:
        await office.records.draft(office.planner, "Tender", TENDER | changes)
    assert refused.value.where == where
