"""What a contract pays is exact, never better for a worse value, and adds up to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.history.model import Reading
from cityloom.kernel.canonical import digest_of
from cityloom.kernel.errors import BadInput
from cityloom.planning.contracts.checking import check_terms
from cityloom.planning.contracts.gathering import Exclusion, gather
from cityloom.planning.contracts.periods import Period, periods_of
from cityloom.planning.contracts.scoring import Due, capped, due_of, score_of
from cityloom.planning.contracts.statement import Known, later_than, statement_of
from cityloom.planning.contracts.terms import Band, Direction, Every, Line, Rule, Terms, WithoutData

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
LIGHTS = "urn:ngsi-ld:KeyPerformanceIndicator:lights"


def a_line(**changes) -> Line:
    return msgspec.structs.replace(
        Line(
            name={"en": "Street lights in order"},
            about=LIGHTS,
            unit_code="P1",
            target=99.0,
            worst=90.0,
            expected=Decimal(80),
            price=Decimal("10000.00"),
            bonus=Decimal("1000.00"),
            malus=Decimal("2500.00"),
        ),
        **changes,
    )


def terms_with(*lines: Line, **changes) -> Terms:
    return msgspec.structs.replace(
        Terms(
            name={"en": "Street lighting"},
            provider="urn:ngsi-ld:ContractParty:lys",
            examiner="auditor",
            currency="DKK",
            starts=date(2026, 1, 1),
            ends=date(2027, 1, 1),
            lines=lines or (a_line(),),
        ),
        **changes,
    )


def readings(*values: float, first: datetime = datetime(2026, 3, 1, tzinfo=COPENHAGEN), about: str = LIGHTS):
    """One value a day, each stamped at the end of its day."""
    return [
        Reading(about, "kpiValue", first + timedelta(days=day + 1), value, unit_code="P1", sequence=day + 1)
        for day, value in enumerate(values)
    ]


MARCH = Period(date(2026, 3, 1), date(2026, 4, 1))


# Scores

RULES = st.sampled_from(list(Rule))
VALUES = st.floats(-1e6, 1e6)


@given(RULES, st.sampled_from(list(Direction)), VALUES, VALUES, st.data())
def test_a_better_value_never_scores_less_nor_pays_less(rule, direction, one, other, data):
    worst, target = data.draw(st.sampled_from([(0.1, 0.3), (-5.0, 700.5), (1e-9, 2e-9), (0.0, 1e6)]))
    if direction is Direction.LOWER:
        worst, target = target, worst
    bands = tuple(Band(bound, Decimal(score)) for bound, score in [(0.0, 30), (worst, 10), (target, 100)])
    line = a_line(rule=rule, direction=direction, worst=worst, target=target, bands=bands)
    better, worse = (max(one, other), min(one, other))
    if direction is Direction.LOWER:
        better, worse = worse, better
    high, low = score_of(line, better), score_of(line, worse)
    assert 0 <= low <= high <= 100
    assert due_of(line, low, "DKK").payable <= due_of(line, high, "DKK").payable


def test_scores_of_each_rule():
    assert score_of(a_line(), 90.0) == 0
    assert score_of(a_line(), 94.5) == 50
    assert score_of(a_line(), 120.0) == 100
    assert score_of(a_line(rule=Rule.THRESHOLD), 98.999) == 0
    assert score_of(a_line(rule=Rule.THRESHOLD), 99.0) == 100
    falling = a_line(direction=Direction.LOWER, target=10.0, worst=40.0)
    assert (score_of(falling, 40.0), score_of(falling, 25.0), score_of(falling, 3.0)) == (0, 50, 100)
    bands = a_line(rule=Rule.BANDS, bands=(Band(95.0, Decimal(50)), Band(98.0, Decimal(80))))
    assert (score_of(bands, 94.9), score_of(bands, 95.0), score_of(bands, 99.0)) == (0, 50, 80)


def test_the_plain_price_is_paid_at_the_expected_score():
    line = a_line()
    assert due_of(line, Decimal(80), "DKK").payable == Decimal("10000.00")
    assert due_of(line, Decimal(100), "DKK").payable == Decimal("11000.00")
    assert due_of(line, Decimal(90), "DKK").payable == Decimal("10500.00")
    assert due_of(line, Decimal(0), "DKK").payable == Decimal("7500.00")
    assert due_of(line, Decimal(40), "DKK").malus == Decimal("1250.00")


def test_too_little_data_holds_pays_or_counts_as_nothing():
    held = due_of(a_line(), None, "DKK")
    assert (held.payable, held.held) == (0, Decimal("10000.00"))
    assert due_of(a_line(without_data=WithoutData.PRICE), None, "DKK").payable == Decimal("10000.00")
    assert due_of(a_line(without_data=WithoutData.WORST), None, "DKK").payable == Decimal("7500.00")


AMOUNTS = st.decimals(0, 10**9, places=2)


@given(st.lists(AMOUNTS, min_size=1, max_size=20), AMOUNTS)
def test_what_is_capped_adds_up_to_the_cap_exactly(bonuses, cap):
    dues = [Due(Decimal(0), bonus=one, malus=one) for one in bonuses]
    cut = capped(dues, "DKK", bonus_cap=cap, malus_cap=None)
    assert sum(one.bonus for one in cut) == min(sum(bonuses), cap)
    assert [one.malus for one in cut] == bonuses
    for before, after in zip(dues, cut, strict=True):
        assert 0 <= after.bonus <= before.bonus
        assert after.bonus == after.bonus.quantize(Decimal("0.01"))


@given(
    st.lists(st.tuples(AMOUNTS, AMOUNTS, st.one_of(st.none(), st.decimals(0, 100, places=4))), min_size=1),
    st.sampled_from(["DKK", "JPY", "KWD"]),
)
def test_sums_are_sums_of_lines_in_the_digits_of_the_currency(rows, currency):
    cent = {"DKK": Decimal("0.01"), "JPY": Decimal(1), "KWD": Decimal("0.001")}[currency]
    dues = [
        due_of(
            a_line(price=price.quantize(cent), bonus=extra.quantize(cent), malus=Decimal(0)), score, currency
        )
        for price, extra, score in rows
    ]
    for one in dues:
        assert one.payable == one.price + one.bonus - one.malus - one.held
        assert one.bonus == one.bonus.quantize(cent)


# Evidence


def test_days_are_whole_when_the_clock_changes():
    found = gather(
        a_line(),
        readings(*[98.0] * 31),
        MARCH.begins(COPENHAGEN),
        MARCH.finishes(COPENHAGEN),
        zone=COPENHAGEN,
    )
    assert (found.expected, found.missing, found.count, found.coverage) == (31, 0, 31, 100)
    assert found.value == pytest.approx(98.0)
    assert found.because[0].count == 31


def test_a_value_at_the_end_of_the_period_belongs_to_it_and_one_at_its_beginning_does_not():
    several = [
        *readings(50.0, first=datetime(2026, 2, 28, tzinfo=COPENHAGEN)),
        *readings(*[98.0] * 31),
        *readings(50.0, first=datetime(2026, 4, 1, tzinfo=COPENHAGEN)),
    ]
    found = gather(a_line(), several, MARCH.begins(COPENHAGEN), MARCH.finishes(COPENHAGEN), zone=COPENHAGEN)
    assert (found.count, found.value) == (31, pytest.approx(98.0))


def test_gaps_are_named_and_excluded_time_is_neither_expected_nor_read():
    values = readings(*[98.0] * 10, *[0.0] * 2, *[98.0] * 19)
    del values[20:23]
    storm = Exclusion("2026-03-10T23:00:00Z", "2026-03-12T23:00:00Z", "Storm", "Council 7/2026")
    found = gather(
        a_line(), values, MARCH.begins(COPENHAGEN), MARCH.finishes(COPENHAGEN), [storm], zone=COPENHAGEN
    )
    assert (found.expected, found.missing, found.excluded) == (29, 3, 2)
    assert found.gaps == (("2026-03-20T23:00:00Z", "2026-03-23T23:00:00Z"),)
    assert found.value == pytest.approx(98.0)


def test_what_is_no_number_or_of_another_unit_is_left_out_and_counted():
    odd = [
        Reading(LIGHTS, "kpiValue", datetime(2026, 3, 2, 12, tzinfo=UTC), "many", sequence=1),
        Reading(LIGHTS, "kpiValue", datetime(2026, 3, 3, 12, tzinfo=UTC), 3.0, unit_code="MTR", sequence=2),
    ]
    found = gather(a_line(), odd, MARCH.begins(UTC), MARCH.finishes(UTC), zone=UTC)
    assert (found.count, found.left_out, found.value) == (0, 2, None)


# Statements


def a_statement(values, terms=None, exclusions=()):
    terms = terms or terms_with()
    found = dict.fromkeys(range(len(terms.lines)), readings(*values))
    return statement_of(
        "urn:x", terms, MARCH, found, exclusions, zone=COPENHAGEN, computed_at="2026-04-02T00:00:00Z"
    )


@given(st.lists(st.floats(0, 100), min_size=31, max_size=31), st.lists(AMOUNTS, min_size=1, max_size=4))
def test_a_statement_adds_up_to_the_cent(values, prices):
    lines = [a_line(price=one, bonus=one / 2 // 1, malus=one // 3) for one in prices]
    said = a_statement(values, terms_with(*lines, bonus_cap=Decimal("12.34"), malus_cap=Decimal("99.99")))
    assert said.payable == said.price + said.bonus - said.malus - said.held
    assert said.payable == sum(one.payable for one in said.lines)
    assert said.bonus <= Decimal("12.34") and said.malus <= Decimal("99.99")
    assert said.payable >= 0


def test_too_few_readings_are_no_score():
    said = a_statement([98.0] * 20)
    assert (said.lines[0].known, said.lines[0].score, said.score) == (Known.TOO_LITTLE, None, None)
    assert said.held == said.price
    assert a_statement([]).lines[0].known is Known.NOTHING


def test_the_hash_tells_every_change_and_survives_being_kept():
    said = a_statement([98.0] * 31)
    kept = msgspec.convert(msgspec.to_builtins(said), type(said))
    assert digest_of(kept) == digest_of(said)
    assert digest_of(msgspec.structs.replace(said, payable=said.payable + Decimal("0.01"))) != digest_of(said)


def test_later_readings_are_told_by_day_with_what_they_would_come_to():
    before, after = a_statement([98.0] * 31), a_statement([98.0] * 30 + [90.0])
    (found,) = later_than(before, after)
    assert found.days == ("2026-03-31",)
    assert found.score_now < before.lines[0].score
    assert later_than(before, a_statement([98.0] * 31)) == ()


# Terms


def test_periods_are_whole_months_from_the_first_day_to_the_last():
    found = periods_of(terms_with(starts=date(2026, 1, 31), ends=date(2026, 4, 10)))
    assert [one.first for one in found] == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)]
    assert [one.end for one in found] == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 10)]
    assert len(periods_of(terms_with(every=Every.QUARTER))) == 4
    assert len(periods_of(terms_with(every=Every.ONCE))) == 1


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.integers(1, 4000), st.sampled_from(list(Every)))
def test_periods_follow_each_other_without_a_hole(starts, days, every):
    found = periods_of(terms_with(starts=starts, ends=starts + timedelta(days=days), every=every))
    assert found[0].first == starts and found[-1].end == starts + timedelta(days=days)
    assert all(one.end == other.first and one.first < one.end for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ({"worst": 99.0}, "worst"),
        ({"direction": Direction.LOWER}, "worst"),
        ({"rule": Rule.BANDS}, "bands"),
        ({"expected": Decimal(100)}, "bonus"),
        ({"expected": Decimal(0)}, "malus"),
        ({"malus": Decimal("10000.01")}, "malus"),
        ({"price": Decimal("0.001"), "malus": Decimal(0)}, "price"),
        ({"least_coverage": Decimal(101)}, "least_coverage"),
        ({"target": float("nan")}, "target"),
        ({"every": "often"}, "every"),
        ({"every": "P0D"}, "every"),
        ({"name": {}}, "name"),
    ],
)
def test_terms_that_cannot_be_settled_are_refused(line, where):
    with pytest.raises(BadInput) as refused:
        check_terms(terms_with(a_line(**line)))
    assert refused.value.where.startswith("lines.0") and where in refused.value.where


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"ends": date(2026, 1, 1)}, "ends"),
        ({"currency": "XXX"}, "currency"),
        ({"dispute_days": -1}, "dispute_days"),
        ({"lines": ()}, "lines"),
        ({"ends": date(2126, 1, 1)}, "every"),
        ({"bonus_cap": Decimal(-1)}, "bonus_cap"),
    ],
)
def test_contracts_that_cannot_be_kept_are_refused(changes, where):
    with pytest.raises(BadInput) as refused:
        check_terms(terms_with(**changes) if "lines" in changes else terms_with(a_line(), **changes))
    assert where in refused.value.where
