"""The action plan's pages: what is missing, the chain of an indicator, time, money, files to take along."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest

from cityloom.indicators.exchange.workbook import rows_of
from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, json_value, prop, rel, text
from cityloom.planning.action.model import Action, Check, Cost, Reporting, Share
from cityloom.planning.model import Milestone, Plan, Target
from cityloom.planning.money import Money
from cityloom.planning.writing import attributes_of
from cityloom.services.host import FiledService

INDICATOR = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
REPORT = "urn:ngsi-ld:CitizenReport:1"
OPEN, INTERNAL = InformationClass.OPEN, InformationClass.INTERNAL
CHECKS = tuple(
    Check(of, "Inspector", date(2026, 3, 1), "passed", "Report 7") for of in ("emf", "security", "privacy")
)


def money(amount, currency="DKK"):
    return Money(Decimal(amount), currency)


def an_id(name):
    return f"urn:ngsi-ld:Initiative:{name}"


async def put(city, name, start, days, *after, phase="planned", secrecy=OPEN, **more):
    """An initiative `start` days from now that takes so many days."""
    begins = city.clock.now().replace(hour=12) + timedelta(days=start)
    action = Action(
        costs=(Cost(2026, "capital", money("100.10")), Cost(2027, "operating", money("0.05"))),
        reporting=Reporting("quarterly", "The council"),
        checks=CHECKS,
        value=4,
        funding=(Share("taxes", Decimal("66.6")), Share("loans", Decimal("33.4"))),
        depends_on=tuple(map(an_id, after)),
        sdg_targets=("11.7",),
    )
    plan = Plan(
        name={"en": name.title(), "da": f"{name.title()} på dansk"},
        description={"en": "x"},
        owner="Parks",
        starts_at=begins,
        ends_at=begins + timedelta(days=days),
        milestones=(Milestone("Half; way", (begins + timedelta(days=days // 2)).date()),),
        targets=(Target(INDICATOR, 90, 99, date(2027, 1, 1)),),
        action=msgspec.structs.replace(action, **more),
    )
    attributes = {key: item for key, item in attributes_of(plan).items() if item is not None}
    attributes |= {"phase": prop(phase), "status": prop("adopted")}
    await city.write(entity("Initiative", an_id(name), attributes), secrecy=secrecy)
    return an_id(name)


@pytest.fixture
async def planned(small_city_class):
    """A chain of three, the first of which ends late; an initiative inside; a report."""
    city = await small_city_class(frameworks=("city",)).start()
    await put(city, "survey", -50, 40, phase="running")
    await put(city, "posts", 5, 20, "survey")
    await put(city, "lamps", 10, 30, "posts", phase="idea", answers_to=(REPORT,))
    await put(city, "alone", 0, 400, value=None)
    await put(city, "secret plan", 0, 9, secrecy=INTERNAL)
    said = {"status": prop("received"), "category": prop("road"), "description": text(en="Dark here")}
    await city.write(entity("CitizenReport", REPORT, said), secrecy=INTERNAL)
    yield city
    await city.stop()


@pytest.fixture
async def planner(planned, reader_class):
    return await reader_class(planned).sign_in("planner")


@pytest.fixture
def stranger(planned, reader_class):
    return reader_class(planned)


async def test_the_timeline_passes_lateness_on_and_says_all_in_words(planner, stranger):
    rows = {row["name"]: row for row in (await planner.data("/plan/action/timeline.json"))["rows"]}
    assert (rows["Survey"]["late"], rows["Posts"]["late"], rows["Lamps"]["late"]) == (10, 0, 15)
    assert rows["Lamps"]["becauseOf"] == "Posts" and rows["Lamps"]["isCritical"]
    assert "Secret Plan" in rows
    page = await stranger.text("/plan/action/timeline")
    assert "Secret Plan" not in page
    assert "would begin 15 days later" in page and "◆ Lamps" in page
    drawing = re.search(r'<svg class="gantt".*?</svg>', page, re.S)[0]
    assert drawing.count('class="arrow') == 2 and 'class="now"' in drawing
    assert drawing.count('class="critical"') == page.count("◆ critical") == 2
    assert f'href="/initiatives/{an_id("lamps")}"' in drawing


async def test_a_delay_is_tried_and_nothing_of_it_is_saved(planner):
    asked = f"/plan/action/timeline.json?late={an_id('posts')}&days=40"
    rows = {row["name"]: row for row in (await planner.data(asked))["rows"]}
    assert (rows["Posts"]["late"], rows["Lamps"]["late"]) == (40, 55)
    rows = {row["name"]: row for row in (await planner.data("/plan/action/timeline.json"))["rows"]}
    assert rows["Lamps"]["late"] == 15
    late = await planner.data("/plan/action/timeline.json?show=late")
    assert {row["name"] for row in late["rows"]} == {"Survey", "Lamps"}


async def test_an_indicator_leads_to_its_initiatives_money_contracts_and_voices_and_back(planned, planner):
    contract = {"name": text(en="Lamps for ten years"), "initiative": rel(an_id("lamps"))}
    contract |= {"periods": json_value([])}
    await planned.write(entity("ServiceContract", "urn:ngsi-ld:ServiceContract:1", contract), secrecy=OPEN)
    page = await planner.text("/indicators/city/S2")
    assert f'href="/initiatives/{an_id("lamps")}"' in page and "100.15\u00a0DKK" in page
    assert f'href="/reports/{REPORT}"' in page and "Dark here" in page
    assert "Lamps for ten years" in page and "/plan/contracts/urn:ngsi-ld:ServiceContract:1" in page
    page = await planner.text(f"/initiatives/{an_id('lamps')}")
    assert 'href="/entities/' + INDICATOR in page or "/indicators/city/S2" in page
    assert f'href="/reports/{REPORT}">Dark here' in page
    assert "on the critical path" in page and "It waits for:" in page
    assert "Lamps for ten years" in page
    assert "What came of it" in await planner.text(f"/reports/{REPORT}")


async def test_what_citizens_said_inside_is_not_shown_outside(stranger):
    for path in ("/indicators/city/S2", f"/initiatives/{an_id('lamps')}", "/indicators/city/S2.json"):
        assert "Dark here" not in await stranger.text(path)
    data = await stranger.data(f"/initiatives/{an_id('lamps')}.json")
    assert data["citizensSaid"] == []


async def test_the_author_of_a_report_sees_what_came_of_it(planned, stranger):
    fields = {"category": "road", "description": "No light", "latitude": "56.05", "longitude": "8.95"}
    answer = await stranger.send("/report", fields, seen="/report")
    path = answer.headers["location"].partition("?")[0]
    assert "What came of it" not in await stranger.text(path)
    (found,) = [one for one in planned.broker.of_type(CITY, "CitizenReport") if one["id"] != REPORT]
    await put(planned, "answer", 0, 30, answers_to=(found["id"],))
    await put(planned, "inside", 0, 30, answers_to=(found["id"],), secrecy=INTERNAL)
    page = await stranger.text(path)
    assert "What came of it" in page and "Answer" in page and ">Inside<" not in page


async def test_the_budget_says_the_same_on_the_page_and_in_the_files(planner, stranger):
    (budget,) = (await stranger.data("/plan/action/budget.json"))["budgets"]
    assert (budget["total"], budget["capital"], budget["operating"]) == ("400.60", "400.40", "0.20")
    table = (await stranger.get("/plan/action/budget.csv")).content.decode("utf-8-sig")
    amounts = [Decimal(line.split(",")[4]) for line in table.splitlines()[1:]]
    assert sum(amounts[:-1]) == amounts[-1] == Decimal("400.60")
    assert (await planner.data("/plan/action/budget.json"))["budgets"][0]["total"] == "500.75"
    assert "400.60\u00a0DKK" in await stranger.text("/plan/action/budget")


async def test_tables_are_workbooks_that_others_read(stranger):
    for stem in ("timeline", "budget", "ranking"):
        content = (await stranger.get(f"/plan/action/{stem}.xlsx")).content
        assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
        rows = list(rows_of(content, f"{stem}.xlsx"))
        written = (await stranger.get(f"/plan/action/{stem}.csv")).content.decode("utf-8-sig")
        assert len(rows) == len(written.splitlines())


async def test_the_calendar_holds_milestones_and_days_of_report(stranger):
    said = (await stranger.get("/plan/action/calendar.ics")).content.decode()
    whole = said.replace("\r\n ", "")
    assert whole.count("BEGIN:VEVENT") == whole.count("END:VEVENT") >= 8
    assert "SUMMARY:Lamps: Half\\; way" in whole and "SUMMARY:Report: Alone" in whole
    assert "Secret" not in whole


async def test_the_ranking_follows_the_weights_and_names_what_is_not_ranked(stranger):
    data = await stranger.data("/plan/action/ranking.json?value=0&cost=0&time=1&effort=0")
    assert [row["name"] for row in data["ranked"]] == ["Posts", "Lamps", "Survey"]
    assert data["leftOut"] == 1 and data["weights"]["time"] == 1
    assert data["ranked"][0]["score"] == pytest.approx(50) and data["ranked"][0]["isQuickWin"]
    data = await stranger.data("/plan/action/ranking.json?value=0&cost=0&time=0&effort=0")
    assert data["weights"]["value"] == 2
    page = await stranger.text("/plan/action/ranking?value=much&cost=nan&time=-3&quickDays=25")
    assert "missing: value" in page and page.count("</svg>quick win<") == 1


async def test_the_calculator_parts_an_amount_to_the_cent_and_refuses_another_sum(stranger):
    asked = "/plan/action/funding{}?amount=100&currency=DKK&share_taxes=66.6&share_loans=33.4"
    plan = "&arrangement=exportCredit&rate=10&firstYear=2027&years=2"
    data = (await stranger.data(asked.format(".json") + plan))["calculator"]
    assert {name: one["amount"] for name, one in data["parts"].items()} == {
        "taxes": "66.60",
        "loans": "33.40",
    }
    assert [one["interest"] for one in data["profile"]["payments"]] == ["10.00", "5.00"]
    answer = await stranger.get(asked.format("") + "&share_advertising=1")
    assert answer.status_code == 400 and "The shares come to 101.0 percent" in answer.text
    answer = await stranger.get("/plan/action/funding?amount=1.001&currency=DKK")
    assert answer.status_code == 400 and "finer" in answer.text


async def test_the_overview_flags_groups_without_targets_and_initiatives_that_say_too_little(
    planned, planner
):
    await planned.write(
        entity("Initiative", an_id("bare"), {"name": text(en="Bare"), "phase": prop("idea")}), secrecy=OPEN
    )
    data = await planner.data("/plan/action.json")
    assert [one["name"] for one in data["gaps"] if one["missing"]] == ["Bare"]
    assert set(data["targetGroups"].values()) == {0}
    assert data["sustainableDevelopment"][0]["targets"][0]["count"] == 5
    page = await planner.text("/plan/action")
    assert page.count("no target yet") == 6 and f"/initiatives/{an_id('bare')}/edit/costs" in page


async def test_elements_of_the_portfolio_that_are_missing_are_flagged_before_approval(planner):
    path = f"/initiatives/{an_id('posts')}"
    page = await planner.text(path)
    assert "Elements of the portfolio that are missing:" in page and f"{path}/edit/checks" in page
    every = {f"portfolio_{name}": "Settled." for name in ("financing", "integration", "operation", "network")}
    await planner.done(f"{path}/edit/checks", every)
    rows = {one["name"]: one for one in (await planner.data("/plan/action.json"))["gaps"]}
    assert [gap["field"] for gap in rows["Posts"]["elements"]] == ["portfolio.security"]
    await planner.done(f"{path}/edit/checks", {**every, "portfolio_security": "Reviewed."})
    assert "Posts" not in {one["name"] for one in (await planner.data("/plan/action.json"))["gaps"]}
    assert "Elements of the portfolio" not in await planner.text(path)


#: What an adopted initiative must go on saying in the step "Why and how".
COURSE = {"kind": "project", "rhythm": "quarterly", "reportTo": "The council"}


async def test_initiatives_are_filed_by_area_and_domain_and_what_is_missing_is_a_gap(planner, stranger):
    chosen = {**COURSE, "areas": ["transport", "eco"], "domain": "transport"}
    await planner.done(
        f"/initiatives/{an_id('posts')}/edit/course", {**chosen, "initiation": "partners", "origin": "hybrid"}
    )
    data = await stranger.data("/plan/action/coverage.json")
    areas = {one["id"]: one for one in data["areas"]}
    assert [one["name"] for one in areas["transport"]["initiatives"]] == ["Posts"]
    assert [one["name"] for one in areas["transport"]["cities"]] == [
        "Dakota County",
        "Dublin",
        "Lavasa",
        "Shenyang",
        "Trondheim",
    ]
    assert {one["id"] for one in data["areas"] if not one["isGap"]} == {"transport", "eco"}
    assert {one["id"] for one in data["domains"] if not one["isGap"]} == {"transport"}
    assert "Posts" not in {one["name"] for one in data["withoutDomain"]} and len(data["withoutArea"]) == 3
    assert "secret plan" not in (await stranger.text("/plan/action/coverage")).casefold()
    table = (await stranger.get("/plan/action/coverage.csv")).text
    assert "area,transport,Transport,Posts,Dakota County; Dublin" in table
    for side, value in (("area", "eco"), ("domain", "transport"), ("initiation", "partners")):
        data = await stranger.data(f"/initiatives.json?{side}={value}")
        assert [one["name"] for one in data["initiatives"]] == ["Posts"]
    assert "Nothing fits" in await stranger.text("/initiatives?area=industry")
    assert '/initiatives?origin=hybrid"' in await stranger.text("/plan/action")


async def test_services_are_filed_under_their_domains(planned, planner, stranger, monkeypatch):
    filed = [FiledService("frost", {"en": "Frost"}, "safety"), FiledService("own", {"en": "Our own"}, "")]
    monkeypatch.setattr(planned.rooms.services, "filed", lambda _: filed)
    page = await stranger.text("/plan/action/coverage")
    assert "Frost" in page and "filed under no domain: Our own" in " ".join(page.split())
    assert 'href="/services#service-frost"' in await planner.text("/plan/action/coverage")
    assert "domain,safety,Public safety,,,Frost" in (await stranger.get("/plan/action/coverage.csv")).text


async def test_an_initiative_lists_the_laws_that_it_touches_and_its_exemptions(planner, stranger):
    law = {"name_en": "Road act", "kind": "law", "sandbox": "true"}
    assert "terms of the sandbox" in await planner.refused("/plan/laws/new", law)
    await planner.done("/plan/laws/new", {**law, "terms": "Six months, by the council."})
    (row,) = (await planner.data("/plan/laws.json"))["records"]
    path = f"/initiatives/{an_id('posts')}"
    typed = {**COURSE, "law_0": "Road act", "exemption_0": "No signs", "law_1": "Some custom"}
    await planner.done(f"{path}/edit/course", typed)
    shown = {one["name"]: one for one in (await planner.data(f"{path}.json"))["action"]["laws"]}
    assert shown["Road act"]["href"] == row["href"] and shown["Some custom"]["record"] == ""
    page = await planner.text(row["href"])
    assert "No signs" in page and "Posts" in page
    # The register's draft is the city's: others read the name alone.
    assert row["href"] not in await stranger.text(path) and "Road act" in await stranger.text(path)
    # Saved again, it stays tied to its record.
    await planner.done(f"{path}/edit/course", typed)
    again = {one["name"]: one for one in (await planner.data(f"{path}.json"))["action"]["laws"]}
    assert again["Road act"]["record"] == shown["Road act"]["record"] != ""


async def test_a_step_keeps_what_was_typed_and_marks_what_is_wrong(planner):
    path = f"/initiatives/{an_id('posts')}/edit"
    said = await planner.refused(f"{path}/funding", {"share_taxes": "50", "arrangement": "none"})
    assert "50" in said and "100" in said
    answer = await planner.send(f"{path}/course", {"kind": "project", "depends_0": "Nowhere"})
    assert answer.status_code == 400 and 'value="Nowhere"' in answer.text
    assert "Nothing has this name." in answer.text
    said = await planner.refused(f"{path}/course", {"kind": "project", "depends_0": "Lamps"})
    assert "wait for each other" in said and "Posts → Lamps → Posts" in said
    said = await planner.refused(f"{path}/course", {"kind": "project", "sdgTargets": "18.1"})
    assert "18.1" in said
    said = await planner.refused(f"{path}/checks", {"result_emf": "passed"})
    assert "who examined it" in said


async def test_an_adopted_budget_changes_on_the_page_only_with_a_decision(planned, planner):
    path = f"/initiatives/{an_id('posts')}/edit/costs"
    costs = {"currency": "DKK", "year_0": "2026", "capital_0": "200", "operating_0": "0"}
    assert "only by a decision" in await planner.refused(path, costs)
    decision = "urn:ngsi-ld:CommitteeDecision:1"
    said = {"name": text(en="More for posts"), "kind": prop("budget"), "initiative": rel(an_id("posts"))}
    await planned.write(entity("CommitteeDecision", decision, said), secrecy=OPEN)
    assert "More for posts" in await planner.text(path)
    page = await planner.done(path, {**costs, "budgetDecision": decision})
    assert "200\u00a0DKK" in page and "More for posts" in page and "Undo" in page
    assert "only by a decision" in await planner.refused(path, {**costs, "capital_0": "300"})


async def test_refusals_are_told_in_the_readers_language(planned, reader_class):
    reader = await reader_class(planned, language="da").sign_in("planner")
    made = await reader.send("/initiatives/new", {"name_da": "Lys", "description_da": "x"})
    said = await reader.refused(made.headers["location"], {"act": "adopt"})
    assert "Det kan ikke godkendes endnu: hvornår det begynder" in said
    assert "Before it is" not in await reader.text(made.headers["location"])
