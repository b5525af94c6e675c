"""Readings by MQTT on the city's own listener."""

from __future__ import annotations

from cityloom.sdk import Document, Message, Settings, TopicMappings


class Connector:
    """Understands a device by its profile, or its topic by a mapping."""

    def __init__(self, settings: Settings) -> None:
        self._mappings = TopicMappings(settings["mappings"])

    def decode(self, message: Message) -> list[Document]:
        return self._mappings.decode(message)
