"""OGC SensorThings API 1.1, sensing, at /sta/v1.1: read and create (OGC 18-088)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, urlencode

from cityloom.access.authority import require
from cityloom.kernel.errors import CityError
from cityloom.kernel.media_types import TEXT
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.web.interface import Call, Interface, json_reply
from cityloom.web.ngsild.exchange import Reply, StatusAlone
from cityloom.web.rooms import Rooms
from cityloom.web.sensorthings.answers import Answers, Place
from cityloom.web.sensorthings.creation import Creation
from cityloom.web.sensorthings.model import LINKS, PROPERTIES, SENSORS, SETS, Row
from cityloom.web.sensorthings.options import Options, parse_options
from cityloom.web.sensorthings.payloads import object_of
from cityloom.web.sensorthings.resource_path import ResourcePath, Step, parse_path
from cityloom.web.sensorthings.sets import KeptProperties, Sets

ROOT = "/sta/v1.1"
CREATE_OBSERVATIONS = "CreateObservations"

_REQUIREMENTS = "http://www.opengis.net/spec/iot_sensing/1.1/req"
CONFORMS_TO = (
    *(
        f"{_REQUIREMENTS}/datamodel/{name}"
        for name in (
            "thing",
            "location",
            "historical-location",
            "datastream",
            "sensor",
            "observed-property",
            "observation",
            "feature-of-interest",
            "entity-control-information",
        )
    ),
    *(f"{_REQUIREMENTS}/resource-path/resource-path-to-entities",),
    *(
        f"{_REQUIREMENTS}/request-data/{name}"
        for name in (
            "order",
            "expand",
            "select",
            "orderby",
            "skip",
            "top",
            "count",
            "filter",
            "built-in-filter-operations",
            "pagination",
            "status-code",
        )
    ),
    *(
        f"{_REQUIREMENTS}/create-update-delete/{name}"
        for name in ("create-entity", "link-to-existing-entities", "deep-insert")
    ),
    f"{_REQUIREMENTS}/data-array/data-array",
)


class SensorThings:
    """What answers a call."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = asyncio.Lock()
        self._kept = KeptProperties()
        # Models bind here as over NGSI-LD.
        binding = rooms.checks_writes and not rooms.access.open_access
        self._models = rooms.models if binding else None

    async def answer(self, call: Call) -> Reply:
        """The answer. Raises ResourceNotFound, BadRequestData and what reading and creating raise."""
        path = parse_path(call.raw_path)
        sets = Sets(self._rooms, call.actor, call.tenant, call.site, self._kept)
        if call.method == "POST":
            return await self._create(call, path, sets)
        if not path.steps:
            return json_reply(service_document(call.base))
        return await _read(call, path, sets)

    async def _create(self, call: Call, path: ResourcePath, sets: Sets) -> Reply:
        require(call.actor, "entities:write")
        creation = Creation(self._rooms, sets, call, self._lock, self._models)
        answers = Answers(sets, call.base)
        if [step.name for step in path.steps] == [CREATE_OBSERVATIONS]:
            return json_reply(await creation.create_observations(await call.payload()), status=201)
        where, _ = await _walk(path, sets, answers) if path.steps else (None, ())
        if not isinstance(where, Place):
            raise StatusAlone(405, [(b"allow", b"GET, HEAD, OPTIONS")])
        payload = object_of(await call.payload())
        row = await creation.create(where.kind, payload, where.row)
        made = await answers.render(row, Options())
        return json_reply(made, status=201, headers=[(b"location", made["@iot.selfLink"].encode())])


def service_document(base: str) -> dict[str, Any]:
    """What there is: the sets, and what they conform to (OGC 18-088, 9.2.1)."""
    return {
        "value": [{"name": name, "url": f"{base}/{name}"} for name in SETS],
        "serverSettings": {
            "conformance": CONFORMS_TO,
            f"{_REQUIREMENTS}/data-array/data-array": {"endpoints": [f"{base}/{CREATE_OBSERVATIONS}"]},
        },
    }


async def _read(call: Call, path: ResourcePath, sets: Sets) -> Reply:
    answers = Answers(sets, call.base)
    where, property_of = await _walk(path, sets, answers)
    if property_of:
        assert isinstance(where, Row), "a property is one of a row"
        return _property(where, property_of, bare=path.value)
    options = parse_options(call.parameters)
    if isinstance(where, Row):
        return json_reply(await answers.render(where, options, ref=path.ref))
    page = await answers.page(where, options)
    made: dict[str, Any] = {}
    if page.total is not None:
        made["@iot.count"] = page.total
    if page.more:
        made["@iot.nextLink"] = _next(call, options, len(page.rows))
    made["value"] = [await answers.render(row, options, ref=path.ref) for row in page.rows]
    return json_reply(made)


async def _walk(path: ResourcePath, sets: Sets, answers: Answers) -> tuple[Row | Place, tuple[str, ...]]:
    """The row or set at the end of the path, and the member of a row that it asks for."""
    first, *rest = path.steps
    if first.name not in LINKS:
        raise _no_such(first.name)
    at: Row | Place = Place(first.name) if first.id is None else await sets.one(first.name, first.id)
    for number, step in enumerate(rest):
        if isinstance(at, Row) and step.name in at.members and step.id is None:
            return at, tuple(one.name for one in rest[number:])
        at = await _follow(at, step, sets, answers)
    return at, ()


async def _follow(at: Row | Place, step: Step, sets: Sets, answers: Answers) -> Row | Place:
    if not isinstance(at, Row) or step.name not in LINKS[at.kind]:
        raise _no_such(step.name)
    kind, several = LINKS[at.kind][step.name]
    place = Place(kind, at, step.name)
    if several and step.id is None:
        return place
    if not several:
        page = await answers.page(place, Options(top=1))
        if not page.rows:
            raise _no_such(step.name)
        return page.rows[0]
    wanted = await sets.one(kind, step.id or "")
    if not await _is_linked(at, wanted, place, answers):
        raise _no_such(f"{step.name}('{step.id}')")
    return wanted


async def _is_linked(at: Row, wanted: Row, place: Place, answers: Answers) -> bool:
    """Whether the row that is asked for is one of those at the other end of the link."""
    if at.kind not in (SENSORS, PROPERTIES):
        same_stream = at.stream is None or wanted.stream is None or at.stream.id == wanted.stream.id
        return at.document == wanted.document and same_stream
    page = await answers.page(place, Options(top=1000))
    return any(row.id == wanted.id for row in page.rows)


def _property(row: Row, names: tuple[str, ...], *, bare: bool) -> Reply:
    found: Any = row.members
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise _no_such(name)
        found = found[name]
    if not bare:
        return json_reply({names[-1]: found})
    if isinstance(found, str):
        return Reply(200, found.encode(), TEXT)
    return json_reply(found)


def _next(call: Call, options: Options, shown: int) -> str:
    given = {**dict(call.parameters), "$skip": str(options.skip + shown)}
    # `$` begins the names of what is asked.
    query = urlencode(given, safe="$", quote_via=quote)
    return f"{call.base}/{call.raw_path}?{query}"


def _no_such(name: str) -> CityError:
    return ResourceNotFound(
        f"There is no {name[:200]} here",
        hint=f"GET {ROOT} lists the sets, rows have links.",
        where="path",
    )


def _tell(found: dict[str, Any]) -> dict[str, Any]:
    """An error in the members that clients of SensorThings look for, too."""
    return {"code": found["status"], "message": f"{found['detail']}. {found['hint']}", **found}


def sensorthings_interface(rooms: Rooms) -> Interface:
    """OGC SensorThings over the rooms of a city."""
    return Interface(
        ROOT,
        SensorThings(rooms).answer,
        rooms.broker,
        methods=("GET", "HEAD", "OPTIONS", "POST"),
        read_from_elsewhere=not rooms.access.open_access,
        tell=_tell,
    )
