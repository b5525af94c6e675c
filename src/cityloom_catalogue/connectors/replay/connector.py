"""Readings from a table, in the order and at the pace of their time."""

from __future__ import annotations

from cityloom.sdk import Document, Inlet, Message, Settings, TableMapping, TablePlayer


class Connector:
    """A row becomes an Entity; the player sends rows when they are due."""

    def __init__(self, settings: Settings) -> None:
        self._mapping = TableMapping(settings)
        self._player = TablePlayer(settings, self._mapping)

    def decode(self, message: Message) -> list[Document]:
        return self._mapping.decode(message)

    async def listen(self, inlet: Inlet) -> None:
        await self._player.play(inlet)
