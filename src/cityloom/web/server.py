"""The HTTP server: uvicorn with limits on what a stranger may hold on to, and a stop that is quick."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from cityloom.web.connection_limits import ConnectionLimits
from cityloom.web.doorway import Doorway
from cityloom.web.guarded_protocol import guarded
from cityloom.web.head import head_of

#: A proxy on this machine is believed.
_THIS_MACHINE = "127.0.0.1"
#: In which it says for whom a request is.
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})


class Forwarded:
    """ASGI application: a request comes from whom a proxy says, where the proxy is believed. Most requests
    say nothing of the kind, and whom to believe need not be looked up."""

    def __init__(self, app: ASGIApp, believed: list[str]) -> None:
        self._app = app
        self._believing = cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, app), believed))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        app = self._app if head_of(scope).keys().isdisjoint(_FORWARDED) else self._believing
        return app(scope, receive, send)


class Server(uvicorn.Server):
    """Serves an application on sockets that are bound already, until `stop` is called.

    It leaves the process' signals alone: whoever owns the process decides when to stop.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: ConnectionLimits | None = None,
        before_stop: Callable[[], None] = lambda: None,
        proxies: Sequence[str] = (),
        refused: Counter[str] | None = None,
    ) -> None:
        """`before_stop` ends what never ends by itself (streams). `proxies` are addresses or networks, beside
        this machine, whose X-Forwarded-For and X-Forwarded-Proto are believed. `refused` counts who was
        turned away, by the reason."""
        limits = limits or ConnectionLimits()
        super().__init__(
            uvicorn.Config(
                Forwarded(app, [_THIS_MACHINE, *proxies]),
                http=guarded(limits, proxies, refused),
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=limits.idle_seconds,
                timeout_graceful_shutdown=limits.stop_seconds,
                interface="asgi3",
                proxy_headers=False,
            )
        )
        self._before_stop = before_stop

    def stop(self) -> None:
        """Take no more requests, finish those under way, then let `serve` return."""
        self._before_stop()
        self.should_exit = True

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open a doorway for each socket; uvicorn would have the event loop let in one connection a turn."""
        await self.lifespan.startup()
        made_by = cast(Any, self.config.http_protocol_class)
        protocol = partial(made_by, self.config, self.server_state, self.lifespan.state)
        doorways = [Doorway(one, protocol, self.config.backlog) for one in sockets or ()]
        self.servers = cast(Any, doorways)
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield
