"""Puts a decision into the context."""

from __future__ import annotations

from datetime import datetime

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.kernel.errors import BrokenPlugin, CityError
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, Instance, json_value, value_of
from cityloom.services.manifest import Manifest
from cityloom.services.occasions import Occasions
from cityloom.services.ports import Context
from cityloom.services.writing import OCCASION_ENDED, Written, service_name

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
        groups: dict[InformationClass | None, list[Document]] = {}
        for item in written.documents:
            before = self._context.find(CITY, item["id"])
            if before is None:
                groups.setdefault(_class_for(manifest, item), []).append(item)
            elif (news := _news(item, before)) is not None:
                groups.setdefault(None, []).append(news)
                self._keep_class(manifest, item["id"])
        refused: list[tuple[str, CityError]] = []
        for information_class, group in groups.items():
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

    def _keep_class(self, manifest: Manifest, entity_id: str) -> None:
        seen = manifest.information_class
        if self._context.class_of(CITY, entity_id) < seen:
            raise BrokenPlugin(
                f"services/{manifest.id} sees {seen.label} data and would write onto {entity_id},"
                " which more people may see",
                hint="Let it write Entities of its own, or see less.",
                where="manifest.toml: sees",
            )


def trace_of(service_id: str) -> str:
    """What the traces of a service's changes begin with; the instant of the decision follows."""
    return f"{service_name(service_id)}@"


def _class_for(manifest: Manifest, document: Document) -> InformationClass | None:
    """The class of a new Entity; None leaves it to the city's policy.

    Alerts and wishes are the staff's: people are told by notices and deliveries.
    """
    least = (
        InformationClass.INTERNAL if document["type"][0] in ("Alert", "Command") else InformationClass.OPEN
    )
    wanted = max(least, manifest.information_class)
    return wanted if wanted > InformationClass.OPEN else None


def _news(document: Document, before: Document) -> Document | None:
    """What of a document is new to an Entity that is there; None when nothing is.

    A wish is sent once. An Alert that staff have cleared stays so until its service ends the occasion.
    """
    if document["type"] == ["Command"]:
        return None
    if document["type"] != ["Alert"]:
        return document
    by_staff = value_of(before, "status") == "cleared"
    if OCCASION_ENDED in document["attrs"]:
        if by_staff:
            ended = {OCCASION_ENDED: document["attrs"][OCCASION_ENDED]}
            return document | {"attrs": ended}
        return document | {"attrs": document["attrs"] | {"history": [_history(document, before)]}}
    if by_staff or all(value_of(document, name) == value_of(before, name) for name in _TELLING):
        return None
    return document


def _history(document: Document, before: Document) -> Instance:
    """The Alert's history, gone on: what was done, and what its status was before."""
    past = value_of(before, "history", [])
    was = str(value_of(before, "status", "open"))
    return json_value([*past, *({**done, "was": was} for done in value_of(document, "history", []))])
