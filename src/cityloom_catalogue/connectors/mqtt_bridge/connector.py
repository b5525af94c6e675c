"""Readings from an MQTT broker that the city has already."""

from __future__ import annotations

from cityloom.sdk import Document, Message, Settings, TopicMappings


class Connector:
    """Understands topics by mappings. The broker has let its publishers in; they are not asked again."""

    def __init__(self, settings: Settings) -> None:
        self._mappings = TopicMappings(settings["mappings"])

    def decode(self, message: Message) -> list[Document]:
        return self._mappings.decode(message)
