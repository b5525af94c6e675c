"""A framework's verification report: each value, what it was held against, and what is missing. Pure.

The report as it is published is this very structure, so that a version can be read again as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from cityloom.indicators.model import Texts
from cityloom.indicators.scoring import Score
from cityloom.indicators.summaries import FrameworkReport, GroupScore, IndicatorSummary, Tally
from cityloom.kernel.canonical import digest_of


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A data point in a report."""

    id: str
    code: str
    point: str
    name: Texts
    #: Keys of its groups, from the widest, joined by "/".
    group: str
    level: str
    unit: str
    unit_code: str
    is_yes_or_no: bool
    #: None where it is not reported.
    value: float | bool | None
    since: datetime | None
    until: datetime | None
    source: str
    method: str
    origin: str
    #: 1 to 6, see `Quality`.
    quality: int | None
    verified: bool
    verified_at: datetime | None
    #: None without a benchmark.
    target: float | None
    rule: str
    basis: str
    percent_of_target: float | None
    points: int | None
    findings: tuple[Texts, ...]
    #: Names of the evidence files that everybody may read, and how many there are that the staff reads.
    evidence: tuple[str, ...]
    inner_evidence: int


class ReportGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A group with its score; `depth` 1 for the widest."""

    path: str
    depth: int
    name: Texts
    percent: float | None
    band: int | None
    scored: int
    reported: int
    total: int
    #: Whether it has groups below it.
    is_wide: bool


class ReportTally(msgspec.Struct, frozen=True, rename="camel"):
    """How much of a level is there; "" for all."""

    level: str
    total: int
    reported: int
    verified: int
    scored: int
    without_benchmark: int


class VerificationReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A whole framework as it stood at `at`, by the city's clock."""

    framework: str
    title: Texts
    edition: str
    framework_source: str
    at: datetime
    scoring: str
    profile: Texts
    profile_status: Texts
    caution: Texts
    not_in_hand: Texts
    percent: float | None
    band: int | None
    scored: int
    tallies: tuple[ReportTally, ...]
    groups: tuple[ReportGroup, ...]
    rows: tuple[ReportRow, ...]

    @property
    def not_reported(self) -> list[ReportRow]:
        return [one for one in self.rows if one.value is None]

    @property
    def not_verified(self) -> list[ReportRow]:
        return [one for one in self.rows if one.value is not None and not one.verified]

    @property
    def without_benchmark(self) -> list[ReportRow]:
        return [one for one in self.rows if one.value is not None and one.percent_of_target is None]

    @property
    def with_findings(self) -> list[ReportRow]:
        return [one for one in self.rows if one.findings]

    @property
    def narrowest(self) -> list[ReportGroup]:
        """The groups with none below them: categories, the axes of a radar."""
        return [one for one in self.groups if not one.is_wide]

    @property
    def digest(self) -> str:
        """By which a version can be told to be unchanged."""
        return digest_of(self)


def verification_report(found: FrameworkReport, at: datetime) -> VerificationReport:
    """The report of a framework as it stands."""
    manifest = found.framework.manifest
    score: Score = found.score
    return VerificationReport(
        framework=manifest.id,
        title=manifest.title,
        edition=manifest.edition,
        framework_source=manifest.source,
        at=at,
        scoring=manifest.scoring,
        profile=manifest.profile.title,
        profile_status=manifest.profile.status,
        caution=manifest.caution,
        not_in_hand=manifest.not_in_hand,
        percent=score.percent,
        band=score.band,
        scored=score.scored,
        tallies=tuple(_tally(level, one) for level, one in found.tallies.items()),
        groups=tuple(_groups(found.groups)),
        rows=tuple(_row(one) for one in found.indicators),
    )


def _tally(level: str, one: Tally) -> ReportTally:
    return ReportTally(level, one.total, one.reported, one.verified, one.scored, one.without_benchmark)


def _groups(groups: Iterable[GroupScore]) -> Iterator[ReportGroup]:
    for one in groups:
        yield ReportGroup(
            path="/".join(one.group.path),
            depth=len(one.group.path),
            name=one.group.name,
            percent=one.score.percent,
            band=one.score.band,
            scored=one.score.scored,
            reported=one.reported,
            total=one.total,
            is_wide=bool(one.groups),
        )
        yield from _groups(one.groups)


def _row(one: IndicatorSummary) -> ReportRow:
    return ReportRow(
        id=one.id,
        code=one.code,
        point=one.point,
        name=one.name,
        group="/".join(one.groups[-1].path) if one.groups else "",
        level=one.level,
        unit=one.unit,
        unit_code=one.unit_code,
        is_yes_or_no=one.is_yes_or_no,
        value=one.value,
        since=one.since,
        until=one.until,
        source=one.source,
        method=one.method,
        origin=one.origin,
        quality=None if one.quality is None else int(one.quality),
        verified=one.verified,
        verified_at=one.verified_at,
        target=None if one.benchmark is None else one.benchmark.target,
        rule="" if one.benchmark is None else one.benchmark.rule.value,
        basis="" if one.benchmark is None else one.benchmark.basis,
        percent_of_target=one.percent_of_target,
        points=one.points,
        findings=tuple(dict(found.check.message) for found in one.findings),
        evidence=tuple(file.name for file in one.evidence if file.public),
        inner_evidence=sum(not file.public for file in one.evidence),
    )
