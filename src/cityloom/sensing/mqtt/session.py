"""What outlives a connection of MQTT: subscriptions, and the messages that are not acknowledged. Pure."""

from __future__ import annotations

from collections import deque

from cityloom.sensing.mqtt.connection import Connection, Limits, Outgoing


class Session:
    """What a client has subscribed to, and the messages it has not acknowledged (4.1)."""

    def __init__(self, owner: str, client_id: str) -> None:
        #: The device that the session belongs to.
        self.owner = owner
        self.client_id = client_id
        #: Granted QoS by topic.
        self.topics: dict[str, int] = {}
        #: When it ends, by the carrier's monotonic clock; None while connected.
        self.ends_at: float | None = None
        self._waiting: deque[Outgoing] = deque()
        self._under_way: dict[int, Outgoing] = {}
        self._last_id = 0

    @property
    def keys(self) -> set[str]:
        """The keys of all messages that are not acknowledged."""
        return {message.key for message in (*self._waiting, *self._under_way.values())}

    def enqueue(self, message: Outgoing, limits: Limits) -> bool:
        """Keep a message for the client. False when it has too many already."""
        if len(self._waiting) + len(self._under_way) >= limits.queued:
            return False
        self._waiting.append(message)
        return True

    def send(self, connection: Connection) -> list[Outgoing]:
        """Send what the client can take now; returns what went by QoS 0 and will not be acknowledged."""
        gone: list[Outgoing] = []
        while self._waiting and len(self._under_way) < connection.send_quota:
            message = self._waiting.popleft()
            if self.topics.get(message.topic) == 0:
                connection.publish(message)
                gone.append(message)
                continue
            packet_id = self._next_id()
            self._under_way[packet_id] = message
            connection.publish(message, packet_id=packet_id)
        return gone

    def resend(self, connection: Connection) -> None:
        """Send again what was under way when the connection broke (4.4)."""
        for packet_id, message in self._under_way.items():
            connection.publish(message, packet_id=packet_id, again=True)

    def acknowledged(self, packet_id: int) -> Outgoing | None:
        """The message that the client has; None when it was not under way."""
        return self._under_way.pop(packet_id, None)

    def withdraw(self, key: str) -> None:
        """Forget a message that waits and has not been sent."""
        self._waiting = deque(message for message in self._waiting if message.key != key)

    def _next_id(self) -> int:
        # There are fewer messages under way than identifiers, so this ends.
        while True:
            self._last_id = self._last_id % 65_535 + 1
            if self._last_id not in self._under_way:
                return self._last_id
