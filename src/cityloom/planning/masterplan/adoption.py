"""Versions of the plan that the council adopted: all that everybody may see of it, frozen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import orjson

from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.context.reading import bare, ids
from cityloom.context.summaries import Derived
from cityloom.indicators.ports import EvidenceStore
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.time import Clock
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, content, prop, rel
from cityloom.planning.initiatives import Initiatives
from cityloom.planning.masterplan.baselines import Baselines
from cityloom.planning.masterplan.frozen import Frozen, FrozenDocuments
from cityloom.planning.masterplan.versions import FORMAT, Told, as_file, told_of
from cityloom.planning.records.fields import plain_values
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records

TYPE = "PlanVersion"
_PERMISSION = "plan:adopt"
#: Attributes of an initiative that say how it is written, not what is promised.
_NOT_PROMISED = frozenset({"history", "revisions", "status", "dataOrigin", "spent", "phase"})


class Adoption:
    """Freezes the plan as it stands in the open, on the ground of a decision."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        store: EvidenceStore,
        records: Records,
        initiatives: Initiatives,
        baselines: Baselines,
        *,
        city: str,
        zone: tzinfo,
    ) -> None:
        self._frozen = FrozenDocuments(broker, clock, store, TYPE)
        #: By the digest, which never stands for anything else.
        self._told: dict[str, Told] = {}
        self._records = records
        self._unpublished = Derived(broker, tuple(records.kinds), self._not_in_the_open)
        self._initiatives = initiatives
        self._baselines = baselines
        self._clock = clock
        self._city = city
        self._zone = zone

    async def adopt(self, actor: Actor, decision_id: str, *, origin: str = "entered") -> Frozen:
        """Freeze what is published now as the version that a decision adopts. Needs plan:adopt.

        Raises BadInput naming `decision` where it is none of an adoption, or not published; Conflict where a
        version rests on it already, or where nothing is published.
        """
        require(actor, _PERMISSION)
        decision = self._decision(actor, decision_id)
        if any(decision.id in decided_by(one) for one in self.list(actor)):
            raise Conflict(
                Worded("A version rests on this decision already"),
                hint=Worded("Record the decision by which the plan is adopted anew."),
                where="decision",
            )
        said = await self.content(actor, decision)
        if not said["records"]:
            raise Conflict(
                Worded("Nothing of the plan is published"),
                hint=Worded("Publish what the council adopts first."),
                where="records",
            )
        name = {code: text for code, text in decision.name.items() if text}
        more = {"decidedBy": rel(decision.id), "records": prop(len(said["records"]))}
        return await self._frozen.freeze(actor, said, name, more, origin=origin)

    async def content(self, actor: Actor, decision: Record) -> dict[str, Any]:
        """What would be frozen: only what everybody may see, whoever asks."""
        records = await self.open_records()
        newest, baseline = self._frozen.newest(actor), next(iter(self._baselines.list(ANONYMOUS)), None)
        return {
            "format": FORMAT,
            "city": self._city,
            "number": self._frozen.next_number(actor),
            "previous": newest.digest if newest else "",
            "adoptedOn": decision.values["decidedOn"].isoformat(),
            "frozenOn": self._clock.now().astimezone(self._zone).date().isoformat(),
            "decision": {
                "id": decision.id,
                "name": next(iter(decision.name.values()), ""),
                "body": self._name_of(decision.get("body", "")),
                "votes": decision.get("votes", ""),
            },
            "baseline": {"id": baseline.id, "sha256": baseline.digest} if baseline else {},
            "records": records,
        }

    async def open_records(self) -> list[dict[str, Any]]:
        """Every record and initiative that everybody may see, by type and id."""
        kinds = self._records.kinds.values()
        records = [(kind, self._records.list(ANONYMOUS, kind.type)) for kind in kinds]
        initiatives = self._initiatives.list(ANONYMOUS)

        def made() -> list[dict[str, Any]]:
            found = [_record(kind, one) for kind, several in records for one in several]
            found += [_initiative(one.document) for one in initiatives]
            return sorted(found, key=lambda one: (one["type"], one["id"]))

        return await asyncio.to_thread(made)

    def list(self, actor: Actor) -> Sequence[Frozen]:
        """All versions, the newest first."""
        return self._frozen.list(actor)

    def get(self, actor: Actor, version_id: str) -> Frozen:
        """One version. Raises ResourceNotFound."""
        return self._frozen.get(actor, version_id)

    async def frozen(self, version: Frozen) -> dict[str, Any] | None:
        """What was adopted; None where it is gone or is not what it was."""
        return await self._frozen.content(version)

    async def told(self, version: Frozen) -> Told | None:
        """What a version says of itself; None where what was adopted is gone or is not what it was."""
        raw = await self._frozen.text(version)
        if raw is None:
            return None
        if version.digest not in self._told:
            self._told[version.digest] = await asyncio.to_thread(lambda: told_of(orjson.loads(raw)))
        return self._told[version.digest]

    async def file(self, version: Frozen) -> bytes | None:
        """The file that everybody may fetch; None where it is gone or is not what it was."""
        raw = await self._frozen.text(version)
        return None if raw is None else await asyncio.to_thread(as_file, raw, version.digest)

    def unpublished(self, actor: Actor) -> Sequence[Record]:
        """Records that may be published and say something that nobody outside sees."""
        return self._unpublished.of(actor)

    def _not_in_the_open(self, actor: Actor) -> Sequence[Record]:
        return [
            one
            for kind in self._records.kinds.values()
            if kind.publishable
            for one in self._records.list(actor, kind.type)
            if one.published_at is None or one.is_ahead
        ]

    def _decision(self, actor: Actor, decision_id: str) -> Record:
        decision, shown = (self._records.find(one, decision_id) for one in (actor, ANONYMOUS))
        if not _is_adoption(decision) or (shown is not None and not _is_adoption(shown)):
            raise BadInput(
                Worded("This is no decision by which the plan is adopted"),
                hint=Worded("Record the decision first, as one of this kind."),
                where="decision",
            )
        if shown is None:
            raise BadInput(
                Worded("The decision is not published"),
                hint=Worded("Publish it: what rests on it is for everybody to see."),
                where="decision",
            )
        # As it was published: what was edited since is for the staff.
        return shown

    def _name_of(self, record_id: str) -> str:
        found = self._records.find(ANONYMOUS, record_id) if record_id else None
        return next(iter(found.name.values()), "") if found is not None else ""


def _is_adoption(record: Record | None) -> bool:
    return record is not None and record.kind.type == "CommitteeDecision" and record.get("kind") == "adoption"


def decided_by(version: Frozen) -> tuple[str, ...]:
    """The decision on which a version rests."""
    return ids(version.document, "decidedBy")


def _record(kind: RecordKind, one: Record) -> dict[str, Any]:
    return {"id": one.id, "type": kind.type, "says": plain_values(kind.fields, one.values)}


def _initiative(document: Document) -> dict[str, Any]:
    """An initiative as it is promised: by attribute what it says, without how far it is."""
    says = {
        name: content(bare(instances[0]))
        for name, instances in document["attrs"].items()
        if name not in _NOT_PROMISED and instances
    }
    return {"id": document["id"], "type": document["type"][0], "says": says}
