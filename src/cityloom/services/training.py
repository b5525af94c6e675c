"""Lets services learn from the city's own history, rarely."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np

from cityloom.kernel.time import format_instant, parse_instant
from cityloom.ngsild.model import Document
from cityloom.services.contract import Trained, TrainedService
from cityloom.services.manifest import SettingValue, Training
from cityloom.services.plugin import CityService
from cityloom.services.ports import Series
from cityloom.services.seeing import views_seen
from cityloom.services.world import View, World

_TRAINED_AT = "trainedAt"


class TrainingPlan:
    """When a service should learn again. Remembers tries, so that too short a history is not read over
    and over."""

    #: Machine seconds that a training may take.
    deadline_s = 600.0

    def __init__(self, training: Training | None) -> None:
        self._training = training
        self._tried: datetime | None = None

    def due(self, trained: Trained | None, now: datetime) -> bool:
        """Whether to try now; a True counts as a try."""
        if self._training is None:
            return False
        every = self._training.every_length
        # Until the first success it is tried more often: history grows.
        pause = every if trained is not None else min(every, timedelta(hours=6))
        tried_lately = self._tried is not None and timedelta(0) <= now - self._tried < pause
        learned = None if self.from_the_future(trained, now) else _trained_at(trained)
        if tried_lately or (learned is not None and now - learned < every):
            return False
        self._tried = now
        return True

    def from_the_future(self, trained: Trained | None, now: datetime) -> bool:
        """A replay that began again must not know what it learned the last time."""
        learned = _trained_at(trained)
        return learned is not None and learned > now


def learn(
    service: CityService,
    documents: Mapping[str, Mapping[str, Document]],
    series: Series,
    settings: Mapping[str, SettingValue],
    zone: ZoneInfo,
    at: datetime,
) -> Trained | None:
    """Train once. None when history is too short for the manifest or for the service. Blocking."""
    training = service.manifest.training
    assert training is not None
    views = views_seen(service.manifest, documents, series, at, training=True)
    since, readings = _reach(views)
    if since is None or at - since < training.wanted_length:
        return None
    world = World(
        service.manifest,
        views,
        settings=settings,
        zone=zone,
        messages=service.messages,
        parameters=None if service.shipped is None else service.shipped.arrays,
        woken_by="training",
    )
    arrays = cast(TrainedService, service.service).train(world, at)
    if arrays is None:
        return None
    provenance = {
        "source": "this city's history",
        _TRAINED_AT: format_instant(at),
        "since": format_instant(since),
        "readings": str(readings),
    }
    return Trained({name: np.asarray(values) for name, values in arrays.items()}, provenance)


def _reach(views: Mapping[str, View]) -> tuple[datetime | None, int]:
    """The earliest step with a reading in any series, and how many steps have one."""
    first: datetime | None = None
    readings = 0
    for view in views.values():
        for matrix in view.matrices.values():
            present = np.isfinite(matrix.values)
            readings += int(present.sum())
            steps = np.flatnonzero(present.any(axis=0))
            if steps.size:
                millis = int(matrix.times[steps[0]].astype("datetime64[ms]").astype(np.int64))
                begin = datetime.fromtimestamp(millis / 1000, tz=UTC)
                first = begin if first is None else min(first, begin)
    return first, readings


def _trained_at(trained: Trained | None) -> datetime | None:
    text = "" if trained is None else trained.provenance.get(_TRAINED_AT, "")
    return parse_instant(text, where=_TRAINED_AT) if text else None
