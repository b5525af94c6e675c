"""Tables of the past that are brought in as a whole: what is brought, how far a load has come.

A load does not go through the feed, which carries what happens: millions of readings of years ago are no
news. It goes into history portion by portion. How far it has come stands in the transaction of each portion,
so that a load that was cut off goes on where it stopped, exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from cityloom.history.model import Integers, Series, SeriesKey
from cityloom.history.ports import HistoryStore
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import NotReady

#: The right to load tables and to take whole histories out.
PERMISSION = "history:load"


class LoadRecord(msgspec.Struct, frozen=True, rename="camel"):
    """One table that was brought, or is on its way. Instants are milliseconds since 1970."""

    #: Made of the checksums of the table and of what its columns mean.
    id: str
    #: What its readings carry in the store.
    number: int
    #: The table's name, for people.
    name: str
    #: Who brought it: `Actor.id`.
    by: str
    #: Rows of the table that are done with, of how many.
    rows: int = 0
    of_rows: int = 0
    #: Readings that were kept, those that were there already, and how many of the kept ones corrected others.
    kept: int = 0
    known: int = 0
    corrected: int = 0
    rejected: int = 0
    #: When it was done, 0 before; and when it was taken out again.
    finished_at: int = 0
    undone_at: int = 0


class Bringing(msgspec.Struct, frozen=True):
    """One series of a portion."""

    key: SeriesKey
    types: tuple[str, ...]
    information_class: InformationClass
    #: Whether its Entity is gone.
    retired: bool = False


class Portion(msgspec.Struct, frozen=True):
    """Readings of some series, as rows of a Parquet file in the folder of exports.

    Columns: place (index in `series`), observed_at, recorded_at, created_at (milliseconds; created_at may be
    NULL), kind, number, text, observed, superseded, origin, details, instance: as of `Readings`.
    """

    #: The load that it is of.
    load: str
    #: The first row of the table that is in it, and the first one that is not.
    first: int
    end: int
    series: Sequence[Bringing]
    file: str
    #: Whether it is of a whole history, which tells types and class of Entities that are not there.
    whole: bool = False


class Brought(msgspec.Struct, frozen=True):
    """What became of a portion."""

    kept: int
    known: int
    corrected: int


@runtime_checkable
class LoadStore(Protocol):
    """A HistoryStore that takes whole tables. Blocking; all of a call or none of it."""

    def loads(self) -> list[LoadRecord]:
        """All records, the oldest first."""
        ...

    def find_load(self, identifier: str) -> LoadRecord | None:
        """One record; the others are not looked at, as this is asked for each portion."""
        ...

    def keep_load(self, record: LoadRecord) -> LoadRecord:
        """Keep what a record says beside its tallies (rows, kept, known, corrected), which are `bring`'s.

        A new one gets its number.
        """
        ...

    def add_created(self, number: int, entity_ids: Sequence[str]) -> None:
        """Remember Entities that a load created, by its number."""
        ...

    def created(self, number: int) -> list[str]:
        """All Entities that a load created."""
        ...

    def bring(self, portion: Portion) -> Brought:
        """Keep a portion and that its rows are done with, both or neither.

        A portion that does not begin where the load stands is passed over, so that each is brought once.
        Of two readings of one instant in one series the one that was recorded later is the value; one that
        says what is there already is not kept. Raises StorageFull, NotReady, NotFound for an unknown load.
        """
        ...

    def brought(self, number: int) -> Integers:
        """The series that have readings of a load, by its number."""
        ...

    def known(self, numbers: Integers) -> list[Series]:
        """The series of these numbers that are there still."""
        ...

    def new_export(self, suffix: str) -> Path:
        """The path of a new file in the folder of exports."""
        ...

    def export_whole(self, series: Integers, since: int, until: int, format_name: str) -> tuple[Path, int]:
        """Write all that there is of readings since <= observedAt < until to a file; how many there were.

        `format_name` is "csv" or "parquet". The caller removes the file.
        """
        ...

    def take_out(self, number: int) -> int:
        """Remove the readings of a load, and say how many; what they had corrected counts again.

        Empty series go.
        """
        ...


def load_store_of(store: HistoryStore) -> LoadStore:
    """A store as one that takes whole tables. Raises NotReady for one that does not."""
    if not isinstance(store, LoadStore):
        raise NotReady(
            "A history that is kept in memory alone takes no whole tables",
            hint="Load them into a city that keeps its history in its folder or in PostgreSQL.",
        )
    return store


class Written(msgspec.Struct, rename="camel"):
    """What became of Entities."""

    created: int = 0
    changed: int = 0
    same: int = 0
    #: Id and reason of those that were refused, some of them.
    refused: list[tuple[str, str]] = []
    refused_count: int = 0
    #: Ids of those that a whole history brought.
    new: list[str] = []


class Undone(msgspec.Struct, frozen=True, rename="camel"):
    """What taking a load out did."""

    readings: int
    #: Attributes that say again what was known before, or nothing any more.
    attributes: int
    #: Entities that the load had created and that are gone again; those that stay, having more to them.
    entities: int
    staying: int
