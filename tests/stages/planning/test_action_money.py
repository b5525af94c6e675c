"""Money of the action plan: to the cent, in its currency, and nothing lost between the sums."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.ngsild.model import entity, prop
from cityloom.planning.action.budgets import budgets_of, joint
from cityloom.planning.action.financing import profile_of
from cityloom.planning.action.funding import MECHANISMS, criteria_of, joined, parted
from cityloom.planning.action.model import Action, Cost, Financing, Share
from cityloom.planning.action.ranking import Candidate, Weights, rank
from cityloom.planning.action.reporting_days import reporting_days
from cityloom.planning.action.writing import attributes_of
from cityloom.planning.model import initiative_of
from cityloom.planning.money import Money, digits_of
from cityloom.planning.writing import attributes_of as plan_attributes_of

CURRENCIES = ("DKK", "JPY", "KWD")
amounts = st.integers(0, 10**12).map(Decimal)


@st.composite
def monies(draw, currencies=CURRENCIES):
    currency = draw(st.sampled_from(currencies))
    return Money(draw(amounts).scaleb(-digits_of(currency)), currency)


@st.composite
def mixes(draw):
    """Shares that come to exactly 100 percent, in tenths."""
    names = draw(st.lists(st.sampled_from(sorted(MECHANISMS)), min_size=1, max_size=10, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 1000), min_size=len(names) - 1, max_size=len(names) - 1)))
    edges = [0, *cuts, 1000]
    parts = [Decimal(after - before) / 10 for before, after in pairwise(edges)]
    return tuple(Share(name, part) for name, part in zip(names, parts, strict=True))


def an_initiative(name, costs=(), budget=None):
    action = Action(costs=tuple(costs), department="Parks")
    document = entity("Initiative", f"urn:ngsi-ld:Initiative:{name}", {"name": prop(name)})
    found = initiative_of(document)
    plan = msgspec.structs.replace(found.plan, action=action, budget=budget or action.whole_cost)
    return msgspec.structs.replace(found, plan=plan)


@settings(max_examples=150, deadline=None)
@given(monies(), mixes())
def test_the_parts_of_an_amount_are_exactly_the_amount(amount, mix):
    parts = parted(amount, mix)
    assert sum((one.amount for one in parts.values()), Decimal(0)) == amount.amount
    coin = Decimal(1).scaleb(-digits_of(amount.currency))
    for share in mix:
        part = parts[share.mechanism]
        assert part.currency == amount.currency and part.amount == part.amount.quantize(coin)
        assert abs(part.amount - amount.amount * share.percent / 100) < coin


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(monies(), mixes()), max_size=5))
def test_the_mix_of_many_comes_to_a_hundred_and_mixes_no_currencies(parts):
    found = joined(parts)
    assert set(found) <= {amount.currency for amount, _ in parts}
    for mix in found.values():
        assert not mix or sum(one.percent for one in mix) == 100
        assert not mix or criteria_of(mix) is not None


@settings(max_examples=100, deadline=None)
@given(mixes())
def test_criteria_lie_between_bad_and_good(mix):
    found = criteria_of(mix)
    for one in msgspec.structs.astuple(found):
        assert -1e-12 <= one <= 1 + 1e-12
    if sum(1 for one in mix if one.percent) == 1:
        assert found.diversification == found.balance == 0


def test_criteria_follow_the_stated_formulas():
    mix = (Share("taxes", Decimal(50)), Share("advertising", Decimal(50)))
    found = criteria_of(mix)
    assert found.stability == pytest.approx(0.5 * 1 + 0.5 * 0.25)
    assert found.adaptability == pytest.approx(0.5 * 0.25 + 0.5 * 0.5)
    assert found.diversification == pytest.approx((1 - 0.5) / 0.9)
    assert found.balance == pytest.approx((1 - 0.5) / (2 / 3))
    assert criteria_of(mix[:1]) is None


@pytest.mark.parametrize("percents", [("50", "49.9"), ("100", "0.1"), ("60", "50")])
def test_a_mix_that_does_not_come_to_exactly_a_hundred_is_refused(percents):
    mix = tuple(Share(name, Decimal(one)) for name, one in zip(("taxes", "loans"), percents, strict=True))
    with pytest.raises(BadInput) as caught:
        attributes_of(Action(funding=mix))
    assert caught.value.where == "funding" and "100" in caught.value.hint


lines = st.builds(
    Cost,
    st.integers(2024, 2030),
    st.sampled_from(["capital", "operating"]),
    monies(("DKK",)),
    st.sampled_from(["", "Parks", "Roads"]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(lines, max_size=4), max_size=4), st.lists(monies(), max_size=3))
def test_budgets_reconcile_to_the_cent(several, unsplit):
    initiatives = [an_initiative(f"a{place}", costs) for place, costs in enumerate(several)]
    initiatives += [an_initiative(f"b{place}", budget=one) for place, one in enumerate(unsplit)]
    found = budgets_of(initiatives)
    assert [one.currency for one in found] == sorted({one.currency for one in found})
    for budget in found:
        by_row = sum((row.total for row in budget.rows), Decimal(0))
        by_year = sum((budget.of_year(year) for year in budget.years), Decimal(0))
        assert by_row == by_year == budget.of_kind("capital") + budget.of_kind("operating") == budget.split
        own = [one.plan.budget for one in initiatives if one.plan.budget]
        assert budget.total == sum((one.amount for one in own if one.currency == budget.currency), Decimal(0))


def test_what_departments_carry_together_names_each_part_and_who_pays_nothing():
    costs = (
        Cost(2026, "capital", Money(Decimal("10.00"), "DKK")),
        Cost(2026, "capital", Money(Decimal("30.05"), "DKK"), "Schools"),
        Cost(2027, "operating", Money(Decimal("0.05"), "DKK"), "Schools"),
    )
    shared = an_initiative("a", costs)
    action = msgspec.structs.replace(shared.plan.action, shared_with=("Schools", "Care"))
    shared = msgspec.structs.replace(shared, plan=msgspec.structs.replace(shared.plan, action=action))
    (found,) = joint([an_initiative("b", costs[:1]), shared])
    assert found.parts == {"Parks": Decimal("10.00"), "Schools": Decimal("30.10")}
    assert (found.without, found.total) == (("Care",), Decimal("40.10"))


def test_the_cost_lines_make_the_budget_and_must_agree_with_one_that_is_said():
    cost = (
        Cost(2026, "capital", Money(Decimal("10.10"), "DKK")),
        Cost(2026, "operating", Money(Decimal("0.05"), "DKK")),
    )
    found = an_initiative("a", cost)
    plan = msgspec.structs.replace(found.plan, name={"en": "a"}, description={"en": "a"}, budget=None)
    assert plan_attributes_of(plan)["budget"]["value"] == {"amount": "10.15", "currency": "DKK"}
    for wrong in (Money(Decimal("10.14"), "DKK"), Money(Decimal("10.15"), "EUR")):
        with pytest.raises(BadInput) as caught:
            plan_attributes_of(msgspec.structs.replace(plan, budget=wrong))
        assert caught.value.where == "costs"
    mixed = (*cost, Cost(2027, "capital", Money(Decimal(1), "EUR")))
    with pytest.raises(BadInput) as caught:
        attributes_of(Action(costs=mixed))
    assert "two currencies" in caught.value.message


@settings(max_examples=120, deadline=None)
@given(
    monies(),
    st.sampled_from(["deferred", "exportCredit", "vehicle"]),
    st.integers(0, 900),
    st.integers(0, 5),
    st.integers(1, 25),
)
def test_a_payment_profile_pays_the_whole_debt_and_no_coin_more(amount, arrangement, rate, grace, years):
    financing = Financing(arrangement, Decimal(rate) / 100, 2027, grace, years)
    found = profile_of(amount, financing)
    assert found.payments[-1].left == 0
    assert found.paid - found.price == amount.amount
    assert all(one.paid_off >= 0 and one.interest >= 0 for one in found.payments)
    assert [one.year for one in found.payments] == list(range(2027, 2027 + len(found.payments)))
    if not rate:
        assert found.price == 0
    interest = sum((one.interest for one in found.payments), Decimal(0))
    if arrangement == "exportCredit":
        assert found.price == interest
        assert all(one.paid_off == 0 for one in found.payments[:grace])


def test_a_deferred_payment_by_hand():
    financing = Financing("deferred", Decimal(10), 2027, grace_years=1, years=2)
    found = profile_of(Money(Decimal("1000.00"), "EUR"), financing)
    assert [str(one.paid) for one in found.payments] == ["0", "633.81", "633.81"]
    assert found.payments[0].left == Decimal("1100.00") and found.price == Decimal("267.62")


def candidate(name, value, cost, days, currency="DKK", effort=None):
    return Candidate(id=name, value=value, cost=Money(Decimal(cost), currency), days=days, effort=effort)


def test_the_score_is_the_stated_one_and_what_lacks_something_is_named():
    one, other = candidate("a", 5, 25, 50), candidate("b", 3, 100, 100, effort=1)
    blank = Candidate(id="c", value=None, cost=None, days=3)
    found = rank([other, blank, one], Weights(2, 1, 1, 1))
    assert [row.candidate.id for row in found.ranked] == ["a", "b"]
    assert found.ranked[0].score == pytest.approx(100 * (2 * 1 + 0.75 + 0.5 + 0.5) / 5)
    assert found.ranked[1].score == pytest.approx(100 * (2 * 0.5 + 0 + 0 + 1) / 5)
    assert found.left_out == (blank,)
    assert [row.is_quick_win for row in found.ranked] == [True, False]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 999), st.integers(0, 999)), max_size=8),
    st.tuples(*[st.floats(0, 9)] * 4),
)
def test_more_value_less_cost_and_less_time_never_rank_lower(rows, weights):
    several = [candidate(f"{place:02}", *row) for place, row in enumerate(rows)]
    found = {row.candidate.id: row for row in rank(several, Weights(*weights)).ranked}
    for one in several:
        for other in several:
            if one.value >= other.value and one.cost.amount <= other.cost.amount and one.days <= other.days:
                assert found[one.id].score >= found[other.id].score - 1e-6
                assert 0 <= found[one.id].score <= 100


def test_days_of_report_follow_the_rhythm_and_end_with_the_end():
    assert reporting_days("quarterly", date(2026, 1, 31), date(2026, 10, 1)) == [
        date(2026, 4, 30),
        date(2026, 7, 31),
        date(2026, 10, 1),
    ]
    assert reporting_days("yearly", date(2024, 2, 29), date(2026, 2, 28)) == [
        date(2025, 2, 28),
        date(2026, 2, 28),
    ]
    assert reporting_days("atMilestones", date(2026, 1, 1), date(2027, 1, 1)) == []
    assert len(reporting_days("monthly", date(2026, 1, 1), date(2027, 1, 1))) == 12
