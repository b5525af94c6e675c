"""Puts a decision into the context."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import BrokenPlugin, CityError
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, value_of
from cityloom.services.manifest import Manifest
from cityloom.services.occasions import Occasions
from cityloom.services.ports import Context
from cityloom.services.writing import Written

#: What makes people look again at an Alert; other differences (fresh reasons) do not rewrite it.
_TELLING = ("severity", "description", "validFrom", "validTo", "audience")


class Recorder:
    """Writes what services decided, as the city."""

    def __init__(self, context: Context, occasions: Occasions) -> None:
        self._context = context
        self._occasions = occasions

    async def record(self, manifest: Manifest, written: Written, at: datetime) -> str:
        """Write a decision; returns why the context refused parts of it, empty when it did not.

        Raises BrokenPlugin, with nothing written, when secret things would come where more people see.
        """
        new: list[Document] = []
        there: list[Document] = []
        for item in written.documents:
            before = self._context.find(CITY, item["id"])
            if before is None:
                new.append(item)
            elif _worth_writing(item, before):
                there.append(item)
        self._keep_class(manifest, there)
        seen = manifest.information_class
        refused: list[tuple[str, CityError]] = []
        for group, information_class in (
            (new, seen if seen > InformationClass.OPEN else None),
            (there, None),
        ):
            if group:
                outcome = await self._context.upsert_many(
                    CITY,
                    group,
                    update=True,
                    information_class=information_class,
                    trace=f"{trace_of(manifest.id)}{format_instant(at)}",
                )
                refused += outcome.errors
        lost = {entity_id for entity_id, _ in refused}
        opened = {key: alert for key, alert in written.opened.items() if alert not in lost}
        self._occasions.settle(manifest.id, opened, written.closed)
        return "; ".join(f"{entity_id}: {error}" for entity_id, error in refused)

    def _keep_class(self, manifest: Manifest, documents: Sequence[Document]) -> None:
        seen = manifest.information_class
        for item in documents:
            if self._context.class_of(CITY, item["id"]) < seen:
                raise BrokenPlugin(
                    f"services/{manifest.id} sees {seen.label} data and would write onto {item['id']},"
                    " which more people may see",
                    hint="Let it write Entities of its own, or see less.",
                    where="manifest.toml: sees",
                )


def trace_of(service_id: str) -> str:
    """What the traces of a service's changes begin with; the instant of the decision follows."""
    return f"service:{service_id}@"


def _worth_writing(document: Document, before: Document) -> bool:
    """Whether a document says something new about an Entity that is there.

    A wish is sent once. An Alert that staff have cleared stays so until its service clears it.
    """
    if document["type"] == ["Command"]:
        return False
    if document["type"] != ["Alert"] or "endedAt" in document["attrs"]:
        return True
    if value_of(before, "status") == "cleared":
        return False
    return any(value_of(document, name) != value_of(before, name) for name in _TELLING)
