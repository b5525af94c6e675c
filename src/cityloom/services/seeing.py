"""Makes the World of a service from the current state and from history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.ngsild.model import Document
from cityloom.services.manifest import Manifest, Window
from cityloom.services.ports import Context, Series
from cityloom.services.schedule import floor_to
from cityloom.services.world import Matrix, View, align


def eyes_of(manifest: Manifest) -> Actor:
    """The Actor a service sees with: reads what its manifest's class allows, writes nothing."""
    return Actor(
        id=f"service:{manifest.id}",
        name=manifest.title,
        roles=frozenset({"service"}),
        permissions=frozenset({"entities:read"}),
        clearance=frozenset(c for c in InformationClass if c <= manifest.information_class),
    )


def documents_seen(manifest: Manifest, context: Context) -> dict[str, dict[str, Document]]:
    """By window: the Entities a service may see now, ordered by id."""
    eyes = eyes_of(manifest)
    return {
        need.name: {item["id"]: item for item in sorted(context.of_type(eyes, need.type), key=_id)}
        for need in manifest.needs
    }


def views_seen(
    manifest: Manifest,
    documents: Mapping[str, Mapping[str, Document]],
    series: Series,
    at: datetime,
    *,
    training: bool = False,
) -> dict[str, View]:
    """The windows with their series up to the step that holds `at`. Blocking: it reads history."""
    eyes = eyes_of(manifest)
    return {
        need.name: View(
            documents[need.name], _matrices(eyes, need, tuple(documents[need.name]), series, at, training)
        )
        for need in manifest.needs
    }


def _matrices(
    eyes: Actor, need: Window, ids: tuple[str, ...], series: Series, at: datetime, training: bool
) -> dict[tuple[str, str | None], Matrix]:
    if not need.series or (training and not need.training):
        return {}
    length = need.training_length if training else need.history_length
    since, until = span_of(at, length, need.step_length)
    found = {}
    for attribute in need.series:
        for dataset in (None, *need.datasets):
            table = series.matrix(eyes, need.type, attribute, since, until, need.step_length, dataset or "")
            times = np.asarray(table.times, dtype="datetime64[ms]")
            whole = Matrix(tuple(table.entity_ids), times, np.asarray(table.values, dtype=float))
            found[(attribute, dataset)] = align(ids, whole)
    return found


def span_of(at: datetime, length: timedelta, step: timedelta) -> tuple[datetime, datetime]:
    """The half-open interval of whole steps that ends with the step that holds `at`."""
    until = floor_to(at, step) + step
    return until - length, until


def _id(document: Document) -> str:
    return str(document["id"])
