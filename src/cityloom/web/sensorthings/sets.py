"""The sets of rows that one asker sees, and the links between rows (OGC 18-088, 8.2 and 9.2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import numpy as np

from cityloom.access.ownership import OWNED_TYPES
from cityloom.history.model import Window
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.time import parse_instant, to_millis
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound, TooManyResults
from cityloom.ngsild.model import Document, instance_of
from cityloom.ngsild.q_language import Compare, Exists, Or, Path, Term, Value
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.type_selection import TypeSelection
from cityloom.web.addresses import entity_path
from cityloom.web.ogc.features import geometry_of
from cityloom.web.rooms import Rooms
from cityloom.web.sensorthings import mapping
from cityloom.web.sensorthings.model import (
    DATASTREAMS,
    FEATURES,
    HISTORICAL,
    LINKS,
    LOCATIONS,
    OBSERVATIONS,
    PROPERTIES,
    PROPERTY_TYPE,
    SENSOR_TYPE,
    SENSORS,
    THINGS,
    Row,
    Stream,
    sensor_of,
    split_observation_id,
    split_stream_id,
    stream_of,
    streams_of,
)
from cityloom.web.sensorthings.observations import Observations, Span

#: Types that are no Things: acts of the city, and what is said of sensors.
NO_THINGS = frozenset(OWNED_TYPES) | {SENSOR_TYPE, PROPERTY_TYPE}
#: Entities looked at in one piece.
PIECE = 100
#: Things whose Observations are read together, and whose properties are looked up each time.
MOST_AT_ONCE = 5_000
#: Tenants and clearances whose ObservedProperties are kept.
MOST_KEPT = 500
#: Instants of the past at which one Thing's place is told.
MOST_PLACES = 1_000


_Key = tuple[str, frozenset[InformationClass]]


class KeptProperties:
    """What was last found of the ObservedProperties, by tenant and clearance, for some seconds."""

    def __init__(self, seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._found: dict[_Key, tuple[float, list[Row]]] = {}

    def find(self, key: _Key) -> list[Row] | None:
        at, rows = self._found.get(key, (0.0, []))
        return rows if rows and time.monotonic() - at < self._seconds else None

    def keep(self, key: _Key, rows: list[Row]) -> None:
        if len(self._found) >= MOST_KEPT:
            self._found.clear()
        self._found[key] = (time.monotonic(), rows)


class Sets:
    """Rows by set and id, and along links, for one asker in one tenant."""

    def __init__(
        self, rooms: Rooms, actor: Actor, tenant: str, site: str, kept: KeptProperties | None = None
    ) -> None:
        self._kept = KeptProperties() if kept is None else kept
        self._broker = rooms.broker
        self._history = rooms.history
        self.models = rooms.models
        self._actor = actor
        self._tenant = tenant
        self._site = site
        self.observations = Observations(rooms.history, actor, tenant)

    # One row

    async def one(self, kind: str, identifier: str) -> Row:
        """The row with this id. Raises ResourceNotFound."""
        found = await self.find(kind, identifier)
        if found is None:
            raise ResourceNotFound(
                f"There is no {kind}('{identifier[:200]}')",
                hint="Ids are texts in single quotes, as the links have them.",
                where="path",
            )
        return found

    async def find(self, kind: str, identifier: str) -> Row | None:
        """The row with this id, or None."""
        if kind == PROPERTIES:
            return await self._find_property(identifier)
        if kind == OBSERVATIONS:
            return await self._find_observation(identifier)
        alone = kind in (THINGS, SENSORS, FEATURES)
        thing, key = (identifier, "") if alone else split_stream_id(identifier)
        document = self._document(thing)
        if document is None or (kind != SENSORS and not _is_thing(document)):
            return None
        if kind == DATASTREAMS:
            stream = stream_of(document, key)
            return None if stream is None else mapping.datastream(stream, self.models)
        if kind in (LOCATIONS, HISTORICAL):
            places = [*_current_place(document), *await self._places(document)]
            rows = [row for one in places for row in self._at(kind, document, *one)]
            return next((row for row in rows if row.id == identifier), None)
        if kind == FEATURES:
            return mapping.feature_of_interest(document) if geometry_of(document) else None
        return mapping.thing(document) if kind == THINGS else self._sensor(document)

    def _at(
        self, kind: str, document: Document, geometry: dict[str, Any] | None, millis: int | None
    ) -> Iterator[Row]:
        if kind == LOCATIONS:
            yield mapping.location(document, geometry, millis)
        elif millis is not None:
            yield mapping.historical_location(document, millis)

    async def _find_property(self, name: str) -> Row | None:
        query = EntityQuery(attrs=(name,), limit=1)
        page = await self._broker.search(self._actor, query, tenant=self._tenant)
        of = next((one for one in page.documents if any(s.attribute == name for s in streams_of(one))), None)
        said = self._document(f"urn:ngsi-ld:{PROPERTY_TYPE}:{name}")
        if of is None and said is None:
            return None
        return mapping.observed_property(name, said, self.models, of)

    async def _find_observation(self, identifier: str) -> Row | None:
        thing, key, millis = split_observation_id(identifier)
        document = self._document(thing)
        stream = None if document is None or not _is_thing(document) else stream_of(document, key)
        if stream is None or millis is None:
            return None
        found = await self.observations.read([stream], Span(millis, millis + 1), 1, newest=False)
        return found.rows[0] if found.rows else None

    # Sets

    async def rows(self, kind: str) -> AsyncIterator[Row]:
        """Every row of a set, but for Observations."""
        if kind == PROPERTIES:
            for row in await self._properties():
                yield row
            return
        if kind == SENSORS:
            async for row in self._distinct(kind):
                yield row
            return
        async for document in self._things():
            for row in await self._of_thing(kind, document):
                yield row

    async def _of_thing(self, kind: str, document: Document) -> list[Row]:
        """The rows of a set that a Thing has."""
        if kind == THINGS:
            return [mapping.thing(document)]
        if kind == DATASTREAMS:
            return [mapping.datastream(one, self.models) for one in streams_of(document)]
        if geometry_of(document) is None:
            return []
        if kind == FEATURES:
            return [mapping.feature_of_interest(document)]
        if kind == LOCATIONS:
            return [mapping.location(document)]
        return [mapping.historical_location(document, at) for _, at in await self._places(document)]

    async def _properties(self) -> list[Row]:
        """The ObservedProperties. To find them is to look at every Thing: they are kept for a while."""
        key = (self._tenant, frozenset(self._actor.clearance))
        found = self._kept.find(key)
        if found is None:
            found = [row async for row in self._distinct(PROPERTIES)]
            # In a small city it costs little, and what is new is there at once.
            if self.count_of_things() > MOST_AT_ONCE:
                self._kept.keep(key, found)
        return found

    async def _distinct(self, kind: str) -> AsyncIterator[Row]:
        """Sensors and ObservedProperties: those of the Datastreams, then those that stand alone."""
        seen: set[str] = set()
        async for document in self._things():
            for stream in streams_of(document):
                if kind == PROPERTIES and stream.attribute in seen:
                    continue
                row = self._of_stream(stream, "Sensor" if kind == SENSORS else "ObservedProperty")
                if row.id not in seen:
                    seen.add(row.id)
                    yield row
        own = SENSOR_TYPE if kind == SENSORS else PROPERTY_TYPE
        async for document in self._documents((own,)):
            name = document["id"].rpartition(":")[2] if kind == PROPERTIES else document["id"]
            if name not in seen:
                yield await self.one(kind, name)

    async def things(
        self, limit: int, offset: int, *, named: str | None = None, count: bool = False
    ) -> tuple[list[Row], int | None]:
        """Things, oldest first, and how many there are in all where it is asked for.

        `named`: those that may have this name, as far as an index tells.
        """
        types = self._thing_types()
        if not types:
            return [], 0
        page = await self._broker.search(
            self._actor,
            EntityQuery(
                type_expression=TypeSelection(tuple((name,) for name in types)),
                q=None if named is None else _may_be_named(named),
                limit=limit,
                offset=offset,
                count=count,
            ),
            tenant=self._tenant,
        )
        return [mapping.thing(document) for document in page.documents], page.total

    def count_of_things(self) -> int:
        """How many Things there are, one of several types counted as often."""
        counts = self._broker.types(self._actor, tenant=self._tenant)
        return sum(counts[name] for name in self._thing_types())

    def _thing_types(self) -> list[str]:
        types = self._broker.types(self._actor, tenant=self._tenant)
        return [name for name in types if name not in NO_THINGS]

    async def _things(self) -> AsyncIterator[Document]:
        async for document in self._documents(self._thing_types()):
            yield document

    async def _documents(self, types: Iterable[str], attribute: str = "") -> AsyncIterator[Document]:
        """Entities of some types, with an attribute where one is named; others have their turn between."""
        selection = TypeSelection(tuple((name,) for name in types))
        offset = 0
        while selection.alternatives:
            query = EntityQuery(
                type_expression=selection,
                attrs=(attribute,) if attribute else (),
                limit=PIECE,
                offset=offset,
            )
            page = await self._broker.search(self._actor, query, tenant=self._tenant)
            for document in page.documents:
                yield document
            offset += PIECE
            if len(page.texts) < PIECE:
                return
            await asyncio.sleep(0)

    # Links

    async def linked(self, row: Row, link: str) -> AsyncIterator[Row]:
        """The rows at the other end of a link, but for Observations."""
        if link == "HistoricalLocations" and row.document is not None:
            for _, at in await self._places(row.document):
                yield mapping.historical_location(row.document, at)
        elif row.kind == HISTORICAL and link == "Locations" and row.document is not None:
            for geometry, at in await self._places(row.document):
                if mapping.historical_location(row.document, at).id == row.id:
                    yield mapping.location(row.document, geometry, at)
        elif row.kind == PROPERTIES:
            async for found in self._with_property(row.id):
                yield found
        else:
            for found in self.linked_now(row, link):
                yield found

    async def _with_property(self, name: str) -> AsyncIterator[Row]:
        """The Datastreams of one attribute."""
        async for document in self._documents(self._thing_types(), name):
            for stream in streams_of(document):
                if stream.attribute == name:
                    yield mapping.datastream(stream, self.models)

    def linked_now(self, row: Row, link: str) -> list[Row]:
        """The same for links that need neither history nor a search: filters may follow them."""
        document, stream = row.document, row.stream
        if row.kind == SENSORS and link == "Datastreams":
            return [mapping.datastream(one, self.models) for one in self._observed_by(row.id)]
        if document is None:
            return []
        if link in ("Thing", "Things"):
            return [mapping.thing(document)]
        if link == "Locations" and row.kind == THINGS:
            return [mapping.location(document)] if geometry_of(document) else []
        if link == "FeatureOfInterest":
            return [mapping.feature_of_interest(document)] if geometry_of(document) else []
        if link == "Datastreams" and row.kind == THINGS:
            return [mapping.datastream(one, self.models) for one in streams_of(document)]
        if stream is None or link not in LINKS[row.kind]:
            raise BadRequestData(
                f"{row.kind}/{link} cannot be looked at in $filter or $orderby",
                hint="Ask there first, then for what was found.",
                where="$filter",
            )
        return [self._of_stream(stream, link)]

    def _of_stream(self, stream: Stream, link: str) -> Row:
        if link == "Datastream":
            return mapping.datastream(stream, self.models)
        if link == "Sensor":
            return self._sensor(self._document(sensor_of(stream)) or stream.document)
        said = self._document(f"urn:ngsi-ld:{PROPERTY_TYPE}:{stream.attribute}")
        return mapping.observed_property(stream.attribute, said, self.models, stream.document)

    def streams_behind(self, row: Row) -> list[Stream]:
        """The Datastreams whose Observations stand behind the row's link to them."""
        if row.stream is not None:
            return [row.stream]
        return streams_of(row.document) if row.document is not None else []

    async def streams(self) -> list[Stream]:
        """All Datastreams. Raises TooManyResults where there are so many that one must be named."""
        if self.count_of_things() > MOST_AT_ONCE:
            raise TooManyResults(
                f"There are more than {MOST_AT_ONCE} Things, too many to read all Observations at once",
                hint="Ask Datastreams('…')/Observations, or $filter=Datastream/@iot.id eq '…'.",
                where="path",
            )
        return [row.stream async for row in self.rows(DATASTREAMS) if row.stream is not None]

    # The rooms

    def _document(self, entity_id: str) -> Document | None:
        return self._broker.find(self._actor, entity_id, tenant=self._tenant)

    def _sensor(self, document: Document) -> Row:
        return mapping.sensor(document, self._site + entity_path(document["id"]))

    def _observed_by(self, sensor: str) -> Iterator[Stream]:
        """The Datastreams of what points at the sensor, and of itself."""
        ids = [*self._broker.referrers(self._actor, sensor, tenant=self._tenant), sensor]
        for entity_id in dict.fromkeys(ids):
            document = self._document(entity_id)
            if document is not None and _is_thing(document):
                yield from (
                    one for one in streams_of(document) if self._of_stream(one, "Sensor").id == sensor
                )

    async def _places(self, document: Document) -> list[tuple[dict[str, Any], int]]:
        """Where a Thing was, newest first, with milliseconds since 1970."""
        found = await asyncio.to_thread(self._places_in_history, document["id"])
        return found or [(geometry, at) for geometry, at in _since_written(document)]

    def _places_in_history(self, entity_id: str) -> list[tuple[dict[str, Any], int]]:
        series = self._history.series(self._actor, entity_id, ["location"], tenant=self._tenant)
        ids = np.array([one.id for one in series if one.key.attribute_type == "GeoProperty"], np.int64)
        if not len(ids):
            return []
        found = self._history.read(Window(ids, last_n=MOST_PLACES))
        places = [(found.value(row), int(found.at[row])) for row in range(len(found.at))]
        return sorted(places, key=lambda place: -place[1])


def _may_be_named(name: str) -> Term:
    """What every Thing of this name matches: one without a name goes by the end of its id."""
    path = Path(("name",))
    return Or((Compare(path, "==", (Value("string", name),)), Exists(path, negated=True)))


def _is_thing(document: Document) -> bool:
    return not NO_THINGS.issuperset(document["type"])


def _current_place(document: Document) -> list[tuple[dict[str, Any], int | None]]:
    geometry = geometry_of(document)
    return [] if geometry is None else [(geometry, None)]


def _since_written(document: Document) -> Iterator[tuple[dict[str, Any], int]]:
    """Where history has no place (it keeps points alone): the present one, from when it was written."""
    item = instance_of(document, "location")
    if item is None or item["type"] != "GeoProperty":
        return
    said = item.get("observedAt") or item.get("modifiedAt") or document.get("modifiedAt")
    if said is not None:
        yield item["value"], to_millis(parse_instant(said, where="location"))
