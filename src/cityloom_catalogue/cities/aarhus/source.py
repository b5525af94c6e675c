"""Aarhus on the open data of August and September 2014: a source to replay, and the city to open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from cityloom.sdk import (
    BadInput,
    CitySource,
    ColumnBatch,
    DemoCity,
    Document,
    Progress,
    format_instant,
)
from cityloom_catalogue.cities.aarhus import layout, readings
from cityloom_catalogue.cities.aarhus.pack import Pack, find_pack, read_pack
from cityloom_catalogue.cities.aarhus.seeds import seeds
from cityloom_catalogue.cities.example_agreements import read_agreements
from cityloom_catalogue.cities.plan_examples import plan_acts

#: Six weeks into the data, so that services have a past to learn from; a Monday at 07:00 in Aarhus.
BEGINS = datetime(2014, 9, 15, 5, tzinfo=UTC)
#: One hour of the city in a minute.
SPEED = 60.0
BADGE = {"en": "replayed open data of 2014", "da": "genafspillede åbne data fra 2014"}


class AarhusSource:
    """Replays the pack's records at their true times. A `CitySource`."""

    name = "aarhus"
    origin: Literal["replayed", "simulated"] = "replayed"
    start = layout.START
    end = layout.END

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def batches(self, since: datetime) -> Iterator[tuple[datetime, list[Document]]]:
        """Every five minutes from `since` on, what was measured in the five minutes before."""
        return readings.observations(self._pack, since)

    def backfill(self, until: datetime) -> Iterator[ColumnBatch]:
        """The numbers from `start` to just before `until`, without the last of each series."""
        return readings.columns(self._pack, until)


def open_city(
    folder: Path | None, progress: Progress, *, begins: datetime | None = None, season: str = ""
) -> DemoCity:
    """Open Aarhus. Raises NotReady when its pack cannot be had, BadInput for what it cannot do."""
    if season:
        raise BadInput(
            "Aarhus has only the weeks that were measured",
            hint="Choose a day from 2014-08-01 to 2014-09-30, or the simulated town, which has seasons.",
            where="season",
        )
    opens = begins or BEGINS
    if not layout.START <= opens < layout.END:
        raise BadInput(
            f"There are no measurements of {format_instant(opens)}",
            hint="Choose a day from 2014-08-01 to 2014-09-30.",
            where="begins",
        )
    pack = read_pack(find_pack(folder, progress))
    source: CitySource = AarhusSource(pack)
    return DemoCity(
        id="aarhus",
        name="Aarhus",
        source=source,
        begins=opens,
        speed=SPEED,
        seeds=partial(seeds, pack),
        settings=Path(__file__).with_name("city.toml").read_text(encoding="utf-8"),
        badge=BADGE,
        agreements=read_agreements(Path(__file__).with_name("agreements.toml"), "aarhus", opens)
        | {"plan": plan_acts("aarhus")},
    )
