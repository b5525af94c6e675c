"""Creating Things, Datastreams, Observations and what belongs to them (OGC 18-088, 10).

All of it is written as Entities through the broker: who may write, which data models bind, what belongs to
the rooms of the city and which clocks are believed is the same as over NGSI-LD. A Thing is written before
what is inserted with it, so that what is refused leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from cityloom.access.authority import require
from cityloom.context.reading import bare
from cityloom.kernel.errors import CityError
from cityloom.kernel.time import check_observed, parse_instant, to_millis
from cityloom.ngsild.errors import AlreadyExists, BadRequestData, OperationNotSupported
from cityloom.ngsild.model import Document, text_of
from cityloom.sensing.models import DataModels
from cityloom.web.interface import Call
from cityloom.web.rooms import Rooms
from cityloom.web.sensorthings import mapping, payloads
from cityloom.web.sensorthings.model import (
    DATASTREAMS,
    DECLARED,
    DECLARED_DATASET,
    LOCATIONS,
    OBSERVATIONS,
    PROPERTIES,
    PROPERTY_TYPE,
    SENSORS,
    THINGS,
    Row,
    Stream,
    streams_of,
)
from cityloom.web.sensorthings.payloads import Json, NewObservation, NewStream
from cityloom.web.sensorthings.resource_path import address
from cityloom.web.sensorthings.sets import Sets

#: What a row is called where another names it.
SINGULAR = {
    THINGS: "Thing",
    DATASTREAMS: "Datastream",
    SENSORS: "Sensor",
    PROPERTIES: "ObservedProperty",
}
_SENSORS_OF = "refSensor"


class Creation:
    """Creates for one request. `lock` lets one at a time give Things their Datastreams."""

    def __init__(
        self, rooms: Rooms, sets: Sets, call: Call, lock: asyncio.Lock, models: DataModels | None
    ) -> None:
        self._broker = rooms.broker
        self._clock = rooms.clock
        self._sets = sets
        self._call = call
        self._lock = lock
        self._models = models

    async def create(self, kind: str, payload: Json, parent: Row | None) -> Row:
        """The row that was made. `parent` is the row in whose set it was posted. Raises CityError."""
        require(self._call.actor, "entities:write")
        if parent is not None and parent.kind in SINGULAR:
            one = {"@iot.id": parent.id}
            payload = {**payload, SINGULAR[parent.kind]: one, parent.kind: [one]}
        make = self._makers().get(kind)
        if make is None:
            raise OperationNotSupported(
                f"{kind} are not created by themselves",
                hint="They follow from Things, their Locations and what is observed.",
                where="path",
            )
        return await make(payload)

    def _makers(self) -> Mapping[str, Callable[[Json], Awaitable[Row]]]:
        return {
            THINGS: self._thing,
            LOCATIONS: self._location,
            DATASTREAMS: self._datastream,
            SENSORS: self._sensor,
            PROPERTIES: self._observed_property,
            OBSERVATIONS: self._observation,
        }

    # Things

    async def _thing(self, payload: Json) -> Row:
        found = payloads.thing_of(payload, uuid.uuid4().hex)
        document = found.document
        place = payload.get("Locations")
        if isinstance(place, list) and place and isinstance(place[0], dict) and "@iot.id" in place[0]:
            at = await self._sets.one(LOCATIONS, str(place[0]["@iot.id"]))
            document["attrs"]["location"] = [payloads.place_of(at.members)]
        async with self._lock:
            made = [await self._plan(document, one) for one in found.streams]
            self._fit(document, alone=True)
            call = self._call
            await self._broker.create(call.actor, document, trace=call.trace, tenant=call.tenant)
            for _, more in made:
                await self._write_new(more)
        for (stream, _), asked in zip(made, found.streams, strict=True):
            await self._observe(stream, asked.observations)
        return await self._sets.one(THINGS, document["id"])

    async def _location(self, payload: Json) -> Row:
        things = payload.get("Things")
        if not isinstance(things, list) or not things:
            raise BadRequestData(
                "A Location is that of a Thing",
                hint='Post it to Things(…)/Locations, or add "Things": [{"@iot.id": "…"}].',
                where="Things",
            )
        place = payloads.place_of(payload)
        for one in things:
            thing = await self._sets.one(THINGS, payloads.reference({"Thing": one}, "Thing"))
            await self._append({"id": thing.id, "attrs": {"location": [dict(place)]}})
        first = payloads.reference({"Thing": things[0]}, "Thing")
        return mapping.location(await self._document(first))

    # Datastreams

    async def _datastream(self, payload: Json) -> Row:
        thing = await self._sets.one(THINGS, payloads.reference(payload, "Thing"))
        asked = payloads.stream_of(payload, "Datastream")
        async with self._lock:
            document = await self._document(thing.id)
            fragment: Document = {"id": thing.id, "type": document["type"], "attrs": dict(document["attrs"])}
            stream, more = await self._plan(fragment, asked)
            written = {
                name: items
                for name, items in fragment["attrs"].items()
                if items is not document["attrs"].get(name)
            }
            # The others are there already.
            written[DECLARED] = written[DECLARED][-1:]
            await self._append({"id": thing.id, "attrs": written})
            await self._write_new(more)
        await self._observe(stream, asked.observations)
        return await self._sets.one(DATASTREAMS, stream.id)

    async def _plan(self, document: Document, asked: NewStream) -> tuple[Stream, list[Document]]:
        """Declare a Datastream in its Thing; what else is to be written then."""
        more: list[Document] = []
        attribute = await self._attribute(asked, more)
        if isinstance(asked.sensor, str):
            sensor = (await self._sets.one(SENSORS, asked.sensor)).id
        else:
            made = {**asked.sensor, "id": asked.sensor["id"] + uuid.uuid4().hex}
            more.append(made)
            sensor = made["id"]
        taken = {one.key for one in streams_of(document)}
        stream = Stream(document, attribute)
        if stream.key in taken or attribute in document["attrs"]:
            stream = Stream(document, attribute, payloads.dataset_named(asked.name))
        if stream.key in taken:
            raise AlreadyExists(
                f"{document['id']} has a Datastream {asked.name[:60]} of {attribute} already",
                hint="Give it another name, or post the Observations to the one there is.",
                where="Datastream.name",
            )
        said = {
            "name": asked.name,
            "description": asked.description,
            "sensor": sensor,
            "unitCode": asked.unit_code,
            "unitOfMeasurement": asked.unit if asked.unit_code is None else None,
            "observationType": asked.observation_type,
            "properties": asked.properties,
        }
        item = {
            "type": "JsonProperty",
            "json": {name: value for name, value in said.items() if value},
            "datasetId": DECLARED_DATASET + stream.key,
        }
        attributes = document["attrs"]
        attributes[DECLARED] = [*attributes.get(DECLARED, ()), item]
        _point_at(document, sensor)
        return stream, more

    async def _attribute(self, asked: NewStream, more: list[Document]) -> str:
        """The attribute for what is observed. One of the same definition, or without any, is the same."""
        if isinstance(asked.observed, str):
            return (await self._sets.one(PROPERTIES, asked.observed)).id
        document = asked.observed
        name = document["id"].rpartition(":")[2]
        number = 1
        while (there := self._found(document["id"])) is not None:
            if text_of(there, "definition", "en") == text_of(document, "definition", "en"):
                return str(document["id"].rpartition(":")[2])
            number += 1
            document = {**document, "id": f"urn:ngsi-ld:{PROPERTY_TYPE}:{name}{number}"}
        more.append(document)
        return str(document["id"].rpartition(":")[2])

    # Sensors and ObservedProperties

    async def _sensor(self, payload: Json) -> Row:
        document = payloads.sensor_of(payload, uuid.uuid4().hex)
        await self._write_new([document])
        return await self._sets.one(SENSORS, document["id"])

    async def _observed_property(self, payload: Json) -> Row:
        more: list[Document] = []
        observed = payloads.observed_property_of(payload)
        async with self._lock:
            name = await self._attribute(NewStream("", "", {}, None, None, {}, "", observed), more)
            await self._write_new(more)
        return await self._sets.one(PROPERTIES, name)

    async def _write_new(self, documents: Sequence[Document]) -> None:
        for document in documents:
            if self._found(document["id"]) is None:
                await self._broker.create(
                    self._call.actor, document, trace=self._call.trace, tenant=self._call.tenant
                )

    # Observations

    async def _observation(self, payload: Json) -> Row:
        stream = await self._stream(payloads.reference(payload, "Datastream"))
        return (await self._observe(stream, [payloads.observation_of(payload)]))[0]

    async def create_observations(self, payload: object) -> list[str]:
        """A data array (OGC 18-088, 11.2): the links of what was made, "error" for what was refused."""
        require(self._call.actor, "entities:write")
        links: list[str] = []
        for identifier, bodies in payloads.data_arrays(payload):
            links += await self._link_each(identifier, bodies)
        return links

    async def _link_each(self, identifier: str, bodies: list[Json]) -> list[str]:
        links = ["error"] * len(bodies)
        read: dict[int, NewObservation] = {}
        try:
            stream = await self._stream(identifier)
            for place, body in enumerate(bodies):
                try:
                    read[place] = payloads.observation_of(body)
                    self._instance(stream, read[place])
                except CityError:
                    read.pop(place, None)
            rows = await self._observe(stream, list(read.values()))
        except CityError:
            return links
        for place, row in zip(read, rows, strict=True):
            links[place] = f"{self._call.base}/{address(OBSERVATIONS, row.id)}"
        return links

    async def _stream(self, identifier: str) -> Stream:
        row = await self._sets.one(DATASTREAMS, identifier)
        assert row.stream is not None, "a Datastream's row knows its Datastream"
        return row.stream

    async def _observe(self, stream: Stream, observations: Sequence[NewObservation]) -> list[Row]:
        """Write readings, the newest last; one that is late does not become the present."""
        made = [(self._instance(stream, one), one) for one in observations]
        ordered = sorted((item for item, _ in made), key=_at)
        standing = stream.instance
        if ordered and standing is not None and "observedAt" in standing and _at(standing) > _at(ordered[-1]):
            ordered.append(bare(standing))
        call = self._call
        if ordered:
            outcome = await self._broker.update_many(
                call.actor,
                [{"id": stream.thing, "attrs": {stream.attribute: [item]}} for item in ordered],
                trace=call.trace,
                tenant=call.tenant,
            )
            for _, error in outcome.errors:
                raise error
        return [mapping.observation(stream, _at(item), item["value"]) for item, _ in made]

    def _instance(self, stream: Stream, observed: NewObservation) -> dict[str, Any]:
        """What is written for an Observation, in the unit of the data model. Raises BadInput."""
        now = self._clock.now()
        at = observed.at or now
        if not stream.dataset:
            check_observed(at, now=now, where="phenomenonTime")
        unit = stream.declared.get("unitCode") or (stream.instance or {}).get("unitCode")
        item = payloads.written(observed.result, at, unit, stream.dataset)
        self._fit({"id": stream.thing, "attrs": {stream.attribute: [item]}}, present=stream.document)
        return item

    # The broker

    def _fit(self, document: Document, present: Document | None = None, *, alone: bool = False) -> None:
        if self._models is not None:
            self._models.fit_written(document, None if alone else present)

    async def _append(self, fragment: Document) -> None:
        self._fit(fragment, self._found(fragment["id"]))
        call = self._call
        await self._broker.append(call.actor, fragment["id"], fragment, trace=call.trace, tenant=call.tenant)

    async def _document(self, entity_id: str) -> Document:
        return self._broker.retrieve(self._call.actor, entity_id, tenant=self._call.tenant)

    def _found(self, entity_id: str) -> Document | None:
        return self._broker.find(self._call.actor, entity_id, tenant=self._call.tenant)


def _point_at(document: Document, sensor: str) -> None:
    """Let the Thing point at the sensor, so that the sensor's Datastreams are found."""
    there = document["attrs"].get(_SENSORS_OF, ())
    said = there[0].get("object") if there else []
    targets = [*(said if isinstance(said, list) else [said])]
    if sensor not in targets and sensor != document["id"]:
        targets.append(sensor)
        found = targets if len(targets) > 1 else targets[0]
        document["attrs"][_SENSORS_OF] = [{"type": "Relationship", "object": found}]


def _at(item: Mapping[str, Any]) -> int:
    return to_millis(parse_instant(item["observedAt"], where="observedAt"))
