"""Stakeholders as data and as rules: how they stand, who is heard, when a consultation may open."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.ngsild.model import entity, prop
from cityloom.planning.action.model import Action, Cost
from cityloom.planning.masterplan.kinds import KINDS
from cityloom.planning.model import Milestone, initiative_of
from cityloom.planning.money import Money
from cityloom.planning.records.model import record_of
from cityloom.planning.stakeholders import analysis, participation, principles
from cityloom.planning.stakeholders.defaults import CELLS, categories, lines, units
from cityloom.planning.stakeholders.engagement import Appraisal, Quadrant, quadrant, standing, trend
from cityloom.planning.stakeholders.interaction import MOST_BOXES, SEVERAL, Relation, scene
from cityloom.planning.stakeholders.model import Enabling, RoleHeld, Stakeholder, in_turn
from cityloom.planning.stakeholders.participation import (
    Act,
    Effort,
    Peril,
    Register,
    Rule,
    Thresholds,
    Verdict,
)
from cityloom.planning.stakeholders.principles import Invited, Prepared, Principle, Requirements, Stage
from cityloom.planning.stakeholders.unit_work import work_of

DAY = date(2026, 3, 1)


def test_the_twelve_categories_have_every_cell_in_both_languages():
    assert len(categories()) == 12
    for one in categories().values():
        assert one.clause.endswith("Table I.1")
        assert set(one.enabling) <= set(Enabling)
        for cell in CELLS:
            texts = getattr(one, cell)
            assert len(texts["en"]) == len(texts["da"]) > 0, (one.id, cell)
            assert lines(texts, "da") != lines(texts, "en")


def test_there_are_ten_units_of_the_municipality_and_eight_of_the_state():
    levels = [one.level for one in units().values()]
    assert (levels.count("municipal"), levels.count("national")) == (10, 8)
    assert all(one.category in categories() and one.duties["en"] for one in units().values())


def an_initiative(name, department, shared_with=(), payers=(), late=False):
    found = initiative_of(entity("Initiative", f"urn:ngsi-ld:Initiative:{name}", {"name": prop(name)}))
    costs = tuple(Cost(2026, "capital", Money(Decimal(1), "DKK"), payer) for payer in payers)
    action = Action(department=department, shared_with=shared_with, costs=costs)
    steps = (Milestone("Open", DAY - timedelta(days=1)),) if late else ()
    plan = msgspec.structs.replace(found.plan, action=action, milestones=steps)
    return msgspec.structs.replace(found, plan=plan)


def test_what_a_unit_has_on_its_hands_is_found_by_its_name_in_any_language():
    initiatives = [
        an_initiative("a", "Miljø ", late=True),
        an_initiative("b", "Schools", shared_with=("environment",)),
        an_initiative("c", "Schools", payers=("Environment",)),
        an_initiative("d", "Schools"),
    ]
    kind = next(one for one in KINDS if one.type == "ServiceProcess")
    owned = {"name": prop("Parks"), "owner": prop("Environment")}
    services = [
        record_of(kind, entity(kind.type, f"urn:ngsi-ld:{kind.type}:{name}", said))
        for name, said in (("parks", owned), ("roads", owned | {"owner": prop("Roads")}))
    ]
    work = work_of({"en": "Environment", "da": "Miljø"}, initiatives, services, DAY)
    assert [one.id.rsplit(":")[-1] for one in (*work.own, *work.shared)] == ["a", "b", "c"]
    assert [one.id for one in work.records] == [services[0].id]
    assert [(one.id, step.name) for one, step in work.overdue] == [(initiatives[0].id, "Open")]


def test_how_somebody_stands_is_what_was_judged_last_whatever_the_order_of_writing():
    judged = [
        Appraisal(DAY + timedelta(days=9), "supportive"),
        Appraisal(DAY, "resistant", 7, 3),
        Appraisal(DAY + timedelta(days=4), "", interest=8, contact="urn:c"),
    ]
    now = standing(judged)
    assert (now.level, now.power, now.interest) == ("supportive", 7, 8)
    assert [one.contact for one in now.course] == ["", "urn:c", ""]
    assert now.quadrant is Quadrant.MANAGE_CLOSELY


def test_what_changes_nothing_is_no_moment_of_the_course():
    assert (
        len(standing([Appraisal(DAY, "neutral"), Appraisal(DAY + timedelta(days=1), "neutral")]).course) == 1
    )


@pytest.mark.parametrize(
    ("power", "interest", "field"),
    [(6, 6, "manage_closely"), (6, 5, "keep_satisfied"), (5, 6, "keep_informed"), (5, 5, "monitor")],
)
def test_the_grid_has_four_fields(power, interest, field):
    assert quadrant(power, interest) == field
    assert quadrant(None, interest) is None


def test_the_trend_counts_everybody_at_one_level():
    courses = [
        standing([Appraisal(DAY, "unaware"), Appraisal(DAY + timedelta(days=2), "leading")]),
        standing([Appraisal(DAY + timedelta(days=1), "unaware")]),
    ]
    counts = trend(courses)
    assert [one.levels["unaware"] for one in counts] == [1, 2, 1]
    assert counts[-1].levels["leading"] == 1


def test_a_role_ends_when_the_next_in_its_project_begins():
    held = in_turn(
        [
            RoleHeld("b", "active", DAY),
            RoleHeld("a", "supporter", DAY + timedelta(days=5)),
            RoleHeld("a", "opponent", DAY),
        ]
    )
    one = Stakeholder(id="x", name={"en": "X"}, roles=held)
    assert one.role_in("a") == "supporter"
    assert held[0].until == DAY + timedelta(days=5)
    assert one.roles_now == ("active", "supporter")


# -- perils ------------------------------------------------------------------------------------------------

SET = Thresholds(least_acts=10, least_groups=4)
FOUR = Register({"a": "ict", "b": "ngo", "c": "utility", "d": "citizens"})


def told(acts, efforts=(), register=FOUR):
    found = participation.findings(list(acts), list(efforts), register, SET)
    return {one.rule: one for several in found.values() for one in several}


def test_with_too_little_nothing_is_told():
    found = told([Act("a", "ict")] * 9)
    assert {one.verdict for one in found.values()} == {Verdict.UNKNOWN}
    assert found[Rule.ONE_VOICE].of == 9
    assert found[Rule.ONE_VOICE].least == 10


def test_one_voice_over_all_is_warned_of():
    found = told([Act("a", "ict")] * 4 + [Act("", "citizens")] * 6)[Rule.ONE_VOICE]
    assert (found.verdict, found.who, found.value) == (Verdict.WARNING, "a", pytest.approx(0.4))


def test_citizens_who_speak_for_themselves_are_no_single_voice():
    found = told([Act("", "citizens")] * 40)
    assert found[Rule.ONE_VOICE].value == 0
    assert found[Rule.ONE_GROUP].verdict is Verdict.UNKNOWN


def test_a_group_that_alone_changes_something_is_warned_of():
    acts = (
        [Act("a", "ict", changed=True)] * 9
        + [Act("b", "ngo", changed=True)]
        + [Act("b", "ngo", changed=False)] * 9
    )
    assert told(acts)[Rule.ONE_OUTCOME].verdict is Verdict.WARNING
    assert told(acts)[Rule.ONE_GROUP].verdict is Verdict.FINE or told(acts)[Rule.ONE_GROUP].value > 0.5


def test_effort_is_divided_among_those_who_took_part():
    efforts = [
        Effort(30, Money(Decimal("100.10"), "DKK"), 10),
        Effort(20, Money(Decimal("99.90"), "DKK"), 10),
    ]
    found = told([Act("", "citizens")] * 20, efforts)
    assert found[Rule.HOURS].value == pytest.approx(2.5)
    assert (found[Rule.MONEY].value, found[Rule.MONEY].currency) == (10.0, "DKK")


def test_money_of_two_currencies_is_not_added_up():
    efforts = [Effort(1, Money(Decimal(1), "DKK"), 10), Effort(1, Money(Decimal(1), "EUR"), 10)]
    assert told([Act("", "citizens")] * 20, efforts)[Rule.MONEY].verdict is Verdict.UNKNOWN


def test_groups_that_never_took_part_are_named():
    found = told([Act("a", "ict")] * 5 + [Act("", "citizens")] * 5)
    assert found[Rule.GROUPS_ABSENT].who == "ngo, utility"
    assert found[Rule.GROUPS_ABSENT].verdict is Verdict.WARNING
    assert found[Rule.STAKEHOLDERS_ABSENT].value == pytest.approx(0.75)


voices = st.lists(
    st.builds(
        Act,
        st.sampled_from(["", "a", "b", "c", "d"]),
        st.sampled_from(["ict", "ngo", "utility", "citizens"]),
        st.sampled_from([None, True, False]),
        st.none() | st.floats(0, 400),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(voices)
def test_shares_are_shares_and_only_what_is_beyond_its_threshold_is_warned_of(acts):
    for peril, several in participation.findings(acts, [], FOUR, SET).items():
        for one in several:
            assert (one.value is None) == (one.verdict is Verdict.UNKNOWN)
            if one.value is not None:
                assert (one.value > one.threshold) == (one.verdict is Verdict.WARNING)
                assert peril is Peril.COST or 0 <= one.value <= 1


# -- consultations -----------------------------------------------------------------------------------------

READY = Prepared(
    opens=DAY,
    closes=DAY + timedelta(days=30),
    public_since=DAY - timedelta(days=14),
    documents=1,
    questions=1,
    invited=[
        Invited("citizens", "local"),
        Invited("ngo", "both"),
        Invited("ict", "supralocal"),
        Invited("utility", "supralocal"),
    ],
    rule={"en": "Two meetings, then the committee says why it decides otherwise."},
    grievance={"en": "By letter", "da": "Pr. brev"},
    arbiter={"en": "The ombudsman"},
    grievance_since=DAY - timedelta(days=1),
    responsible={"en": "Planning", "da": "Planafdelingen"},
)


def changed(**values):

    return msgspec.structs.replace(READY, **values)


def missing(prepared):
    return [one.principle for one in principles.check(prepared, Requirements()) if not one.holds]


def test_a_consultation_opens_on_its_day_once_all_four_principles_hold():
    assert missing(READY) == []
    days = [(-1, Stage.ANNOUNCED), (0, Stage.OPEN), (30, Stage.OPEN), (31, Stage.CLOSED)]
    for days_on, stage in days:
        assert principles.stage(READY, Requirements(), DAY + timedelta(days=days_on)) is stage


@pytest.mark.parametrize(
    ("values", "principle"),
    [
        ({"invited": READY.invited[:3]}, Principle.DIVERSITY),
        ({"invited": [Invited(name, "local") for name in categories()]}, Principle.DIVERSITY),
        ({"documents": 0}, Principle.INFORMATION),
        ({"questions": 0}, Principle.INFORMATION),
        ({"public_since": DAY - timedelta(days=13)}, Principle.INFORMATION),
        ({"rule": {}}, Principle.CONSENSUS),
        ({"grievance": {}}, Principle.GRIEVANCE),
        ({"grievance_since": DAY}, Principle.GRIEVANCE),
        ({"arbiter": {"en": "planning"}}, Principle.GRIEVANCE),
        ({"arbiter": {"en": "Somebody", "da": "Planafdelingen "}}, Principle.GRIEVANCE),
    ],
)
def test_without_any_one_principle_it_is_held_up(values, principle):
    assert missing(changed(**values)) == [principle]
    assert principles.stage(changed(**values), Requirements(), DAY) is Stage.HELD_UP


def test_what_is_not_public_is_only_prepared():
    assert principles.stage(changed(public_since=None), Requirements(), DAY) is Stage.PREPARED


# -- the map and the rounds --------------------------------------------------------------------------------

CATEGORIES = {f"s{number}": list(categories())[number % 12] for number in range(200)}


def test_many_are_grouped_by_category_and_their_relations_joined():
    relations = [Relation("s0", "s1", "funding"), Relation("s13", "s12", "service", strength=3)]
    found = scene(CATEGORIES, relations)
    assert found.people == ()
    assert sum(found.groups.values()) == 200
    assert found.relations == (Relation("municipality", "government", SEVERAL, both_ways=True, strength=3),)


def test_strife_is_never_hidden_among_other_relations():
    relations = [Relation("s0", "s1", "funding"), Relation("s12", "s13", "conflict")]
    assert [one.kind for one in scene(CATEGORIES, relations).relations] == ["funding", "conflict"]


def test_one_category_is_shown_one_by_one_and_what_finds_no_room_is_told():
    found = scene(CATEGORIES, [], chosen="ict")
    assert len(found.people) + len(found.groups) == MOST_BOXES
    assert found.left_out == sum(name == "ict" for name in CATEGORIES.values()) - len(found.people)


def test_around_one_stakeholder_stand_those_they_deal_with():
    found = scene(CATEGORIES, [Relation("s0", "s1", "funding"), Relation("s3", "s4", "funding")], around="s1")
    assert found.people == ("s1", "s0")


def test_each_step_says_what_is_missing_and_a_round_is_compared_with_the_one_before():
    port = Stakeholder(id="a", name={"en": "Port"}, category="ngo")
    assert analysis.identified([port], ["ngo", "ict"]).empty == ("ict",)
    assert analysis.categorised([port]).without_role == ("a",)
    assert analysis.detailed([port], DAY).cells["a"] == CELLS
    later = Stakeholder(id="a", name={"en": "Port"}, category="ict")
    found = analysis.compared(
        [analysis.row(port)], [analysis.row(later), analysis.row(Stakeholder(id="b", name={"en": "Bus"}))]
    )
    assert found.came == ("Bus",)
    assert found.changed == {"Port": {"category": ("ngo", "ict")}}
    assert analysis.share_done([port]) == 0
