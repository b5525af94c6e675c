"""What holds of composite indices whatever the values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cityloom.indicators.composite import normalisation, weighting
from cityloom.indicators.composite.aggregation import ranks, together
from cityloom.indicators.composite.computing import Observations, compute
from cityloom.indicators.composite.definition import parse_definition
from cityloom.indicators.composite.sensitivity import leave_one_out, spread
from cityloom.indicators.composite.treatment import (
    Imputation,
    denominated,
    has_outliers,
    imputed,
    treated,
)
from cityloom.kernel.errors import BadInput

NUMBER = st.floats(-1e6, 1e6).map(lambda one: round(one, 3))
GAPPY = st.lists(st.one_of(st.just(float("nan")), NUMBER), min_size=2, max_size=12).map(np.array)
SCORE = st.floats(1, 100).map(lambda one: round(one, 3))
POWER = st.sampled_from([1.0, 0.0, -1.0, 2.0, -0.5])

ON_SAMPLE = {
    "min_max": normalisation.min_max,
    "z_score": normalisation.z_score,
    "rank": normalisation.rank,
    "percentile_rank": normalisation.percentile_rank,
    "target": lambda values, higher: normalisation.distance_to_target(values, 10.0, higher),
    "reference": lambda values, higher: normalisation.distance_to_reference(values, 7.0, higher),
    "best": normalisation.fraction_of_best,
    "goalposts": lambda values, higher: normalisation.goalposts(
        values, 50.0 if higher else -50.0, -50.0 if higher else 50.0
    ),
}
BOUNDED = {"min_max", "percentile_rank", "goalposts"}


@pytest.mark.parametrize("name", ON_SAMPLE)
@given(values=GAPPY, higher=st.booleans())
def test_a_scale_keeps_the_order_and_the_gaps(name, values, higher):
    if name == "best":
        values = np.abs(values) + 1
    scores = ON_SAMPLE[name](values, higher)
    assert np.isnan(scores[np.isnan(values)]).all()
    known = ~np.isnan(scores)
    ordered = scores[known][np.argsort(values[known] if higher else -values[known], kind="stable")]
    assert (np.diff(ordered) >= -1e-9 * np.maximum(1, np.abs(ordered[1:]))).all()
    if name in BOUNDED:
        assert ((scores[known] >= -1e-9) & (scores[known] <= 100 + 1e-9)).all()


@given(values=GAPPY, place=st.integers(0, 11), higher=st.booleans())
def test_a_gap_is_not_a_zero(values, place, higher):
    """Whatever is missing, the scores of the others are those of a table without that city."""
    gap = np.append(values, np.nan)
    for name in ("min_max", "z_score", "rank", "percentile_rank"):
        with_gap = ON_SAMPLE[name](gap, higher)[:-1]
        np.testing.assert_allclose(with_gap, ON_SAMPLE[name](values, higher), equal_nan=True)


@st.composite
def matrices(draw):
    cities, members = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    cells = draw(
        st.lists(
            st.one_of(st.just(float("nan")), SCORE), min_size=cities * members, max_size=cities * members
        )
    )
    weights = draw(st.lists(st.floats(0.1, 10), min_size=members, max_size=members))
    return np.array(cells).reshape(cities, members), np.array(weights)


@given(matrices(), POWER)
def test_a_mean_lies_between_the_scores_that_are_there(given_, power):
    scores, weights = given_
    result = together(scores, weights, power).scores
    for row, one in zip(scores, result, strict=True):
        known = row[~np.isnan(row)]
        assert np.isnan(one) == (len(known) == 0)
        if len(known):
            assert known.min() - 1e-6 <= one <= known.max() + 1e-6


@given(matrices(), POWER, st.floats(0.01, 100))
def test_a_mean_knows_weights_up_to_their_scale(given_, power, factor):
    scores, weights = given_
    np.testing.assert_allclose(
        together(scores, weights * factor, power).scores, together(scores, weights, power).scores
    )


@given(matrices(), POWER, st.data())
def test_a_mean_rises_with_each_score(given_, power, data):
    scores, weights = given_
    higher = scores.copy()
    member = data.draw(st.integers(0, scores.shape[1] - 1))
    higher[:, member] += 5
    before, after = together(scores, weights, power).scores, together(higher, weights, power).scores
    known = ~np.isnan(before)
    assert (after[known] >= before[known] - 1e-9).all()


@given(matrices(), st.floats(0, 1))
def test_what_is_too_sparse_has_no_score(given_, minimum):
    scores, weights = given_
    result = together(scores, weights, 1.0, minimum)
    sparse = (~np.isnan(scores)).mean(axis=1) < minimum
    assert np.isnan(result.scores[sparse]).all()


def test_means_by_hand():
    scores, weights = np.array([[20.0, 80.0]]), np.array([1.0, 3.0])
    assert together(scores, weights, 1.0).scores[0] == pytest.approx(65)
    assert together(scores, weights, 0.0).scores[0] == pytest.approx(20**0.25 * 80**0.75)
    assert together(scores, weights, -1.0).scores[0] == pytest.approx(1 / (0.25 / 20 + 0.75 / 80))
    assert together(scores, weights, 2.0).scores[0] == pytest.approx((0.25 * 400 + 0.75 * 6400) ** 0.5)
    assert np.isnan(together(np.array([[0.0, 80.0]]), weights, 0.0).scores[0])
    assert together(np.array([[0.0, 80.0]]), weights, 2.0).scores[0] == pytest.approx(4800**0.5)


def test_ranks_share_the_better_place():
    assert ranks(np.array([50.0, 70.0, 50.0, 10.0])).tolist() == [2, 1, 2, 4]
    assert np.isnan(ranks(np.array([np.nan, 1.0]))[0])


@given(matrices())
def test_weights_from_data_are_shares(given_):
    scores, _ = given_
    for work_out in (weighting.by_entropy, weighting.by_critic, weighting.by_first_component):
        weights = work_out(scores)
        assert weights.shape == (scores.shape[1],)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1)


def test_entropy_by_hand():
    weights = weighting.by_entropy(np.array([[1.0, 1.0], [1.0, 3.0]]))
    assert weights.tolist() == pytest.approx([0.0, 1.0])
    scores = np.array([[1.0, 2.0], [3.0, 2.5]])
    share = scores / scores.sum(axis=0)
    entropy = -(share * np.log(share)).sum(axis=0) / np.log(2)
    assert weighting.by_entropy(scores).tolist() == pytest.approx((1 - entropy) / (1 - entropy).sum())


def test_critic_gives_less_to_what_repeats_the_others():
    one = np.array([1.0, 2.0, 3.0, 4.0])
    weights = weighting.by_critic(np.column_stack([one, one, [2.0, 1.0, 4.0, 3.0]]))
    assert weights[0] == pytest.approx(weights[1])
    assert weights[2] > weights[0]


def test_judgements_by_pairs():
    judged = weighting.by_pairs(np.array([[1, 2, 6], [0.5, 1, 3], [1 / 6, 1 / 3, 1]]))
    assert judged.weights.tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert judged.inconsistency == pytest.approx(0, abs=1e-9)
    contradicting = weighting.by_pairs(np.array([[1, 5, 1 / 5], [1 / 5, 1, 5], [5, 1 / 5, 1]]))
    assert contradicting.inconsistency > weighting.MOST_INCONSISTENT


def test_gaps_are_filled_from_the_own_group_alone():
    values = np.array([1.0, np.nan, 10.0, np.nan, np.nan])
    groups = ["a", "a", "b", "b", "c"]
    assert imputed(values, Imputation.GROUP_MEAN, groups).tolist()[:4] == [1, 1, 10, 10]
    assert np.isnan(imputed(values, Imputation.GROUP_MEAN, groups)[4])
    assert imputed(values, Imputation.MEAN).tolist()[1] == 5.5
    skewed, groups = np.array([1.0, 2.0, 9.0, np.nan, 50.0]), ["a", "a", "a", "a", "b"]
    filled = {how: imputed(skewed, how, groups)[3] for how in Imputation}
    assert np.isnan(filled.pop(Imputation.NONE))
    assert filled == {"mean": 15.5, "median": 5.5, "group_mean": 4.0, "group_median": 2.0}
    assert imputed(values, Imputation.NONE) is values


def test_a_denominator_of_nothing_gives_nothing():
    result = denominated(np.array([1.0, 1.0, np.nan, 6.0]), np.array([0.0, np.nan, 2.0, 2.0]))
    assert np.isnan(result[:3]).all()
    assert result[3] == 3


@given(st.lists(st.floats(0, 10), min_size=6, max_size=20, unique=True))
def test_treatment_keeps_the_order(values):
    tailed = np.append(np.array(values), [1e4, 1e5])
    after = treated(tailed, 1)
    assert (np.diff(after.values[np.argsort(tailed)]) >= 0).all()


def test_what_drawing_in_does_not_settle_is_put_on_a_logarithm():
    values = np.exp(np.linspace(0, 20, 30))
    assert has_outliers(values)
    after = treated(values, 2)
    assert after.logged
    assert not after.is_unsettled
    assert not has_outliers(after.values)
    mirrored = treated(-values, 2)
    np.testing.assert_allclose(mirrored.values, -after.values)


DEFINITION = """
id = "small"
version = "1"
title = { en = "Small" }
[steps]
scale = "min_max"
minimum_availability = 0.5
[[groups]]
code = "index"
[[groups]]
code = "air"
in = "index"
[[indicators]]
code = "no2"
in = "air"
higher = false
[[indicators]]
code = "pm10"
in = "air"
higher = false
[[indicators]]
code = "trees"
in = "index"
"""


def small(**columns):
    cities = tuple("ABCD")
    return Observations("2024", cities, {name: np.array(said, float) for name, said in columns.items()})


SEEN = small(no2=[10, 20, 30, 40], pm10=[5, np.nan, 9, 7], trees=[40, 30, 20, np.nan])


def test_an_index_by_hand():
    result = compute(parse_definition(DEFINITION.encode()), SEEN)
    assert result.groups["air"].scores.tolist() == pytest.approx([100, 200 / 3, (100 / 3 + 0) / 2, 25])
    assert result.index[:3].tolist() == pytest.approx([100, (200 / 3 + 50) / 2, (100 / 6 + 0) / 2])
    assert result.index[3] == pytest.approx(25), "half of it is there"
    assert result.ranks.tolist() == [1, 2, 4, 3]
    assert {(one.code, one.city) for one in result.notes} == {("pm10", "B"), ("trees", "D")}


def test_too_little_gives_no_score_and_says_so():
    definition = parse_definition(DEFINITION.replace("0.5", "0.9").encode())
    result = compute(definition, SEEN)
    assert np.isnan(result.index[[1, 3]]).all()
    assert ("air", "B", "no score: 50% of it is there, 90% is asked for") in {
        (one.code, one.city, one.said) for one in result.notes
    }


def test_a_geometric_mean_needs_a_floor_for_zero():
    text = DEFINITION.replace("[steps]", '[steps]\nmean = "geometric"')
    bare = compute(parse_definition(text.encode()), SEEN)
    assert np.isnan(bare.index[2])
    assert any("floor" in one.said for one in bare.notes)
    floored = compute(parse_definition(text.replace("[steps]", "[steps]\nfloor = 1").encode()), SEEN)
    assert floored.index[2] == pytest.approx(((100 / 3 * 1) ** 0.5 * 1) ** 0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_ranks_over_other_choices_are_an_interval_and_the_same_again(seed):
    definition = parse_definition(DEFINITION.encode())
    found, again = spread(definition, SEEN, 30, seed), spread(definition, SEEN, 30, seed)
    np.testing.assert_array_equal(found.low, again.low)
    assert (found.low <= found.median).all()
    assert (found.median <= found.high).all()
    assert ((found.low >= 1) & (found.high <= 4)).all()
    assert found.low[0] == found.high[0] == 1, "the best in everything is first whatever the choices"


def test_leaving_out_names_the_city_that_moves_most():
    definition = parse_definition(DEFINITION.encode())
    found = leave_one_out(definition, SEEN)
    assert [(one.code, one.shift, one.city, one.before, one.after) for one in found] == [
        ("pm10", 0.5, "C", 4, 3),
        ("no2", 0.25, "D", 3, 2),
        ("trees", 0.0, "", 0, 0),
    ]


def test_weights_given_count_as_they_say():
    text = DEFINITION.replace("[steps]", '[steps]\nweights = "given"')
    text = text.replace('code = "trees"', 'code = "trees"\nweight = 3')
    result = compute(parse_definition(text.encode()), SEEN)
    assert result.weights["index"] == {"air": 0.25, "trees": 0.75}
    assert result.index[1] == pytest.approx(0.25 * 200 / 3 + 0.75 * 50)


@pytest.mark.parametrize(("back", "notes"), [("0.2", 0), ("5.0", 1)])
def test_judgements_that_contradict_each_other_are_told(back, notes):
    text = DEFINITION.replace("[steps]", "[steps]\nminimum_availability = 0.0\n").replace(
        "minimum_availability = 0.5", ""
    )
    judged = f"[[1.0, 5.0, 1.0], [0.2, 1.0, {back}], [1.0, {1 / float(back)}, 1.0]]"
    text = text.replace('code = "index"', f'code = "index"\nweights = "ahp"\njudgements = {judged}', 1)
    text += '[[indicators]]\ncode = "noise"\nin = "index"\nhigher = false\n'
    result = compute(
        parse_definition(text.encode()), replace(SEEN, columns={**SEEN.columns, "noise": SEEN.columns["no2"]})
    )
    assert sum("contradict" in one.said for one in result.notes) == notes
    assert sum(result.weights["index"].values()) == pytest.approx(1)
    if not notes:
        assert result.weights["index"]["air"] == pytest.approx(5 / 11)


def test_a_reference_city_scores_a_hundred():
    text = DEFINITION.replace('"min_max"', '"distance_to_reference"\nreference = "B"')
    result = compute(parse_definition(text.encode()), SEEN)
    assert result.indicators["no2"].scores.tolist() == pytest.approx([150, 100, 50, 0])


@pytest.mark.parametrize(
    ("before", "after", "said", "where"),
    [
        ('code = "air"\nin = "index"', 'code = "air"\nin = "sea"', "no group 'sea'", "line 12, column 6"),
        (
            'in = "air"\nhigher = false\n[[ind',
            'in = "air"\nhigher = 3\n[[ind',
            "true or false",
            "line 16, column 10",
        ),
        ('code = "pm10"', 'code = "no2"', "stands twice", "line 18, column 8"),
        ('"min_max"', '"goalposts"', "needs a target", "line 14, column 8"),
        ('"min_max"', '"minmax"', "no such choice", "line 6, column 9"),
        (
            'code = "index"',
            'code = "index"\nweights = "ahp"\njudgements = [[1, 3], [3, 1]]',
            "not 1 over its opposite",
            "line 11",
        ),
        (
            'code = "index"',
            'code = "index"\nweights = "ahp"\njudgements = [[1, 3]]',
            "2 rows",
            "line 11",
        ),
        ("0.5", "1.5", "between 0 and 1", "line 7, column 24"),
        ('in = "index"\n[[ind', "[[ind", "2 groups are in no other", "line 10, column 1"),
        ('code = "index"', 'code = "index"\nweihgt = 2', "no field `weihgt`", "line 8, column 1"),
        ('version = "1"', "version = ", "no TOML", "definition"),
        (
            'code = "index"',
            'code = "index"\n[[groups]]\ncode = "empty"\nin = "index"',
            "Nothing is in",
            "line 11",
        ),
    ],
)
def test_a_wrong_definition_is_told_with_its_line(before, after, said, where):
    assert before in DEFINITION
    with pytest.raises(BadInput) as error:
        parse_definition(DEFINITION.replace(before, after, 1).encode())
    assert said in error.value.message
    assert where in (error.value.where or "")


def test_a_direction_may_be_left_to_target_and_worst_value():
    """So that another scale looks the same way as the goalposts."""
    posts = DEFINITION.replace("higher = false", "target = 0.0\nworst = 50.0")
    definition = parse_definition(posts.encode())
    assert [one.more_is_better for one in definition.indicators] == [False, False, True]
    assert compute(definition, SEEN).ranks.tolist() == [1, 2, 4, 3]
    with pytest.raises(BadInput, match="contradicts"):
        parse_definition(posts.replace("worst = 50.0", "worst = 50.0\nhigher = true", 1).encode())


def test_groups_inside_each_other_are_refused():
    text = DEFINITION + '[[groups]]\ncode = "a"\nin = "b"\n[[groups]]\ncode = "b"\nin = "a"\n'
    with pytest.raises(BadInput, match="inside itself"):
        parse_definition(text.encode())


def test_what_is_done_otherwise_does_not_change_the_definition():
    definition = parse_definition(DEFINITION.encode())
    before = replace(definition)
    spread(definition, SEEN, 5)
    assert definition == before
