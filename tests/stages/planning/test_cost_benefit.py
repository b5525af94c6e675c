"""Costs against benefits: worked examples that others published, and what must hold for any plan."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.planning.course import Point
from cityloom.planning.finance.appraisal import appraise, payback, present_values
from cityloom.planning.finance.cash_flows import Analysis, Item, Kind, Shape, Spread, check_analysis, yearly
from cityloom.planning.finance.cost_benefit import cost_benefit
from cityloom.planning.finance.definition import parse_definition
from cityloom.planning.finance.discounting import (
    TITLES,
    Basis,
    Timing,
    conventions,
    discounted,
    factors,
    in_prices,
    own_rate,
)
from cityloom.planning.finance.internal_rates import internal_rates
from cityloom.planning.finance.outcome import plain
from cityloom.planning.finance.promised import against_budget, balance
from cityloom.planning.finance.sensitivity import DISCOUNT_RATE, npv_of, tornado
from cityloom.planning.finance.simulation import simulate
from cityloom.planning.finance.sums import apportioned, one_currency, rounded, rounded_together
from cityloom.planning.money import Money

COINS = st.integers(0, 10**11).map(lambda cents: Decimal(cents) / 100)
SIGNED = st.integers(-(10**9), 10**9).map(lambda cents: Decimal(cents) / 100)


def plan(flows, *, rate="0.05", timing=Timing.YEAR_ZERO, **more):
    """An analysis of net flows: what is below 0 is a cost of the city, the rest a benefit of its people."""
    below = {2026 + place: -Decimal(one) for place, one in enumerate(flows) if Decimal(one) < 0}
    above = {2026 + place: Decimal(one) for place, one in enumerate(flows) if Decimal(one) >= 0}
    items = (
        Item(code="c", name="Costs", kind=Kind.CAPITAL, group="City", amounts=below),
        Item(code="b", name="Benefits", kind=Kind.BENEFIT, group="People", amounts=above),
    )
    return Analysis(
        name="A plan",
        currency="EUR",
        base_year=2026,
        until=2026 + len(flows) - 1,
        items=items,
        convention=own_rate(Decimal(rate), timing=timing),
        **more,
    )


class TestPublishedExamples:
    """Figures that stand in the handbooks of spreadsheets, of the treasuries, and in textbooks."""

    @pytest.mark.parametrize(
        ("flows", "rate", "timing", "npv"),
        [
            ((-10000, 3000, 4200, 6800), "0.10", Timing.YEAR_END, "1188.44"),
            ((-40000, 8000, 9200, 10000, 12000, 14500), "0.08", Timing.YEAR_ZERO, "1922.06"),
            ((-40000, 8000, 9200, 10000, 12000, 14500, -9000), "0.08", Timing.YEAR_ZERO, "-3749.47"),
        ],
    )
    def test_net_present_value(self, flows, rate, timing, npv):
        assert appraise(plan(flows, rate=rate, timing=timing)).npv == Decimal(npv)

    @pytest.mark.parametrize(
        ("flows", "rates"),
        [
            ((-70000, 12000, 15000, 18000, 21000), [-0.0212]),
            ((-70000, 12000, 15000, 18000, 21000, 26000), [0.0866]),
            ((-70000, 12000, 15000), [-0.4435]),
            ((-100, 39, 59, 55, 20), [0.28095]),
            ((-100, 0, 0, 74), [-0.0955]),
            # The pump of Lorie and Savage: more oil sooner, and two rates.
            ((-1600, 10000, -10000), [0.25, 4.0]),
            ((-1000, 6000, -11000, 6000), [0.0, 1.0, 2.0]),
            ((-1, 2, -1), [0.0]),
            ((100, -200, 150), []),
            ((-100, -5), []),
            ((), []),
        ],
    )
    def test_internal_rates(self, flows, rates):
        found = internal_rates([Decimal(one) for one in flows])
        assert [float(one) for one in found.rates] == pytest.approx(rates, abs=5e-5)

    @pytest.mark.parametrize(
        ("convention", "year", "factor"),
        [
            ("green_book", 10, "0.7089"),
            ("green_book", 30, "0.3563"),
            ("green_book", 31, "0.3459"),
            ("eu_2014_cohesion", 20, "0.3769"),
            # The table of the circular counts from 1.
            ("us_a94_1992", 0, "0.9667"),
            ("us_a94_1992", 29, "0.1359"),
        ],
    )
    def test_discount_factors(self, convention, year, factor):
        assert round(factors(conventions()[convention], year + 1)[year], 4) == Decimal(factor)

    def test_a_declining_rate_is_chained(self):
        """The Danish note says it by an example: each part of 75 years at its own rate."""
        factor = factors(conventions()["dk_2021"], 76)[75]
        by_hand = Fraction(1000, 1035) ** 35 * Fraction(1000, 1025) ** 35 * Fraction(1000, 1015) ** 5
        assert float(factor) == pytest.approx(float(by_hand), rel=1e-15)

    def test_every_convention_names_its_source(self):
        assert set(conventions()) == set(TITLES)
        for one in conventions().values():
            assert one.source
            assert one.rates[0].since == 0

    def test_payback(self):
        assert payback([Decimal(one) for one in (-1000, 400, 400, 400)]).years == Decimal("2.5")
        assert payback([Decimal(one) for one in (-1000, 400, 400, 400)], Timing.YEAR_END).years == Decimal(
            "3.5"
        )
        assert payback([Decimal(-10), Decimal(9)]).years is None
        assert payback([Decimal(3)]).years == 0
        assert payback([Decimal(one) for one in (-10, 12, -5)]).lost_again

    def test_real_and_nominal_say_the_same(self):
        """Flows that grow with the prices, at the nominal rate, are worth what they are in real terms."""
        real = plan((-1000, 500, 500, 500), rate="0.04")
        inflated = [-1000, *(500 * Fraction(103, 100) ** year for year in (1, 2, 3))]
        turned = in_prices(real.convention, Basis.NOMINAL, Decimal("0.03"))
        by = factors(turned, 4)
        worth = sum(float(flow) * float(factor) for flow, factor in zip(inflated, by, strict=True))
        assert worth == pytest.approx(float(sum(_signed(real))), abs=1e-9)
        with pytest.raises(BadInput, match="inflation"):
            in_prices(conventions()["dk_2021"], Basis.NOMINAL, None)


def _signed(analysis):
    return [one.sign * value for one, value in zip(analysis.items, present_values(analysis), strict=True)]


class TestAnyPlan:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(SIGNED, min_size=1, max_size=12))
    def test_every_table_adds_up_to_the_coin(self, flows):
        found = appraise(plan(flows))
        assert found.npv == sum(one.signed for one in found.items)
        assert found.npv == sum(one.net for one in found.groups) == found.gains - found.costs
        assert found.npv == sum(one.present for one in found.years) == found.years[-1].cumulated_present
        assert sum(one.net for one in found.years) == sum(flows)
        exact = discounted(flows, factors(found.analysis.convention, len(flows)))
        assert found.npv == rounded(exact, "EUR")

    @settings(max_examples=60, deadline=None)
    @given(st.lists(SIGNED, min_size=2, max_size=8), st.lists(SIGNED, min_size=8, max_size=8))
    def test_the_present_value_is_linear(self, one, other):
        other = other[: len(one)]
        by = factors(own_rate(Decimal("0.07")), len(one))
        both = [2 * here + there for here, there in zip(one, other, strict=True)]
        apart = 2 * discounted(one, by) + discounted(other, by)
        assert abs(discounted(both, by) - apart) < Decimal("1e-20")

    @settings(max_examples=80, deadline=None)
    @given(st.lists(SIGNED, min_size=2, max_size=10))
    def test_at_an_internal_rate_the_plan_is_worth_nothing_and_none_is_missed(self, flows):
        found = internal_rates(flows)
        size = sum(abs(one) for one in flows)
        for rate in found.rates:
            if Decimal("-0.5") < rate < 1000:
                assert abs(discounted(flows, factors(_at(rate), len(flows)))) <= size * Decimal("1e-5")
        # Looked for by brute force: each change of sign between two rates has one of them in between.
        rates = [Decimal(step) / 50 for step in range(-40, 200)]
        worths = [sum(flow / (1 + rate) ** year for year, flow in enumerate(flows)) for rate in rates]
        for low, high, here, there in zip(rates, rates[1:], worths, worths[1:], strict=False):
            if here * there < 0:
                assert any(low <= one <= high for one in found.rates)

    @settings(max_examples=80, deadline=None)
    @given(
        COINS,
        st.lists(st.integers(0, 1000), min_size=1, max_size=9).filter(any),
        st.sampled_from(["EUR", "JPY", "KWD"]),
    )
    def test_parts_of_an_amount_are_the_whole(self, total, weights, currency):
        total = rounded(total, currency)
        parts = apportioned(total, weights, currency)
        assert sum(parts) == total
        for part, weight in zip(parts, weights, strict=True):
            exact = Fraction(total) * weight / sum(weights)
            assert abs(Fraction(part) - exact) < Fraction(rounded(Decimal(1), currency)) or part == exact

    @given(st.lists(SIGNED.map(lambda one: one / 7), max_size=9))
    def test_what_is_rounded_together_adds_up(self, amounts):
        assert sum(rounded_together(amounts, "EUR")) == rounded(
            sum(map(Fraction, amounts), Fraction()), "EUR"
        )

    def test_currencies_do_not_mix(self):
        with pytest.raises(BadInput, match="DKK, EUR"):
            one_currency([Money(Decimal(1), "EUR"), Money(Decimal(1), "DKK")])


def _at(rate):
    convention = own_rate(Decimal(0))
    return type(convention)(convention.id, (type(convention.rates[0])(0, rate),))


class TestSensitivity:
    def test_a_switching_value_takes_the_plan_to_nothing(self):
        analysis = plan((-1000, 300, 400, 500), rate="0.06")
        for swing in tornado(analysis):
            if swing.code == DISCOUNT_RATE:
                rate = internal_rates(analysis.net()).one / Decimal("0.06")
                assert float(swing.switching) == pytest.approx(float(rate), abs=1e-8)
            else:
                multiples = [
                    swing.switching if one.code == swing.code else Decimal(1) for one in analysis.items
                ]
                assert abs(npv_of(analysis, multiples)) < Decimal("1e-20")

    def test_the_widest_swing_comes_first_and_is_what_brute_force_says(self):
        analysis = plan((-1000, 300, 400, 500), rate="0.06")
        swings = tornado(analysis)
        assert [one.reach for one in swings] == sorted((one.reach for one in swings), reverse=True)
        costs = next(one for one in swings if one.code == "c")
        assert costs.low == appraise(plan((-900, 300, 400, 500), rate="0.06")).npv
        assert costs.high == appraise(plan((-1100, 300, 400, 500), rate="0.06")).npv


class TestMonteCarlo:
    def uncertain(self, spread, **more):
        base = plan((-1000, 600, 600), rate="0.10", **more)
        benefit = Item(
            code="b",
            name="B",
            kind=Kind.BENEFIT,
            group="People",
            amounts=base.items[1].amounts,
            spread=spread,
        )
        return Analysis(
            **{name: getattr(base, name) for name in base.__struct_fields__}
            | {"items": (base.items[0], benefit)}
        )

    @pytest.mark.parametrize(
        ("spread", "mean", "deviation"),
        [
            (Spread(Shape.UNIFORM, low=0.5, high=1.5), 1.0, 1 / 12**0.5),
            (
                Spread(Shape.TRIANGULAR, low=0.5, likely=1.0, high=1.8),
                1.1,
                ((0.25 + 1 + 3.24 - 0.5 - 0.9 - 1.8) / 18) ** 0.5,
            ),
            (Spread(Shape.PERT, low=0.5, likely=1.0, high=1.8), (0.5 + 4 + 1.8) / 6, None),
            (Spread(Shape.NORMAL, deviation=0.2), 1.0, 0.2),
            (Spread(Shape.LOGNORMAL, deviation=0.3), 1.0, 0.3),
        ],
        ids=lambda one: getattr(one, "shape", ""),
    )
    def test_the_runs_have_the_mean_and_the_width_that_were_said(self, spread, mean, deviation):
        found = simulate(self.uncertain(spread, runs=40_000, seed=3))
        worth = 600 / 1.1 + 600 / 1.21
        assert found.mean == pytest.approx(-1000 + mean * worth, abs=8)
        if deviation is not None:
            assert found.deviation == pytest.approx(deviation * worth, rel=0.02)
        assert sum(found.counts) == 40_000

    def test_a_seed_repeats_the_runs_and_another_does_not(self):
        spread = Spread(Shape.TRIANGULAR, low=0.5, high=1.5)
        here, again = (simulate(self.uncertain(spread, seed=1)) for _ in range(2))
        assert here == again
        assert here != simulate(self.uncertain(spread, seed=2))

    def test_an_uncertain_rate_moves_the_result_by_itself(self):
        analysis = plan((-1000, 600, 600), rate="0.10", rate_spread=Spread(Shape.UNIFORM, low=0.5, high=1.5))
        found = simulate(analysis)
        low, high = (float(appraise(plan((-1000, 600, 600), rate=rate)).npv) for rate in ("0.15", "0.05"))
        assert low <= found.percentiles[5] < found.percentiles[95] <= high
        assert found.drivers[0] == (DISCOUNT_RATE, pytest.approx(-1.0))

    def test_without_anything_uncertain_there_is_none_and_it_is_said(self):
        assert simulate(plan((-10, 20))) is None
        assert any("risk" in one for one in cost_benefit(plan((-10, 20))).warnings)


class TestPromisedAndMeasured:
    def analysis(self):
        speed = Item(
            code="time",
            name="Time",
            kind=Kind.BENEFIT,
            group="Passengers",
            amounts=yearly(Decimal(900), 2027, 2030, "EUR"),
            indicator="urn:ngsi-ld:KeyPerformanceIndicator:delay",
            unit_value=Decimal(300),
            change=-3.0,
            baseline=12.0,
        )
        base = plan((-2000, 0, 0, 0, 0), rate="0.0")
        return check_analysis(
            Analysis(
                **{name: getattr(base, name) for name in base.__struct_fields__}
                | {"items": (base.items[0], speed)}
            )
        )

    def point(self, year, value):
        return Point(datetime(year, 6, 1, tzinfo=UTC), value)

    def test_a_benefit_is_what_its_indicator_says(self):
        points = [self.point(2027, 11.0), self.point(2027, 12.0), self.point(2028, 13.0)]
        found = balance(self.analysis(), {"urn:ngsi-ld:KeyPerformanceIndicator:delay": points}, 2028)
        assert [(one.year, one.measured_change, one.measured, one.whole) for one in found.kept] == [
            (2027, 0.5, Decimal("150.00"), True),
            (2028, -1.0, Decimal("-300.00"), False),
        ]
        assert (found.promised, found.measured) == (Decimal(1800), Decimal(-150))
        # As promised: -2000 - 150 + 2 x 900. As in 2027, the newest year that is over: a sixth of it.
        assert found.npv_as_promised == Decimal(-350)
        assert found.npv_as_measured == Decimal(-1850)

    def test_what_cannot_be_told_is_named_with_its_reason(self):
        found = balance(self.analysis(), {}, 2030)
        assert [(one.item.code, one.reason) for one in found.untold] == [("time", "nothing-measured")]
        assert found.npv_as_promised == found.npv_as_measured == appraise(self.analysis()).npv

    def test_the_budget_shows_what_it_does_not_cover(self):
        line = against_budget(self.analysis(), Money(Decimal(1500), "EUR"), None, "City")
        assert (line.capital, line.operating, line.left) == (2000, 0, -500)
        assert against_budget(self.analysis(), Money(Decimal(1500), "DKK"), None) is None


TEXT = """
name = "Lamps"
currency = "EUR"
base_year = 2026
until = 2029
rate = 0.04

[[items]]
code = "lamps"
kind = "capital"
group = "City"
amounts = { 2026 = 1000.10 }

[[items]]
code = "current"
kind = "benefit"
group = "City"
amount = 400
from = 2027
growth = 0.02
"""


class TestDefinition:
    def test_numbers_are_read_exactly(self):
        analysis = parse_definition(TEXT.encode())
        assert analysis.items[0].amounts == {2026: Decimal("1000.10")}
        assert analysis.items[1].amounts == {2027: 400, 2028: 408, 2029: Decimal("416.16")}

    @pytest.mark.parametrize(
        ("before", "after", "line"),
        [
            ("rate = 0.04", 'rate = 0.04\nconvention = "dk_2021"', 7),
            ("rate = 0.04", 'convention = "nobody"', 6),
            ("1000.10", "1000.105", 12),
            ("2026 = 1000.10", "2031 = 5", 12),
            ("from = 2027", "from = 2020", 19),
            ('kind = "benefit"', 'kind = "gift"', 16),
            ("amount = 400", "amount = -400", 18),
            ('code = "current"', 'code = "lamps"', 15),
            ('currency = "EUR"', 'currency = "EURO"', 3),
            ("growth = 0.02", "spread = { shape = 'uniform', low = 2, high = 1 }", 20),
        ],
    )
    def test_the_line_at_fault_is_named(self, before, after, line):
        assert before in TEXT
        with pytest.raises(BadInput) as caught:
            parse_definition(TEXT.replace(before, after, 1).encode(), "lamps.toml")
        assert caught.value.where == f"lamps.toml line {line}"
        assert caught.value.hint

    def test_json_keeps_amounts_as_texts(self):
        said = plain(cost_benefit(parse_definition(TEXT.encode())))
        assert said["figures"]["npv"]["value"] == said["tables"]["years"][-1]["present"]
        assert said["tables"]["items"][0]["present"] == "-1000.10"
        assert json.loads(json.dumps(said)) == said
