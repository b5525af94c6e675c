"""Adoption, multipliers, shared costs, partnerships, tariffs: published examples, and sums to the coin."""

from __future__ import annotations

import csv
import io
import math
import os
import zipfile
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.planning.action.model import Action, Cost
from cityloom.planning.finance.adoption import Curve, Form, fit
from cityloom.planning.finance.adoption_outcome import adoption
from cityloom.planning.finance.adoption_scenarios import Lever, Market, Option, scenario
from cityloom.planning.finance.budget_feed import against_lines, fed, needs_of
from cityloom.planning.finance.cost_sharing import (
    Service,
    Town,
    all_shares,
    cost_sharing,
    objections,
    shapley,
)
from cityloom.planning.finance.discounting import own_rate
from cityloom.planning.finance.fees import Band as FeeBand
from cityloom.planning.finance.fees import Group, Rule, answers, charge, fee_simulation, kakwani
from cityloom.planning.finance.identity_financing import (
    Payer,
    Scheme,
    fee,
    identity_financing,
    split,
    years_of,
)
from cityloom.planning.finance.input_output import Industry, effect, multipliers
from cityloom.planning.finance.network_models import Model, Network, incomes, kept_by_layer, network_model
from cityloom.planning.finance.partnership import (
    Band,
    Partner,
    Partnership,
    Period,
    Risk,
    paid,
    partnership_outcome,
)
from cityloom.planning.finance.polarisation import District, indices, polarisation
from cityloom.planning.finance.shared_blocks import Shared, System, duplicates, shared_blocks
from cityloom.planning.finance.shared_routes import Route, common_routes, parse_route, shared_routes
from cityloom.planning.finance.tariffs import CostLine, Priced, Tariff, tariff_build_up, yearly_cost
from cityloom.planning.model import Plan
from cityloom.planning.money import Money

CENTS = st.integers(0, 10**9).map(lambda cents: Decimal(cents) / 100)
ROOT = Path(__file__).parents[3]
BUDGETS = Path(os.environ.get("CITYLOOM_DATA", ROOT.parent / "shared" / "data")) / "budget"


class TestAdoption:
    #: Bass (1969) on room air conditioners: p = 0.0104, q = 0.4186; he tells the peak after 8.6 years.
    BASS = Curve(form=Form.BASS, potential=16_895_000, innovation=0.0104, imitation=0.4186)

    def test_the_peak_is_where_bass_has_it(self):
        assert self.BASS.peak == pytest.approx(8.6, abs=0.05)
        # At the peak a half less p / 2q has adopted: a closed form of the model.
        share = self.BASS.adopters(self.BASS.peak) / self.BASS.potential
        assert share == pytest.approx(0.5 - 0.0104 / (2 * 0.4186), rel=1e-9)

    def test_the_curve_solves_its_equation(self):
        """dN/dt = (p + q N/m) (m - N), by small steps."""
        level, step = 0.0, 0.0005
        for _ in range(int(10 / step)):
            level += step * (0.0104 + 0.4186 * level) * (1 - level)
        assert self.BASS.adopters(10) / self.BASS.potential == pytest.approx(level, rel=1e-3)

    @pytest.mark.parametrize(
        "curve",
        [
            BASS,
            Curve(form=Form.BASS, potential=5000, innovation=0.03, imitation=0.38),
            Curve(form=Form.BASS, potential=800, innovation=0.001, imitation=0.9),
            Curve(form=Form.LOGISTIC, potential=12_000, growth=0.7, middle=6.5),
        ],
        ids=("air conditioners", "usual", "late", "logistic"),
    )
    def test_parameters_are_found_again(self, curve):
        times = list(range(1, 15))
        found = fit(curve.form, times, [curve.adopters(time) for time in times])
        for name in found.errors:
            assert getattr(found.curve, name) == pytest.approx(getattr(curve, name), rel=1e-3)
        assert found.explained > 0.999999

    def test_under_noise_the_parameters_lie_within_their_errors(self):
        noise = np.random.default_rng(5)
        times = list(range(1, 16))
        clean = np.diff([self.BASS.adopters(time) for time in (0, *times)])
        counts = np.cumsum(clean * (1 + noise.normal(0, 0.05, len(clean))))
        found = fit(Form.BASS, times, counts)
        for name, error in found.errors.items():
            assert abs(getattr(found.curve, name) - getattr(self.BASS, name)) < 4 * error
        assert found.peak_was_seen
        assert not fit(Form.BASS, times[:6], counts[:6]).peak_was_seen

    def test_what_is_no_count_is_refused(self):
        with pytest.raises(BadInput, match="determine no curve"):
            fit(Form.BASS, [1, 2, 3], [1, 2, 3])
        with pytest.raises(BadInput, match="no counts"):
            fit(Form.BASS, [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])


class TestScenarios:
    def market(self, **more):
        lamps = Option(
            code="lamps",
            name="Lamps",
            sector="Energy",
            curve=Curve(form=Form.BASS, potential=10_000, innovation=0.03, imitation=0.4),
            launch=2026,
            fixed=Decimal(50_000),
            capital=Decimal("300.30"),
            operating=Decimal(12),
            gain=Decimal(70),
            public_share=Decimal("0.4"),
        )
        return Market(
            **{
                "currency": "EUR",
                "base_year": 2026,
                "until": 2040,
                "options": (lamps,),
                "levers": (
                    Lever(
                        scenario="Grant",
                        name="A grant",
                        capital=Decimal("0.8"),
                        imitation=1.3,
                        cost=Decimal(9_999),
                    ),
                ),
                "convention": own_rate(Decimal("0.03")),
            }
            | more
        )

    def test_totals_feed_the_budget_to_the_coin(self):
        outcome = adoption(self.market())
        budget = outcome.table("budget")
        for place in (1, 2):
            assert sum(row[place] for row in budget.rows) == budget.foot[place]
            assert budget.foot[place] == outcome.table("scenarios").rows[place - 1][3]
        sectors = outcome.table("sectors").rows
        assert sum(row[2] for row in sectors if row[0] == "Grant") == outcome.table("scenarios").rows[1][2]

    def test_what_a_scenario_needs_becomes_cost_lines_of_its_initiative(self):
        outcome = adoption(self.market())
        needs = needs_of(outcome, "Grant")
        assert sum(needs.years.values()) == outcome.table("budget").foot[2]
        assert sum(needs_of(outcome, "").years.values()) == outcome.table("budget").foot[1]
        with pytest.raises(BadInput) as caught:
            needs_of(outcome, "Loan")
        assert caught.value.where == "scenario"
        upkeep = Cost(2030, "operating", Money(Decimal(7), needs.currency))
        theirs = Cost(2030, "capital", Money(Decimal(5), needs.currency), "Schools")
        old = Cost(2030, "capital", Money(Decimal(9), needs.currency))
        plan = Plan(name={}, description={}, action=Action(costs=(old, theirs, upkeep)))
        taken = fed(plan, needs)
        assert {upkeep, theirs} < set(taken.action.costs) and old not in taken.action.costs
        assert taken.action.whole_cost.amount == sum(needs.years.values()) + 12
        lines = against_lines(taken, needs)
        assert lines.foot[3] == 12 == sum(row[3] for row in lines.rows)
        abroad = Plan(
            name={}, description={}, action=Action(costs=(Cost(2030, "operating", Money(Decimal(1), "JPY")),))
        )
        with pytest.raises(BadInput):
            fed(abroad, needs)

    def test_a_lever_moves_the_curve_and_costs_its_money(self):
        without, grant = (scenario(self.market(), name) for name in self.market().scenarios)
        assert sum(grant.levers) == 15 * 9_999
        assert grant.options["lamps"][5].adopters > without.options["lamps"][5].adopters
        first = without.options["lamps"][0]
        assert first.investment == 50_000 + first.joined * Decimal("300.30")

    def test_who_adopted_before_costs_and_brings_nothing_more(self):
        market = self.market(base_year=2031, levers=())
        years = scenario(market, "as it is").options["lamps"]
        before = round(market.options[0].curve.adopters(5))
        assert years[0].adopters - years[0].joined == before > 0
        assert years[3].gains == 70 * (years[3].adopters - before)
        assert years[0].investment == years[0].joined * Decimal("300.30")

    def test_adopters_add_up(self):
        years = scenario(self.market(), "as it is").options["lamps"]
        assert sum(one.joined for one in years) == years[-1].adopters

    def test_an_unknown_option_of_a_lever_is_refused(self):
        with pytest.raises(BadInput, match="moves nothing"):
            adoption(self.market(levers=(Lever(scenario="x", name="x", option="trams"),)))


class TestMultipliers:
    """The two-sector example of Miller and Blair's textbook on input-output analysis."""

    def table(self):
        industries = [
            Industry(name="Agriculture", output=1000, value_added=650, jobs=10),
            Industry(name="Manufacture", output=2000, value_added=1400, jobs=30),
        ]
        sales = {
            ("Agriculture", "Agriculture"): 150,
            ("Agriculture", "Manufacture"): 500,
            ("Manufacture", "Agriculture"): 200,
            ("Manufacture", "Manufacture"): 100,
        }
        return industries, sales

    def test_leontief_inverse(self):
        found = multipliers(*self.table())
        assert np.array(found.inverse) == pytest.approx(np.array([[1.254, 0.330], [0.264, 1.122]]), abs=5e-4)

    def test_new_demand_sets_in_motion_what_the_book_says(self):
        made = effect(multipliers(*self.table()), {"Agriculture": 600, "Manufacture": 1500})
        assert made.by_industry == pytest.approx({"Agriculture": 1247.5, "Manufacture": 1841.6}, abs=0.06)
        # All value is added somewhere: with no imports, as much as is spent.
        assert made.value_added == pytest.approx(2100)
        assert effect(multipliers(*self.table()), {"": 5.0}).leaked == 5.0

    def test_industries_that_eat_themselves_are_refused(self):
        with pytest.raises(BadInput, match="use up more"):
            multipliers([Industry(name="A", output=10)], {("A", "A"): 11})


class TestCostSharing:
    def test_the_runway_of_littlechild_and_owen(self):
        """Who needs the longest runway pays for its last stretch alone: a closed form."""
        needs = [Decimal(one) for one in (8, 11, 18, 32)]
        found = shapley(4, lambda members: max((needs[one] for one in members), default=Decimal(0)))
        steps = [Fraction(8, 4), Fraction(3, 3), Fraction(7, 2), Fraction(14, 1)]
        assert found == tuple(sum(steps[: place + 1]) for place in range(4))

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(0, 10**6), min_size=8, max_size=8))
    def test_shapley_is_the_mean_over_all_orders(self, costs):
        """By brute force, for any costs of coalitions."""
        table = {(): Decimal(0)}
        subsets = [tuple(one for one in range(3) if number >> one & 1) for number in range(1, 8)]
        table |= {subset: Decimal(cost) for subset, cost in zip(subsets, costs, strict=False)}
        extra = [Fraction()] * 3
        for order in permutations(range(3)):
            for place, player in enumerate(order):
                before = tuple(sorted(order[:place]))
                extra[player] += Fraction(table[tuple(sorted((*before, player)))]) - Fraction(table[before])
        assert shapley(3, table.__getitem__) == tuple(one / 6 for one in extra)

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 9999), CENTS, st.one_of(st.none(), CENTS)), min_size=2, max_size=6),
        CENTS,
        CENTS.map(lambda one: one / 10_000),
    )
    def test_every_key_sums_to_the_cost(self, towns, fixed, per_use):
        service = Service(
            towns=tuple(
                Town(name=str(place), population=Decimal(people), use=use, alone=alone)
                for place, (people, use, alone) in enumerate(towns)
            ),
            currency="DKK",
            fixed=fixed,
            per_use=per_use,
        )
        for shares in all_shares(service):
            assert sum(shares.amounts) == service.cost

    def test_a_service_that_no_town_would_run_alone(self):
        towns = tuple(
            Town(
                name=name, population=Decimal(people), use=Decimal(use), alone=Decimal(80), worth=Decimal(50)
            )
            for name, people, use in (("A", 9000, 10), ("B", 3000, 10), ("C", 300, 1))
        )
        outcome = cost_sharing(Service(towns=towns, currency="EUR", fixed=Decimal(90), per_use=Decimal(1)))
        assert any("No town would run it alone" in one for one in outcome.warnings)
        by_people = next(
            one
            for one in all_shares(Service(towns=towns, currency="EUR", fixed=Decimal(90), per_use=Decimal(1)))
            if one.key == "population"
        )
        # By population the largest town pays 81.22 of 111, more than alone; by Shapley's value nobody does.
        service = Service(towns=towns, currency="EUR", fixed=Decimal(90), per_use=Decimal(1))
        assert objections(service, by_people.amounts)[0] == (0,)
        fair = next(one for one in all_shares(service) if one.key == "shapley")
        assert objections(service, fair.amounts) == ()


class TestNetworkModels:
    NETWORK = Network(
        model=Model.SEPARATED,
        currency="EUR",
        lines=12_345,
        retail=Decimal("39.99"),
        wholesale=Decimal("21.37"),
        lease=Decimal("9.13"),
        costs=(Decimal("500000.01"), Decimal("700000.02"), Decimal("1500000.03")),
    )

    @pytest.mark.parametrize("model", list(Model))
    def test_what_parties_keep_is_what_users_pay_under_every_model(self, model):
        found = incomes(self.NETWORK, model)
        paid_by_users = Decimal("39.99") * 12_345 * 12
        assert sum(one.keeps for one in found) == paid_by_users == sum(kept_by_layer(self.NETWORK))
        assert sum(one.margin for one in found) == paid_by_users - Decimal("2700000.06")
        assert sum(one.gets for one in found) - sum(one.pays for one in found) == paid_by_users

    def test_each_model_owns_its_layers(self):
        assert [len(incomes(self.NETWORK, model)) for model in Model] == [1, 2, 2, 3]
        infrastructure = incomes(self.NETWORK, Model.ACTIVE_SHARED)[0]
        assert infrastructure.gets == Decimal("21.37") * 12_345 * 12

    def test_the_drawing_has_each_payment(self):
        chain = network_model(self.NETWORK).drawings[0]
        assert [one.amount for one in chain.payments] == [
            Decimal(price) * 12_345 * 12 for price in ("39.99", "21.37", "9.13")
        ]

    def test_prices_that_cannot_be_are_refused(self):
        with pytest.raises(BadInput):
            network_model(
                Network(
                    model=Model.SEPARATED,
                    currency="EUR",
                    lines=1,
                    retail=Decimal(1),
                    wholesale=Decimal(2),
                    lease=Decimal(0),
                )
            )


class TestIdentity:
    SCHEME = Scheme(
        payer=Payer.BOTH,
        currency="EUR",
        years=10,
        convention=own_rate(Decimal("0.04")),
        set_up=Decimal(1_000_000),
        a_year=Decimal(200_000),
        people=100_000,
        per_person=Decimal("3.33"),
        enrolment_years=4,
        public_checks=Decimal(2),
        private_checks=Decimal(6),
        per_check=Decimal("0.017"),
        private_share=Decimal("0.37"),
    )

    @pytest.mark.parametrize("payer", list(Payer))
    def test_both_parts_are_the_cost_of_each_year(self, payer):
        for one, (public, private) in zip(years_of(self.SCHEME), split(self.SCHEME, payer), strict=True):
            assert public + private == one.cost

    def test_the_fee_covers_the_private_part(self):
        asked = float(fee(self.SCHEME, Payer.PRIVATE))
        earned = sum(asked * float(one.private_checks) / 1.04**one.year for one in years_of(self.SCHEME))
        cost = sum(float(one.cost) / 1.04**one.year for one in years_of(self.SCHEME))
        assert earned == pytest.approx(cost)
        table = identity_financing(self.SCHEME).table("ways")
        assert len({row[3] for row in table.rows}) == 1
        assert years_of(self.SCHEME)[-1].enrolled == 100_000


class TestPartnership:
    DEAL = Partnership(
        currency="EUR",
        capital=Decimal("1000000.01"),
        partners=(
            Partner(name="City", share=Decimal(51), public=True),
            Partner(name="Builder", share=Decimal(49)),
        ),
        convention=own_rate(Decimal("0.05")),
        availability_payment=Decimal(100_000),
        agreed=Decimal("0.99"),
        deduction=Decimal("0.05"),
        bands=(Band(Decimal(1000), Decimal("2.50")), Band(None, Decimal(1))),
        periods=(Period(2026, Decimal("0.99"), Decimal(500)), Period(2027, Decimal("0.97"), Decimal(1500))),
        risks=(
            Risk(name="Ground", owner="City", likelihood=Decimal("0.2"), cost=Decimal(400_000)),
            Risk(name="Late", owner="Builder", likelihood=Decimal("0.5"), cost=Decimal(300_000)),
        ),
        by_itself=Decimal(400_000),
    )

    def test_payments_by_hand(self):
        first, second = paid(self.DEAL)
        assert (first.deducted, first.usage, first.total) == (0, 1250, 101_250)
        # Two points below what is agreed: a tenth is deducted. 1000 uses at 2.50, 500 at 1.
        assert (second.deducted, second.usage, second.total) == (10_000, 3000, 93_000)
        outcome = partnership_outcome(self.DEAL)
        assert outcome.figure("present") == Decimal("189821.43")
        assert outcome.figure("retained") == 80_000
        assert outcome.figure("cheaper") == Decimal("130178.57")
        assert [row[0] for row in outcome.table("risks").rows] == ["Late", "Ground"]
        assert outcome.table("shares").foot[3] == Decimal("1000000.01")

    def test_shares_are_a_hundred(self):
        with pytest.raises(BadInput, match="add up to 51"):
            partnership_outcome(
                Partnership(
                    currency="EUR",
                    capital=Decimal(1),
                    partners=self.DEAL.partners[:1],
                    convention=self.DEAL.convention,
                    periods=self.DEAL.periods,
                )
            )


class TestPolarisation:
    def districts(self, *rows):
        return [
            District(name=str(place), invested=Decimal(one), people=people, need=need)
            for place, (one, people, need) in enumerate(rows)
        ]

    def test_even_is_nothing_and_all_in_one_is_nearly_everything(self):
        even = indices(self.districts((10, 1, 1), (20, 2, 1), (40, 2, 2)))
        assert (even.gini, even.theil) == pytest.approx((0, 0), abs=1e-12)
        one = indices(self.districts(*([(0, 1, 1)] * 9), (5, 1, 1)))
        assert (one.gini, one.theil) == pytest.approx((0.9, math.log(10)))

    def test_gini_is_half_the_mean_difference(self):
        """By its other definition, by brute force over all pairs."""
        amounts = (3, 1, 4, 1, 5, 9, 2, 6)
        found = indices(self.districts(*((one, 1, 1) for one in amounts)))
        pairs = sum(abs(one - other) for one in amounts for other in amounts)
        assert found.gini == pytest.approx(pairs / (2 * len(amounts) * sum(amounts)))

    def test_concentration_tells_who_gets_it(self):
        rich = indices(self.districts((10, 1, 3), (20, 1, 2), (70, 1, 1))).concentration
        poor = indices(self.districts((70, 1, 3), (20, 1, 2), (10, 1, 1))).concentration
        assert rich == pytest.approx(-poor)
        assert rich > 0
        assert indices(self.districts((70, 1, 1), (10, 1, 1))).concentration == pytest.approx(0)

    def test_above_the_threshold_it_warns_and_names_the_worst_served(self):
        outcome = polarisation(self.districts((1, 1, 1), (1, 1, 1), (98, 1, 1)), "EUR", 0.3)
        assert any("polarised" in one and "0, 1" in one for one in outcome.warnings)
        assert not polarisation(self.districts((1, 1, 1), (1, 1, 1)), "EUR", 0.3).warnings

    @pytest.mark.skipif(not BUDGETS.exists(), reason="the participatory budgets of Warsaw are not here")
    def test_real_districts_of_warsaw(self):
        """What citizens funded in 2018 by district, over those who voted there."""
        rows = []
        with zipfile.ZipFile(BUDGETS / "warszawa_2017_2018.zip") as archive:
            names = [one for one in archive.namelist() if one.endswith(".pb")]
            for name in names:
                text = archive.read(name).decode("utf-8-sig")
                meta = dict(re_split(text, "META"))
                if meta.get("instance") != "2018" or not meta.get("district"):
                    continue
                projects = list(csv.DictReader(io.StringIO(section(text, "PROJECTS")), delimiter=";"))
                spent = sum(Decimal(one["cost"]) for one in projects if one.get("selected") == "1")
                rows.append((meta["district"], spent, float(meta["num_votes"])))
        by_district = {}
        for name, spent, votes in rows:
            was = by_district.get(name, (Decimal(0), 0.0))
            by_district[name] = (was[0] + spent, was[1] + votes)
        districts = [
            District(name=name, invested=spent, people=votes)
            for name, (spent, votes) in by_district.items()
            if votes
        ]
        assert len(districts) >= 10
        found = polarisation(districts, "PLN")
        assert 0 < found.figure("gini") < 0.6
        assert found.figure("invested") == sum(one.invested for one in districts)


def section(text, name):
    """Lines of a part of a .pb file."""
    after = text.split(f"{name}\n", 1)[1]
    for other in ("PROJECTS\n", "VOTES\n"):
        after = after.split(f"\n{other}", 1)[0]
    return after


def re_split(text, name):
    return [row[:2] for row in csv.reader(io.StringIO(section(text, name)), delimiter=";") if len(row) >= 2]


class TestTariffs:
    def test_capital_is_an_annuity(self):
        """A loan of 100,000 over 10 years at 5 % costs 12,950.46 a year: any table of annuities."""
        line = CostLine(name="Pipes", amount=Decimal(100_000), life=10)
        assert round(yearly_cost(line, Decimal("0.05")), 2) == Decimal("12950.46")
        assert yearly_cost(line, Decimal(0)) == 10_000

    def test_the_build_up_is_the_cost(self):
        priced = Priced(
            currency="EUR",
            unit="m3",
            interest=Decimal("0.03"),
            costs=(
                CostLine(name="Pipes", amount=Decimal(1_000_000), life=40),
                CostLine(name="People", amount=Decimal("70000.01")),
                CostLine(name="Offices", amount=Decimal(30_000), part=Decimal("0.333")),
            ),
            tariffs=(
                Tariff(name="Homes", price=Decimal("1.00"), units=Decimal(80_000)),
                Tariff(name="Firms", price=Decimal("1.40"), units=Decimal(20_000)),
            ),
        )
        outcome = tariff_build_up(priced)
        costs = outcome.table("costs")
        assert sum(row[2] for row in costs.rows) == costs.foot[2] == outcome.figure("cost")
        assert outcome.figure("income") == 108_000
        assert outcome.figure("gap") == outcome.figure("cost") - 108_000
        assert any("Firms pays more" in one for one in outcome.warnings)


def fee_rule(*, bands=((None, "2.00"),), groups=((1, 100, 10, -0.5, 0), (1, 300, 10, -0.5, 0)), **more):
    return Rule(
        currency="EUR",
        unit="bag",
        price_now=Decimal("1.00"),
        bands=tuple(FeeBand(None if top is None else Decimal(top), Decimal(price)) for top, price in bands),
        groups=tuple(
            Group(
                name=f"Group {place}",
                people=Decimal(people),
                income=Decimal(income),
                use=Decimal(use),
                elasticity=elasticity,
                reduction=Decimal(str(reduction)),
            )
            for place, (people, income, use, elasticity, reduction) in enumerate(groups)
        ),
        **more,
    )


class TestFees:
    def test_people_answer_along_the_line_of_their_elasticity(self):
        """Twice the price at an elasticity of -0.5 is half of the use, so the same is paid."""
        outcome = fee_simulation(fee_rule())
        assert outcome.figure("use_change") == -0.5
        assert (outcome.figure("paid_now"), outcome.figure("paid_then")) == (20, 20)
        assert [row[1] for row in outcome.table("tried").rows] == [-0.25, -0.5, -0.75]

    def test_bands_are_paid_one_after_the_other(self):
        rule = fee_rule(bands=((10, "1.00"), (20, "2.00"), (None, "5.00")))
        assert charge(rule, Decimal(25), Decimal(0)) == 10 + 20 + 25
        assert charge(rule, Decimal(25), Decimal("0.2")) == 44
        assert charge(rule, Decimal(5), Decimal(0)) == 5

    def test_use_is_where_what_is_wanted_at_its_own_average_price_is_what_is_used(self):
        rule = fee_rule(bands=((5, "0.50"), (None, "4.00")), groups=((1, 100, 10, -0.4, 0),))
        (found,) = answers(rule)
        average = charge(rule, found.use, Decimal(0)) / found.use
        assert float(found.use) == pytest.approx(10 * (1 - 0.4 * (float(average) - 1)), abs=1e-4)

    def test_kakwani_by_hand(self):
        """Incomes of 100 and 300 have a Gini index of 0.25; payments of 10 and 90 concentrate at 0.4."""
        found = answers(fee_rule())
        paid = {100: Decimal(10), 300: Decimal(90)}
        assert kakwani(found, lambda one: paid[int(one.group.income)]) == pytest.approx(0.15)
        assert kakwani(found, lambda one: one.income) == pytest.approx(0)
        assert kakwani(found, lambda one: one.paid_now) == pytest.approx(-0.25)
        assert kakwani(found, lambda _: Decimal()) is None

    def test_whoever_has_less_and_pays_more_is_named(self):
        dear = fee_rule(groups=((1, 100, 10, 0, 0), (1, 300, 10, -0.9, 0)), aim=Decimal("0.5"))
        warnings = fee_simulation(dear).warnings
        assert any("Group 0 have the least" in one for one in warnings)
        assert any("weigh more on those" in one for one in warnings)
        assert any("does not bring the change" in one for one in warnings)
        fair = fee_rule(groups=((1, 100, 10, 0, 0.5), (1, 300, 10, -0.5, 0)))
        assert fee_simulation(fair).warnings == ()

    @pytest.mark.parametrize(
        ("rule", "where"),
        [
            (fee_rule(bands=((10, "1.00"),)), "bands"),
            (fee_rule(bands=((10, "1.00"), (5, "2.00"), (None, "3.00"))), "bands"),
            (fee_rule(groups=((0, 100, 10, -0.5, 0),)), "groups"),
            (fee_rule(groups=((1, 100, 10, 0.5, 0),)), "groups"),
        ],
    )
    def test_what_cannot_be_is_refused(self, rule, where):
        with pytest.raises(BadInput) as caught:
            fee_simulation(rule)
        assert caught.value.where == where


class TestSharing:
    def test_duplicates_are_found_and_the_saving_is_told(self):
        systems = (
            System(name="ClassPay", sector="Education", block="payments", cost=Decimal(100)),
            System(name="ParkPay", sector="Mobility", block="payments", cost=Decimal(80)),
            System(name="PoolPay", sector="Culture", block="payments", cost=Decimal(60)),
            System(name="SmsA", sector="Health", block="messaging", cost=Decimal(10)),
            System(name="SmsB", sector="Care", block="messaging", cost=Decimal(10)),
            System(name="Alone", sector="Care", block="maps", cost=Decimal(500)),
        )
        found = duplicates(systems, (Shared(block="messaging", cost=Decimal(12), move=Decimal(4)),), "EUR")
        # The dearest and a tenth more for each of two others: 120 in place of 240.
        assert [(one.block, one.saving, one.said, one.pays_back) for one in found] == [
            ("payments", Decimal(120), False, 0.0),
            ("messaging", Decimal(8), True, 0.5),
        ]
        assert shared_blocks(systems, (), "EUR").figure("saving") == 120 + Decimal(9)

    def test_fibre_runs_through_the_pipe(self):
        pipe = Route(name="Pipe", places=parse_route("56.15 10.20; 56.15 10.22"), cost=Decimal(20))
        far = Route(name="Far", places=parse_route("56.20 10.20; 56.20 10.22"), cost=Decimal(1))
        fibre = Route(name="Fibre", places=parse_route("56.15002 10.205; 56.15002 10.215; 56.16 10.215"))
        (found,) = common_routes([fibre], [pipe, far], within=10, trench=Decimal(100), currency="EUR")
        width = 0.01 * 111_320 * math.cos(math.radians(56.16))
        assert (found.planned, found.existing) == ("Fibre", "Pipe")
        assert found.metres == pytest.approx(width, abs=15)
        assert float(found.saving) == pytest.approx(80 * found.metres, abs=0.1)
        outcome = shared_routes([fibre], [pipe, far], within=10, trench=Decimal(100), currency="EUR")
        assert outcome.figure("saved") == found.saving

    def test_a_metre_at_two_pipes_counts_once(self):
        pipes = [
            Route(name=str(cost), places=((10.20, 56.15), (10.22, 56.15)), cost=Decimal(cost))
            for cost in (40, 20)
        ]
        fibre = Route(name="Fibre", places=((10.205, 56.15), (10.215, 56.15)))
        (found,) = common_routes([fibre], pipes, within=5, trench=Decimal(100), currency="EUR")
        assert found.existing == "20"

    @pytest.mark.parametrize("text", ["", "56.15 10.2", "x y; z w", "95 10; 56 10", "56.15; 56.16 10.2"])
    def test_what_is_no_route_is_refused(self, text):
        with pytest.raises(BadInput, match="no route"):
            parse_route(text)
