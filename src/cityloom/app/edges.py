"""Wires both sides of an edge: what city.toml says of its centre, and of the edges it has itself."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from cityloom.adapters.http.outbound import HttpOutbound
from cityloom.adapters.network.reach import Reach
from cityloom.app.configuration import Configuration, class_of
from cityloom.app.folder import CityFolder
from cityloom.context.broker import Broker
from cityloom.context.ports import Feed, Register
from cityloom.edge.forwarding import Forwarding, Upward
from cityloom.edge.line import HttpCentre
from cityloom.edge.model import Grant
from cityloom.kernel.errors import BadConfig

#: Instead of `edge.token-file`.
TOKEN_VARIABLE = "CITYLOOM_EDGE_TOKEN"  # noqa: S105 - the name of a variable


class LineToCentre:
    """What an edge forwards, and the connections by which it does."""

    def __init__(self, forwarding: Forwarding, outbound: HttpOutbound) -> None:
        self.forwarding = forwarding
        self._outbound = outbound

    async def start(self) -> None:
        await self.forwarding.start()

    async def stop(self) -> None:
        await self.forwarding.stop()
        await self._outbound.close()


def line_to_centre(
    folder: CityFolder, configuration: Configuration, broker: Broker, feed: Feed, register: Register
) -> LineToCentre | None:
    """The line of a city that is an edge; None of one that is nobody's. Raises BadConfig."""
    edge = configuration.edge
    if not edge.centre:
        return None
    # Named by the operator: it may lie inside. What is reached is this address alone.
    reach = Reach((edge.centre.rstrip("/") + "/",), inside=True)
    outbound = HttpOutbound(reach, authorities=_authorities(edge.authority))
    path = folder.home / edge.token_file
    upward = Upward(
        frozenset(edge.types),
        frozenset(class_of(label, where="edge.classes") for label in edge.classes),
        edge.most_waiting,
    )
    centre = HttpCentre(outbound, edge.centre, lambda: _token(path))
    return LineToCentre(Forwarding(centre, upward, broker, feed, register), outbound)


def grants_of(configuration: Configuration) -> dict[str, Grant]:
    """What each edge may bring, by the name of its account. Raises BadConfig."""
    return {
        name: Grant(
            frozenset(one.types),
            one.ids,
            frozenset(class_of(label, where=f"edges.{name}.classes") for label in one.classes),
        )
        for name, one in configuration.edges.items()
    }


def _token(path: Path) -> str:
    if said := os.environ.get(TOKEN_VARIABLE, "").strip():
        return said
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise BadConfig(
            "This edge has no token for its centre",
            hint=f"Write the token that the centre gave into this file, or set {TOKEN_VARIABLE}.",
            where=str(path),
        )
    return token


def _authorities(path: str) -> ssl.SSLContext | None:
    if not path:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise BadConfig(
            f"The certificate authority of the centre cannot be read: {error}",
            hint="Name a PEM file, or leave it out.",
            where="edge.authority",
        ) from None
