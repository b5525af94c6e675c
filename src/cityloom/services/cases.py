"""Cases: what a service must say in a given world, written so that a domain expert can write them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from cityloom.kernel.errors import BrokenPlugin, words_of
from cityloom.ngsild.model import Document, Instance, entity, geo, point, prop, rel, text
from cityloom.services.facts import AlertCleared, AlertRaised, CommandWished, EntityWritten, Estimate, Fact
from cityloom.services.manifest import SettingValue, Window, local_day, settings_on
from cityloom.services.plugin import CityService
from cityloom.services.seeing import span_of
from cityloom.services.world import Matrix, View, World

#: A list of values, newest last; or {steady = 5}, {from = 9, to = 2}, {daily = [24 values]}, where
#: {…, ends = [1, 2]} replaces the newest ones. `nan` is a gap.
SeriesText: TypeAlias = list[float] | dict[str, Any]


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """An Entity of a window: its current values, and the series that end at the instant of the case.

    An attribute with a series and no value has the newest of the series as its value.
    """

    window: str
    id: str
    values: dict[str, Any] = {}
    series: dict[str, SeriesText] = {}


class ExpectedAlert(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """An Alert that must be raised. What is left out may be anything."""

    key: str
    about: str = ""
    severity: str = ""
    audience: list[str] | None = None
    #: A part of the English description.
    says: str = ""


class ExpectedEstimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """An Estimate that must be among those made."""

    entity: str
    attribute: str
    horizon: str = ""
    #: The very value, or the bounds it must lie between.
    value: float | str | bool | None = None
    between: tuple[float, float] | None = None


class ExpectedWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A Command that must be wished for."""

    device: str
    command: str
    value: float | str | bool | None = None


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What must be said. Alerts, clearings, wishes and written Entities: these and no others."""

    alerts: list[ExpectedAlert] = []
    cleared: list[str] = []
    #: By key of a cleared alert: a part of its outcome in English.
    outcomes: dict[str, str] = {}
    estimates: list[ExpectedEstimate] = []
    #: How many Estimates there are in all; left out: any number.
    estimates_made: int | None = None
    wishes: list[ExpectedWish] = []
    #: Ids of Entities that are written.
    entities: list[str] = []


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One case of a service."""

    title: str
    at: datetime
    expect: Expected
    zone: str = "Europe/Copenhagen"
    woken_by: str = "every"
    given: list[Given] = []
    settings: dict[str, SettingValue] = {}
    open_alerts: list[str] = []
    #: Parameters by name, as `_parameter` reads them; left out: those the service ships; empty: none.
    parameters: dict[str, Any] | None = None


def read_cases(folder: Path) -> dict[str, Case]:
    """The cases of a plugin's folder by file name. Raises BrokenPlugin naming the file."""
    cases = {}
    for path in sorted((folder / "cases").glob("*.toml")):
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
            case = msgspec.convert(raw, Case)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise BrokenPlugin(
                f"The case cannot be read: {words_of(error)}", hint="Correct it.", where=str(path)
            ) from None
        if case.at.tzinfo is None:
            raise BrokenPlugin("`at` has no time zone", hint="End it with Z.", where=str(path))
        cases[path.name] = case
    return cases


def world_of(service: CityService, case: Case) -> World:
    """The world of a case. Raises BrokenPlugin when it gives what the manifest does not declare."""
    at, zone = case.at.astimezone(UTC), ZoneInfo(case.zone)
    manifest = service.manifest
    by_window: dict[str, list[Given]] = {need.name: [] for need in manifest.needs}
    for given in case.given:
        by_window[manifest.window(given.window).name].append(given)
    trained = service.shipped
    parameters = None if trained is None else trained.arrays
    if case.parameters is not None:
        parameters = {name: _parameter(values) for name, values in case.parameters.items()} or None
    return World(
        manifest,
        {need.name: _view(need, by_window[need.name], at, zone) for need in manifest.needs},
        settings=settings_on(manifest, local_day(at, zone), service.overrides) | case.settings,
        zone=zone,
        messages=service.messages,
        parameters=parameters,
        provenance=None if trained is None else trained.provenance,
        woken_by=case.woken_by,
        changed=frozenset(given.id for given in case.given) if case.woken_by == "changes" else frozenset(),
        open_alerts=frozenset(case.open_alerts),
    )


def _parameter(written: Any) -> np.ndarray[Any, Any]:
    """An array as a case writes it: nested lists, a list of names, or {fill = 5, shape = [1, 672]}."""
    if isinstance(written, dict):
        return np.full(tuple(written["shape"]), float(written["fill"]))
    names = isinstance(written, list) and written and isinstance(written[0], str)
    return np.array(written) if names else np.array(written, dtype=float)


def complaints(expected: Expected, facts: Sequence[Fact]) -> list[str]:
    """What stands between the facts and what was expected, in words; empty when they agree."""
    said = _Said(facts)
    return [
        *_differences("alert", [item.key for item in expected.alerts], said.alerts),
        *(text for item in expected.alerts if (text := _alert_wrong(item, said.alerts))),
        *_differences("cleared alert", expected.cleared, said.cleared),
        *(
            f"alert {key!r} ends with {said.cleared.get(key, '')!r}, not {part!r}"
            for key, part in expected.outcomes.items()
            if part not in said.cleared.get(key, "")
        ),
        *(text for item in expected.estimates if (text := _estimate_wrong(item, said.estimates))),
        *_count_wrong(expected, said.estimates),
        *_differences("written entity", expected.entities, said.entities),
        *_differences("wish", [_wish(item) for item in expected.wishes], said.wishes),
    ]


class _Said:
    def __init__(self, facts: Sequence[Fact]) -> None:
        self.alerts = {fact.key: fact for fact in facts if isinstance(fact, AlertRaised)}
        self.cleared = {
            fact.key: fact.outcome.get("en", "") for fact in facts if isinstance(fact, AlertCleared)
        }
        self.estimates = [fact for fact in facts if isinstance(fact, Estimate)]
        self.entities = [fact.document["id"] for fact in facts if isinstance(fact, EntityWritten)]
        self.wishes = [_wish(fact) for fact in facts if isinstance(fact, CommandWished)]


def _differences(what: str, expected: Iterable[str], said: Iterable[str]) -> list[str]:
    wanted, there = set(expected), set(said)
    return [f"expected {what} {item!r}, not said" for item in sorted(wanted - there)] + [
        f"unexpected {what} {item!r}" for item in sorted(there - wanted)
    ]


def _alert_wrong(expected: ExpectedAlert, said: Mapping[str, AlertRaised]) -> str:
    alert = said.get(expected.key)
    if alert is None:
        return ""
    pairs = [
        ("about", expected.about, alert.about),
        ("severity", expected.severity, alert.severity),
        ("audience", expected.audience, list(alert.audience)),
    ]
    wrong = [f"{name} {real!r} instead of {want!r}" for name, want, real in pairs if want and want != real]
    english = alert.description.get("en", "")
    if expected.says not in english:
        wrong.append(f"does not say {expected.says!r} but {english!r}")
    return f"alert {expected.key!r}: {'; '.join(wrong)}" if wrong else ""


def _estimate_wrong(expected: ExpectedEstimate, said: Sequence[Estimate]) -> str:
    name = f"estimate {expected.attribute} {expected.horizon} of {expected.entity}"
    wanted = (expected.entity, expected.attribute, expected.horizon)
    found = [item for item in said if (item.entity, item.attribute, item.horizon) == wanted]
    if len(found) != 1:
        return f"{name}: {len(found)} were made"
    value = found[0].value
    if expected.value is not None and value != expected.value:
        return f"{name}: {value!r} instead of {expected.value!r}"
    if expected.between is not None:
        low, high = expected.between
        if isinstance(value, str) or not low <= value <= high:
            return f"{name}: {value!r} is not between {low:g} and {high:g}"
    return ""


def _count_wrong(expected: Expected, said: Sequence[Estimate]) -> list[str]:
    if expected.estimates_made in (None, len(said)):
        return []
    return [f"{len(said)} estimates instead of {expected.estimates_made}"]


def _wish(item: ExpectedWish | CommandWished) -> str:
    value = "" if item.value is None else f" = {item.value}"
    return f"{item.command} of {item.device}{value}"


def _view(need: Window, given: Sequence[Given], at: datetime, zone: ZoneInfo) -> View:
    ordered = sorted(given, key=lambda item: item.id)
    ids = tuple(item.id for item in ordered)
    matrices: dict[tuple[str, str | None], Matrix] = {}
    if need.series:
        step = need.step_length
        since, until = span_of(at, need.history_length, step)
        times = _times(since, until, step)
        for name in need.series:
            rows = [_row(item.series.get(name, []), times, zone) for item in ordered]
            values = np.array(rows, dtype=float).reshape(len(ids), times.size)
            matrices[(name, None)] = Matrix(ids, times, values)
    for item in ordered:
        _refuse_undeclared(need, item)
    return View({item.id: _document(need, item, matrices, at) for item in ordered}, matrices)


def _refuse_undeclared(need: Window, given: Given) -> None:
    for names, declared in ((given.values, need.attributes), (given.series, need.series)):
        for name in names:
            if name not in declared:
                raise BrokenPlugin(
                    f"The case gives {name!r} to window {need.name!r}, which does not declare it",
                    hint=f"Declared there are: {', '.join(declared) or 'none'}.",
                    where=given.id,
                )


def _times(since: datetime, until: datetime, step: timedelta) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    count = (until - since) // step
    first = np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "ms")
    return first + np.arange(count) * np.timedelta64(step // timedelta(milliseconds=1), "ms")


def _row(
    series: SeriesText, times: np.ndarray[Any, np.dtype[np.datetime64]], zone: ZoneInfo
) -> np.ndarray[Any, np.dtype[np.float64]]:
    row = np.full(times.size, np.nan)
    if isinstance(series, list):
        ends = series
    else:
        ends = series.get("ends", [])
        if "steady" in series:
            row[:] = series["steady"]
        elif "daily" in series:
            hours = [
                datetime.fromtimestamp(int(item) / 1000, tz=UTC).astimezone(zone).hour
                for item in times.astype("datetime64[ms]").astype(np.int64)
            ]
            row[:] = np.array(series["daily"], dtype=float)[hours]
        elif "from" in series:
            row[:] = np.linspace(series["from"], series["to"], times.size)
    if ends:
        tail = ends[-times.size :]
        row[times.size - len(tail) :] = tail
    return row


def _document(
    need: Window, given: Given, matrices: Mapping[tuple[str, str | None], Matrix], at: datetime
) -> Document:
    attributes = {name: _instance(value, at) for name, value in given.values.items()}
    for (name, _), matrix in matrices.items():
        row = matrix.values[matrix.ids.index(given.id)]
        present = np.flatnonzero(np.isfinite(row))
        if name not in attributes and present.size:
            attributes[name] = prop(float(row[present[-1]]), at=at)
    return entity(need.type, given.id, attributes)


def _instance(value: Any, at: datetime) -> Instance:
    match value:
        case [float() | int() as longitude, float() | int() as latitude]:
            return point(longitude, latitude)
        case {"type": str(), "coordinates": list()}:
            return geo(value)
        case {"value": inner}:
            return prop(inner, at=value.get("at", at), unit=value.get("unit"))
        case dict():
            return text(**value)
        case str() if value.startswith("urn:ngsi-ld:"):
            return rel(value)
        case [str() as first, *_] if first.startswith("urn:ngsi-ld:"):
            return rel(value)
        case _:
            return prop(value, at=at)
