from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from cityloom.adapters.memory.history import MemoryHistory
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.ngsild.model import entity, prop, rel, value_of
from cityloom.planning.action.model import Action, Check, Cost, Pilot, Reporting
from cityloom.planning.course import Verdict
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.model import Milestone, Phase, Plan, Target
from cityloom.planning.money import Money

OPEN, INTERNAL, SECURITY = InformationClass
NO2 = "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EN.EN.AQ.2C"


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


def examined(result="passed"):
    """All three examinations with one result."""
    on = date(2026, 2, 1)
    return tuple(Check(of, "Inspector", on, result, "Report 7") for of in ("emf", "security", "privacy"))


#: All that an action must say before it is approved and before its work begins.
ACTION = Action(
    costs=(
        Cost(2026, "capital", euros("1000000.50")),
        Cost(2027, "operating", euros("200000")),
    ),
    reporting=Reporting("quarterly", "Committee for the environment"),
    checks=examined(),
)
CLEAN = Plan(
    name={"en": "Clean air at the ring road", "da": "Ren luft ved ringvejen"},
    description={"en": "Fewer lorries."},
    owner="Environment office",
    budget=euros("1200000.50"),
    spent=euros("300000"),
    starts_at=datetime(2026, 3, 1, tzinfo=UTC),
    ends_at=datetime(2027, 3, 1, tzinfo=UTC),
    milestones=(
        Milestone("Zone in force", date(2026, 4, 10)),
        Milestone("Signs ordered", date(2026, 3, 15), date(2026, 3, 20)),
    ),
    targets=(Target(NO2, 40.0, 30.0, date(2027, 1, 1)),),
    action=ACTION,
)


DECISION = "urn:ngsi-ld:CommitteeDecision:1"


def a_plan(**changes) -> Plan:
    """The plan with changes; a budget of its own stands there without cost lines."""
    if "budget" in changes:
        changes.setdefault("action", msgspec.structs.replace(ACTION, costs=()))
    return msgspec.structs.replace(CLEAN, **changes)


class Office:
    """The planners' room over a city that remembers."""

    def __init__(self, city, folder) -> None:
        self.city = city
        self.stage = HistoryStage(MemoryHistory(folder), pause=0)
        self.history = History(self.stage._store, city.broker)
        city.broker.follow(STAGE, self.stage.handle, durable=True)
        self.initiatives = Initiatives(city.broker, city.clock, self.history)
        self.planner = city.person("planner")

    async def indicator(self, values=(), *, unit="GQ", information_class=None, entity_id=NO2) -> None:
        """An indicator with values by day: (date, value)."""
        document = entity("KeyPerformanceIndicator", entity_id, {"name": prop("NO2")})
        if self.city.broker.find(CITY, entity_id) is None:
            await self.city.broker.create(CITY, document, information_class=information_class)
        for at, value in values:
            item = prop(value, at=at, unit=unit)
            fragment = entity("KeyPerformanceIndicator", entity_id, {"kpiValue": item})
            await self.city.broker.append(CITY, entity_id, fragment)
        await self.stage.reached(self.city.broker.last_sequence)

    async def decision(self, entity_id=DECISION, **attributes) -> str:
        """A decision of the committee, open to everybody."""
        document = entity("CommitteeDecision", entity_id, {"name": prop("Decided"), **attributes})
        await self.city.broker.create(CITY, document, information_class=OPEN)
        return entity_id

    async def adopted(self, **changes):
        """An adopted initiative."""
        draft = await self.initiatives.draft(self.planner, a_plan(**changes))
        return await self.initiatives.adopt(self.planner, draft.id)


@pytest.fixture
async def office(living_city, tmp_path) -> Office:
    office = Office(living_city, tmp_path)
    await office.indicator()
    return office


def day(number: int) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)


# -- writing


async def test_draft_is_an_internal_idea_that_says_what_was_written(living_city, office):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    assert draft == office.initiatives.get(office.planner, draft.id)
    assert (draft.phase, draft.is_draft) == ("idea", True)
    assert draft.plan == a_plan(milestones=CLEAN.milestones[::-1])
    assert living_city.broker.class_of(office.planner, draft.id) is INTERNAL
    assert office.initiatives.list(ANONYMOUS) == []
    assert living_city.broker.referrers(office.planner, NO2) == [draft.id]
    assert living_city.broker.referrers(ANONYMOUS, NO2) == []


async def test_money_is_exact_to_the_cent(office):
    budget = euros("0.10")
    draft = await office.initiatives.draft(office.planner, a_plan(budget=budget, spent=euros("0.03")))
    assert draft.plan.budget == budget
    assert value_of(draft.document, "budget") == {"amount": "0.10", "currency": "EUR"}
    assert draft.share_spent == Decimal("0.3")
    whole = await office.initiatives.draft(
        office.planner, a_plan(budget=Money(Decimal(5), "JPY"), spent=None)
    )
    assert value_of(whole.document, "budget") == {"amount": "5", "currency": "JPY"}
    assert whole.share_spent is None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": {}}, "name"),
        ({"name": {"en": "x" * 201}}, "name.en"),
        ({"description": {"da": "x" * 8001}}, "description.da"),
        ({"owner": "a\nb"}, "owner"),
        ({"budget": Money(Decimal(-1), "EUR")}, "budget.amount"),
        ({"budget": Money(Decimal("NaN"), "EUR")}, "budget.amount"),
        ({"budget": Money(Decimal("Infinity"), "EUR")}, "budget.amount"),
        ({"budget": Money(Decimal("1e16"), "EUR")}, "budget.amount"),
        ({"budget": Money(Decimal("0.001"), "EUR")}, "budget.amount"),
        ({"budget": Money(Decimal("0.5"), "JPY")}, "budget.amount"),
        ({"budget": Money(Decimal(1), "EURO")}, "budget.currency"),
        ({"spent": Money(Decimal(1), "DKK")}, "spent.currency"),
        ({"budget": None, "action": Action()}, "spent.currency"),
        ({"ends_at": CLEAN.starts_at}, "endsAt"),
        ({"milestones": (Milestone("", date(2026, 4, 1)),)}, "milestones.0.name"),
        ({"milestones": (Milestone("x", date(2026, 4, 1)),) * 101}, "milestones"),
        ({"targets": (Target(NO2, 40.0, 40.0, date(2027, 1, 1)),)}, "targets.0.target"),
        ({"targets": (Target(NO2, float("nan"), 40.0, date(2027, 1, 1)),)}, "targets.0"),
        (
            {"targets": (Target("urn:ngsi-ld:KeyPerformanceIndicator:none", 1, 2, date(2027, 1, 1)),)},
            "targets.0.indicator",
        ),
        ({"location": {"type": "Point", "coordinates": ["a", "b"]}}, "location"),
    ],
)
async def test_draft_refuses_what_is_wrong_and_names_the_field(office, changes, where):
    with pytest.raises(BadInput) as caught:
        await office.initiatives.draft(office.planner, a_plan(**changes))
    assert caught.value.where == where
    assert caught.value.hint
    assert office.initiatives.list(office.planner) == []


async def test_adopt_opens_the_initiative_under_an_id_of_its_own(living_city, office):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    draft = await office.initiatives.move(office.planner, draft.id, "planned")
    living_city.clock.pass_by(hours=1)
    adopted = await office.initiatives.adopt(office.planner, draft.id, version=draft.version)
    seen = office.initiatives.get(ANONYMOUS, adopted.id)
    assert seen == adopted
    assert adopted.id != draft.id
    assert (adopted.phase, adopted.is_draft, adopted.adopted_at) == (
        "planned",
        False,
        living_city.clock.now(),
    )
    assert adopted.plan == draft.plan
    assert living_city.broker.find(CITY, draft.id) is None
    assert office.initiatives.get(office.planner, draft.id) == adopted
    assert living_city.broker.referrers(ANONYMOUS, NO2) == [adopted.id]


async def test_adopt_leaves_behind_what_was_struck_out_of_the_draft(living_city, office):
    seen = []

    async def watch(changes):
        seen.extend(change for change in changes if change.information_class is OPEN)

    living_city.broker.follow("open", watch, durable=False)
    draft = await office.initiatives.draft(office.planner, a_plan(budget=euros("77777")))
    await office.initiatives.edit(office.planner, draft.id, CLEAN)
    await living_city.broker.append(CITY, draft.id, entity("Initiative", draft.id, {"remark": prop("77777")}))
    adopted = await office.initiatives.adopt(office.planner, draft.id)
    await living_city.broker.caught_up()
    assert [change.entity_id for change in seen] == [adopted.id]
    assert b"77777" not in seen[0].document
    assert draft.id.encode() not in seen[0].document
    assert adopted.revisions == ()
    assert [step.did for step in adopted.history] == ["adopted"]
    await office.stage.reached(living_city.broker.last_sequence)
    remembered = office.history.raw(ANONYMOUS, adopted.id)
    assert remembered
    assert "77777" not in repr(remembered)
    with pytest.raises(NotFound):
        office.history.raw(ANONYMOUS, draft.id)


async def test_adopt_at_once_by_two_makes_one_initiative(office):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    outcomes = await asyncio.gather(
        office.initiatives.adopt(office.planner, draft.id),
        office.initiatives.adopt(office.planner, draft.id),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    assert len(office.initiatives.list(ANONYMOUS)) == 1


async def test_adopt_finishes_what_a_crash_interrupted(living_city, office):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    adopted = await office.initiatives.adopt(office.planner, draft.id)
    left_over = entity("Initiative", draft.id, {"status": prop("draft"), "phase": prop("idea")})
    await living_city.broker.create(CITY, left_over, information_class=INTERNAL)
    assert [one.id for one in office.initiatives.list(office.planner)] == [adopted.id]
    assert (await office.initiatives.adopt(office.planner, draft.id)).id == adopted.id
    assert living_city.broker.find(CITY, draft.id) is None


async def test_edit_writes_the_plan_anew_and_takes_out_what_is_left_out(office):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    bare = Plan(name={"en": "Clean air"}, description={"en": "Fewer lorries."})
    edited = await office.initiatives.edit(office.planner, draft.id, bare, version=draft.version)
    assert edited.plan == bare
    assert office.initiatives.get(office.planner, draft.id).plan == bare
    assert value_of(edited.document, "targetIndicator") is None
    assert edited.phase == "idea"


async def test_undo_brings_back_one_version_after_the_other(living_city, office):
    adopted = await office.adopted()
    plans = [adopted.plan]
    for number in range(3):
        plan = a_plan(owner=f"Office {number}", spent=None, action=ACTION, milestones=())
        plans.append((await office.initiatives.edit(office.planner, adopted.id, plan)).plan)
    for plan in plans[-2::-1]:
        undone = await office.initiatives.undo(office.planner, adopted.id)
        assert undone.plan == plan
    assert living_city.broker.referrers(ANONYMOUS, NO2) == [adopted.id]
    with pytest.raises(Conflict, match="no version before"):
        await office.initiatives.undo(office.planner, adopted.id)
    assert [step.did for step in undone.history] == ["adopted", *["edited"] * 3, *["undone"] * 3]


async def test_undo_leaves_the_phase_alone(office):
    adopted = await office.adopted()
    await office.initiatives.edit(office.planner, adopted.id, a_plan(owner="Another"))
    await office.initiatives.move(office.planner, adopted.id, "planned")
    undone = await office.initiatives.undo(office.planner, adopted.id)
    assert (undone.phase, undone.plan.owner) == ("planned", "Environment office")


async def test_revisions_are_bounded_in_number_and_size(office):
    adopted = await office.adopted()
    for number in range(12):
        adopted = await office.initiatives.edit(office.planner, adopted.id, a_plan(owner=str(number)))
    assert len(adopted.revisions) == 10
    for letter in "abcdefghij":
        big = dict.fromkeys(("en", "da", "de", "fr", "sv"), letter * 8000)
        adopted = await office.initiatives.edit(office.planner, adopted.id, a_plan(description=big))
    assert 1 <= len(adopted.revisions) < 4
    assert (await office.initiatives.undo(office.planner, adopted.id)).plan.description["en"][0] == "i"


async def test_move_goes_from_phase_to_phase_and_back_with_a_reason(office):
    adopted = await office.adopted()
    for phase in ("planned", "running", "done"):
        adopted = await office.initiatives.move(office.planner, adopted.id, phase, version=adopted.version)
        assert adopted.phase == phase
    with pytest.raises(BadInput) as caught:
        await office.initiatives.move(office.planner, adopted.id, "running")
    assert caught.value.where == "note"
    back = await office.initiatives.move(office.planner, adopted.id, "running", note="Not yet finished")
    assert back.phase == "running"
    assert (back.history[-1].did, back.history[-1].note) == ("running", "Not yet finished")


@pytest.mark.parametrize(
    ("present", "wanted"), [(0, "running"), (0, "done"), (0, "idea"), (1, "done"), (2, "idea")]
)
async def test_move_refuses_to_jump(office, present, wanted):
    adopted = await office.adopted()
    for phase in list(Phase)[1 : present + 1]:
        await office.initiatives.move(office.planner, adopted.id, phase)
    with pytest.raises(Conflict, match="does not go"):
        await office.initiatives.move(office.planner, adopted.id, wanted, note="why")
    with pytest.raises(BadInput) as caught:
        await office.initiatives.move(office.planner, adopted.id, "someday")
    assert caught.value.where == "phase"


async def test_a_stale_view_is_refused(office):
    adopted = await office.adopted()
    await office.initiatives.move(office.planner, adopted.id, "planned")
    stale = adopted.version
    for act in (
        office.initiatives.edit(office.planner, adopted.id, CLEAN, version=stale),
        office.initiatives.undo(office.planner, adopted.id, version=stale),
        office.initiatives.move(office.planner, adopted.id, "running", version=stale),
    ):
        with pytest.raises(Conflict, match="meanwhile"):
            await act
    draft = await office.initiatives.draft(office.planner, CLEAN)
    await office.initiatives.move(office.planner, draft.id, "planned")
    with pytest.raises(Conflict, match="meanwhile"):
        await office.initiatives.adopt(office.planner, draft.id, version=draft.version)


async def test_of_two_who_edit_at_once_on_the_same_view_one_does(office):
    adopted = await office.adopted()
    outcomes = await asyncio.gather(
        *(
            office.initiatives.edit(office.planner, adopted.id, a_plan(owner=name), version=adopted.version)
            for name in ("One", "Other")
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1


@pytest.mark.parametrize("act", ["draft", "edit", "undo", "move", "adopt", "discard"])
async def test_writing_needs_the_permission(living_city, office, act):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    adopted = await office.adopted()
    initiatives = office.initiatives
    acts = {
        "draft": lambda who: initiatives.draft(who, CLEAN),
        "edit": lambda who: initiatives.edit(who, adopted.id, a_plan(owner="Me")),
        "undo": lambda who: initiatives.undo(who, adopted.id),
        "move": lambda who: initiatives.move(who, adopted.id, "planned"),
        "adopt": lambda who: initiatives.adopt(who, draft.id),
        "discard": lambda who: initiatives.discard(who, draft.id),
    }
    for who in (ANONYMOUS, *(living_city.person(role) for role in ("citizen", "engineer", "operator"))):
        with pytest.raises(NotAllowed):
            await acts[act](who)
    assert initiatives.get(office.planner, adopted.id) == adopted
    assert initiatives.get(office.planner, draft.id) == draft


async def test_discard_throws_a_draft_away_and_nothing_else(office):
    draft = await office.initiatives.draft(office.planner, CLEAN)
    adopted = await office.adopted()
    await office.initiatives.discard(office.planner, draft.id)
    with pytest.raises(Conflict):
        await office.initiatives.discard(office.planner, adopted.id)
    assert [one.id for one in office.initiatives.list(office.planner)] == [adopted.id]


async def test_adopted_initiative_points_at_no_secret_indicator(living_city, office):
    secret = "urn:ngsi-ld:KeyPerformanceIndicator:secret"
    await office.indicator(entity_id=secret, information_class=SECURITY)
    guard = living_city.person("planner", "security_operator")
    aimed = a_plan(targets=(Target(secret, 1, 2, date(2027, 1, 1)),))
    draft = await office.initiatives.draft(guard, aimed)
    with pytest.raises(BadInput) as caught:
        await office.initiatives.adopt(guard, draft.id)
    assert caught.value.where == "targets.0.indicator"
    adopted = await office.adopted()
    with pytest.raises(BadInput):
        await office.initiatives.edit(guard, adopted.id, aimed)
    with pytest.raises(BadInput, match="no such indicator"):
        await office.initiatives.draft(office.planner, aimed)


async def test_edit_keeps_a_target_whose_indicator_is_gone(living_city, office):
    adopted = await office.adopted()
    await living_city.broker.delete(CITY, NO2)
    edited = await office.initiatives.edit(office.planner, adopted.id, a_plan(owner="Another"))
    assert edited.plan.targets == CLEAN.targets
    assert (await office.initiatives.course(office.planner, adopted.id))[0].points == ()


# -- the action: what must be said, what it waits for, who allows the money


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"starts_at": None}, "startsAt"),
        ({"ends_at": None}, "endsAt"),
        ({"owner": ""}, "owner"),
        ({"targets": ()}, "targets"),
        ({"budget": None, "spent": None, "costs": ACTION.costs[:1]}, "costs.operating"),
        ({"budget": None, "spent": None, "costs": ACTION.costs[1:]}, "costs.capital"),
        ({"reporting": Reporting("", "Committee")}, "reporting.rhythm"),
        ({"reporting": Reporting("monthly", "")}, "reporting.to"),
        ({"kind": "pilot", "pilot": Pilot("It works", "Readings", "")}, "pilot.stopRule"),
    ],
)
async def test_what_lacks_a_field_is_neither_adopted_nor_planned(office, changes, field):
    parts = {name: changes.pop(name) for name in list(changes) if name in Action.__struct_fields__}
    changes["action"] = msgspec.structs.replace(ACTION, **parts)
    draft = await office.initiatives.draft(office.planner, a_plan(**changes))
    for act in (
        office.initiatives.adopt(office.planner, draft.id),
        office.initiatives.move(office.planner, draft.id, "planned"),
    ):
        with pytest.raises(BadInput) as caught:
            await act
        assert caught.value.where == field
    await office.initiatives.edit(office.planner, draft.id, CLEAN)
    assert (await office.initiatives.adopt(office.planner, draft.id)).plan.action == ACTION


@pytest.mark.parametrize("checks", [(), examined()[:2], examined("failed"), examined("")])
async def test_work_begins_only_when_all_three_are_examined(office, checks):
    adopted = await office.adopted(action=msgspec.structs.replace(ACTION, checks=checks))
    await office.initiatives.move(office.planner, adopted.id, "planned")
    with pytest.raises(BadInput) as caught:
        await office.initiatives.move(office.planner, adopted.id, "running")
    assert caught.value.where.startswith("checks.")
    await office.initiatives.edit(office.planner, adopted.id, CLEAN)
    assert (await office.initiatives.move(office.planner, adopted.id, "running")).phase == "running"


async def test_what_was_begun_keeps_the_examinations_that_it_was_begun_on(office):
    adopted = await office.adopted()
    fewer = a_plan(action=msgspec.structs.replace(ACTION, checks=ACTION.checks[1:]))
    await office.initiatives.edit(office.planner, adopted.id, fewer)
    await office.initiatives.edit(office.planner, adopted.id, CLEAN)
    for phase in ("planned", "running"):
        await office.initiatives.move(office.planner, adopted.id, phase)
    for leave_out in (
        office.initiatives.edit(office.planner, adopted.id, fewer),
        office.initiatives.undo(office.planner, adopted.id),
    ):
        with pytest.raises(BadInput, match="begun on this examination") as caught:
            await leave_out
        assert caught.value.where == f"checks.{ACTION.checks[0].of}"
    failed = msgspec.structs.replace(ACTION.checks[0], result="failed")
    again = a_plan(action=msgspec.structs.replace(ACTION, checks=(failed, *ACTION.checks[1:])))
    assert (await office.initiatives.edit(office.planner, adopted.id, again)).plan.action.checks[0] == failed


async def test_a_result_says_who_when_and_what_shows_it(office):
    for check in (Check("emf", "", date(2026, 1, 1), "passed", "x"), Check("emf", "A", None, "passed", "x")):
        with pytest.raises(BadInput) as caught:
            plan = a_plan(action=msgspec.structs.replace(ACTION, checks=(check,)))
            await office.initiatives.draft(office.planner, plan)
        assert caught.value.where == "checks.emf"


async def test_an_adopted_budget_changes_only_with_a_decision_of_its_own(office):
    adopted = await office.adopted()
    dearer = (*ACTION.costs, Cost(2028, "operating", euros("1")))
    other = "urn:ngsi-ld:Initiative:other"

    def plan(*decisions, costs=dearer):
        action = msgspec.structs.replace(ACTION, costs=costs, decisions=decisions)
        return a_plan(budget=None, action=action)

    async def refused(wanted, message):
        with pytest.raises(BadInput, match=message) as caught:
            await office.initiatives.edit(office.planner, adopted.id, wanted)
        assert caught.value.where == "budgetDecision"

    await refused(plan(), "only by a decision")
    await refused(plan(DECISION), "There is no CommitteeDecision")
    await refused(plan(NO2), "There is no CommitteeDecision")
    elsewhere = await office.decision(DECISION + "x", initiative=rel(other))
    await refused(plan(elsewhere), "another initiative")
    dearest = {"amount": "1200001.51", "currency": "EUR"}
    exact = {"amount": "1200001.50", "currency": "EUR"}
    body, powerless = "urn:ngsi-ld:PlanBody:1", "urn:ngsi-ld:PlanBody:2"
    for name, right in ((body, True), (powerless, False)):
        document = entity("PlanBody", name, {"name": prop("Body"), "budgetControl": prop(right)})
        await office.city.broker.create(CITY, document, information_class=OPEN)
    wrong = [
        ({"kind": prop("adoption")}, "not on a budget"),
        ({"budgetBefore": prop(exact)}, "another budget than the present"),
        ({"budgetAfter": prop(dearest)}, "allows 1200001.51 EUR"),
        ({"body": rel(powerless)}, "does not control budgets"),
    ]
    for number, (said, message) in enumerate(wrong):
        await refused(plan(await office.decision(f"{DECISION}w{number}", **said)), message)
    unpublished = "urn:ngsi-ld:CommitteeDecision:draft-7"
    await office.decision(unpublished)
    await refused(plan("urn:ngsi-ld:CommitteeDecision:7"), "not published")
    right = {"kind": prop("budget"), "budgetAfter": prop(exact), "body": rel(body)}
    decision = await office.decision(initiative=rel(adopted.id), **right)
    changed = await office.initiatives.edit(office.planner, adopted.id, plan(decision))
    assert changed.plan.budget == euros("1200001.50")
    assert changed.plan.action.decisions == (DECISION,)
    await refused(plan(decision, costs=ACTION.costs), "only by a decision")
    # Nor is it left out, to be used once more.
    await refused(plan(), "is not left out")
    # Nor is it undone: what a committee decided is changed by a committee.
    with pytest.raises(BadInput, match="is not left out") as caught:
        await office.initiatives.undo(office.planner, adopted.id)
    assert caught.value.where == "budgetDecision"
    now = office.initiatives.get(office.planner, adopted.id)
    assert (now.plan.budget, now.plan.action.decisions) == (euros("1200001.50"), (DECISION,))


async def test_an_undo_brings_back_no_budget_without_a_decision_whoever_changed_it(living_city, office):
    adopted = await office.adopted()
    edited = await office.initiatives.edit(office.planner, adopted.id, a_plan(owner="Another"))
    # As it stood before the rule, or as a program of the city wrote it.
    dearer = {"budget": prop({"amount": "7.00", "currency": "EUR"})}
    await living_city.broker.append(CITY, edited.id, entity("Initiative", edited.id, dearer))
    await living_city.broker.delete_attribute(CITY, edited.id, "costs")
    with pytest.raises(BadInput, match="only by a decision"):
        await office.initiatives.undo(office.planner, adopted.id)
    assert office.initiatives.get(office.planner, adopted.id).plan.owner == "Another"


async def test_an_adopted_initiative_keeps_what_it_must_say_and_an_old_one_reads_and_changes(
    living_city, office
):
    adopted = await office.adopted()
    with pytest.raises(BadInput, match="must go on saying") as caught:
        await office.initiatives.edit(office.planner, adopted.id, a_plan(owner=""))
    assert caught.value.where == "owner"
    old = "urn:ngsi-ld:Initiative:old"
    attributes = {"name": prop("Old"), "phase": prop("running"), "description": prop("x")}
    await living_city.broker.create(CITY, entity("Initiative", old, attributes), information_class=OPEN)
    shown = office.initiatives.get(ANONYMOUS, old)
    assert shown.plan.action == Action()
    changed = await office.initiatives.edit(
        office.planner, old, msgspec.structs.replace(shown.plan, owner="Parks")
    )
    assert changed.plan.owner == "Parks"
    assert (await office.initiatives.move(office.planner, old, "done")).phase == "done"


async def test_initiatives_that_would_wait_for_each_other_are_refused(office):
    async def waiting(one, *others):
        action = msgspec.structs.replace(ACTION, depends_on=tuple(others))
        return await office.initiatives.edit(office.planner, one, a_plan(action=action))

    first, second, third = [(await office.adopted(name={"en": name})).id for name in ("a", "b", "c")]
    await waiting(second, first)
    await waiting(third, second)
    for one, others in ((first, (third,)), (first, (first,)), (second, (first, third))):
        with pytest.raises(BadInput, match="wait for each other") as caught:
            await waiting(one, *others)
        assert caught.value.where == "dependsOn"
    with pytest.raises(BadInput, match="There is no Initiative"):
        await waiting(first, "urn:ngsi-ld:Initiative:none")
    draft = await office.initiatives.draft(office.planner, CLEAN)
    published = draft.id.replace("draft-", "")
    await waiting(first, published)
    adopted = await office.initiatives.adopt(office.planner, draft.id)
    assert office.initiatives.get(ANONYMOUS, first).plan.action.depends_on == (adopted.id,)


async def test_an_action_reads_as_it_was_written_and_nonsense_reads_as_nothing(living_city, office):
    report = entity("CitizenReport", "urn:ngsi-ld:CitizenReport:1", {"status": prop("received")})
    await living_city.broker.create(CITY, report, information_class=INTERNAL)
    action = msgspec.structs.replace(
        ACTION,
        kind="pilot",
        pilot=Pilot("It works", "Readings", "After a year", "scale", "It did"),
        sdg_targets=("11.6", "3.9"),
        answers_to=(report["id"],),
        value=5,
        effort=2,
        portfolio={"network": "Fibre"},
        shared_with=("Roads",),
    )
    draft = await office.initiatives.draft(office.planner, a_plan(action=action))
    assert draft.plan.action == msgspec.structs.replace(action, sdg_targets=("3.9", "11.6"))
    assert living_city.broker.referrers(office.planner, report["id"]) == [draft.id]
    nonsense = {"costs": prop("many"), "checks": prop([1]), "pilot": prop(7), "publicValue": prop(99)}
    await living_city.broker.append(CITY, draft.id, entity("Initiative", draft.id, nonsense))
    shown = office.initiatives.get(office.planner, draft.id).plan.action
    assert (shown.costs, shown.checks, shown.pilot, shown.value) == ((), (), Pilot(), None)


# -- asking


async def test_list_shows_the_running_ones_first_and_then_by_name(office):
    for name, phases in (("b", 2), ("a", 2), ("c", 0), ("d", 3), ("e", 1)):
        adopted = await office.adopted(name={"en": name})
        for phase in list(Phase)[1 : phases + 1]:
            await office.initiatives.move(office.planner, adopted.id, phase)
    assert [one.plan.name["en"] for one in office.initiatives.list(ANONYMOUS)] == ["a", "b", "e", "c", "d"]
    running = office.initiatives.list(ANONYMOUS, phase="running")
    assert [one.plan.name["en"] for one in running] == ["a", "b"]


async def test_aiming_at_finds_the_initiatives_of_an_indicator(office):
    adopted = await office.adopted()
    another = "urn:ngsi-ld:KeyPerformanceIndicator:another"
    await office.indicator(entity_id=another)
    await office.adopted(targets=(Target(another, 1, 2, date(2027, 1, 1)),))
    draft = await office.initiatives.draft(office.planner, CLEAN)
    assert [one.id for one in office.initiatives.aiming_at(ANONYMOUS, NO2)] == [adopted.id]
    assert {one.id for one in office.initiatives.aiming_at(office.planner, NO2)} == {adopted.id, draft.id}


async def test_overdue_milestones_are_those_of_the_past_that_were_not_reached(office):
    adopted = await office.adopted()
    assert [one.name for one in adopted.overdue(date(2026, 4, 11))] == ["Zone in force"]
    assert adopted.overdue(date(2026, 4, 10)) == ()


async def test_initiative_that_another_writer_wrote_oddly_is_still_shown_and_moved(living_city, office):
    odd = {
        "phase": prop("someday"),
        "budget": prop({"amount": "many", "currency": "EUR"}),
        "targets": prop("none"),
        "name": prop("Only a string"),
    }
    await living_city.broker.create(CITY, entity("Initiative", "urn:ngsi-ld:Initiative:odd", odd))
    (shown,) = office.initiatives.list(ANONYMOUS)
    assert (shown.phase, shown.plan.budget, shown.plan.targets) == ("someday", None, ())
    assert dict(shown.plan.name) == {"en": "Only a string"}
    assert (await office.initiatives.move(office.planner, shown.id, "running")).phase == "running"


async def test_an_entity_that_is_no_initiative_is_none(living_city, office):
    light = await living_city.streetlight(1)
    with pytest.raises(NotFound):
        office.initiatives.get(office.planner, light)
    with pytest.raises(NotFound):
        await office.initiatives.move(office.planner, light, "planned")


# -- the indicator's course


async def test_course_compares_the_values_before_the_start_with_those_since(office):
    await office.indicator([(day(number), 40 + number % 2) for number in range(-4, 0)])
    await office.indicator([(day(0), 36), (day(1), 35), (day(2), 34)])
    adopted = await office.adopted()
    (course,) = await office.initiatives.course(ANONYMOUS, adopted.id)
    assert course.verdict is Verdict.TOLD
    assert (course.before.count, course.before.mean) == (4, 40.5)
    assert (course.before.first, course.before.last) == (day(-4), day(-1))
    assert course.before.deviation == pytest.approx(0.5774, abs=1e-4)
    assert (course.after.count, course.after.mean, course.after.first) == (3, 35, day(0))
    assert course.difference == -5.5
    assert course.progress == pytest.approx(0.6)
    assert course.unit_code == "GQ"
    assert [point.value for point in course.points] == [40, 41, 40, 41, 36, 35, 34]
    assert course.left_out == 0


@pytest.mark.parametrize(
    ("before", "after", "starts", "verdict"),
    [
        (0, 0, True, Verdict.NOTHING_KNOWN),
        (0, 0, False, Verdict.NOTHING_KNOWN),
        (2, 5, True, Verdict.TOO_FEW_BEFORE),
        (0, 5, True, Verdict.TOO_FEW_BEFORE),
        (5, 2, True, Verdict.TOO_FEW_AFTER),
        (5, 0, True, Verdict.TOO_FEW_AFTER),
        (3, 3, True, Verdict.TOLD),
        (3, 3, False, Verdict.NOT_STARTED),
    ],
)
async def test_course_says_when_it_cannot_be_told_yet(office, before, after, starts, verdict):
    await office.indicator([(day(number), 40) for number in range(-before, 0)])
    await office.indicator([(day(number), 30) for number in range(after)])
    plan = a_plan(starts_at=CLEAN.starts_at if starts else None)
    draft = await office.initiatives.draft(office.planner, plan)
    (course,) = await office.initiatives.course(office.planner, draft.id)
    assert course.verdict is verdict
    assert (course.difference is not None) is (verdict is Verdict.TOLD)
    if not starts:
        assert course.after is None
        assert course.progress is None


async def test_course_tells_a_step_in_the_wrong_direction(office):
    await office.indicator([(day(1), 45)])
    adopted = await office.adopted()
    (course,) = await office.initiatives.course(ANONYMOUS, adopted.id)
    assert course.progress == -0.5


async def test_course_converts_units_and_leaves_out_what_cannot_be_compared(office):
    await office.indicator([(day(-2), 0.04)], unit="GP")
    await office.indicator([(day(-1), "high"), (day(-1) + timedelta(hours=1), 9)], unit="CEL")
    await office.indicator([(day(1), 30)])
    adopted = await office.adopted()
    (course,) = await office.initiatives.course(ANONYMOUS, adopted.id)
    assert [point.value for point in course.points] == [pytest.approx(40), 30]
    assert course.left_out == 2


async def test_course_leaves_forecasts_and_other_datasets_out(living_city, office):
    await office.indicator([(day(1), 30)])
    forecast = prop(20, at=day(2), unit="GQ", dataset="urn:ngsi-ld:Dataset:forecast:P1D")
    fragment = entity("KeyPerformanceIndicator", NO2, {"kpiValue": forecast})
    await living_city.broker.append(CITY, NO2, fragment)
    await office.stage.reached(living_city.broker.last_sequence)
    adopted = await office.adopted()
    (course,) = await office.initiatives.course(ANONYMOUS, adopted.id)
    assert [point.value for point in course.points] == [30]


async def test_course_of_an_indicator_one_may_not_see_is_as_if_nothing_were_known(living_city, office):
    await office.indicator([(day(number), 40) for number in range(-4, 4)])
    adopted = await office.adopted()
    await living_city.broker.classify(CITY, NO2, SECURITY)
    (hidden,) = await office.initiatives.course(ANONYMOUS, adopted.id)
    assert (hidden.verdict, hidden.points) == (Verdict.NOTHING_KNOWN, ())
    guard = living_city.person("security_operator")
    (shown,) = await office.initiatives.course(guard, adopted.id)
    assert shown.verdict is Verdict.TOLD
