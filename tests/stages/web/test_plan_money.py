"""Pages of records about money: what follows is shown, drawn, taken along; nobody sees more than they may."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import BadInput
from cityloom.ngsild.model import entity, prop
from cityloom.planning.finance.kinds import KINDS
from cityloom.planning.finance.outcome import plain
from cityloom.planning.finance.reckoning import RECKONERS, reckon
from cityloom.planning.records.model import record_of
from cityloom_catalogue.cities import example_records

OPENS = datetime(2026, 4, 10, 10, tzinfo=UTC)
MEANT = {"worth": "9500.00", "baseline": 87.0, "change": 12.0}
EXAMPLES = {
    one["type"][0]: one
    for one in example_records.read_records(example_records.MONEY, "town", OPENS, MEANT)
    if ":draft-" not in one["id"]
}
ANALYSIS = "/plan/cost-benefit"


def values_of(kind):
    return record_of(kind, EXAMPLES[kind.type]).values


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
class TestEveryKind:
    def test_its_example_says_what_the_fields_are(self, kind):
        """Nothing of it is lost in reading, and all of it would be taken from a form."""
        document = EXAMPLES[kind.type]
        said = set(document["attrs"]) - {"status", "dateIssued", "example", "dataOrigin"}
        values = values_of(kind)
        assert set(values) == said
        for name, value in values.items():
            assert kind.field(name).check(value, name) == value

    def test_it_is_reckoned_and_every_drawing_has_its_table(self, kind):
        outcome = reckon(kind.type, values_of(kind))
        assert outcome.currency == "DKK"
        assert outcome.figures and outcome.tables and outcome.notes
        for drawing in outcome.drawings:
            assert outcome.table(drawing.table) is not None
        for table in outcome.tables:
            assert all(len(row) == len(table.columns) for row in (*table.rows, *filter(None, [table.foot])))
        assert plain(outcome)["figures"]

    def test_an_empty_one_says_what_is_missing(self, kind):
        with pytest.raises(BadInput) as caught:
            reckon(kind.type, {"name": {"en": "x"}})
        assert caught.value.hint

    async def test_its_page_shows_and_draws_it(self, kind, city, reader_of, visitor):
        document = EXAMPLES[kind.type]
        await city.broker.create(CITY, document)
        path = f"/plan/{kind.path}/{document['id']}"
        page = await visitor.text(path)
        assert "What follows from it" in page and "How it was reckoned" in page
        raw = (await visitor.get(path)).text
        outcome = reckon(kind.type, values_of(kind))
        drawings = re.findall(r'<figure class="chart">(<svg.*?</svg>)', raw, re.S)
        assert len(drawings) == len(outcome.drawings)
        for svg in drawings:
            assert ElementTree.fromstring(svg).find("{http://www.w3.org/2000/svg}title").text
        assert (await visitor.data(f"{path}/result.json"))["tables"].keys() >= plain(outcome)["tables"].keys()
        for table in outcome.tables:
            answer = await visitor.get(f"{path}/result.csv?table={table.key}")
            rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
            assert len(rows) == 1 + len(table.rows) + bool(table.foot)
        book = await visitor.get(f"{path}/result.xlsx")
        assert book.content.startswith(b"PK")
        assert (await visitor.get(f"{path}/result.csv?table=nonsense")).status_code == 404


def test_there_is_an_example_of_every_kind():
    assert set(EXAMPLES) == {kind.type for kind in KINDS} == set(RECKONERS)


async def test_an_analysis_is_written_by_form_and_stays_inside_until_it_is_published(reader_of, visitor):
    planner = await reader_of("planner")
    row = {
        "item": "Lamps",
        "kind": "capital",
        "group": "City",
        "amount_amount": "1000",
        "amount_currency": "EUR",
    }
    gain = {
        "item": "Light",
        "kind": "benefit",
        "group": "People",
        "amount_amount": "150.50",
        "amount_currency": "EUR",
    }
    fields = {"name_en": "Lamps", "baseYear": "2026", "until": "2035", "convention": "own", "rate": "4"}
    fields |= {f"items_0_{name}": value for name, value in (row | {"since": "2026", "until": "2026"}).items()}
    fields |= {f"items_1_{name}": value for name, value in (gain | {"since": "2027"}).items()}
    page = await planner.done(f"{ANALYSIS}/new", fields)
    path = (await planner.data(f"{ANALYSIS}.json"))["records"][0]["href"]
    # 150.50 for nine years at 4 % is 1,119.02; less 1,000.
    assert "119.02" in page
    assert (await planner.data(f"{path}/result.json"))["figures"]["npv"]["value"] == "119.02"
    for end in ("", "/result.json", "/result.csv", "/result.xlsx"):
        assert (await visitor.get(path + end)).status_code == 404
    await planner.done(path, {"act": "publish"})
    await planner.done(
        f"{path}/edit", fields | {"items_0_amount_amount": "1001", "version": await version(planner, path)}
    )
    assert (await visitor.data(f"{path}/result.json"))["figures"]["npv"]["value"] == "119.02"
    assert (await planner.data(f"{path}/result.json"))["figures"]["npv"]["value"] == "118.02"
    await planner.done(path, {"act": "discard"})
    assert (await visitor.get(f"{path}/result.json")).status_code == 404


async def version(reader, path):
    return (await reader.text(f"{path}/edit")).partition('name="version" value="')[2].partition('"')[0]


async def test_what_a_scenario_needs_is_taken_into_a_drafts_budget(reader_of, visitor):
    planner = await reader_of("planner")
    await planner.done("/initiatives/new", {"name_en": "Heat pumps", "description_en": "x"})
    (made,) = (await planner.data("/initiatives.json"))["initiatives"]
    fields = {"name_en": "Pumps", "baseYear": "2026", "until": "2028", "convention": "own", "rate": "4"}
    fields |= {"initiative": made["id"]}
    option = {"code": "p", "title": "Pump", "sector": "Homes", "form": "logistic", "launch": "2026"}
    option |= {"potential": "100", "growth": "1", "middle": "1", "publicShare": "50"}
    option |= {"capital_amount": "10", "capital_currency": "EUR"}
    fields |= {f"options_0_{name}": value for name, value in option.items()}
    await planner.done("/plan/adoption/new", fields)
    path = (await planner.data("/plan/adoption.json"))["records"][0]["href"]
    page = await planner.text(path)
    assert "Held against the initiative" in page and "has less than is needed" in page
    seen = page.partition(f'action="{path}/budget"')[2].partition('name="version" value="')[2]
    assert (await visitor.send(f"{path}/budget", {})).status_code in (401, 403, 404)
    page = await planner.done(f"{path}/budget", {"version": seen.partition('"')[0]})
    assert "has less than is needed" not in page
    budget = (await planner.data("/plan/action/budget.json"))["budgets"][0]
    lines = (await planner.data(f"{path}/result.json"))["tables"]["lines"]
    assert (budget["currency"], budget["capital"]) == ("EUR", lines[-1]["needed"])


async def test_two_currencies_are_not_added_and_it_is_said(reader_of):
    planner = await reader_of("planner", language="da")
    fields = {"name_en": "Towns", "fixed_amount": "10", "fixed_currency": "EUR"}
    fields |= {"towns_0_town": "A", "towns_0_alone_amount": "5", "towns_0_alone_currency": "DKK"}
    page = await planner.done("/plan/cost-sharing/new", fields)
    assert "DKK, EUR" in page


async def test_what_was_promised_is_held_against_the_indicator_and_the_budget(city, reader_of, visitor):
    """An internal indicator is followed for the staff, and not for others."""
    planner = await reader_of("planner")
    indicator = "urn:ngsi-ld:KeyPerformanceIndicator:city:light"
    await city.broker.create(CITY, entity("KeyPerformanceIndicator", indicator, {"kpiValue": prop(14.0)}))
    await city.remembered()
    year = city.clock.now().year
    fields = {"name_en": "Light", "baseYear": str(year), "until": str(year + 5), "convention": "eu_2021"}
    cost = {
        "item": "Lamps",
        "kind": "capital",
        "group": "City",
        "amount_amount": "500",
        "amount_currency": "EUR",
    }
    fields |= {f"items_0_{name}": value for name, value in (cost | {"until": str(year)}).items()}
    gain = {"item": "Light", "group": "People", "indicator": indicator, "unitValue_amount": "100"}
    gain |= {"unitValue_currency": "EUR", "baseline": "10", "change": "8"}
    fields |= {f"benefits_0_{name}": value for name, value in gain.items()}
    page = await planner.done(f"{ANALYSIS}/new", fields)
    assert "What was promised and what was measured" in page
    path = (await planner.data(f"{ANALYSIS}.json"))["records"][0]["href"]
    (kept, total) = (await planner.data(f"{path}/result.json"))["tables"]["kept"]
    assert (kept["promised"], kept["measured"], kept["kept"]) == ("800.00", "400.00", 0.5)
    assert total["measured"] == "400.00"
