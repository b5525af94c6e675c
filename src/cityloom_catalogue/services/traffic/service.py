"""The state of each road section against its normal week, sudden drops, and the next hour with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import (
    AlertCleared,
    AlertRaised,
    EntityWritten,
    Estimate,
    Fact,
    Matrix,
    World,
    entity,
    estimates,
    prop,
)
from cityloom.sdk import panel_forecast as panel
from cityloom.sdk import sudden_drop as drop

Values = NDArray[np.float64]

STEP = timedelta(minutes=15)
A_DAY = 96
HORIZONS = {"PT15M": 1, "PT30M": 2, "PT60M": 4}
COUNTS = panel.PanelShape(A_DAY, tuple(HORIZONS.values()), target="mean", noise="count")
SPEEDS = panel.PanelShape(A_DAY, tuple(HORIZONS.values()), target="mean", noise="level")
DROP = drop.DropShape()
#: Unit codes of vehicles in five minutes (a pure number) and of speed.
UNITS = {"intensity": "C62", "averageVehicleSpeed": "KMH"}


class Window(NamedTuple):
    """Whole steps up to now: `slot` is the slot of the week, in local time, that begins now."""

    ids: tuple[str, ...]
    intensity: Values
    speed: Values
    slot: int


def decide(world: World, at: datetime) -> Iterable[Fact]:
    """State of every section; with learned parameters also forecasts and sudden drops."""
    window = _window(world, at)
    if not window.ids or not window.intensity.shape[1]:
        return
    models = _models(world, window.ids)
    yield from _states(world, window, models, at)
    if models is not None:
        for attribute, model, shape, recent in (
            ("intensity", models.counts, COUNTS, window.intensity),
            ("averageVehicleSpeed", models.speeds, SPEEDS, window.speed),
        ):
            yield from _forecasts(window, attribute, model, shape, recent, at)
        yield from _drops(world, window, models)


def train(world: World, at: datetime) -> Mapping[str, NDArray[Any]] | None:
    """The normal week, the regressions and the limits of every section; None with less than 12 days."""
    window = _window(world, at)
    if not window.ids:
        return None
    first = window.slot - window.intensity.shape[1]
    counts = panel.fit(window.intensity, first, COUNTS)
    speeds = panel.fit(window.speed, first, SPEEDS)
    if counts is None or speeds is None:
        return None
    slots = (first + np.arange(window.speed.shape[1])) % SPEEDS.steps_a_week
    limits = drop.drop_limits(window.speed, speeds.profile[:, slots], DROP)
    return {
        "ids": np.array(window.ids),
        "limits": limits,
        **counts.to_arrays("counts_"),
        **speeds.to_arrays("speeds_"),
    }


class Models(NamedTuple):
    """Learned parameters, with one row for each section of the window."""

    counts: panel.PanelModel
    speeds: panel.PanelModel
    limits: Values


def _models(world: World, ids: tuple[str, ...]) -> Models | None:
    arrays = world.parameters
    if arrays is None:
        return None
    place = {str(name): row for row, name in enumerate(arrays["ids"])}
    rows = np.array([place.get(name, -1) for name in ids])

    def of(prefix: str) -> panel.PanelModel:
        model = panel.from_arrays(arrays, prefix)
        return model._replace(profile=_rows(model.profile, rows))

    return Models(of("counts_"), of("speeds_"), _rows(arrays["limits"], rows))


def _rows(learned: Values, rows: NDArray[np.int_]) -> Values:
    """The learned row of each section; NaN for one that was not there when learning."""
    result = np.full((len(rows), *learned.shape[1:]), np.nan)
    result[rows >= 0] = learned[rows[rows >= 0]]
    return result


def _window(world: World, at: datetime) -> Window:
    intensity = world.matrix("sections", "intensity")
    speed = world.matrix("sections", "averageVehicleSpeed")
    now = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "ms")
    whole = intensity.times + np.timedelta64(STEP) <= now
    counted = _whole(intensity, whole)
    # A mean speed of no vehicle measures nothing.
    measured = np.where(counted > 0, _whole(speed, whole), np.nan)
    begin = intensity.times[whole][-1] + np.timedelta64(STEP) if whole.any() else now
    return Window(intensity.ids, counted, measured, _slot(begin, world.zone))


def _whole(matrix: Matrix, whole: NDArray[np.bool_]) -> Values:
    return np.ascontiguousarray(matrix.values[:, whole])


def _slot(begin: np.datetime64, zone: ZoneInfo) -> int:
    """The slot of the local week, from Monday 00:00: people drive by the clock on the wall."""
    local = datetime.fromtimestamp(begin.astype("datetime64[s]").astype(int), tz=UTC).astimezone(zone)
    return local.weekday() * A_DAY + (local.hour * 60 + local.minute) // 15


def _states(world: World, window: Window, models: Models | None, at: datetime) -> Iterator[Fact]:
    free_flow = world.column("sections", "freeFlowSpeed")
    recent = window.speed[:, -2:]
    speed = np.full(len(window.ids), np.nan)
    seen = np.isfinite(recent).any(axis=1)
    speed[seen] = np.nanmean(recent[seen], axis=1)
    usual = np.full(len(window.ids), np.nan)
    if models is not None:
        usual = panel.usual(models.speeds, window.slot - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_free, of_usual = speed / free_flow, speed / usual
    counted = np.isfinite(window.intensity[:, -2:]).sum(axis=1) > 0
    slow, congested = world.number("slow_below"), world.number("congested_below")
    for row, section in enumerate(window.ids):
        state = _state(bool(counted[row]), float(of_free[row]), slow, congested)
        attributes = {"trafficState": prop(state, at=at)}
        if np.isfinite(of_usual[row]):
            attributes["shareOfUsualSpeed"] = prop(round(100 * float(of_usual[row]), 1), at=at, unit="P1")
        yield EntityWritten(document=entity("TrafficFlowObserved", section, attributes))


def _state(counted: bool, of_free: float, slow: float, congested: float) -> str:
    if not counted:
        return "noData"
    if not np.isfinite(of_free):
        return "noVehicles"
    if of_free < congested:
        return "congested"
    return "slow" if of_free < slow else "free"


def _forecasts(
    window: Window,
    attribute: str,
    model: panel.PanelModel,
    shape: panel.PanelShape,
    recent: Values,
    at: datetime,
) -> Iterator[Estimate]:
    if recent.shape[1] < shape.history:
        return
    for (horizon, steps), said in zip(
        HORIZONS.items(), panel.forecast(model, recent, window.slot, shape), strict=True
    ):
        yield from estimates(
            window.ids,
            attribute,
            np.round(said.value, 2),
            horizon=horizon,
            for_at=at + steps * STEP,
            low=np.round(said.low, 2),
            high=np.round(said.high, 2),
            level=shape.coverage,
            unit=UNITS[attribute],
        )


def _drops(world: World, window: Window, models: Models) -> Iterator[Fact]:
    steps = drop.CALM_STEPS + 2
    if window.speed.shape[1] < steps:
        return
    slots = (window.slot - steps + np.arange(steps)) % SPEEDS.steps_a_week
    normal = models.speeds.profile[:, slots]
    # Means of five minutes, three to a step: vehicles in half an hour.
    vehicles = 3 * np.nan_to_num(window.intensity[:, -2:]).sum(axis=1)
    fell = drop.dropped(window.speed[:, -steps:], normal, models.limits, DROP)
    fell &= vehicles >= world.number("vehicles")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = window.speed[:, -1] / normal[:, -1]
    for row in np.flatnonzero(fell).tolist():
        yield _drop_alert(world, window, row, float(share[row]), float(normal[row, -1]))
    for row, section in enumerate(window.ids):
        if section in world.open_alerts and share[row] > DROP.calm:
            yield AlertCleared(
                key=section, outcome=world.say("drop_over", percent=round(100 * float(share[row])))
            )


def _drop_alert(world: World, window: Window, row: int, share: float, normal: float) -> AlertRaised:
    section = window.ids[row]
    name = world.value("sections", section, "name") or section
    facts = {
        "name": name,
        "speed": round(float(window.speed[row, -1])),
        "usual": round(normal),
        "percent": round(100 * share),
    }
    return AlertRaised(
        key=section,
        category="traffic",
        sub_category="suddenDrop",
        severity="high" if share < 0.3 else "medium",
        description=world.say("drop", **facts),
        about=section,
        audience=("operators",),
    )
