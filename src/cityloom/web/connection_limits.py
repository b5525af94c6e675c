"""How much a stranger may hold on to."""

from __future__ import annotations

import msgspec


class ConnectionLimits(msgspec.Struct, frozen=True):
    """Limits of connections. Those from proxies and from this machine are not counted by address."""

    per_address: int = 64
    in_all: int = 4_000
    #: Requests that are worked on at once; more are answered 503.
    requests: int = 400
    #: The same with streams, bodies on their way, and work for those who have hung up meanwhile.
    tasks: int = 2_000
    #: For which nothing more is read from a connection whose request was answered so.
    penance_seconds: float = 1.0
    #: For the whole head of a request, from its first byte or from the opening of the connection.
    head_seconds: float = 10.0
    #: Of a head, of what follows a body, and of what stands between its pieces.
    head_bytes: int = 32_768
    #: Requests that are sent ahead, while one is answered.
    ahead: int = 100
    #: An idle connection that has been used.
    idle_seconds: int = 25
    #: For a reader to take a part of an answer that does not fit into its line.
    answer_seconds: float = 20.0
    #: For requests under way when the city stops.
    stop_seconds: int = 3
