"""Who asks: from a request's session cookie or bearer token to the Actor, at `request.state.actor`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from cityloom.access.entrance import Access
from cityloom.access.errors import NotSignedIn
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.errors import CityError, NotAllowed
from cityloom.web.head import head_of

SESSION_COOKIE = "cityloom_session"
#: Files are for everybody; web hooks show a device's token, which is no account's.
_OTHERS = ("/static/", "/hooks/")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOKED_AT = {name.encode(): name for name in ("authorization", "cookie", "host", "origin", "sec-fetch-site")}
#: Headers by name in lower case; the first of each.
_Headers = Mapping[str, str]


class Identify:
    """ASGI middleware. Sets `state.actor` (an Actor), `state.session` (the session's token or "") and
    `state.refusal`: the CityError of a token that opens nothing or of a request sent from another site,
    for the application to answer in its own form. It must be raised before anything is done."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {}).update(actor=ANONYMOUS, session="", bearer=False, refusal=None)
            if not scope["path"].startswith(_OTHERS):
                await identify(scope, self._access)
        await self._app(scope, receive, send)


async def identify(scope: Scope, access: Access) -> None:
    """Set in the state of a request what `Identify` sets."""
    state = scope["state"]
    headers = _looked_at(scope)
    session, bearer = _session(headers), bearer_of(headers)
    state["session"] = "" if bearer is not None else session or ""
    state["bearer"] = bearer is not None
    state["refusal"] = None
    try:
        state["actor"] = await access.actor_for(session=session, bearer=bearer)
        if bearer is None and scope["method"] not in _SAFE:
            _check_origin(headers)
    except (NotSignedIn, NotAllowed) as refusal:
        state.update(actor=ANONYMOUS, refusal=refusal)


def refusal_of(scope: Scope) -> CityError | None:
    """The error with which this request must be answered, or None."""
    refusal: CityError | None = scope.get("state", {}).get("refusal")
    return refusal


def _looked_at(scope: Scope) -> _Headers:
    head = head_of(scope)
    return {name: head[raw][0] for raw, name in _LOOKED_AT.items() if raw in head}


def _session(headers: _Headers) -> str | None:
    cookies = headers.get("cookie")
    return cookie_parser(cookies).get(SESSION_COOKIE) if cookies else None


def bearer_of(headers: _Headers) -> str | None:
    """The token that a program shows, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _check_origin(headers: _Headers) -> None:
    """A browser says where a request was set off; one from another site is refused (with or without a
    cookie: under open access the cookie is not what opens). Programs say nothing and pass."""
    origin = headers.get("origin")
    foreign = headers.get("sec-fetch-site") == "cross-site"
    if origin is not None and origin != "null":
        foreign = foreign or urlsplit(origin).netloc != headers.get("host", "")
    if foreign or origin == "null":
        raise NotAllowed(
            "This request was sent from another site", hint="Open this city's own page and do it there."
        )
