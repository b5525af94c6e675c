"""Many values at once: entered on a sheet, verified in a list by somebody else."""

from __future__ import annotations

import csv
import io

import pytest

SHEET, LIST = "/indicators/u4ssc/sheet", "/indicators/u4ssc/verify"
ABOUT = {"since": "2025-01-01", "until": "2025-12-31", "source": "statistics office", "quality": "2"}
EVIDENCE = {"evidence": ("table.txt", b"the table", "text/plain")}


@pytest.fixture
async def city(small_city_class):
    city = await small_city_class(frameworks=("u4ssc",)).start()
    await city.indicators.publish()
    yield city
    await city.stop()


@pytest.fixture
async def both(city, reader_class):
    """Somebody who may enter and verify."""
    return await reader_class(city).sign_in("planner", "auditor", name="both")


def values(city):
    from cityloom.kernel.actor import ANONYMOUS

    return {one.code + one.point: one for one in city.indicators.report(ANONYMOUS, "u4ssc").indicators}


async def test_a_sheet_enters_what_is_filled_and_says_what_is_wrong(city, both):
    lines = {"value_0": "97", "value_1": "many", "numerator_3": "40", "denominator_3": "50"}
    refused = await both.send(SHEET, ABOUT | lines, files=EVIDENCE, seen=SHEET)
    assert refused.status_code == 400 and "2 values are entered; the others are marked" in refused.text
    found = values(city)
    assert found["EC:ICT:ICT:1C"].value == 97.0 and found["EC:ICT:ICT:2C"].value is None
    assert found["EC:ICT:ICT:4C3g"].value == 80.0
    assert [one.name for one in found["EC:ICT:ICT:1C"].evidence] == ["table.txt"]
    await both.refused(SHEET, ABOUT, seen=SHEET)
    await both.refused(SHEET, {"value_0": "1"}, seen=SHEET)


async def test_a_sheet_is_of_one_group_and_has_yes_and_no(city, both):
    group = "Economy/Infrastructure/Urban Planning"
    page = await both.text(f"{SHEET}?group={group}")
    place = page.partition('<option value="yes"')[0].rpartition("field-value_")[2].partition('"')[0]
    await both.done(f"{SHEET}?group={group}", ABOUT | {f"value_{place}": "yes"}, seen=SHEET)
    assert [one.value for one in values(city).values() if one.is_reported and one.is_yes_or_no] == [True]


async def test_the_empty_sheet_is_one_that_the_import_takes(both):
    text = (await both.get(f"{SHEET}.csv")).text.removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 112 and rows[0]["city"] == "Loomby" and rows[0]["period"] == "2025"
    rows[0]["value"] = "55"
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    page = "/indicators/u4ssc/import"
    looked = await both.send(
        page, {"act": "look"}, files={"file": ("sheet.csv", out.getvalue().encode(), "text/csv")}, seen=page
    )
    assert looked.status_code == 200 and "1 value would be entered" in looked.text


async def test_many_values_are_verified_with_their_evidence_seen(city, both, reader_class):
    planner = await reader_class(city).sign_in("planner")
    await planner.done(SHEET, ABOUT | {"value_0": "97", "value_1": "30"}, files=EVIDENCE, seen=SHEET)
    await both.done(f"{SHEET}?group=Economy/ICT/Drainage", ABOUT | {"value_0": "10"}, seen=SHEET)
    waiting = {one["code"]: one for one in (await both.data(f"{LIST}.json"))["waiting"]}
    assert waiting["EC:ICT:D:1A"]["isOwn"] and not waiting["EC:ICT:ICT:1C"]["isOwn"]
    assert waiting["EC:ICT:ICT:1C"]["evidence"][0]["name"] == "table.txt"
    names = {code: f"{one['id']}|{one['version']}" for code, one in waiting.items()}
    unseen = await both.refused(LIST, {"point": names["EC:ICT:ICT:1C"]}, seen=LIST)
    assert "looked at what each value rests on" in str(unseen)
    answer = await both.send(LIST, {"seen": "1", "point": list(names.values())}, seen=LIST)
    assert answer.status_code == 409 and "2 values were verified, these were not" in answer.text
    assert "Who entered a value does not verify it" in answer.text
    found = values(city)
    assert [found[code].verified for code in ("EC:ICT:ICT:1C", "EC:ICT:ICT:2C", "EC:ICT:D:1A")] == [
        True,
        True,
        False,
    ]


async def test_a_value_that_was_changed_meanwhile_is_not_verified(city, both, reader_class):
    planner = await reader_class(city).sign_in("planner")
    await planner.done(SHEET, ABOUT | {"value_0": "97"}, seen=SHEET)
    (one,) = (await both.data(f"{LIST}.json"))["waiting"]
    await planner.done(SHEET, ABOUT | {"value_0": "12"}, seen=SHEET)
    stale = await both.send(LIST, {"seen": "1", "point": f"{one['id']}|{one['version']}"}, seen=LIST)
    assert stale.status_code == 409 and not values(city)["EC:ICT:ICT:1C"].verified
