"""Free spaces half an hour, an hour and a day ahead, with intervals; and which counters not to believe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import AlertCleared, AlertRaised, EntityWritten, Fact, World, entity, estimates, prop
from cityloom.sdk import panel_forecast as panel

Values = NDArray[np.float64]

STEP = timedelta(minutes=30)
A_DAY = 48
HORIZONS = {"PT30M": 1, "PT60M": 2, "P1D": 48}
#: Occupancy as a share of the listed spaces.
OCCUPANCY = panel.PanelShape(
    A_DAY,
    tuple(HORIZONS.values()),
    target="last",
    noise="level",
    profile=panel.ProfileShape(smoothing=1.0, half_life_weeks=4.0, borrowed=0.3),
    last_week=True,
)
#: A counter that gave this many readings in a day, all the same, is frozen.
FROZEN_READINGS = 40


class Window(NamedTuple):
    """Whole steps up to now: occupancy (parks, steps) as a share of the listed spaces."""

    ids: tuple[str, ...]
    total: Values
    occupancy: Values
    slot: int


def decide(world: World, at: datetime) -> Iterable[Fact]:
    """Forecasts for the car parks whose counters can be believed; for the others, why not."""
    window = _window(world, at)
    if not window.ids:
        return
    arrays = world.parameters
    model = None if arrays is None else _model(arrays, window.ids)
    status = _status(window, model, world.number("excess_share"))
    for park, said in zip(window.ids, status, strict=True):
        yield EntityWritten(document=entity("OffStreetParking", park, {"forecastStatus": prop(said, at=at)}))
    believed = np.array([said == "forecast" for said in status])
    if model is None or not believed.any():
        return
    ahead = panel.forecast(model.panel, window.occupancy, window.slot, OCCUPANCY)
    for (horizon, steps), share in zip(HORIZONS.items(), ahead, strict=True):
        yield from _spaces(window, believed, share, horizon, at + steps * STEP)
    yield from _full(world, window, believed, ahead[0])


def train(world: World, at: datetime) -> Mapping[str, NDArray[Any]] | None:
    """The normal week of every car park and the regressions; None with less than 12 days."""
    window = _window(world, at)
    if not window.ids:
        return None
    model = panel.fit(window.occupancy, window.slot - window.occupancy.shape[1], OCCUPANCY)
    if model is None:
        return None
    with np.errstate(invalid="ignore"):
        known = np.isfinite(window.occupancy).sum(axis=1)
        excess = (window.occupancy > 1).sum(axis=1) / np.maximum(known, 1)
    return {"ids": np.array(window.ids), "excess": excess, **model.to_arrays()}


class _Model(NamedTuple):
    panel: panel.PanelModel
    #: Share of past readings above the listed capacity, by car park; NaN for one not learned.
    excess: Values


def _model(arrays: Mapping[str, NDArray[Any]], ids: tuple[str, ...]) -> _Model:
    place = {str(name): row for row, name in enumerate(arrays["ids"])}
    rows = [place.get(name, -1) for name in ids]
    learned = panel.from_arrays(arrays)
    profile = np.full((len(ids), learned.profile.shape[1]), np.nan)
    excess = np.full(len(ids), np.nan)
    for row, source in enumerate(rows):
        if source >= 0:
            profile[row], excess[row] = learned.profile[source], arrays["excess"][source]
    return _Model(learned._replace(profile=profile), excess)


def _window(world: World, at: datetime) -> Window:
    occupied = world.matrix("parks", "occupiedSpotNumber")
    total = world.column("parks", "totalSpotNumber")
    now = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "ms")
    whole = occupied.times + np.timedelta64(STEP) <= now
    begin = occupied.times[whole][-1] + np.timedelta64(STEP) if whole.any() else now
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total[:, None] > 0, occupied.values[:, whole] / total[:, None], np.nan)
    return Window(occupied.ids, total, np.ascontiguousarray(share), _slot(begin, world.zone))


def _slot(begin: np.datetime64, zone: ZoneInfo) -> int:
    """The slot of the local week, from Monday 00:00."""
    local = datetime.fromtimestamp(begin.astype("datetime64[s]").astype(int), tz=UTC).astimezone(zone)
    return local.weekday() * A_DAY + (local.hour * 60 + local.minute) // 30


def _status(window: Window, model: _Model | None, excess_share: float) -> list[str]:
    """For each car park "forecast", or why there is none."""
    if model is None:
        return ["notTrained"] * len(window.ids)
    last_day = window.occupancy[:, -A_DAY:]
    result = []
    for row in range(len(window.ids)):
        readings = last_day[row][np.isfinite(last_day[row])]
        if not np.isfinite(model.excess[row]):
            result.append("notTrained")
        elif model.excess[row] > excess_share:
            result.append("capacityDoubted")
        elif not readings.size or not np.isfinite(window.occupancy[row, -4:]).any():
            result.append("noData")
        elif readings.size >= FROZEN_READINGS and np.ptp(readings) == 0:
            result.append("frozen")
        else:
            result.append("forecast")
    return result


def _spaces(
    window: Window, believed: NDArray[np.bool_], share: panel.Forecast, horizon: str, for_at: datetime
) -> Iterator[Fact]:
    """Occupied and free spaces from the share; the interval of the one is that of the other turned round."""
    occupied, low, high = (np.where(believed, np.round(part * window.total), np.nan) for part in share)
    yield from estimates(
        window.ids,
        "occupiedSpotNumber",
        occupied,
        horizon=horizon,
        for_at=for_at,
        low=low,
        high=high,
        level=OCCUPANCY.coverage,
        unit="C62",
    )
    free, fewest, most = (np.maximum(window.total - part, 0) for part in (occupied, high, low))
    yield from estimates(
        window.ids,
        "availableSpotNumber",
        free,
        horizon=horizon,
        for_at=for_at,
        low=fewest,
        high=most,
        level=OCCUPANCY.coverage,
        unit="C62",
    )


def _full(world: World, window: Window, believed: NDArray[np.bool_], soon: panel.Forecast) -> Iterator[Fact]:
    limit = world.number("full_below")
    free = 1 - soon.value
    for row in np.flatnonzero(believed).tolist():
        park = window.ids[row]
        spaces = max(round(float(free[row] * window.total[row])), 0)
        if free[row] < limit:
            yield AlertRaised(
                key=park,
                category="traffic",
                sub_category="carParkFull",
                severity="low",
                description=world.say("full", name=world.value("parks", park, "name") or park, spaces=spaces),
                about=park,
                audience=("operators",),
            )
        elif park in world.open_alerts and free[row] > 2 * limit:
            yield AlertCleared(key=park, outcome=world.say("full_over", spaces=spaces))
