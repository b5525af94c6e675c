"""Reads a framework of indicators from its folder, and checks it.

manifest.toml     what it is, its scoring, denominators that the city's figures give, checks of values
indicators.csv    one row an indicator
points.csv        the figures of indicators that have several
groups.csv        dimensions, sub-dimensions and categories
benchmarks.csv    targets; a city may put a file of its own in its place
measures.toml     which indicators the city's own data answer, and how
same_as.csv       which indicators are the same quantity as one of another framework
earlier.csv       how data points were defined until a day, so that the past is worked out as it was then
index.toml        a composite index; index.until-2023.toml: the one that stood up to that year
"""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from cityloom.indicators.composite.definition import INDEX_FILE, Definition, read_definition
from cityloom.indicators.measures import AnyMeasure, read_measures
from cityloom.indicators.model import (
    TYPE,
    Benchmark,
    Check,
    DataPoint,
    Earlier,
    Figure,
    Group,
    Indicator,
    Rule,
    Texts,
)
from cityloom.kernel.errors import BadConfig, BrokenPlugin, words_of

#: Languages of which a table may have columns: name_en, name_da.
_LANGUAGES = ("en", "da")
_CHECK_KINDS = frozenset(
    {
        "within",
        "sum_about",
        "falling",
        "not_above",
        "complete",
        "same_denominator",
        "own_denominator",
        "has_denominator",
        "months",
    }
)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The set of benchmarks in use: values are scored against it, so it has a name of its own."""

    id: str
    title: dict[str, str]
    #: Who set it, said wherever a score is shown.
    status: dict[str, str]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A framework's manifest.toml."""

    id: str
    title: dict[str, str]
    owner: str
    edition: str
    source: str
    description: dict[str, str]
    profile: Profile
    #: "points": 1 to 4 points and shares of them; "none".
    scoring: str = "none"
    #: What is said with every comparison of cities: that the framework does not rank, where it says so.
    caution: dict[str, str] = {}
    #: What of the framework is not known here, so that nobody takes the rest for the whole.
    not_in_hand: dict[str, str] = {}
    figures: tuple[Figure, ...] = ()
    checks: tuple[Check, ...] = ()


class Same(msgspec.Struct, frozen=True):
    """A data point of another framework that is the same quantity."""

    framework: str
    code: str
    point: str
    #: What its value is multiplied by, to be in the unit asked for here.
    factor: float
    #: Why it is the same, and who says so.
    basis: str
    provenance: str


class Framework(msgspec.Struct, frozen=True):
    """A framework, ready for use."""

    manifest: Manifest
    groups: Mapping[tuple[str, ...], Group]
    indicators: tuple[Indicator, ...]
    measures: tuple[AnyMeasure, ...]
    #: By code and point: the same quantity elsewhere, the one to be asked first at the beginning.
    same_as: Mapping[tuple[str, str], tuple[Same, ...]] = {}
    #: How much members of the index count in their group, where the city has said so; the others count 1.
    weights: Mapping[str, float] = {}
    #: By code and point: how it was defined, the oldest first.
    earlier: Mapping[tuple[str, str], tuple[Earlier, ...]] = {}
    #: The framework's own index, and those that stood up to a year, the oldest first.
    index: Definition | None = None
    earlier_indices: tuple[tuple[int, Definition], ...] = ()

    @property
    def id(self) -> str:
        return self.manifest.id

    def points(self) -> list[tuple[Indicator, DataPoint]]:
        """Every data point with its indicator, in the framework's order."""
        return [(indicator, point) for indicator in self.indicators for point in indicator.points]

    def measure_of(self, point: DataPoint, day: date | None = None) -> AnyMeasure | None:
        """The measure bound to a data point: the one that stands, or that for periods ending on a day."""
        own = [one for one in self.measures if (one.code, one.point) == (point.code, point.key)]
        if day is not None:
            past = sorted((one for one in own if one.until), key=lambda one: one.until)
            found = next((one for one in past if day.isoformat() <= one.until), None)
            if found is not None:
                return found
        return next((one for one in own if not one.until), None)

    def as_of(self, indicator: Indicator, point: DataPoint, day: date) -> tuple[Indicator, DataPoint, str]:
        """Indicator and data point as they were defined for periods ending on a day.

        And how that definition is called; "" for the one that stands.
        """
        for one in self.earlier.get((point.code, point.key), ()):
            if day <= one.until:
                then = msgspec.structs.replace(
                    indicator,
                    definition=one.definition,
                    numerator=one.numerator,
                    denominator=one.denominator,
                )
                defined = msgspec.structs.replace(
                    point, unit=one.unit, unit_code=one.unit_code, multiplier=one.multiplier, benchmark=None
                )
                return then, defined, one.version
        return indicator, point, ""

    def index_of(self, year: int) -> Definition | None:
        """The framework's own index as it was defined in a year; None where it has none."""
        return next((one for until, one in self.earlier_indices if year <= until), self.index)


def read_framework(folder: Path, *, benchmarks: Path | None = None) -> Framework:
    """The framework in a folder; `benchmarks` is the city's own table in place of the framework's.

    Raises BrokenPlugin (its author's fault) or BadConfig (the city's table).
    """
    manifest = _manifest(folder / "manifest.toml")
    if benchmarks is not None:
        manifest = msgspec.structs.replace(manifest, profile=_own_profile(benchmarks))
    targets = _benchmarks(folder, benchmarks)
    points = _several(folder / "points.csv")
    rows = _rows(folder / "indicators.csv")
    indicators = tuple(_indicator(manifest.id, row, points, targets, place) for place, row in rows)
    groups = {group.path: group for group in (_group(row) for _, row in _rows(folder / "groups.csv"))}
    measures = _measures(folder / "measures.toml")
    own_index = folder / INDEX_FILE
    framework = Framework(
        manifest,
        groups,
        indicators,
        measures,
        _same_as(folder / "same_as.csv"),
        earlier=_earlier(folder / "earlier.csv"),
        index=read_definition(own_index) if own_index.exists() else None,
        earlier_indices=_earlier_indices(folder),
    )
    _check(framework, targets, folder)
    return framework


def _own_profile(path: Path) -> Profile:
    """Of a table that the city has put in place: its content is its edition."""
    return Profile(
        id=f"own-{sha256(path.read_bytes()).hexdigest()[:8]}",
        title={"en": "The city's own targets", "da": "Byens egne mål"},
        status={
            "en": "Set by this city. Scores cannot be compared with those of other cities.",
            "da": "Sat af denne by. Scorer kan ikke sammenlignes med andre byers.",
        },
    )


def point_id(framework: str, code: str, key: str) -> str:
    """The id of the Entity of a data point."""
    return f"urn:ngsi-ld:{TYPE}:{framework}:{code}" + (f".{key}" if key else "")


_Row = dict[str, str]
#: Keyed by code and point.
_Targets = dict[tuple[str, str], Benchmark]


def _manifest(path: Path) -> Manifest:
    try:
        manifest = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Manifest)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BrokenPlugin(
            f"The manifest cannot be read: {words_of(error)}", hint="Correct it.", where=str(path)
        ) from None
    for check in manifest.checks:
        if check.kind not in _CHECK_KINDS or check.severity not in ("error", "warning"):
            hint = f"kind is one of {', '.join(sorted(_CHECK_KINDS))}, severity error or warning."
            raise BrokenPlugin(f"The check {check.id!r} is of no kind", hint=hint, where=str(path))
    if manifest.scoring not in ("points", "none"):
        raise BrokenPlugin(f"scoring is {manifest.scoring!r}", hint="Write points or none.", where=str(path))
    return manifest


def _rows(path: Path, broken: Callable[..., Exception] = BrokenPlugin) -> list[tuple[str, _Row]]:
    """The rows of a table, each with its place ("indicators.csv line 7")."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [(f"{path.name} line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise broken(f"The table cannot be read: {error}", hint="Correct it.", where=str(path)) from None
    for place, row in rows:
        if None in row or None in row.values():
            raise broken("The row has not as many cells as the head", hint="Count the commas.", where=place)
    return rows


def _optional_rows(path: Path) -> list[tuple[str, _Row]]:
    return _rows(path) if path.exists() else []


def _texts(row: _Row, column: str) -> Texts:
    return {language: said for language in _LANGUAGES if (said := row.get(f"{column}_{language}", ""))}


def _several(path: Path) -> dict[str, list[_Row]]:
    points: dict[str, list[_Row]] = {}
    for _, row in _optional_rows(path):
        points.setdefault(row["code"], []).append(row)
    return points


def _benchmarks(folder: Path, own: Path | None) -> _Targets:
    targets: _Targets = {}
    broken: Callable[..., Exception] = BrokenPlugin if own is None else BadConfig
    for place, row in _rows(own or folder / "benchmarks.csv", broken):
        try:
            benchmark = Benchmark(
                rule=Rule(row["rule"]),
                target=_number(row["target"]),
                worst=_number(row["worst"]),
                basis=row["basis"],
                provenance=row["provenance"],
            )
        except (KeyError, ValueError) as error:
            hint = f"Needed: code, point, target, worst, rule ({', '.join(Rule)}), basis, provenance."
            raise broken(f"The benchmark cannot be read: {error}", hint=hint, where=place) from None
        if not is_usable(benchmark):
            hint = "A ratio needs a target above 0, a goalpost a target and another worst value."
            raise broken("The benchmark cannot be used", hint=hint, where=place)
        targets[row["code"], row["point"]] = benchmark
    return targets


def is_usable(benchmark: Benchmark) -> bool:
    """Whether a value can be held against a target."""
    if benchmark.rule in (Rule.RATIO_UP, Rule.RATIO_DOWN):
        return benchmark.target is not None and benchmark.target > 0
    if benchmark.rule is Rule.GOALPOST:
        return None not in (benchmark.target, benchmark.worst) and benchmark.target != benchmark.worst
    return True


def _number(text: str) -> float | None:
    return float(text) if text else None


def _indicator(
    framework: str, row: _Row, several: Mapping[str, list[_Row]], targets: _Targets, place: str
) -> Indicator:
    try:
        return Indicator(
            code=row["code"],
            aliases=tuple(filter(None, row["aliases"].split("|"))),
            path=tuple(filter(None, (row["dimension"], row["sub_dimension"], row["category"]))),
            name=_texts(row, "name"),
            definition=_texts(row, "definition"),
            level=row["level"],
            kind=row["kind"],
            unit=row["unit"],
            numerator=row["numerator"],
            denominator=row["denominator"],
            direction=row["direction"],
            sdg=row["sdg"],
            provenance=row["provenance"],
            confidence=row["confidence"],
            points=tuple(
                DataPoint(
                    id=point_id(framework, row["code"], point["point"]),
                    code=row["code"],
                    key=point["point"],
                    name=_texts(point, "name"),
                    unit=point["unit"],
                    unit_code=point["unit_code"],
                    multiplier=float(point["multiplier"]),
                    benchmark=_used(targets.get((row["code"], point["point"]))),
                )
                for point in several.get(row["code"], [{**row, "point": ""}])
            ),
        )
    except (KeyError, ValueError) as error:
        raise BrokenPlugin(
            f"The indicator cannot be read: {error}", hint="Correct it.", where=place
        ) from None


def _used(benchmark: Benchmark | None) -> Benchmark | None:
    return None if benchmark is None or benchmark.rule is Rule.NONE else benchmark


def _group(row: _Row) -> Group:
    path = tuple(filter(None, (row["dimension"], row["sub_dimension"], row["category"])))
    return Group(path, _texts(row, "name"), _texts(row, "held_by"))


def _same_as(path: Path) -> dict[tuple[str, str], tuple[Same, ...]]:
    found: dict[tuple[str, str], tuple[Same, ...]] = {}
    for place, row in _optional_rows(path):
        try:
            same = Same(
                framework=row["framework"],
                code=row["other_code"],
                point=row["other_point"],
                factor=float(row["factor"]),
                basis=row["basis"],
                provenance=row["provenance"],
            )
            key = row["code"], row["point"]
        except (KeyError, ValueError) as error:
            hint = "Needed: code, point, framework, other_code, other_point, factor, basis, provenance."
            raise BrokenPlugin(f"The row cannot be read: {error}", hint=hint, where=place) from None
        if not (same.factor > 0 and math.isfinite(same.factor)):
            raise BrokenPlugin("The factor is not above 0", hint="Correct it.", where=place)
        found[key] = (*found.get(key, ()), same)
    return found


def _earlier(path: Path) -> dict[tuple[str, str], tuple[Earlier, ...]]:
    found: dict[tuple[str, str], list[Earlier]] = {}
    for place, row in _optional_rows(path):
        try:
            one = Earlier(
                until=date.fromisoformat(row["until"]),
                definition=_texts(row, "definition"),
                numerator=row["numerator"],
                denominator=row["denominator"],
                unit=row["unit"],
                unit_code=row["unit_code"],
                multiplier=float(row["multiplier"]),
                basis=row["basis"],
                provenance=row["provenance"],
            )
            key = row["code"], row["point"]
        except (KeyError, ValueError) as error:
            hint = "Needed: code, point, until (2024-12-31), definition_en, numerator, denominator, unit, "
            hint += "unit_code, multiplier, basis, provenance."
            raise BrokenPlugin(f"The row cannot be read: {error}", hint=hint, where=place) from None
        found.setdefault(key, []).append(one)
    return {key: tuple(sorted(every, key=lambda one: one.until)) for key, every in found.items()}


def _earlier_indices(folder: Path) -> tuple[tuple[int, Definition], ...]:
    found = []
    for path in folder.glob("index.until-*.toml"):
        year = path.name.removeprefix("index.until-").removesuffix(".toml")
        if not (year.isdecimal() and len(year) == 4):
            raise BrokenPlugin(f"{year!r} is no year", hint="Write index.until-2023.toml.", where=str(path))
        found.append((int(year), read_definition(path)))
    return tuple(sorted(found, key=lambda one: one[0]))


def _measures(path: Path) -> tuple[AnyMeasure, ...]:
    if not path.exists():
        return ()
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BrokenPlugin(f"The file is not TOML: {error}", hint="Correct it.", where=str(path)) from None
    return read_measures(raw.get("measures", []), where=str(path))


def _check(framework: Framework, targets: _Targets, folder: Path) -> None:
    """What one table says of another must be there."""
    known = {(point.code, point.key) for _, point in framework.points()}
    codes = [indicator.code for indicator in framework.indicators]
    faults = [
        *(f"{code} stands twice" for code in codes if codes.count(code) > 1),
        *(f"{one.code} has no name" for one in framework.indicators if "en" not in one.name),
        *(
            f"{one.code} has a group that is not in groups.csv"
            for one in framework.indicators
            if one.path not in framework.groups
        ),
        *_strangers("benchmarks.csv", targets, known),
        *_strangers("same_as.csv", framework.same_as, known),
        *_strangers("earlier.csv", framework.earlier, known),
        *_strangers("measures.toml", ((one.code, one.point) for one in framework.measures), known),
        *(
            f"manifest.toml: the check {one.id} speaks of {code}"
            for one in framework.manifest.checks
            for code in (one.code, one.other, *one.except_codes)
            if code and code not in codes
        ),
        *(
            f"manifest.toml: the check {one.id} speaks of the denominator {text!r}"
            for one in framework.manifest.checks
            for text in (one.denominator, one.other_denominator)
            if text and text not in {indicator.denominator for indicator in framework.indicators}
        ),
    ]
    if faults:
        raise BrokenPlugin(
            f"The framework {framework.id} is not whole: {faults[0]}",
            hint=f"{len(faults)} fault(s) in all.",
            where=str(folder),
        )


def _strangers(table: str, named: Iterable[tuple[str, str]], known: set[tuple[str, str]]) -> Iterable[str]:
    return (f"{table} speaks of {code} {key}".rstrip() for code, key in named if (code, key) not in known)
