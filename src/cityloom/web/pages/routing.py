"""From a handler of Visits to routes: errors become pages, and a form's sender is known to be its reader."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cityloom.kernel.errors import CityError
from cityloom.web.desk import Desk
from cityloom.web.identity import refusal_of
from cityloom.web.languages import noted as n
from cityloom.web.pages.paper import printed
from cityloom.web.refusal import error_page, refuse
from cityloom.web.visit import Visit

Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]
_log = logging.getLogger(__name__)

#: Where somebody may go whose first password waits to be changed.
_BEFORE_PASSWORD = ("/password", "/sign-out", "/language", "/theme", "/live", "/clock.json", "/about")


class Pages:
    """Collects the routes of a module: `pages.get("/alerts", show)`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.routes: list[BaseRoute] = []

    def get(self, path: str, handler: Handler, *, json: bool = True, pdf: bool = False) -> None:
        """A page, and beside it the same as data under the path with ".json".

        With `pdf` the same template is printed under the path with ".pdf", forms and menus left out.
        """
        if json and path != "/":
            self.routes.append(Route(f"{path}.json", self._endpoint(handler), methods=["GET"]))
        if pdf:
            self.routes.append(Route(f"{path}.pdf", self._endpoint(_on_paper(handler)), methods=["GET"]))
        self.routes.append(
            Route(path, self._endpoint(_printable(handler) if pdf else handler), methods=["GET"])
        )

    def data(self, path: str, handler: Handler) -> None:
        """Something to fetch that is no page."""
        self.routes.append(Route(path, self._endpoint(handler), methods=["GET"]))

    def post(self, path: str, handler: Handler) -> None:
        """Where a form is sent. The handler must ask for `visit.form()`, which checks its token."""
        self.routes.append(Route(path, self._endpoint(handler), methods=["POST"]))

    def _endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            visit = Visit(self.desk, request)
            try:
                if (refusal := refusal_of(request.scope)) is not None:
                    raise refusal
                if visit.must_change_password() and visit.path not in _BEFORE_PASSWORD:
                    return visit.redirect("/password")
                await self.desk.rooms.read()
                return await visit.made(await handler(visit))
            except CityError as error:
                return await visit.made(refuse(visit, error))
            except Exception:  # noqa: BLE001 - one broken page must not end in a bare line of text
                _log.exception("page %s failed (request %s)", visit.path, request.state.request_id)
                broken = error_page(
                    visit,
                    500,
                    n("Something went wrong here"),
                    said=visit.gettext("The fault is ours, and it is written down."),
                    language=visit.language.code,
                )
                return await visit.made(broken)

        endpoint.__doc__ = handler.__doc__
        return endpoint


def _printable(handler: Handler) -> Handler:
    """The page, which names its printed form."""

    async def page(visit: Visit) -> Response:
        visit.has_pdf = True
        return await handler(visit)

    page.__doc__ = handler.__doc__
    return page


def _on_paper(handler: Handler) -> Handler:
    """The page as PDF."""

    async def paper(visit: Visit) -> Response:
        visit.has_pdf = True
        return await printed(visit, await visit.made(await handler(visit)))

    paper.__doc__ = handler.__doc__
    return paper
