"""Where `cityloom load` in another terminal brings its tables: POST /loads/{act}, GET /loads.

What comes here are words about files that lie in the city's own folder; the readings do not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cityloom.access.authority import TERMINAL, require
from cityloom.history.loading import Loading
from cityloom.history.loads import PERMISSION, LoadRecord, Portion
from cityloom.history.whole_exports import Part
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import BadInput, CityError, NotAllowed, NotFound, json_fault_of
from cityloom.kernel.media_types import PROBLEM
from cityloom.ngsild.model import Document
from cityloom.ngsild.parse import parse_entity
from cityloom.web.bodies import whole_body
from cityloom.web.desk import Desk
from cityloom.web.errors import problem, told
from cityloom.web.identity import refusal_of

PATH = "/loads"

#: Acts that read or leave files in the city's folder: they are for whoever owns it.
_WITH_FILES = frozenset({"bring", "export"})
#: Members of an Entity that no attribute is called.
_RESERVED = frozenset({"id", "type", "scope", "@context", "@id", "@type"})


class Begin(msgspec.Struct):
    """A load begun, or found as far as it has come."""

    record: LoadRecord


class Entities(msgspec.Struct, rename="camel"):
    """Entities in the internal form."""

    load: str
    documents: list[dict[str, Any]]
    #: Number of the class of those that are created; None: as the city's rules say.
    information_class: InformationClass | None = None
    dry: bool = False


class Bring(msgspec.Struct):
    """A portion that lies in the folder of exports."""

    portion: Portion


class Settle(msgspec.Struct):
    """The end of a load."""

    load: str
    rejected: int = 0


class Parts(msgspec.Struct):
    """What there is to export of these classes."""

    classes: list[InformationClass]


class Export(msgspec.Struct):
    """A part to be written to a file in the folder of exports."""

    part: Part
    classes: list[InformationClass]
    format: str


class Undo(msgspec.Struct):
    """A load to take out."""

    load: str


async def act(loading: Loading, actor: Actor, name: str, body: bytes) -> dict[str, Any]:
    """Do one act of a load and say what became of it. Raises CityError."""
    require(actor, PERMISSION)
    if name not in _ACTS:
        raise NotFound("There is no such act", hint=f"There are: {', '.join(_ACTS)}.", where=name)
    shape, do = _ACTS[name]
    try:
        said = msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        fault, place = json_fault_of(error)
        raise BadInput(fault, hint="Send what `cityloom load` sends.", where=place or "body") from None
    return await do(loading, actor, said)


async def _begin(loading: Loading, actor: Actor, said: Begin) -> dict[str, Any]:
    return {"record": await loading.begin(actor, said.record)}


async def _entities(loading: Loading, actor: Actor, said: Entities) -> dict[str, Any]:
    documents = checked(said.documents)
    if said.dry:
        return {"written": await loading.look(actor, documents)}
    return {"written": await loading.write(actor, said.load, documents, said.information_class)}


async def _bring(loading: Loading, actor: Actor, said: Bring) -> dict[str, Any]:
    return {"record": await loading.bring(actor, said.portion)}


async def _settle(loading: Loading, actor: Actor, said: Settle) -> dict[str, Any]:
    record, written = await loading.settle(actor, said.load, rejected=said.rejected)
    return {"record": record, "written": written}


async def _undo(loading: Loading, actor: Actor, said: Undo) -> dict[str, Any]:
    record, undone = await loading.undo(actor, said.load)
    return {"record": record, "undone": undone}


async def _parts(loading: Loading, actor: Actor, said: Parts) -> dict[str, Any]:
    return {"parts": await loading.exports.parts(actor, said.classes)}


async def _export(loading: Loading, actor: Actor, said: Export) -> dict[str, Any]:
    file, readings = await loading.exports.export(actor, said.part, said.classes, said.format)
    return {"file": file, "readings": readings}


async def records(loading: Loading, actor: Actor) -> dict[str, Any]:
    """All loads."""
    return {"records": await loading.records(actor)}


def checked(said: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Entities in the internal form that anybody could have written. Raises BadInput naming the place."""
    return [_checked(one, f"documents[{place}]") for place, one in enumerate(said)]


def _checked(document: Mapping[str, Any], where: str) -> Document:
    """An Entity in the internal form that anybody could have written. Raises BadInput naming the place.

    What is none would stand in the city for good, and break whatever reads it.
    """
    attributes = document.get("attrs")
    if not isinstance(attributes, dict) or not _RESERVED.isdisjoint(attributes):
        raise BadInput("This is no Entity", hint="Send what `cityloom load` sends.", where=where)
    head = {name: said for name, said in document.items() if name != "attrs"}
    return parse_entity({**head, **attributes}, where=where)


_ACTS: dict[str, tuple[Any, Callable[[Loading, Actor, Any], Awaitable[dict[str, Any]]]]] = {
    "begin": (Begin, _begin),
    "entities": (Entities, _entities),
    "bring": (Bring, _bring),
    "settle": (Settle, _settle),
    "undo": (Undo, _undo),
    "parts": (Parts, _parts),
    "export": (Export, _export),
}


def load_routes(desk: Desk) -> list[Route]:
    """The routes."""

    async def do(request: Request) -> Response:
        """One act of a load or an export."""
        return await _answered(request, _do(request))

    async def _do(request: Request) -> dict[str, Any]:
        _refuse_strangers(request)
        actor, name = request.state.actor, request.path_params["act"]
        if name in _WITH_FILES and actor.id != TERMINAL.id:
            raise NotAllowed(
                "This is done with files in the city's folder",
                hint="Use `cityloom load` or `cityloom export` on the city's machine.",
            )
        return await act(desk.rooms.loading, actor, name, await whole_body(request))

    async def show(request: Request) -> Response:
        """All loads, the oldest first."""
        return await _answered(request, _show(request))

    async def _show(request: Request) -> dict[str, Any]:
        _refuse_strangers(request)
        return await records(desk.rooms.loading, request.state.actor)

    return [Route(f"{PATH}/{{act}}", do, methods=["POST"]), Route(PATH, show, methods=["GET"])]


def _refuse_strangers(request: Request) -> None:
    if (refusal := refusal_of(request.scope)) is not None:
        raise refusal


async def _answered(request: Request, answer: Awaitable[dict[str, Any]]) -> Response:
    try:
        said = await answer
    except CityError as error:
        return JSONResponse(
            problem(error, instance=request.state.request_id),
            status_code=told(error).status,
            media_type=PROBLEM,
        )
    return Response(orjson.dumps(msgspec.to_builtins(said)), media_type="application/json")
