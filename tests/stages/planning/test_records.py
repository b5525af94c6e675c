"""Records of any kind: what is written comes back, what is wrong is refused by its field."""

from __future__ import annotations

import asyncio
import io
from datetime import date
from decimal import Decimal

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from cityloom.access.ownership import BY_THEIR_ROOM_ALONE, OWNED_TYPES
from cityloom.access.roles import PERMISSIONS
from cityloom.context.publishing import Publishing
from cityloom.indicators.exchange.spreadsheet import as_csv
from cityloom.kernel.actor import ANONYMOUS, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import entity, prop
from cityloom.planning.money import Money
from cityloom.planning.records.fields import (
    Amount,
    Choice,
    Choices,
    Day,
    Flag,
    Line,
    Link,
    Links,
    Number,
    Place,
    Prose,
    Rows,
    Said,
    Web,
)
from cityloom.planning.records.importing import Does, Import
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import State, check_kind
from cityloom.planning.records.records import Records
from cityloom.planning.records.tables import MOST_ROWS, cells, header, lines_of, read_rows, workbook_of
from cityloom.planning.register import KINDS

OPEN, INTERNAL, SECURITY = InformationClass


def no_end_before_begin(values) -> None:
    if "ends" in values and "begins" in values and values["ends"] < values["begins"]:
        raise BadInput("It ends before it begins", hint="Let it end later.", where="ends")


WORK = (Line("what", "What", required=True), Amount("price", "Price"))
BRIDGE = RecordKind(
    type="Bridge",
    path="bridges",
    singular="Bridge",
    plural="Bridges",
    about="What leads over water.",
    permission="plan:edit",
    columns=("length",),
    check=no_end_before_begin,
    fields=(
        Said("name", "Name", required=True),
        Line("owner", "Owner"),
        Prose("remarks", "Remarks", internal=True),
        Number("length", "Length", unit="MTR", least=0),
        Number("lanes", "Lanes", whole=True, most=12),
        Amount("cost", "Cost"),
        Day("begins", "Begins"),
        Day("ends", "Ends"),
        Choice("material", "Material", choices={"wood": "Wood", "steel": "Steel"}),
        Choices("uses", "Used by", choices={"foot": "People on foot", "bus": "Buses", "train": "Trains"}),
        Flag("toll", "Toll"),
        Link("replaces", "Replaces", to=("Bridge",)),
        Links("near", "Near", to=("Bridge", "River")),
        Web("page", "Page"),
        Place("location", "Place"),
        Rows(
            "works",
            "Works",
            columns=(
                Line("what", "What", required=True),
                Amount("price", "Price"),
                Link("over", "Over", to=("River",)),
            ),
            most=3,
        ),
    ),
)
WHOLE = {
    "name": {"en": "Old bridge", "da": "Gammelbro"},
    "owner": "Port",
    "remarks": "Rotten.\nDo not tell.",
    "length": 12.5,
    "lanes": 2.0,
    "cost": Money(Decimal("100.50"), "EUR"),
    "begins": date(2026, 1, 2),
    "ends": date(2026, 12, 1),
    "material": "wood",
    "uses": ("foot", "bus"),
    "toll": False,
    "page": "https://example.org/bridge?x=1",
    "location": {"type": "Point", "coordinates": [10.2, 56.1]},
    "works": ({"what": "Paint", "price": Money(Decimal("7.00"), "EUR")}, {"what": "Nails"}),
}


@pytest.fixture
def office(living_city):
    city = living_city
    city.records = Records(city.broker, city.clock, [BRIDGE])
    city.planner = city.person("planner")
    return city


async def test_what_is_written_comes_back_with_who_and_when(office):
    record = await office.records.draft(office.planner, "Bridge", WHOLE, note="seen from the boat")
    assert record == office.records.get(office.planner, record.id)
    assert dict(record.values) == WHOLE
    assert (record.state, record.is_working, record.published_at) == (State.DRAFT, True, None)
    assert [(step.by, step.did, step.note) for step in record.history] == [
        (office.planner.id, "drafted", "seen from the boat")
    ]
    assert office.records.list(office.planner, "Bridge") == [record]


async def test_a_draft_is_for_the_staff_and_what_is_published_stays_as_it_was(office):
    record = await office.records.draft(office.planner, "Bridge", WHOLE)
    assert office.records.list(ANONYMOUS, "Bridge") == []
    with pytest.raises(ResourceNotFound):
        office.records.get(ANONYMOUS, record.id)
    published = await office.records.publish(office.planner, record.id)
    assert (published.state, published.is_ahead) == (State.PUBLISHED, False)
    seen = office.records.get(ANONYMOUS, record.id)
    assert dict(seen.values) == {name: value for name, value in WHOLE.items() if name != "remarks"}
    assert (seen.history, seen.revisions) == ((), ())
    edited = await office.records.change(office.planner, record.id, {"owner": "Nobody", "length": None})
    assert edited.is_ahead
    assert office.records.get(ANONYMOUS, record.id).values["owner"] == "Port"
    again = await office.records.publish(office.planner, record.id)
    assert not again.is_ahead
    seen = office.records.get(ANONYMOUS, record.id).values
    assert ("length" in seen, seen["owner"]) == (False, "Nobody")
    gone = await office.records.withdraw(office.planner, record.id)
    assert gone.state is State.DRAFT
    assert office.records.list(ANONYMOUS, "Bridge") == []


async def test_each_edit_can_be_taken_back(office):
    record = await office.records.draft(office.planner, "Bridge", {"name": {"en": "A"}})
    for name in "BC":
        await office.records.edit(office.planner, record.id, {"name": {"en": name}, "toll": True})
    back = await office.records.undo(office.planner, record.id)
    assert back.values == {"name": {"en": "B"}, "toll": True}
    assert (await office.records.undo(office.planner, record.id)).values == {"name": {"en": "A"}}
    with pytest.raises(Conflict):
        await office.records.undo(office.planner, record.id)


@pytest.mark.parametrize("act", ["discard", "withdraw"])
async def test_what_is_taken_back_while_it_is_published_does_not_stay_in_the_open(office, monkeypatch, act):
    record = await office.records.draft(office.planner, "Bridge", {"name": {"en": "A"}})
    show, taking_back = Publishing.show, []

    async def shown_late(self, *given, **more):
        taken_back = asyncio.create_task(getattr(office.records, act)(office.planner, record.id))
        taking_back.append(taken_back)
        # It goes on now, if nothing keeps it.
        await asyncio.wait([taken_back], timeout=0.3)
        await show(self, *given, **more)

    monkeypatch.setattr(Publishing, "show", shown_late)
    await office.records.publish(office.planner, record.id)
    await taking_back[0]
    assert office.broker.find(ANONYMOUS, record.id) is None


async def test_who_edits_what_has_changed_meanwhile_is_told(office):
    record = await office.records.draft(office.planner, "Bridge", {"name": {"en": "A"}})
    await office.records.change(office.planner, record.id, {"owner": "x"}, version=record.version)
    with pytest.raises(Conflict):
        await office.records.change(office.planner, record.id, {"owner": "y"}, version=record.version)
    assert office.records.get(office.planner, record.id).values["owner"] == "x"


async def test_thrown_away_is_out_of_the_open_and_can_be_restored(office):
    record = await office.records.draft(office.planner, "Bridge", WHOLE)
    await office.records.publish(office.planner, record.id)
    await office.records.discard(office.planner, record.id)
    assert office.records.list(office.planner, "Bridge") == []
    assert office.records.list(ANONYMOUS, "Bridge") == []
    assert [one.id for one in office.records.list(office.planner, "Bridge", discarded=True)] == [record.id]
    with pytest.raises(Conflict):
        await office.records.publish(office.planner, record.id)
    restored = await office.records.restore(office.planner, record.id)
    assert (restored.state, dict(restored.values)) == (State.DRAFT, WHOLE)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": {}}, "name"),
        ({"name": {"da": "x" * 201}}, "name.da"),
        ({"owner": "a\nb"}, "owner"),
        ({"owner": 1}, "owner"),
        ({"length": "long"}, "length"),
        ({"length": -1}, "length"),
        ({"length": float("inf")}, "length"),
        ({"length": True}, "length"),
        ({"lanes": 1.5}, "lanes"),
        ({"lanes": 13}, "lanes"),
        ({"cost": 5}, "cost"),
        ({"cost": Money(Decimal("0.001"), "EUR")}, "cost.amount"),
        ({"begins": "2026-02-30"}, "begins"),
        ({"ends": date(2025, 1, 1)}, "ends"),
        ({"material": "glass"}, "material"),
        ({"uses": ("foot", "boat")}, "uses"),
        ({"toll": "perhaps"}, "toll"),
        ({"page": "javascript:alert(1)"}, "page"),
        ({"page": "https://"}, "page"),
        ({"location": {"type": "Point", "coordinates": ["a", "b"]}}, "location"),
        ({"replaces": "urn:ngsi-ld:Bridge:none"}, "replaces"),
        ({"near": ("urn:ngsi-ld:Thing:1",)}, "near"),
        ({"works": ({"price": Money(Decimal(1), "EUR")},)}, "works.0.what"),
        ({"works": ({"what": "x", "colour": "red"},)}, "works.0.colour"),
        ({"works": ({"what": "x"},) * 4}, "works"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field_and_nothing_is_written(office, changes, where):
    await office.broker.create(office.person("administrator"), entity("Thing", "urn:ngsi-ld:Thing:1", {}))
    with pytest.raises(BadInput) as caught:
        await office.records.draft(office.planner, "Bridge", WHOLE | changes)
    assert caught.value.where == where
    assert caught.value.hint
    assert office.records.list(office.planner, "Bridge") == []


def test_no_address_that_others_wrote_becomes_a_link_that_runs():
    assert BRIDGE.field("page").typed("javascript:alert(1)") is None
    assert BRIDGE.field("page").typed("https://example.org/") == "https://example.org/"


async def test_who_has_not_the_permission_writes_nothing(office):
    record = await office.records.draft(office.planner, "Bridge", WHOLE)
    for role in ("operator", "auditor", "engineer"):
        actor = office.person(role)
        with pytest.raises(NotAllowed):
            await office.records.draft(actor, "Bridge", WHOLE)
        with pytest.raises(NotAllowed):
            await office.records.publish(actor, record.id)
    with pytest.raises((NotAllowed, ResourceNotFound)):
        await office.records.discard(ANONYMOUS, record.id)


async def test_links_lead_both_ways_and_never_to_what_is_inside(office):
    old = await office.records.draft(office.planner, "Bridge", {"name": {"en": "Old"}})
    river = entity("River", "urn:ngsi-ld:River:1", {"name": prop("Å")})
    await office.broker.create(office.person("administrator"), river, information_class=OPEN)
    new = await office.records.draft(
        office.planner,
        "Bridge",
        {"name": {"en": "New"}, "replaces": old.id, "near": (old.id, "urn:ngsi-ld:River:1")},
    )
    assert [one.id for one in office.records.pointing_at(office.planner, old.id)] == [new.id]
    await office.records.publish(office.planner, new.id)
    seen = office.records.get(ANONYMOUS, new.id).values
    assert seen["near"] == ("urn:ngsi-ld:River:1",)
    assert "replaces" not in seen
    assert [one.id for one in office.records.pointing_at(ANONYMOUS, "urn:ngsi-ld:River:1")] == [new.id]
    assert office.records.pointing_at(ANONYMOUS, old.id) == []


async def test_nor_do_links_in_a_table(office):
    rivers = {"open": OPEN, "secret": SECURITY}
    for name, information_class in rivers.items():
        river = entity("River", f"urn:ngsi-ld:River:{name}", {"name": prop(name)})
        await office.broker.create(office.person("administrator"), river, information_class=information_class)
    works = tuple({"what": name, "over": f"urn:ngsi-ld:River:{name}"} for name in rivers)
    record = await office.records.draft(office.planner, "Bridge", {"name": {"en": "New"}, "works": works})
    await office.records.publish(office.planner, record.id)
    assert office.records.get(ANONYMOUS, record.id).values["works"] == (works[0], {"what": "secret"})


async def test_a_table_brings_back_what_it_took_out(office):
    record = await office.records.draft(office.planner, "Bridge", WHOLE | {"owner": "=1+1"})
    languages = ["en", "da"]
    text = as_csv([header(BRIDGE, languages), cells(record, languages)])
    assert "\r\n" in text
    assert "'=1+1" in text
    (row,) = read_rows(BRIDGE, lines_of(text.encode(), "bridges.csv"))
    assert (row.id, row.error) == (record.id, None)
    assert row.values == record.values
    book = workbook_of([header(BRIDGE, languages), cells(record, languages)], "Bridges: [all]")
    (row,) = read_rows(BRIDGE, lines_of(book, "bridges.xlsx"))
    assert (row.error, row.values) == (None, record.values)


def test_a_day_in_a_workbook_is_read_as_one():
    packed = io.BytesIO()
    with xlsxwriter.Workbook(packed) as book:
        page, a_day = book.add_worksheet(), book.add_format({"num_format": "d mmmm yyyy"})
        page.write_row(0, 0, ["name.en", "begins"])
        page.write(1, 0, "New")
        page.write_datetime(1, 1, date(2026, 1, 31), a_day)
    (row,) = read_rows(BRIDGE, lines_of(packed.getvalue(), "bridges.xlsx"))
    assert (row.error, row.values["begins"]) == (None, date(2026, 1, 31))


@pytest.mark.parametrize(
    "text", ["007", "1.10", "+45 12", "1e5", "nan", "-Infinity", "-", "12345678901234567890"]
)
async def test_a_text_that_looks_like_a_number_comes_back_as_it_was(office, text):
    record = await office.records.draft(office.planner, "Bridge", WHOLE | {"owner": text})
    lines = [header(BRIDGE, ["en"]), cells(record, ["en"])]
    for raw in (workbook_of(lines, "Bridges"), as_csv(lines).encode()):
        (row,) = read_rows(BRIDGE, lines_of(raw, "bridges"))
        assert row.values["owner"] == text


def test_of_a_long_table_no_more_is_read_than_may_be():
    lines = lines_of(b"\n" * 100_000, "x.csv")
    assert len(lines) == MOST_ROWS + 2
    with pytest.raises(BadInput, match="too many rows"):
        read_rows(BRIDGE, [["name"], *lines[1:]])


async def test_a_table_says_what_it_would_do_and_then_does_it(office):
    old = await office.records.draft(office.planner, "Bridge", {"name": {"en": "Old"}, "length": 5.0})
    table = (
        f"id,name,length,replaces\n,New,7,Old\n{old.id},Old,6,\n,Newer,8,New\n,Bad,long,\n,Lost,1,Nobody\n"
    )
    rows = read_rows(BRIDGE, lines_of(table.encode(), "x"))
    looked = Import(office.records, office.planner, BRIDGE).look(rows)
    expected = [Does.NEW, Does.CHANGED, Does.NEW, Does.WRONG, Does.WRONG]
    assert [one.does for one in looked] == expected
    assert [one.error.where for one in looked[3:]] == ["length", "replaces"]
    assert office.records.list(office.planner, "Bridge") == [old]
    done = await Import(office.records, office.planner, BRIDGE).bring(rows, note="from the port's list")
    assert [one.does for one in done] == expected
    new, changed, newer = (office.records.get(office.planner, one.record.id) for one in done[:3])
    assert (new.values["replaces"], newer.values["replaces"]) == (old.id, new.id)
    assert (changed.id, changed.values["length"]) == (old.id, 6.0)
    again = await Import(office.records, office.planner, BRIDGE).bring(
        read_rows(BRIDGE, lines_of(f"id,name,length\n{old.id},Old,6\n".encode(), "x"))
    )
    assert [one.does for one in again] == [Does.SAME]


def test_a_row_that_is_wrong_says_so_and_the_others_are_read():
    first, second = read_rows(BRIDGE, lines_of(b"name;length\nA;long\nB;5,5\n", "x"))
    assert (first.number, first.error.where) == (1, "length")
    assert (second.number, second.values) == (2, {"name": {"en": "B"}, "length": 5.5})
    with pytest.raises(BadInput) as caught:
        read_rows(BRIDGE, lines_of(b"name,colour\nA,red\n", "x"))
    assert caught.value.where == "file.colour"


@given(st.text(max_size=300).map(str.encode) | st.binary(max_size=300))
def test_no_table_breaks_the_reader(raw):
    try:
        read_rows(BRIDGE, lines_of(raw, "table.csv"))
    except BadInput as error:
        assert error.hint


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_each_kind_of_the_plan_can_be_kept(kind):
    check_kind(kind)
    assert OWNED_TYPES[kind.type] == (kind.permission,)
    assert kind.type in BY_THEIR_ROOM_ALONE
    assert kind.permission in PERMISSIONS
    assert all(kind.field(name) for name in kind.columns)
    assert [one.path for one in KINDS].count(kind.path) == 1
