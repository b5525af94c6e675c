"""Consultations: opened by principles, contributed to without an account, each contribution answered."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from cityloom.kernel.actor import ANONYMOUS, CITY
from cityloom.ngsild.model import entity, prop
from cityloom.people.contribution import contribution_of, heard
from cityloom.web.pages.planning.voices import voices_of

PLAN = "/plan/consultations"
READY = {
    "name_en": "The harbour square",
    "about_en": "Trees or cars?",
    "opens": "2026-05-01",
    "closes": "2026-05-31",
    "documents_0_title_en": "The draft",
    "documents_0_web": "https://example.org/draft",
    "questions_0_question_en": "What do you need there?",
    "questions_0_question_da": "Hvad mangler I dér?",
    "consensusRule_en": "Two meetings",
    "consensusRule_da": "To møder",
    "grievanceHow_en": "By letter",
    "grievanceArbiter_en": "The ombudsman",
    "grievanceSince": "2026-04-01",
    "responsible_en": "Planning",
}


@pytest.fixture
async def planner(reader_of):
    return await reader_of("planner")


@pytest.fixture
async def invited(planner):
    await planner.done("/plan/stakeholders/load", {"what": "categories"})
    rows = (await planner.data("/plan/stakeholders.json"))["stakeholders"]
    return {row["category"]: row["id"] for row in rows}


async def prepared(planner, asked, *, publish: bool = True, **changes: str) -> str:
    """A consultation's address for everybody."""
    values = {**READY, "invited": ";".join(asked.values()), **changes}
    await planner.done(f"{PLAN}/new", {key: value for key, value in values.items() if value})
    row = (await planner.data(f"{PLAN}.json"))["records"][0]
    if publish:
        await planner.done(row["href"], {"act": "publish"})
    return row["href"].replace("/plan", "")


def code_of(page: str) -> str:
    return re.search(r'id="follow-code">([^<]+)<', page)[1]


async def contributed(visitor, path: str, text: str = "More trees", **more: str) -> str:
    """The code of a new contribution."""
    return code_of(await visitor.done(path, {"text": text, "speaksFor": "citizens", "question": "1", **more}))


async def test_it_opens_on_its_day_and_closes_after_its_last(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    assert (await visitor.data(f"{path}.json"))["stage"] == "announced"
    assert "not open" in await visitor.refused(path, {"text": "Too early"})
    city.clock.pass_by(days=21)
    assert (await visitor.data(f"{path}.json"))["stage"] == "open"
    await contributed(visitor, path)
    city.clock.pass_by(days=31)
    assert (await visitor.data(f"{path}.json"))["stage"] == "closed"
    assert "not open" in await visitor.refused(path, {"text": "Too late"})


@pytest.mark.parametrize(
    ("changes", "missing", "todo"),
    [
        ({"invited": ""}, "diversity", "Invite stakeholders of 4 categories"),
        ({"opens": "2026-04-20"}, "information", "Let it open 14 days after"),
        ({"consensusRule_en": "", "consensusRule_da": ""}, "consensus", "Write down how agreement is sought"),
        ({"grievanceSince": "2026-05-01"}, "grievance", "in place before it opens"),
    ],
)
async def test_it_does_not_open_before_all_four_principles_hold(
    city, planner, invited, visitor, changes, missing, todo
):
    path = await prepared(planner, invited, **changes)
    city.clock.pass_by(days=22)
    data = await visitor.data(f"{path}.json")
    assert [one["principle"] for one in data["principles"] if not one["holds"]] == [missing]
    assert data["stage"] == "held_up"
    assert "not open" in await visitor.refused(path, {"text": "Let me in"})
    assert todo in await planner.text(path)


async def test_what_is_not_public_is_seen_by_the_staff_alone(city, planner, invited, visitor):
    path = await prepared(planner, invited, publish=False)
    city.clock.pass_by(days=22)
    assert (await visitor.get(path)).status_code == 404
    assert (await planner.data(f"{path}.json"))["stage"] == "prepared"
    assert (await visitor.send(path, {"text": "Hello"})).status_code == 404


async def test_a_contribution_is_followed_and_answered_with_what_it_changed(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    code = await contributed(visitor, path, "More <trees>", email="someone@example.org")
    assert "There is no answer yet" in await visitor.text(f"/contribution/{code}")
    await planner.done("/plan/goals/new", {"name_en": "Green squares"})
    goal = (await planner.data("/plan/goals.json"))["records"][0]["id"]
    await planner.done(f"/plan/goals/{goal}", {"act": "publish"})
    received = await planner.data(f"/plan/contributions{path[14:]}/all.json")
    one = received["contributions"][0]["href"]
    assert "What it changed is missing" in await planner.refused(
        one, {"act": "answer", "text": "Thank you", "changed": "yes"}
    )
    await planner.done(one, {"act": "answer", "text": "Ten trees", "changed": "yes", "what": goal})
    page = await visitor.text(f"/contribution/{code}")
    assert "Ten trees" in page and "It changed:" in page and "Green squares" in page
    assert "Green squares" in await visitor.text(f"/contribution/{code}/letter")
    assert "someone@example.org" not in await planner.text(one)
    assert "someone@example.org" in (await planner.send(one, {"act": "contact"})).text
    assert (await visitor.data(f"{path}.json"))["heard"]["changed"] == 1
    # The way back: from the goal to who changed it, for everybody once it was looked through.
    assert "What citizens changed about it" in await planner.text(f"/plan/goals/{goal}")
    assert "What citizens changed about it" not in await visitor.text(f"/plan/goals/{goal}")
    await planner.done(one, {"act": "publish", "publicText": "Trees, please"})
    assert "Trees, please" in await visitor.text(f"/plan/goals/{goal}")


async def test_nothing_of_it_is_public_before_somebody_has_looked_it_through(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    await contributed(visitor, path, "Call me on +45 12 34 56 78, trees")
    one = (await planner.data(f"/plan/contributions{path[14:]}/all.json"))["contributions"][0]["href"]
    assert "a telephone number" in await planner.text(one)
    assert "trees" not in await visitor.text(path)
    await planner.done(one, {"act": "publish", "publicText": "Trees, please"})
    page = await visitor.text(path)
    assert "Trees, please" in page and "12 34" not in page
    assert "12 34" not in (await visitor.get(f"{path}.json")).text
    await planner.done(one, {"act": "publish", "publicText": ""})
    assert "Trees, please" not in await visitor.text(path)
    for address in (one, f"{one}.json", f"/plan/contributions{path[14:]}/all"):
        assert (await visitor.get(address)).status_code in (303, 401, 403, 404)


async def test_staff_writes_down_what_came_on_paper_until_after_the_last_day(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=60)
    entry = f"/plan/contributions{path[14:]}/enter"
    page = await planner.done(
        entry, {"channel": "paper", "text": "By hand", "stakeholder": invited["ngo"], "question": "0"}
    )
    code = re.search(r"code for its author: ([A-Za-z0-9-]+)", page)[1]
    assert "By hand" in await visitor.text(f"/contribution/{code}")
    row = (await planner.data(f"/plan/contributions{path[14:]}/all.json"))["contributions"][0]
    assert row["group"] == "Non-governmental organisations" and row["channel"] == "on paper"
    assert (await visitor.send(entry, {"channel": "paper", "text": "x"})).status_code in (303, 401, 403, 404)


async def test_a_grievance_can_be_raised_before_it_opens_and_counts_as_no_contribution(
    city, planner, invited, visitor
):
    path = await prepared(planner, invited)
    code = code_of(await visitor.done(path, {"kind": "grievance", "text": "Nobody told us"}))
    assert "Nobody told us" in await visitor.text(f"/contribution/{code}")
    assert (await visitor.data(f"{path}.json"))["heard"]["total"] == 0


async def test_too_few_to_be_nobody_are_not_counted_in_the_open(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    for number in range(5):
        await contributed(visitor, path, f"Trees {number}", age="65_over" if number else "under_25")
    heard = (await visitor.data(f"{path}.json"))["heard"]
    assert heard["byAge"] == {"65_over": -1, "under_25": -1} and heard["byGroup"] == {"citizens": 5}
    assert (await planner.data(f"{path}.json"))["heard"]["byAge"] == {"65_over": 4, "under_25": 1}
    assert "fewer than five" in await visitor.text(path)


async def test_contributions_of_one_network_are_bounded(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    answers = [(await visitor.send(path, {"text": f"Trees {number}"})).status_code for number in range(11)]
    assert answers == [303] * 10 + [429]


async def test_who_has_the_code_has_their_data_erased_and_the_count_stays(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    code = await contributed(visitor, path, "I live at number nine", phone="12345678")
    assert (await visitor.get(f"/contribution/{code}/my-data.zip")).headers[
        "content-type"
    ] == "application/zip"
    assert "you are sure" in await visitor.refused(f"/contribution/{code}", {"act": "erase"})
    await visitor.done(f"/contribution/{code}", {"act": "erase", "sure": "yes"})
    assert (await visitor.get(f"/contribution/{code}")).status_code == 404
    assert "number nine" not in await planner.text(f"/plan/contributions{path[14:]}/all")
    assert (await visitor.data(f"{path}.json"))["heard"]["total"] == 1


async def test_codes_of_reports_and_of_contributions_open_their_own_pages_alone(
    city, planner, invited, visitor
):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    code = await contributed(visitor, path)
    assert (await visitor.get(f"/report/{code}")).status_code == 404
    assert (await visitor.get("/contribution/wrong-code-1")).status_code == 404
    assert (await visitor.get("/contribution/wrong-code-1/letter")).status_code == 404
    await visitor.done("/contribution/code", {"code": f" {code} "})


async def test_a_contribution_is_internal_as_an_entity(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    await contributed(visitor, path)
    one = (await planner.data(f"/plan/contributions{path[14:]}/all.json"))["contributions"][0]["id"]
    assert (await visitor.get(f"/entities/{one}")).status_code in (303, 401, 403, 404)
    assert (await planner.get(f"/entities/{one}")).status_code == 200


async def test_nobody_outside_learns_the_id_of_what_is_not_published(city, planner, invited, visitor):
    path = await prepared(planner, invited)
    city.clock.pass_by(days=22)
    code = await contributed(visitor, path)
    await planner.done("/plan/goals/new", {"name_en": "Secret squares"})
    goal = (await planner.data("/plan/goals.json"))["records"][0]["id"]
    one = (await planner.data(f"/plan/contributions{path[14:]}/all.json"))["contributions"][0]["href"]
    await planner.done(one, {"act": "answer", "text": "Ten trees", "changed": "yes", "what": goal})
    await planner.done(one, {"act": "publish", "publicText": "Trees, please"})
    for address in (path, f"{path}.json", f"/contribution/{code}", f"/contribution/{code}/letter"):
        shown = (await visitor.get(address)).text
        assert goal not in shown and "Secret squares" not in shown, address
    assert goal in (await planner.get(f"{path}.json")).text
    # The other way round: the goal is public, the consultation no longer.
    await planner.done(f"/plan/goals/{goal}", {"act": "publish"})
    consultation = (await planner.data(f"{path}.json"))["id"]
    await planner.done(f"/plan{path}", {"act": "withdraw"})
    shown = await visitor.text(f"/plan/goals/{goal}")
    assert "Trees, please" in shown and consultation not in shown
    wording = SimpleNamespace(said=lambda texts: texts["en"])
    for actor, told in ((ANONYMOUS, ""), (CITY, consultation)):
        visit = SimpleNamespace(actor=actor, rooms=city.rooms, wording=wording)
        assert [one["consultation"] for one in voices_of(visit, goal)] == [told]


def heard_of(*groups: tuple[str, int], in_the_open: bool = True) -> dict[str, int]:
    """Who was heard by group, of so many contributions of each."""
    attributes = {"kind": prop("contribution"), "status": prop("received")}
    said = [
        contribution_of(
            entity("ConsultationContribution", f"urn:{name}:{number}", attributes | {"speaksFor": prop(name)})
        )
        for name, count in groups
        for number in range(count)
    ]
    return dict(heard(said, in_the_open=in_the_open).by_group)


def test_a_group_of_few_cannot_be_reckoned_from_the_rest():
    assert heard_of(("a", 20), ("b", 9)) == {"a": 20, "b": 9}
    # Of one alone the total would tell it; of two that are one each, too.
    assert heard_of(("a", 20), ("b", 9), ("c", 4)) == {"a": 20, "b": -1, "c": -1}
    assert heard_of(("a", 20), ("b", 9), ("c", 1), ("d", 1)) == {"a": 20, "b": -1, "c": -1, "d": -1}
    assert heard_of(("a", 20), ("b", 9), ("c", 3), ("d", 4)) == {"a": 20, "b": 9, "c": -1, "d": -1}
    assert heard_of(("a", 20), ("b", 4)) == {"a": -1, "b": -1}
    assert list(heard_of(("z", 6), ("a", 1), ("m", 30))) == ["m", "a", "z"]
    assert heard_of(("a", 20), ("b", 1), in_the_open=False) == {"a": 20, "b": 1}
