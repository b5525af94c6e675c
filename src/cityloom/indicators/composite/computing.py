"""Computes an index: denominates, imputes, treats, normalises, weighs and puts together. Pure.

Missing is never zero: a city without a value has no score there, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.indicators.composite import normalisation as scaling
from cityloom.indicators.composite import weighting
from cityloom.indicators.composite.aggregation import Together, floored, ranks, together
from cityloom.indicators.composite.definition import Branch, Definition, Leaf
from cityloom.indicators.composite.normalisation import Scale
from cityloom.indicators.composite.treatment import denominated, imputed, treated
from cityloom.indicators.composite.weighting import Weights

Values = NDArray[np.float64]


class Observations(msgspec.Struct, frozen=True):
    """The values of one period: for each code one array of the shape (cities,), NaN for what is missing."""

    period: str
    cities: tuple[str, ...]
    columns: Mapping[str, Values]
    #: The cities' groups by which gaps are filled, where they are known.
    groups: tuple[str, ...] | None = None


class Note(msgspec.Struct, frozen=True):
    """What was left out or changed, and why."""

    period: str
    code: str
    #: A city, or "" where all are meant.
    city: str
    said: str


class Course(msgspec.Struct, frozen=True):
    """One indicator through the steps, each of the shape (cities,)."""

    denominated: Values
    imputed: Values
    treated: Values
    #: On the common scale, more is better.
    scores: Values


class Result(msgspec.Struct, frozen=True):
    """An index of one period."""

    definition: Definition
    period: str
    cities: tuple[str, ...]
    indicators: Mapping[str, Course]
    groups: Mapping[str, Together]
    #: Of each group, the weights of its members by code. They add up to 1.
    weights: Mapping[str, Mapping[str, float]]
    notes: tuple[Note, ...]

    @property
    def index(self) -> Values:
        """The scores of the index itself, (cities,)."""
        return self.groups[self.definition.root.code].scores

    @property
    def ranks(self) -> Values:
        """1 for the best city; NaN for one without a score."""
        return ranks(self.index)

    def scores_of(self, code: str) -> Values:
        """The scores of a group or an indicator."""
        return self.groups[code].scores if code in self.groups else self.indicators[code].scores


def compute(definition: Definition, seen: Observations, factors: Mapping[str, float] | None = None) -> Result:
    """The index of one period. `factors` multiply the weights of members, by code: for what-if runs."""
    notes: list[Note] = []
    indicators = {one.code: _course(definition, one, seen, notes) for one in definition.indicators}
    groups: dict[str, Together] = {}
    weights: dict[str, dict[str, float]] = {}
    for group in definition.upwards():
        members = definition.members(group.code)
        scores = np.column_stack(
            [
                groups[one.code].scores if isinstance(one, Branch) else indicators[one.code].scores
                for one in members
            ]
        )
        notes += _contradictions(definition, group, seen.period)
        used = _weights(definition, group, members, scores, factors or {})
        groups[group.code] = _together(definition, group, scores, used, seen, notes)
        weights[group.code] = {one.code: float(share) for one, share in zip(members, used, strict=True)}
    return Result(definition, seen.period, seen.cities, indicators, groups, weights, tuple(notes))


def _course(definition: Definition, leaf: Leaf, seen: Observations, notes: list[Note]) -> Course:
    steps = definition.steps
    nothing = np.full(len(seen.cities), np.nan)

    def note(said: str, city: str = "") -> None:
        notes.append(Note(seen.period, leaf.code, city, said))

    raw = seen.columns.get(leaf.code, nothing)
    for city in np.flatnonzero(np.isnan(raw)) if not np.isnan(raw).all() else ():
        note("not reported", seen.cities[city])
    if np.isnan(raw).all():
        note("left out: no city reports it")
        return Course(nothing, nothing, nothing, nothing)
    divided = raw
    if leaf.denominator:
        divided = denominated(raw, seen.columns.get(leaf.denominator, nothing))
        for city in np.flatnonzero(np.isnan(divided) & ~np.isnan(raw)):
            note(f"left out: no {leaf.denominator} to divide by, or 0", seen.cities[city])
    filled = imputed(divided, steps.impute, seen.groups)
    for city in np.flatnonzero(np.isnan(divided) & ~np.isnan(filled)):
        note(f"imputed: {steps.impute} {filled[city]:g}", seen.cities[city])
    after = treated(filled, steps.winsorise_at_most) if steps.treat else None
    kept = filled if after is None else after.values
    if after is not None and (after.low or after.high):
        note(f"treated: {after.low} value(s) drawn in from below, {after.high} from above")
    if after is not None and after.logged:
        note("treated: logarithm" + (", outliers are there still" if after.is_unsettled else ""))
    scores = _scaled(definition, leaf, kept, seen.cities)
    if np.isnan(scores).all() and not np.isnan(kept).all():
        note(f"left out: the values cannot be put on the scale {definition.scale_of(leaf)}")
    return Course(divided, filled, kept, scores)


def _scaled(definition: Definition, leaf: Leaf, values: Values, cities: Sequence[str]) -> Values:
    scale = definition.scale_of(leaf)
    if scale is Scale.GOALPOSTS:
        assert leaf.target is not None and leaf.worst is not None, "the definition was checked"
        return scaling.goalposts(values, leaf.target, leaf.worst)
    if scale is Scale.DISTANCE_TO_TARGET:
        assert leaf.target is not None, "the definition was checked"
        return scaling.distance_to_target(values, leaf.target, leaf.more_is_better)
    if scale is Scale.DISTANCE_TO_REFERENCE:
        there = definition.steps.reference in cities
        reference = float(values[cities.index(definition.steps.reference)]) if there else float("nan")
        return scaling.distance_to_reference(values, reference, leaf.more_is_better)
    return _OF_SAMPLE[scale](values, leaf.more_is_better)


_OF_SAMPLE = {
    Scale.MIN_MAX: scaling.min_max,
    Scale.Z_SCORE: scaling.z_score,
    Scale.RANK: scaling.rank,
    Scale.PERCENTILE_RANK: scaling.percentile_rank,
    Scale.FRACTION_OF_BEST: scaling.fraction_of_best,
}


def _weights(
    definition: Definition,
    group: Branch,
    members: Sequence[Branch | Leaf],
    scores: Values,
    factors: Mapping[str, float],
) -> Values:
    match group.weights or definition.steps.weights:
        case Weights.EQUAL:
            weights = np.ones(len(members))
        case Weights.GIVEN:
            weights = np.array([one.weight for one in members])
        case Weights.AHP:
            weights = weighting.by_pairs(np.array(group.judgements)).weights
        case Weights.ENTROPY:
            weights = weighting.by_entropy(np.clip(scores, 0, None))
        case Weights.CRITIC:
            weights = weighting.by_critic(scores)
        case Weights.PCA:
            weights = weighting.by_first_component(scores)
    return weighting.shares(weights * np.array([factors.get(one.code, 1.0) for one in members]))


def _contradictions(definition: Definition, group: Branch, period: str) -> list[Note]:
    if (group.weights or definition.steps.weights) is not Weights.AHP:
        return []
    found = weighting.by_pairs(np.array(group.judgements)).inconsistency
    if found <= weighting.MOST_INCONSISTENT:
        return []
    said = f"doubtful: its judgements contradict each other ({found:.2f}, up to 0.10 is usual)"
    return [Note(period, group.code, "", said)]


def _together(
    definition: Definition,
    group: Branch,
    scores: Values,
    weights: Values,
    seen: Observations,
    notes: list[Note],
) -> Together:
    steps = definition.steps
    power = definition.power_of(group)
    minimum = steps.minimum_availability if group.minimum_availability is None else group.minimum_availability
    used = scores if power == 1.0 or steps.floor is None else floored(scores, steps.floor)
    result = together(used, weights, power, minimum)
    for city in np.flatnonzero(np.isnan(result.scores)):
        share = result.available[city]
        if share == 0:
            said = "no score: nothing of it is there"
        elif share < minimum:
            said = f"no score: {share:.0%} of it is there, {minimum:.0%} is asked for"
        else:
            said = "no score: this mean cannot do with a score of 0 or less; set `floor`"
        notes.append(Note(seen.period, group.code, seen.cities[city], said))
    return result
