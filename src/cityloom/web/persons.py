"""Where `cityloom erase` and `cityloom person` in another terminal ask: POST /persons/{act}."""

from __future__ import annotations

import io
import zipfile
from typing import Any, TypeVar

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cityloom.access.authority import require
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, CityError, NotFound, json_fault_of
from cityloom.kernel.media_types import PROBLEM
from cityloom.people.erasure import PERMISSION, Erasure
from cityloom.people.held import Who
from cityloom.web.bodies import whole_body
from cityloom.web.desk import Desk
from cityloom.web.errors import problem, told
from cityloom.web.identity import refusal_of

PATH = "/persons"
ZIP = "application/zip"
#: look: what is held. erase: erase it, for good, or ask a second person for it. copy: all that is held, as a
#: zip file. waiting: the erasures that wait; confirm, refuse: one of them.
ACTS = ("look", "erase", "copy", "waiting", "confirm", "refuse")
#: What a copy's document is called in its zip file.
DOCUMENT = "held.json"


async def act(erasure: Erasure, actor: Actor, name: str, body: bytes) -> Any:
    """Do one act; plain data, or the bytes of a zip file. Raises CityError."""
    require(actor, PERMISSION)
    if name not in ACTS:
        raise NotFound("There is no such act", hint=f"There are: {', '.join(ACTS)}.", where=name)
    if name == "waiting":
        return await erasure.waiting(actor)
    if name in ("confirm", "refuse"):
        which = _read(body, _Which, "Say, as JSON, the id of an erasure that waits.").id
        return await (erasure.confirm if name == "confirm" else erasure.refuse)(actor, which)
    who = _read(body, Who, "Say, as JSON, entity, code, account, email or phone.")
    if name == "look":
        return await erasure.look(actor, who)
    if name == "erase":
        return await erasure.erase(actor, who)
    return packed(*await erasure.copy(actor, who))


class _Which(msgspec.Struct, frozen=True):
    id: str


_Kind = TypeVar("_Kind", bound=msgspec.Struct)


def _read(body: bytes, kind: type[_Kind], hint: str) -> _Kind:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        fault, place = json_fault_of(error)
        raise BadInput(fault, hint=hint, where=place or "body") from None


def packed(said: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """A copy of a person's data as one zip file: a document that machines and people can read, and photos."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(DOCUMENT, orjson.dumps(said, option=orjson.OPT_INDENT_2))
        for name, data in files.items():
            archive.writestr(name, data)
    return written.getvalue()


def handed_out(data: bytes, file_name: str = "my-data.zip") -> Response:
    """A copy as a download that nobody keeps."""
    headers = {
        "content-disposition": f'attachment; filename="{file_name}"',
        "cache-control": "private, no-store",
    }
    return Response(data, media_type=ZIP, headers=headers)


def person_routes(desk: Desk) -> list[Route]:
    """The routes."""

    async def do(request: Request) -> Response:
        """What is held of one person: told, handed out, erased."""
        try:
            if (refusal := refusal_of(request.scope)) is not None:
                raise refusal
            name, body = request.path_params["act"], await whole_body(request)
            found = await act(desk.rooms.erasure, request.state.actor, name, body)
        except CityError as error:
            return JSONResponse(
                problem(error, instance=request.state.request_id),
                status_code=told(error).status,
                media_type=PROBLEM,
            )
        if isinstance(found, bytes):
            return handed_out(found)
        return Response(orjson.dumps(msgspec.to_builtins(found)), media_type="application/json")

    return [Route(f"{PATH}/{{act}}", do, methods=["POST"])]
