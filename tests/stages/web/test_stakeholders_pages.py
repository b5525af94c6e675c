"""Pages of stakeholders: loaded, edited, contacted, drawn; what is internal stays inside."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

BASE = "/plan/stakeholders"


async def body(reader, path: str) -> str:
    """What is sent, entities as they are."""
    answer = await reader.get(path)
    assert answer.status_code == 200, path
    return answer.text


DIAGRAMS = ("map", "classification", "onion", "grid", "trend")
FOR_STAFF = (
    f"{BASE}/engagement",
    f"{BASE}/participation",
    f"{BASE}/analysis",
    *(f"{BASE}/diagrams/{name}" for name in ("onion", "grid", "trend")),
)


async def loaded(planner, what: str = "categories"):
    await planner.done(f"{BASE}/load", {"what": what})
    return (await planner.data(f"{BASE}.json"))["stakeholders"]


async def test_the_defaults_are_loaded_by_one_act_and_never_twice(reader_of, visitor):
    planner = await reader_of("planner")
    assert "nobody yet" in await planner.text(BASE)
    rows = await loaded(planner)
    assert len(rows) == 12
    assert "They are all there already" in await planner.done(f"{BASE}/load", {"what": "categories"})
    assert len(await loaded(planner, "municipal")) == 22
    assert len(await loaded(planner, "national")) == 30
    finance = next(row for row in await loaded(planner) if row["name"] == "Finance")
    assert "partnerships paid by indicators" in await planner.text(f"{BASE}/{finance['id']}")
    assert "Nobody is written down yet" in await visitor.text(BASE)


async def test_they_are_loaded_in_the_language_of_who_loads_them(reader_of):
    planner = await reader_of("planner")
    await planner.done("/language", {"language": "da"})
    rows = await loaded(planner)
    ngo = next(row for row in rows if row["category"] == "ngo")
    assert "Rådgiver om social bæredygtighed" in await planner.text(f"{BASE}/{ngo['id']}")


async def test_a_contact_changes_how_somebody_stands_and_the_course_is_kept(reader_of):
    planner = await reader_of("planner")
    one = next(row for row in await loaded(planner) if row["category"] == "ict")
    form = await planner.text(f"{BASE}/note-contact?stakeholder={one['id']}")
    assert 'name="name_en"' not in form
    for day, level, power in (("2026-03-01", "resistant", "8"), ("2026-03-20", "supportive", "")):
        await planner.done(
            f"{BASE}/note-contact",
            {
                "stakeholder": one["id"],
                "day": day,
                "channel": "meeting",
                "who": "the office of planning",
                "said": "They <fear> the cost",
                "level": level,
                "power": power,
                "interest": "7",
            },
        )
    page = await planner.text(f"{BASE}/{one['id']}")
    assert "They &lt;fear&gt; the cost" in await body(planner, f"{BASE}/{one['id']}")
    assert (
        "Supportive" in page
        and "Manage closely" in page
        and "<svg" in await body(planner, f"{BASE}/{one['id']}")
    )
    trend = await planner.data(f"{BASE}/diagrams/trend.json")
    assert [row[1:] for row in trend["rows"]] == [["0", "1", "0", "0", "0"], ["0", "0", "0", "1", "0"]]
    row = next(one for one in (await planner.data(f"{BASE}/engagement.json"))["rows"] if one[1])
    assert row[1] == "Supportive" and row[4:6] == ["8", "7"] and row[3].startswith("Work together")
    assert "is missing" in await planner.refused(f"{BASE}/note-contact", {"stakeholder": one["id"]})


async def test_roles_follow_each_other_in_a_project(reader_of):
    planner = await reader_of("planner")
    one = next(row for row in await loaded(planner) if row["category"] == "ngo")
    await planner.done("/plan/goals/new", {"name_en": "Clean air"})
    goal = (await planner.data("/plan/goals.json"))["records"][0]["id"]
    for since, role in (("2026-01-01", "opponent"), ("2026-02-01", "supporter")):
        await planner.done(
            f"{BASE}/note-role", {"stakeholder": one["id"], "project": goal, "since": since, "role": role}
        )
    page = await planner.text(f"{BASE}/{one['id']}")
    assert "Affected, opposes it" in page and "Affected, supports it" in page
    rows = (await planner.data(f"{BASE}/diagrams/classification.json?project={goal}"))["rows"]
    assert [row[2] for row in rows if row[2] != "No role yet"] == ["Affected, supports it"]


async def test_each_diagram_says_the_same_as_its_table_and_is_taken_along(reader_of):
    planner = await reader_of("planner")
    rows = await loaded(planner)
    first, second = rows[0]["id"], rows[1]["id"]
    await planner.done(
        "/plan/stakeholder-relations/new",
        {"name_en": "x", "source": first, "target": second, "relation": "funding", "strength": "3"},
    )
    await planner.done(
        f"{BASE}/note-contact",
        {
            "stakeholder": first,
            "day": "2026-03-01",
            "channel": "visit",
            "level": "leading",
            "power": "9",
            "interest": "2",
        },
    )
    version = (
        (await body(planner, f"{BASE}/{first}/edit")).partition('name="version" value="')[2].partition('"')[0]
    )
    await planner.done(
        f"{BASE}/{first}/edit",
        {"name_en": "First", "category": "ngo", "involvement": "core", "version": version},
    )
    for name in DIAGRAMS:
        path = f"{BASE}/diagrams/{name}"
        data = await planner.data(f"{path}.json")
        assert data["rows"], name
        answer = await planner.get(f"{path}.svg")
        assert answer.headers["content-type"].startswith("image/svg+xml")
        drawn = ElementTree.fromstring(answer.text)
        assert drawn.get("role") == "img" and next(iter(drawn)).text
        table = list(csv.reader(io.StringIO((await planner.get(f"{path}.csv")).text.lstrip("\ufeff"))))
        assert table == [data["columns"], *data["rows"]]
    assert ["First", "Funds", rows[1]["name"], "One way", "Strong"] in (
        await planner.data(f"{BASE}/diagrams/map.json?stakeholder={first}")
    )["rows"]
    assert (await planner.get(f"{BASE}/diagrams/nothing")).status_code == 404


async def test_how_somebody_stands_is_seen_by_nobody_outside_also_when_they_are_published(reader_of, visitor):
    planner = await reader_of("planner")
    one = (await loaded(planner))[0]["id"]
    await planner.done(
        f"{BASE}/note-contact",
        {
            "stakeholder": one,
            "day": "2026-03-01",
            "channel": "visit",
            "said": "Whispered",
            "level": "resistant",
            "power": "9",
            "interest": "9",
        },
    )
    await planner.done(f"{BASE}/{one}", {"act": "publish"})
    for path in FOR_STAFF:
        assert (await visitor.get(path)).status_code in (303, 401, 403), path
        assert (await visitor.get(f"{path}.json")).status_code in (303, 401, 403), path
    seen = [
        await body(visitor, f"{BASE}{path}")
        for path in (
            "",
            ".json",
            ".csv",
            f"/{one}",
            f"/{one}.json",
            "/matrix",
            "/matrix.csv",
            "/diagrams/map",
            "/diagrams/classification",
        )
    ]
    for text in seen:
        assert "Whispered" not in text and "esistant" not in text and '"power"' not in text
    assert one in seen[1]


async def test_warnings_are_not_given_on_too_little_and_the_rules_are_the_citys_own(reader_of):
    planner = await reader_of("planner")
    rows = await loaded(planner)
    page = await planner.text(f"{BASE}/participation")
    assert "cannot be told yet" in page and "It takes 20; there are 0" in page
    for _ in range(3):
        await planner.done(
            "/plan/engagement-activities/new",
            {
                "name_en": "Workshop",
                "activity": "workshop",
                "day": "2026-03-01",
                "attended": rows[0]["id"],
                "hours": "20",
                "cost_amount": "9000",
                "cost_currency": "DKK",
            },
        )
    await planner.done("/plan/engagement-rules/new", {"name_en": "Rules", "leastActs": "3", "hours": "10"})
    told = await planner.data(f"{BASE}/participation.json")
    by_rule = {one["rule"]: one for several in told["perils"].values() for one in several}
    assert by_rule["one_voice"]["verdict"] == "warning" and by_rule["one_voice"]["value"] == 1.0
    assert (by_rule["hours"]["value"], by_rule["hours"]["threshold"]) == (20.0, 10.0)
    assert by_rule["groups_absent"]["verdict"] == "warning"
    assert by_rule["money"]["currency"] == "DKK" and by_rule["days"]["verdict"] == "unknown"
    assert "9,000" in await planner.text(f"{BASE}/participation")


async def test_the_three_steps_are_repeated_and_each_round_is_kept(reader_of):
    planner = await reader_of("planner")
    assert "no stakeholders yet" in await planner.refused(f"{BASE}/analysis?step=3", {"findings": ""})
    rows = await loaded(planner)
    for step in (1, 2, 3):
        assert f"Step {step}" in await planner.text(f"{BASE}/analysis?step={step}")
    await planner.done(f"{BASE}/analysis?step=3", {"findings": "Nobody was asked"})
    await planner.done(
        f"{BASE}/note-contact",
        {"stakeholder": rows[0]["id"], "day": "2026-03-01", "channel": "visit", "level": "leading"},
    )
    data = await planner.data(f"{BASE}/analysis.json?step=3")
    assert [one["round"] for one in data["rounds"]] == [1]
    assert list(data["compared"]["changed"].values()) == [{"level": ["", "leading"]}]
    await planner.done(f"{BASE}/analysis?step=3", {"findings": ""})
    data = await planner.data(f"{BASE}/analysis.json?step=3")
    assert [one["round"] for one in data["rounds"]] == [2, 1] and data["compared"]["changed"] == {}
    first = (await planner.data("/plan/stakeholder-analyses.json"))["records"]
    assert len(first) == 2 and first[0]["values"]["findings"] == "Nobody was asked"
