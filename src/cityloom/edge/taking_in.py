"""One batch of an edge on its way into one commit: merged, written, or noted as wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
import orjson

from cityloom.access.ownership import OWNED_TYPES, as_the_room_of
from cityloom.context.broker import Broker
from cityloom.context.provision import Provision
from cityloom.context.revision import Revision
from cityloom.context.writes import PastWrite, Request
from cityloom.edge.merging import Clash, Graves, Incoming, Outcome, merged, written_at
from cityloom.edge.model import (
    CONFLICT,
    GRAVE,
    Batch,
    Brought,
    Grant,
    Standing,
    node_of,
)
from cityloom.edge.remembered import Remembered
from cityloom.history.past import Past, encode_past
from cityloom.kernel.actor import AS_A_ROOM, AS_THE_PLATFORM, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, ChangeKind
from cityloom.kernel.errors import BadInput, CityError, NotAllowed, json_fault_of
from cityloom.kernel.time import format_instant, from_millis
from cityloom.ngsild.model import Document, Instance

#: For how long a deletion is remembered: an edge that was away for longer may bring back what it had.
GRAVES_KEPT = timedelta(days=90)
#: Puts one Revision into the commit.
Put = Callable[[Revision], None]


class Edge:
    """An edge that brings something, as the Actor that writes it."""

    def __init__(self, name: str, actor: Actor, grant: Grant) -> None:
        self.name = name
        self.grant = grant
        # Its services estimate, and say so: where things come from stays as the edge has it. Types that
        # belong to a room it writes only where they are granted by name.
        rooms = {permission for name in grant.types for permission in OWNED_TYPES.get(name, ())}
        rooms |= {as_the_room_of(name) for name in grant.types}
        permissions = frozenset({"entities:write", AS_THE_PLATFORM, *rooms})
        self.actor = Actor(actor.id, actor.name, actor.roles, permissions, grant.classes & actor.clearance)

    def request(self, change: Brought) -> Request:
        return Request(self.actor, DEFAULT_TENANT, f"edge:{self.name}:{change.sequence} {change.by}"[:200])


class Work:
    """One batch on its way into one commit. Synchronous: nothing else writes meanwhile."""

    def __init__(
        self, broker: Broker, edge: Edge, batch: Batch, past_alone: Mapping[str, Remembered]
    ) -> None:
        self._broker = broker
        self._edge = edge
        self._batch = batch
        #: By Entity: what only history knows of.
        self._past_alone = past_alone
        self.conflicts = 0
        self.wrong: list[tuple[Brought, CityError]] = []

    def take(self, provision: Provision, put: Put, change: Brought, incoming: Incoming | None) -> None:
        """One change: written, or noted as wrong."""
        try:
            self._check_granted(provision, change)
            if incoming is not None:
                self._merge(provision, put, change, incoming)
            elif change.kind == ChangeKind.PAST:
                self._write_past(provision, put, change, _past_of(change, self._edge.grant))
            elif provision.standing(DEFAULT_TENANT, change.id) is not None:
                put(provision.raise_class(self._edge.request(change), change.id, change.information_class))
        except CityError as error:
            self.wrong.append((change, error))

    def note(self, provision: Provision, put: Put, standing: Standing) -> None:
        """How the edge stands, in the same commit."""
        now = written_at(self._batch.at if not standing.last_contact else standing.last_contact)
        self._write_own(provision, put, node_of(standing, now), InformationClass.INTERNAL)

    def _check_granted(self, provision: Provision, change: Brought) -> None:
        """What stands here is changed by who may bring it, whatever a change says of its types."""
        standing = provision.standing(DEFAULT_TENANT, change.id)
        found = (
            self._past_alone.get(change.id)
            if standing is None
            else Remembered(standing.types, standing.information_class)
        )
        if found is None:
            return
        if not self._edge.actor.sees(found.information_class):
            raise NotAllowed(
                f"{change.id[:200]} is {found.information_class.label} here",
                hint="An edge does not change what it is not cleared for.",
                where="class",
            )
        if not self._edge.grant.covers(change.id, found.types):
            raise NotAllowed(
                f"{change.id[:200]} is here of types that are not granted to the edge {self._edge.name}",
                hint=f"[edges.{self._edge.name}] in city.toml says what it may bring.",
                where="types",
            )

    def _merge(self, provision: Provision, put: Put, change: Brought, incoming: Incoming) -> None:
        found = provision.standing(DEFAULT_TENANT, change.id)
        secrecy = max(change.information_class, found.information_class if found else InformationClass.OPEN)
        document = None if found is None else orjson.loads(found.document)
        outcome = merged(document, incoming, self._graves(provision, change.id))
        self._put_state(provision, put, change, document, outcome)
        if outcome.past:
            self._write_past(provision, put, change, Past(dict(outcome.past)))
        for clash in outcome.clashes:
            self.conflicts += 1
            self._write_own(provision, put, _conflict(self._edge.name, change, clash), secrecy)
        if outcome.graves:
            self._bury(provision, put, change.id, outcome.graves, secrecy)

    def _put_state(
        self, provision: Provision, put: Put, change: Brought, old: Document | None, outcome: Outcome
    ) -> None:
        request = self._edge.request(change)
        if outcome.document is None:
            if old is not None:
                put(provision.delete(request, change.id))
        elif outcome.names or old is None:
            put(provision.bring(request, outcome.document, outcome.names, change.information_class))

    def _write_past(self, provision: Provision, put: Put, change: Brought, past: Past) -> None:
        present = self._past_alone.get(change.id, Remembered())
        # What is remembered keeps its types, as with any write to the past (5.6.12), and its class.
        types = tuple(dict.fromkeys((*present.types, *change.types)))
        before = {"id": change.id, "type": list(present.types), "attrs": {}} if present.types else None
        secrecy = max(present.information_class, change.information_class)
        written = PastWrite(
            types=types,
            told=encode_past(past),
            attributes=tuple(past.attrs) or tuple({one.attribute for one in past.erase if one.attribute}),
            before=before,
            after={"id": change.id, "type": list(types), "attrs": past.attrs},
            information_class=provision.secrecy_of(types, secrecy),
        )
        put(provision.write_past(self._edge.request(change), change.id, written))

    def _graves(self, provision: Provision, entity_id: str) -> Graves:
        found = provision.standing(DEFAULT_TENANT, grave_id(entity_id))
        if found is None:
            return {}
        kept = orjson.loads(found.document)["attrs"]["deletions"][0]["json"]
        return {(name, dataset): at for name, dataset, at in kept}

    def _bury(
        self, provision: Provision, put: Put, entity_id: str, graves: Graves, secrecy: InformationClass
    ) -> None:
        kept = {**self._graves(provision, entity_id), **graves}
        now = from_millis(self._batch.at)
        said: list[Instance] = [
            {"type": "JsonProperty", "json": [[*place, at] for place, at in sorted(kept.items())]}
        ]
        about: list[Instance] = [{"type": "Property", "value": entity_id}]
        document = _own(grave_id(entity_id), GRAVE, {"deletions": said, "entity": about}, format_instant(now))
        document["expiresAt"] = format_instant(now + GRAVES_KEPT)
        self._write_own(provision, put, document, secrecy)

    def _write_own(
        self, provision: Provision, put: Put, document: Document, secrecy: InformationClass
    ) -> None:
        """Something that the centre says itself of what came."""
        actor = Actor(
            self._edge.actor.id,
            self._edge.name,
            permissions=frozenset({"entities:write", AS_A_ROOM, AS_THE_PLATFORM}),
            clearance=frozenset(InformationClass),
        )
        standing = provision.standing(DEFAULT_TENANT, document["id"])
        if standing is not None:
            document["createdAt"] = orjson.loads(standing.document)["createdAt"]
        request = Request(actor, DEFAULT_TENANT, f"edge:{self._edge.name}:{self._batch.through}")
        put(provision.bring(request, document, tuple(document["attrs"]), secrecy))


def _past_of(change: Brought, grant: Grant) -> Past:
    """What a change of the kind PAST tells, within the classes that are granted. Raises BadInput."""
    try:
        past = msgspec.json.decode(bytes(change.document), type=Past)
    except (msgspec.DecodeError, RecursionError) as error:
        fault, place = json_fault_of(error)
        raise BadInput(
            f"This is no write to the past: {fault}", hint="", where=f"document.{place}".rstrip(".")
        ) from None
    if any(one.at is not None for one in past.erase):
        raise BadInput(
            "One reading was erased at the edge, or replaced",
            hint="Erase it here too: its number here is another one.",
            where="erase",
        )
    granted = {int(one) for one in grant.classes}
    return Past(
        past.attrs,
        tuple(
            msgspec.structs.replace(one, classes=tuple(granted.intersection(one.classes)))
            for one in past.erase
        ),
    )


def _conflict(edge: str, change: Brought, clash: Clash) -> Document:
    """What two sides said differently of one attribute; of each the newest."""
    name, dataset = clash.place
    key = hashlib.sha256("\n".join((edge, change.id, name, dataset)).encode()).hexdigest()[:24]
    now = written_at(change.at)

    def text(value: str) -> list[Instance]:
        return [{"type": "Property", "value": value}]

    attributes: dict[str, list[Instance]] = {
        "edge": text(edge),
        "entity": [{"type": "Relationship", "object": change.id}],
        "kept": [{"type": "JsonProperty", "json": clash.kept or ("deleted" if name else "written")}],
        "givenUp": [{"type": "JsonProperty", "json": clash.given_up or "deleted"}],
    }
    if name:
        attributes["attribute"] = text(name)
    if dataset:
        attributes["dataset"] = text(dataset)
    return _own(f"urn:ngsi-ld:EdgeConflict:{key}", CONFLICT, attributes, now)


def _own(entity_id: str, kind: str, attributes: dict[str, list[Instance]], now: str) -> Document:
    times = {"createdAt": now, "modifiedAt": now}
    return {
        "id": entity_id,
        "type": [kind],
        **times,
        "attrs": {name: [{**one, **times} for one in items] for name, items in attributes.items()},
    }


def grave_id(entity_id: str) -> str:
    return f"urn:ngsi-ld:EdgeDeletion:{hashlib.sha256(entity_id.encode()).hexdigest()[:32]}"
