"""What a city service may say: estimates, alerts, entities, wishes. Facts are data; the host writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.kernel.change import Because
from cityloom.ngsild.model import Document

Severity = Literal["informational", "low", "medium", "high", "critical"]
#: One text in several languages: {"en": "Frost", "da": "Frost"}.
Words: TypeAlias = Mapping[str, str]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was not measured, for one attribute of one Entity of the world.

    With a `horizon` ("PT30M", "night-minimum") it becomes the attribute's instance with the datasetId
    `urn:ngsi-ld:Dataset:forecast:<horizon>`, beside what is measured. Without, it becomes the default
    instance, and the attribute must not be one the service reads (an estimate replaces no measurement).
    """

    entity: str
    attribute: str
    value: float | str | bool
    horizon: str = ""
    #: The instant that the value is meant for; for a statistic of an interval, the interval's end.
    for_at: datetime | None = None
    #: The interval's begin, when the value is a statistic ("minimum") of an interval.
    for_since: datetime | None = None
    statistic: str = ""
    #: The interval that holds the truth with probability `level`.
    low: float | None = None
    high: float | None = None
    level: float | None = None
    #: UN/CEFACT unit code.
    unit: str | None = None
    #: Reasons; None lets the host write what the world saw the service look at for this Entity.
    because: tuple[Because, ...] | None = None


class AlertRaised(msgspec.Struct, frozen=True, kw_only=True):
    """Something to act on. Raised again under the same `key` while open, it brings the Alert up to date."""

    #: Names the occasion within the service: "farm-7:2026-04-12".
    key: str
    category: str
    sub_category: str
    severity: Severity
    description: Words
    #: The Entity it is about.
    about: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    #: Whom to tell, from the manifest's `tells`.
    audience: tuple[str, ...] = ()
    #: Receipts are wanted: a recipient who has not confirmed within this time is escalated.
    confirm_within: timedelta | None = None
    #: Audiences told when a receipt is missing.
    escalate_to: tuple[str, ...] = ()
    because: tuple[Because, ...] | None = None


class AlertCleared(msgspec.Struct, frozen=True, kw_only=True):
    """The occasion has passed. Clearing what is not open changes nothing."""

    key: str
    #: What became of it, for the Alert's page.
    outcome: Words = {}
    because: tuple[Because, ...] | None = None


class EntityWritten(msgspec.Struct, frozen=True, kw_only=True):
    """An Entity, or attributes of one. Types and attributes are those of the manifest's `writes`."""

    document: Document
    because: tuple[Because, ...] | None = None


class CommandWished(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to a device. Its effect is believed when a reading confirms it."""

    #: Names the occasion: the same wish under the same key is sent once.
    key: str
    device: str
    command: str
    value: float | str | bool | None = None
    #: After this instant the wish lapses.
    until: datetime | None = None
    because: tuple[Because, ...] | None = None


Fact: TypeAlias = Estimate | AlertRaised | AlertCleared | EntityWritten | CommandWished


def forecast_dataset(horizon: str) -> str:
    """The datasetId of a forecast: "PT30M" -> "urn:ngsi-ld:Dataset:forecast:PT30M"."""
    return f"urn:ngsi-ld:Dataset:forecast:{horizon}"


def estimates(
    ids: Sequence[str],
    attribute: str,
    values: NDArray[np.float64],
    *,
    horizon: str,
    for_at: datetime,
    low: NDArray[np.float64] | None = None,
    high: NDArray[np.float64] | None = None,
    level: float | None = None,
    unit: str | None = None,
) -> Iterator[Estimate]:
    """One Estimate for each Entity whose value is a number; NaN says nothing about that Entity.

    `values`, `low` and `high` have the shape (len(ids),).
    """
    for index in np.flatnonzero(np.isfinite(values)).tolist():
        yield Estimate(
            entity=ids[index],
            attribute=attribute,
            value=float(values[index]),
            horizon=horizon,
            for_at=for_at,
            low=None if low is None else float(low[index]),
            high=None if high is None else float(high[index]),
            level=level,
            unit=unit,
        )
