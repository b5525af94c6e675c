"""Readings that other systems push by HTTP."""

from __future__ import annotations

from cityloom.sdk import Document, Message, Settings, WebhookMappings


class Connector:
    """Understands a pusher by its profile, or by a rule for its token."""

    def __init__(self, settings: Settings) -> None:
        self._mappings = WebhookMappings(settings["mappings"])

    def decode(self, message: Message) -> list[Document]:
        return self._mappings.decode(message)
