"""Loomby, the built-in town: a simulated source that can begin on any day, and the city to open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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
from cityloom_catalogue.cities.example_agreements import read_agreements
from cityloom_catalogue.cities.loomby import feeds
from cityloom_catalogue.cities.loomby.growers import confirms_after
from cityloom_catalogue.cities.loomby.seeds import seeds
from cityloom_catalogue.cities.plan_examples import plan_acts

#: Days on which the seasons show what they are known for; all at noon in town.
SEASONS = {
    "spring": datetime(2026, 4, 10, 10, tzinfo=UTC),
    "summer": datetime(2026, 7, 6, 10, tzinfo=UTC),
    "autumn": datetime(2026, 10, 12, 10, tzinfo=UTC),
    "winter": datetime(2027, 1, 18, 11, tzinfo=UTC),
}
#: Six hours of the town in a minute: a day in four, a frost night in one.
SPEED = 360.0
#: So long a past there is at most, and so long the simulation goes on.
PAST = max(feed.past for feed in feeds.FEEDS)
FUTURE = timedelta(days=3653)
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
BADGE = {"en": "simulated", "da": "simuleret"}


class LoombySource:
    """Works out what the town's sensors would send. A `CitySource`; any instant gives the same each time."""

    name = "loomby"
    origin: Literal["replayed", "simulated"] = "simulated"

    def __init__(self, begins: datetime) -> None:
        self.start = begins - PAST
        self.end = begins + FUTURE

    def batches(self, since: datetime) -> Iterator[tuple[datetime, list[Document]]]:
        """Every five minutes from `since` on, what is sent at that instant."""
        return feeds.observations(max(since, self.start), self.end)

    def backfill(self, until: datetime) -> Iterator[ColumnBatch]:
        """The numbers before `until`, of each feed as far back as it has a past; without the last of each."""
        return feeds.columns(self.start, until)


def open_city(
    folder: Path | None,  # noqa: ARG001 - the town needs no data
    progress: Progress,  # noqa: ARG001 - nothing takes long
    *,
    begins: datetime | None = None,
    season: str = "",
) -> DemoCity:
    """Open Loomby on a day, or in a season of `SEASONS`. Raises BadInput for others."""
    opens = begins or _season(season)
    if not FIRST <= opens < LAST:
        raise BadInput(
            f"The town is not simulated at {format_instant(opens)}",
            hint="Choose a day from 2000 to 2039.",
            where="begins",
        )
    source: CitySource = LoombySource(opens)
    return DemoCity(
        id="loomby",
        name="Loomby",
        source=source,
        begins=opens,
        speed=SPEED,
        seeds=seeds,
        settings=Path(__file__).with_name("city.toml").read_text(encoding="utf-8"),
        badge=BADGE,
        agreements=read_agreements(Path(__file__).with_name("agreements.toml"), "loomby", opens)
        | {"plan": plan_acts("loomby")},
        confirms_after=confirms_after,
    )


def _season(name: str) -> datetime:
    try:
        return SEASONS[name or "spring"]
    except KeyError:
        raise BadInput(
            f"{name!r} is not a season", hint=f"Choose of {', '.join(SEASONS)}.", where="season"
        ) from None
