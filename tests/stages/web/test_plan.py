"""The plan's workspace: gates, baselines, versions, dependencies, monitoring, learning."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import timedelta

import pytest
import small_city

from cityloom.access.authority import OPEN_ACCESS
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import ANONYMOUS
from cityloom.ngsild.model import entity, json_value, prop, rel, text
from cityloom.planning.masterplan import versions

DECIDED = {"name_en": "The council adopts the plan", "decidedOn": "2026-04-09", "kind": "adoption"}


@pytest.fixture
async def city():
    """A city with indicators of its own."""
    made = await small_city.SmallCity(frameworks=("city",)).start()
    yield made
    await made.stop()


async def written(reader, path: str, name: str, **more: str) -> str:
    """A new record's address; it is published."""
    await reader.done(f"/plan/{path}/new", {"name_en": name, **more})
    rows = (await reader.data(f"/plan/{path}.json"))["records"]
    address = next(row["href"] for row in rows if row["name"] == name)
    await reader.done(address, {"act": "publish"})
    return address


async def decided(reader, council: str, kind: str = "adoption") -> str:
    """A published decision's address."""
    return await written(
        reader, "decisions", "Decided", body=id_of(council), decidedOn="2026-04-09", kind=kind
    )


def id_of(address: str) -> str:
    return address.rsplit("/", 1)[1]


async def indicator(city, point: str, value: float) -> str:
    """A value that somebody enters for the city's own indicator."""
    await city.indicators.publish()
    found = f"urn:ngsi-ld:KeyPerformanceIndicator:{point}"
    until = city.clock.now()
    entry = Entry(since=until - timedelta(days=30), until=until, value=value, source="Counted")
    await city.indicators.enter(OPEN_ACCESS, found, entry)
    return found


async def test_the_gate_says_what_is_missing_and_is_passed_with_a_reason(reader_of, visitor):
    planner = await reader_of("planner")
    page = await planner.text("/plan")
    assert "What the open phase still asks for" in page and "A frozen baseline" in page
    page = await planner.text("/plan/phases/1")
    assert 'href="/plan/vision/new"' in page and "Nobody has said what the plan is for" in page
    assert (await visitor.send("/plan/phases/1", {"to": "2", "reason": "x"})).status_code == 401
    refused = await planner.refused("/plan/phases/1", {"to": "2"})
    assert "Not everything that this phase asks for is there" in refused
    page = await planner.done("/plan/phases/1", {"to": "2", "reason": "The council waits"})
    assert "Strategy" in page and "The council waits" in page and "7 things were missing" in page
    assert (await visitor.data("/plan.json"))["phase"] == 2
    await planner.done("/plan/phases/1", {"to": "1", "reason": "A new council"})
    assert (await visitor.data("/plan.json"))["phase"] == 1
    assert "The council waits" in await planner.text("/plan/phases/1"), "going back loses nothing"
    assert "Planner · " in await planner.text("/plan/phases/1")
    assert "Planner" not in await visitor.text("/plan/phases/1"), "who of the city it was, is the city's"
    assert "The council waits" in await visitor.text("/plan/phases/1")
    plan = (await visitor.get("/ngsi-ld/v1/entities?type=MasterPlan")).text
    assert "The council waits" in plan and "person:" not in plan and "draft-city" not in plan
    assert "person:" in (await planner.get("/ngsi-ld/v1/entities?type=MasterPlan")).text


async def test_what_is_written_down_opens_the_gate(reader_of):
    planner = await reader_of("planner")

    async def met() -> set[str]:
        asked = (await planner.data("/plan/phases/1.json"))["requirements"]
        return {one["name"] for one in asked if one["met"]}

    assert await met() == {"circles"}
    await written(planner, "vision", "A town to grow old in", purposes_0_purpose="Clean air")
    await written(planner, "stage", "The whole town", young="5", old="20", growth="2", stage="mature")
    tram = await written(planner, "processes", "Tram", steps_0_step="Drive")
    power = await written(planner, "processes", "Power", steps_0_step="Feed", dependsOn=id_of(tram))
    assert await met() == {"circles", "vision", "stage", "services"}
    await planner.done(
        f"{tram}/edit", {"name_en": "Tram", "steps_0_step": "Drive", "dependsOn": id_of(power)}
    )
    assert "circles" not in await met()
    assert "They wait for each other" in await planner.text("/plan/dependencies")


async def test_the_stage_is_told_from_evidence_and_another_one_takes_a_reason(reader_of):
    planner = await reader_of("planner")
    evidence = {"name_en": "Old town", "old": "70", "empty": "12", "stage": "mature"}
    assert "speaks for another stage" in await planner.refused("/plan/stage/new", evidence)
    page = await planner.done("/plan/stage/new", {**evidence, "reason": "It is being renewed"})
    assert "Deteriorated" in page and "decided otherwise" in page
    assert "Build a data hub that departments share" in page


async def test_a_baseline_is_frozen_and_later_values_are_held_against_it(
    city, reader_of, visitor, monkeypatch
):
    planner = await reader_of("planner")
    found = await indicator(city, "city:S1", 40.0)
    page = await planner.done("/plan/baselines", {"name": "Before the plan"})
    assert "unchanged since it was frozen" in page and "frozen by Planner" in page
    (listed,) = (await visitor.data("/plan/baselines.json"))["baselines"]
    raw = (await visitor.get(f"{listed['href']}/file")).content
    assert hashlib.sha256(raw).hexdigest() == listed["sha256"]
    assert "Planner" not in await visitor.text(listed["href"])
    await indicator(city, "city:S1", 25.0)
    told = await visitor.data(f"{listed['href']}.json")
    (value,) = [one for one in told["values"] if one["indicator"] == found]
    assert (value["value"], value["now"], value["change"]) == (40.0, 25.0, -15.0)
    assert (await visitor.get(f"{listed['href']}/file")).content == raw
    rows = list(
        csv.DictReader(io.StringIO((await visitor.get(f"{listed['href']}.csv")).text.lstrip("\ufeff")))
    )
    assert [row["change"] for row in rows if row["indicator"] == found] == ["-15.0"]
    monkeypatch.setattr(city.evidence, "get", lambda digest: None)
    assert "gone, or not what it was" in await visitor.text(listed["href"])


async def test_the_council_adopts_a_version_that_anybody_can_verify_and_compare(city, reader_of, visitor):
    planner, committee = await reader_of("planner"), await reader_of("committee")
    goal = await written(planner, "goals", "Clean air", priority="1")
    await planner.done("/plan/goals/new", {"name_en": "A secret goal"})
    council = await written(planner, "bodies", "Council", kind="council", leads="true")
    decision = await written(
        committee, "decisions", "Adopted", **{**DECIDED, "name_en": "Adopted"}, body=id_of(council)
    )
    assert (await planner.send("/plan/versions", {"decision": id_of(decision)})).status_code == 403
    edited = {**DECIDED, "name_en": "Adopted", "body": id_of(council), "votes": "7 secret votes"}
    await committee.done(f"{decision}/edit", edited)
    page = await committee.done("/plan/versions", {"decision": id_of(decision)})
    assert "cityloom plan verify" in page
    assert "rests on this decision already" in await committee.refused(
        "/plan/versions", {"decision": id_of(decision)}
    )
    (listed,) = (await visitor.data("/plan/versions.json"))["versions"]
    assert "frozen by Committee" in page and "frozen by" not in await visitor.text(listed["href"])
    # Nor does the open Entity name the account.
    told = str(city.broker.find(ANONYMOUS, listed["id"]))
    assert "PlanVersion" in told and "person:" not in told
    raw = (await visitor.get(f"{listed['href']}/file")).content
    said = versions.verify(raw, digest=listed["sha256"])
    assert (said.number, said.adopted_on, said.decision["body"]) == (1, "2026-04-09", "Council")
    assert b"secret" not in raw and said.counts == {"CommitteeDecision": 1, "Goal": 1, "PlanBody": 1}
    await planner.done(f"{goal}/edit", {"name_en": "Cleaner air", "priority": "1"})
    compare = f"/plan/versions/compare?before={listed['id']}"
    assert "They say the same" in await visitor.text(compare), "what is not published is not in the plan"
    await planner.done("/plan/unpublished", {"record": id_of(goal)})
    found = (await visitor.data(compare.replace("compare?", "compare.json?")))["differences"]
    assert [(one["did"], one["fields"][0]["before"], one["fields"][0]["after"]) for one in found] == [
        ("changed", "Clean air", "Cleaner air")
    ]
    assert (await visitor.get(f"{listed['href']}/file")).content == raw


async def test_only_a_published_decision_of_an_adoption_carries_a_version(reader_of):
    planner, committee = await reader_of("planner"), await reader_of("committee")
    council = await written(planner, "bodies", "Council", kind="council")
    other = await written(
        committee,
        "decisions",
        "Other",
        **{**DECIDED, "name_en": "Other", "kind": "other"},
        body=id_of(council),
    )
    assert "no decision by which the plan is adopted" in await committee.refused(
        "/plan/versions", {"decision": id_of(other)}
    )
    await committee.done("/plan/decisions/new", {**DECIDED, "body": id_of(council)})
    rows = (await committee.data("/plan/decisions.json"))["records"]
    drafted = next(row["id"] for row in rows if row["name"] == DECIDED["name_en"])
    assert "The decision is not published" in await committee.refused("/plan/versions", {"decision": drafted})


async def test_the_monitoring_leads_from_goals_to_indicators_for_everybody(city, reader_of, visitor):
    planner = await reader_of("planner")
    found = await indicator(city, "city:S1", 30.0)
    air = await written(planner, "goals", "Clean air")
    lorries = await written(planner, "goals", "Fewer lorries", parent=id_of(air))
    target = {"indicator": found, "baseline": 50.0, "target": 20.0, "due": "2026-12-31"}
    attributes = {
        "name": text(en="Lorries out"),
        "phase": prop("running"),
        "budget": prop({"amount": "100.00", "currency": "DKK"}),
        "spent": prop({"amount": "40.00", "currency": "DKK"}),
        "startsAt": prop("2026-01-01T00:00:00Z"),
        "milestones": json_value([{"name": "Signs up", "due": "2026-02-01"}]),
        "targets": json_value([target]),
        "servesGoal": rel([id_of(lorries)]),
    }
    await city.write(entity("Initiative", "urn:ngsi-ld:Initiative:lorries", attributes))
    await planner.done("/plan/goals/new", {"name_en": "A secret goal"})
    told = await visitor.data("/plan/monitoring.json")
    (goal,) = told["goals"]
    (task,) = goal["parts"][0]["initiatives"]
    (measured,) = task["indicators"]
    assert (measured["baseline"], measured["now"], measured["target"]) == (50.0, 30.0, 20.0)
    assert measured["verdict"] == goal["verdict"] == "onTheWay"
    assert told["money"] == [{"currency": "DKK", "budget": "100.00", "spent": "40.00", "share": 0.4}]
    assert [one["milestone"] for one in told["overdue"]] == ["Signs up"]
    page = await visitor.text("/plan/monitoring")
    assert "Clean air" in page and "Signs up" in page and "A secret goal" not in page
    assert "A secret goal" in await planner.text("/plan/monitoring")
    assert "Lorries out" in (await visitor.get("/plan/monitoring.csv")).text


async def test_an_outside_factor_is_watched_by_an_indicator_or_an_entity(city, reader_of):
    planner = await reader_of("planner")
    found = await indicator(city, "city:S1", 30.0)
    await city.write(entity("Price", "urn:ngsi-ld:Price:power", {"price": prop(2.0)}))
    await written(
        planner, "watch-list", "Dust", kind="environmental", indicator=found, high="20", answer="Meet"
    )
    price = {"entity": "urn:ngsi-ld:Price:power", "attribute": "price", "high": "4"}
    await written(planner, "watch-list", "Price of power", kind="economic", **price)
    states = {one["name"]: one["state"] for one in (await planner.data("/plan/monitoring.json"))["watched"]}
    assert states == {"Dust": "outside", "Price of power": "within"}


async def test_what_is_learned_changes_the_plan_or_is_refused_with_a_reason(reader_of):
    planner = await reader_of("planner")
    goal = await written(planner, "goals", "Clean air", priority="3")
    about = {"level": "whole", "until": "2026-04-01", "method": "Interviews", "result": "partly"}
    evaluation = await written(planner, "evaluations", "The first year", **about)
    said = {"because": id_of(evaluation), "record": id_of(goal), "reason": "It matters more"}
    change = await written(planner, "changes", "First", field="priority", value="1", **said)
    wrong = await written(planner, "changes", "Nonsense", field="priority", value="soon", **said)
    page = await planner.done(f"{change}/answer", {"act": "accept", "answer": "Agreed on 9 April"})
    assert "applied to the plan" in page and "Answer it" not in page
    assert (await planner.data(f"{goal}.json"))["values"]["priority"] == 1
    assert "Agreed on 9 April" in await planner.text(goal), "why it was edited is kept"
    assert "Nothing was changed" in await planner.done(f"{wrong}/answer", {"act": "accept", "answer": "Yes"})
    await planner.done(f"{wrong}/answer", {"act": "refuse", "answer": "No number"})
    assert (await planner.data(f"{wrong}.json"))["values"]["state"] == "refused"
    assert "answered already" in await planner.done(f"{wrong}/answer", {"act": "accept", "answer": "Yes"})


async def test_what_is_told_when_comes_as_a_calendar(reader_of, visitor):
    planner = await reader_of("planner")
    await written(
        planner, "communication", "Open house", on="2026-05-02", audience="everybody", means="A meeting"
    )
    answer = await visitor.get("/plan/communication.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    assert "SUMMARY:Open house" in answer.text and "DTSTART;VALUE=DATE:20260502" in answer.text


async def test_goals_show_which_dimensions_are_covered(city, reader_of):
    planner = await reader_of("planner")
    await indicator(city, "city:S1", 30.0)
    await written(planner, "goals", "Clean air", dimensions="environmental", sdgTargets="11.6")
    told = await planner.data("/plan/goal-tree.json")
    covered = {one["dimension"]: one["covered"] for one in told["dimensions"]}
    assert covered == {"societal": False, "economic": False, "environmental": True, "governmental": False}
    assert told["goals"][0]["sdgTargets"][0]["code"] == "11.6"
    assert "not covered" in await planner.text("/plan/goal-tree")


async def test_infrastructure_is_shown_by_category(reader_of, visitor):
    planner = await reader_of("planner")
    said = {"category": "sensors", "count": "12", "owner": "City", "since": "2016-01-01", "lifetime": "8"}
    await written(planner, "infrastructure", "Air sensors", **said)
    rows = (await visitor.data("/plan/state-of-infrastructure.json"))["categories"]
    sensors = next(row for row in rows if row["category"] == "sensors")
    assert len(rows) == 14 and sensors["count"] == 12 and sensors["overdue"] == 1
    page = await visitor.text("/plan/state-of-infrastructure")
    assert "to be renewed" in page and "nothing is said of it" in page


def test_what_is_frozen_is_json_that_anybody_reads():
    assert json.loads(versions.handed_out({"a": 1}))["plan"] == {"a": 1}


SHEET = """list,name.en,parent,urbanPlan,servesGoal,owner,budget,startsAt,nonsense
goals,Fewer lorries,Clean air,The ring,,,,,
goals,Clean air,,,,,,,
urban-plan,The ring,,,,,,,
initiatives,Lorries out,,,Fewer lorries,Roads,1200.50 EUR,2026-05-01,
goals,Wrong,,,,,,,what
nothing,Nobody,,,,,,,
initiatives,Nowhere,,,No such goal,,,,
"""


async def test_an_existing_plan_comes_in_as_one_table_looked_at_first(reader_of, visitor):
    planner = await reader_of("planner")
    files = {"file": ("plan.csv", SHEET.encode(), "text/csv")}
    page = (await planner.send("/plan/import", {"act": "look"}, files=files)).text
    assert "What would be done" in page and "new: 4" in page and "wrong: 3" in page
    assert (await planner.data("/plan/goals.json"))["total"] == 0, "nothing is written by looking"
    page = (await planner.send("/plan/import", {"act": "bring"}, files=files)).text
    assert "What was done" in page and "new: 4" in page and "wrong: 3" in page
    (goal,) = (await planner.data("/plan/monitoring.json"))["goals"]
    assert goal["name"] == "Clean air" and goal["parts"][0]["name"] == "Fewer lorries"
    (task,) = goal["parts"][0]["initiatives"]
    assert task["name"] == "Lorries out" and task["budget"]["amount"] == "1200.50"
    for address in ("/plan/all.csv", "/plan/all.xlsx"):
        out = (await planner.get(address)).content
        again = {"file": ("plan", out, "application/octet-stream")}
        page = (await planner.send("/plan/import", {"act": "look"}, files=again)).text
        assert "as it is: 4" in page and "wrong" not in page.partition("<table")[0].partition("badge")[2]
    assert b"Clean air" not in (await visitor.get("/plan/all.csv")).content
    told = await planner.data("/plan/all.json")
    assert {one["type"] for one in told["records"]} == {"Goal", "UrbanPlanItem"}
    assert [one["plan"]["name"]["en"] for one in told["initiatives"]] == ["Lorries out"]
    refused = await planner.send(
        "/plan/import", {"act": "look"}, files={"file": ("x.csv", b"a,b\n1,2\n", "text/csv")}
    )
    assert refused.status_code == 400 and "This is no table of a plan" in refused.text
