"""What pages show of indicators: every data point with its value, or with what it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from cityloom.context.editing import version_of
from cityloom.context.reading import instant, items, truth, word
from cityloom.indicators import scoring
from cityloom.indicators.checks import Basis, Finding, findings
from cityloom.indicators.framework import Framework, Same
from cityloom.indicators.mapping import Answer, answer
from cityloom.indicators.measures import AnyMeasure
from cityloom.indicators.model import (
    VALUE,
    Benchmark,
    DataPoint,
    Evidence,
    Group,
    Indicator,
    Quality,
    State,
    Texts,
)
from cityloom.indicators.reading import count_in, number_in, period_in, quality_in, unit_in, value_in
from cityloom.indicators.writing import full_name
from cityloom.kernel.change import Because
from cityloom.ngsild.model import Document

#: What a decision about a value rests on.
DECIDED_ON = (VALUE, "numerator", "denominator", "calculationPeriod", "source", "evidence", "verified")


class IndicatorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One data point as it stands. Three absences are told apart: no value, not verified, no benchmark."""

    id: str
    framework: str
    code: str
    point: str
    name: Texts
    definition: Texts
    #: Its groups, from the widest.
    groups: tuple[Group, ...]
    level: str
    unit: str
    unit_code: str
    is_yes_or_no: bool
    direction: str
    numerator_text: str
    denominator_text: str
    #: A denominator that the city's own figures give.
    known_denominator: float | None
    multiplier: float
    provenance: str
    confidence: str

    state: State
    value: float | bool | None
    #: What there is so far, where it is too little to be reported.
    provisional: float | None
    numerator: float | None
    denominator: float | None
    parts_unit: str
    since: datetime | None
    until: datetime | None
    rows: int | None
    entities: int | None
    coverage: float | None
    #: Below this coverage nothing is reported.
    wanted_coverage: float | None
    quality: Quality | None
    #: measured, replayed, simulated, estimated, entered; "" without a value.
    origin: str
    #: automatic or manual; "" without a value.
    method: str
    #: Whether the city's own data may answer it.
    is_bound: bool
    #: What the measure tells and what it does not.
    note: Texts
    because: tuple[Because, ...]

    source: str
    remark: str
    #: The Entity of the survey whose result it is, and how many answered; "" and None for others.
    survey: str
    respondents: int | None
    entered_by: str
    entered_at: datetime | None
    evidence: tuple[Evidence, ...]
    verified: bool
    verified_by: str
    verified_at: datetime | None

    benchmark: Benchmark | None
    percent_of_target: float | None
    #: 1 to 4; None where nothing is scored.
    points: int | None
    standing: str
    #: The version of the targets that it was held against, "" for none.
    profile: str
    #: By which earlier definition it was worked out, "" for the one that stands.
    definition_version: str
    findings: tuple[Finding, ...]
    #: Why the measure failed last time, "" when it did not.
    trouble: str
    version: str
    #: The same quantity in another framework, where the value stands there.
    answered_by: Same | None = None

    @property
    def is_reported(self) -> bool:
        return self.state is State.REPORTED


class GroupScore(msgspec.Struct, frozen=True):
    """A dimension, sub-dimension or category with its score, and the groups in it."""

    group: Group
    score: scoring.Score
    reported: int
    total: int
    groups: tuple[GroupScore, ...]


class Tally(msgspec.Struct, frozen=True):
    """How many data points there are, and how many of them are reported, verified, scored."""

    total: int
    reported: int
    verified: int
    scored: int
    without_benchmark: int


class FrameworkReport(msgspec.Struct, frozen=True):
    """A whole framework as it stands."""

    framework: Framework
    indicators: tuple[IndicatorSummary, ...]
    score: scoring.Score
    groups: tuple[GroupScore, ...]
    #: By level ("core", "advanced"); "" for all.
    tallies: Mapping[str, Tally]


class Standing(msgspec.Struct, frozen=True):
    """What is known beside the framework: Entities by id, the city's figures, troubles by id."""

    documents: Mapping[str, Document]
    figures: Mapping[str, float]
    troubles: Mapping[str, str]


def summaries(framework: Framework, standing: Standing) -> tuple[IndicatorSummary, ...]:
    """Every data point, in the framework's order."""
    answers = {
        (point.code, point.key): answer(framework, point, standing.documents)
        for _, point in framework.points()
    }
    values, bases = {}, {}
    for key, one in answers.items():
        value = value_in(one.document)
        if one.document is not None and value is not None:
            values[key], bases[key] = value, _basis(one.document)
    found = findings(framework, values, bases)
    return tuple(
        _summary(framework, indicator, point, standing, answers[point.code, point.key], found)
        for indicator, point in framework.points()
    )


def report(framework: Framework, standing: Standing) -> FrameworkReport:
    """The framework's values and scores."""
    every = summaries(framework, standing)
    levels = dict.fromkeys(["", *(one.level for one in every)])
    return FrameworkReport(
        framework=framework,
        indicators=every,
        score=_score(every),
        groups=_groups(framework, every, ()),
        tallies={level: _tally([one for one in every if level in ("", one.level)]) for level in levels},
    )


def _groups(
    framework: Framework, every: Iterable[IndicatorSummary], path: tuple[str, ...]
) -> tuple[GroupScore, ...]:
    inside = [one for one in every if len(one.groups) > len(path)]
    below = dict.fromkeys(one.groups[len(path)].path for one in inside)
    scores = []
    for longer in below:
        members = [one for one in inside if one.groups[len(path)].path == longer]
        scores.append(
            GroupScore(
                group=framework.groups[longer],
                score=_score(members),
                reported=sum(one.is_reported for one in members),
                total=len(members),
                groups=_groups(framework, members, longer),
            )
        )
    return tuple(scores)


def _chain(framework: Framework, path: tuple[str, ...]) -> tuple[Group, ...]:
    return tuple(framework.groups[path[: depth + 1]] for depth in range(len(path)))


def _score(every: Iterable[IndicatorSummary]) -> scoring.Score:
    return scoring.score(one.points for one in every if one.points is not None)


def _tally(every: list[IndicatorSummary]) -> Tally:
    return Tally(
        total=len(every),
        reported=sum(one.is_reported for one in every),
        verified=sum(one.verified for one in every),
        scored=sum(one.points is not None for one in every),
        without_benchmark=sum(one.benchmark is None for one in every),
    )


def _summary(
    framework: Framework,
    indicator: Indicator,
    point: DataPoint,
    standing: Standing,
    answered: Answer,
    found: Iterable[Finding],
) -> IndicatorSummary:
    nothing: Document = {"id": point.id, "type": [], "attrs": {}}
    own = standing.documents.get(point.id) or nothing
    document = answered.document or nothing
    value = value_in(document)
    measure = framework.measure_of(point)
    since, until = period_in(document)
    return IndicatorSummary(
        id=point.id,
        framework=framework.id,
        code=point.code,
        point=point.key,
        name=full_name(indicator, point),
        definition=indicator.definition,
        groups=_chain(framework, indicator.path),
        level=indicator.level,
        unit=point.unit,
        unit_code=point.unit_code,
        is_yes_or_no=point.is_yes_or_no,
        direction=indicator.direction,
        numerator_text=indicator.numerator,
        denominator_text=indicator.denominator,
        known_denominator=_known_denominator(framework, indicator, standing.figures),
        multiplier=point.multiplier,
        provenance=indicator.provenance,
        confidence=indicator.confidence,
        state=State.NOT_REPORTED if value is None else State.REPORTED,
        value=value,
        provisional=number_in(document, "provisionalValue"),
        numerator=number_in(document, "numerator"),
        denominator=number_in(document, "denominator"),
        parts_unit=unit_in(document, "numerator"),
        since=since,
        until=until,
        rows=count_in(document, "rowsUsed"),
        entities=count_in(document, "entitiesUsed"),
        coverage=number_in(document, "coverage"),
        wanted_coverage=None if measure is None else measure.minimum_coverage,
        quality=quality_in(document),
        origin=word(document, "dataOrigin"),
        method=word(document, "calculationMethod"),
        is_bound=measure is not None,
        note=_note(measure),
        because=items(document, "because", Because),
        source=word(document, "source"),
        remark=word(document, "remark"),
        survey=word(document, "refSurvey"),
        respondents=count_in(document, "respondents"),
        entered_by=word(document, "enteredBy"),
        entered_at=instant(document, "enteredAt"),
        evidence=items(document, "evidence", Evidence),
        verified=truth(document, "verified") is True,
        verified_by=word(document, "verifiedBy"),
        verified_at=instant(document, "verifiedAt"),
        benchmark=point.benchmark,
        percent_of_target=number_in(document, "percentOfTarget"),
        points=count_in(document, "points"),
        standing=word(document, "currentStanding"),
        profile=word(document, "benchmarkProfile"),
        definition_version=word(document, "definitionVersion"),
        findings=tuple(one for one in found if (point.code, point.key) in one.points),
        trouble=standing.troubles.get(point.id, ""),
        version=version_of(own, DECIDED_ON),
        answered_by=answered.same,
    )


def _basis(document: Document) -> Basis:
    since, until = period_in(document)
    return Basis(number_in(document, "denominator"), since, until)


def _note(measure: AnyMeasure | None) -> Texts:
    return {} if measure is None else measure.note


def _known_denominator(
    framework: Framework, indicator: Indicator, figures: Mapping[str, float]
) -> float | None:
    for one in framework.manifest.figures:
        if one.text == indicator.denominator and one.figure in figures:
            return figures[one.figure] / one.divisor
    return None
