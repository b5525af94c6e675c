"""What a measure sees: the Entities of its types as they are now, history, and the city's figures."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import cache
from itertools import islice
from typing import Any, overload

import msgspec
import orjson
from msgspec import defstruct

from cityloom.context.keeping import MODIFIED_LAST, NEVER_MODIFIED, Kept, unpack
from cityloom.history.links import TYPE_TARGET
from cityloom.history.pools import PooledSeries, narrowed
from cityloom.history.queries import History
from cityloom.indicators.model import Measured
from cityloom.kernel.actor import Actor
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import format_instant, parse_instant
from cityloom.kernel.units import convert
from cityloom.ngsild.model import Document, content, instance_of, value_of

#: Where data come from, the most trustworthy first: a number is badged as the last of what went into it.
ORIGINS = ("measured", "replayed", "entered", "simulated", "estimated")

_ORIGIN = "dataOrigin"

#: Where times were cut out of what is kept, an attribute instance ends.
_ENDS = bytes.maketrans(NEVER_MODIFIED + MODIFIED_LAST, b"}}")


class Documents(Sequence[Document]):
    """Documents that are read when they are looked at, each time, in the thread that looks:
    a type may have more Entities than memory takes parsed."""

    def __init__(self, written: Sequence[Kept]) -> None:
        self._written = written

    def __len__(self) -> int:
        return len(self._written)

    @overload
    def __getitem__(self, place: int) -> Document: ...

    @overload
    def __getitem__(self, place: slice) -> Documents: ...

    def __getitem__(self, place: int | slice) -> Document | Documents:
        found = self._written[place]
        return _read(found) if isinstance(found, bytes) else Documents(found)

    def __iter__(self) -> Iterator[Document]:
        return map(_read, self._written)

    def having(self, name: str) -> Documents:
        """Those that may have an attribute: of a million that have none, none is read."""
        member = orjson.dumps(name) + b":"
        return Documents([one for one in self._written if one.find(member) >= 0])

    def among(self, ids: Container[str]) -> Documents:
        """Those with one of some ids."""
        return Documents([one for one in self._written if _DECODE_ID(one.translate(_ENDS)).id in ids])

    def only(self, name: str) -> Iterator[Document]:
        """All of them with their id and one attribute alone: the rest is passed over, not made."""
        decode = _decoder_of(name)
        for one in self._written:
            found = decode(one.translate(_ENDS))
            yield {"id": found.id, "attrs": {name: found.attrs.said}}


class _Named(msgspec.Struct):
    id: str


#: What reads the id of a document and nothing else.
_DECODE_ID = msgspec.json.Decoder(_Named).decode


@cache
def _decoder_of(name: str) -> Callable[[bytes], Any]:
    """What reads the id and an attribute of a document."""
    attributes = defstruct("Attributes", [("said", list[dict[str, Any]], [])], rename={"said": name})
    return msgspec.json.Decoder(defstruct("Said", [("id", str), ("attrs", attributes)])).decode


def _read(kept: Kept) -> Document:
    document: Document = orjson.loads(unpack(kept))
    return document


class View(msgspec.Struct, frozen=True):
    """The data of one measure for one period, as `actor` sees them."""

    actor: Actor
    since: datetime
    until: datetime
    zone: tzinfo
    history: History
    #: Entities by type.
    documents: Mapping[str, Sequence[Document]]
    #: How many Entities of each type everybody may read.
    open_types: Mapping[str, int]
    #: Figures of the city: inhabitants, households, …
    figures: Mapping[str, float]
    #: The unit in which the value is wanted, "" where it has none.
    unit_code: str = ""
    #: Only these Entities are looked at; None for all.
    among: Container[str] | None = None

    def found(
        self,
        value: float | None = None,
        *,
        now: bool = False,
        numerator: float | None = None,
        denominator: float | None = None,
        parts_unit: str = "",
        rows: int = 0,
        entities: int = 0,
        coverage: float | None = None,
        origin: str = "",
        because: tuple[Because, ...] = (),
    ) -> Measured:
        """What was found in the period, or (`now`) of how things stand at its end."""
        return Measured(
            since=self.until if now else self.since,
            until=self.until,
            value=value,
            numerator=numerator,
            denominator=denominator,
            parts_unit=parts_unit,
            rows=rows,
            entities=entities,
            coverage=coverage,
            origin=origin,
            because=because,
        )

    def because(
        self, type_name: str, attribute: str, count: int, *, missing: int = 0, note: str = ""
    ) -> Because:
        """What was looked at of a type in the period."""
        return Because(
            about=TYPE_TARGET + type_name,
            attribute=attribute,
            since=format_instant(self.since),
            until=format_instant(self.until),
            count=count,
            missing=missing,
            note=note,
        )

    def origin(self, entities: Iterable[Document]) -> str:
        """The least trustworthy origin among Entities; "" for none."""
        said = {str(value_of(one, _ORIGIN, "measured")) for one in entities}
        known = [ORIGINS.index(one) for one in said if one in ORIGINS]
        return ORIGINS[max(known)] if known else ""

    def origin_of(self, type_name: str, used: Container[str]) -> str:
        """The same of those Entities of a type whose ids are among some."""
        said = self.origin(one for one in only(self.having(type_name, _ORIGIN), _ORIGIN) if one["id"] in used)
        if said:
            return said
        # Whoever says nothing has measured.
        others = (one for one in only(self.of_type(type_name), _ORIGIN) if one["id"] in used)
        return self.origin(islice((one for one in others if value_of(one, _ORIGIN) is None), 1))

    def pool(self, type_name: str, attribute: str, *, unit_code: str = "") -> PooledSeries:
        """The series of an attribute of a type, of the Entities that are looked at."""
        return self.pool_between(type_name, attribute, self.since, self.until, unit_code=unit_code)

    def pool_between(
        self, type_name: str, attribute: str, since: datetime, until: datetime, *, unit_code: str = ""
    ) -> PooledSeries:
        """The same for another time than the period."""
        target = TYPE_TARGET + type_name
        found = self.history.pool(self.actor, target, attribute, since, until, unit_code=unit_code)
        return found if self.among is None else narrowed(found, self.among)

    def of_type(self, type_name: str) -> Sequence[Document]:
        """The Entities of a type."""
        found = self.documents.get(type_name, ())
        if self.among is None:
            return found
        if isinstance(found, Documents):
            return found.among(self.among)
        return [one for one in found if one["id"] in self.among]

    def having(self, type_name: str, attribute: str) -> Sequence[Document]:
        """The Entities of a type, without many that have no such attribute."""
        found = self.of_type(type_name)
        return found.having(attribute) if isinstance(found, Documents) else found

    def fixed(self, type_name: str, attribute: str, unit_code: str = "") -> dict[str, float]:
        """A positive number that stands on each Entity, in a unit, by id."""
        found = {}
        for document in only(self.having(type_name, attribute), attribute):
            item = instance_of(document, attribute)
            said = None if item is None else content(item)
            if is_number(said) and said > 0 and item is not None:
                found[document["id"]] = _converted(float(said), item.get("unitCode", ""), unit_code)
        return found


def only(found: Sequence[Document], attribute: str) -> Iterable[Document]:
    """Entities of which one attribute is looked at."""
    return found.only(attribute) if isinstance(found, Documents) else found


def moment(document: Document, path: str) -> datetime | None:
    """An instant of an Entity: a date-time attribute, or when in a list of steps something was first done."""
    name, _, did = path.partition(":")
    said = value_of(document, name)
    if did:
        said = _first_done(said, did)
    try:
        return parse_instant(said, where=path)
    except BadInput:
        return None


def _first_done(steps: Any, did: str) -> Any:
    if not isinstance(steps, list):
        return None
    done = (one for one in steps if isinstance(one, dict) and one.get("did") == did)
    return next((one.get("at") for one in done), None)


def _converted(value: float, unit_code: str, wanted: str) -> float:
    return convert(value, unit_code, wanted) if unit_code and wanted else value
