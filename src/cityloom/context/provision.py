"""Provision of context information (ETSI GS CIM 009, 5.6): from a command to a Revision that can be stored.

Everything here is synchronous and in memory. Revisions that are not committed yet stand in the overlay:
later commands build on them, queries do not see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

import orjson

from cityloom.access.ownership import check_write
from cityloom.context.classes import ClassPolicy
from cityloom.context.refusals import (
    check_cleared,
    check_may_classify,
    check_may_write,
    check_sees,
    not_found,
)
from cityloom.context.revision import Revision, past_revision, revise
from cityloom.context.state import CurrentState
from cityloom.context.writes import PastWrite, Request, Standing
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import Change, ChangeKind
from cityloom.kernel.time import format_instant, from_millis, now_millis
from cityloom.ngsild import merge
from cityloom.ngsild.errors import AlreadyExists
from cityloom.ngsild.merge import Merged
from cityloom.ngsild.model import Document, Instance
from cityloom.ngsild.transience import without_expired_within

_EVERY_CLASS = tuple(InformationClass)


class Provision:
    """Turns commands into Revisions, in the order in which they are given."""

    def __init__(self, state: CurrentState, classes: ClassPolicy, last_sequence: int) -> None:
        self._state = state
        self._classes = classes
        self._sequence = last_sequence
        self._committed = last_sequence
        self._overlay: dict[tuple[str, str], Revision] = {}

    def committed(self, revisions: Sequence[Revision]) -> None:
        """These are in the current state now: the overlay need not carry them any longer."""
        for revision in revisions:
            change = revision.change
            key = (change.tenant, change.entity_id)
            if self._overlay.get(key) is revision:
                del self._overlay[key]
        self._committed = revisions[-1].change.sequence

    def failed(self) -> None:
        """Nothing of what waits was stored: forget it, and give its sequences out again."""
        self._overlay.clear()
        self._sequence = self._committed

    def create(
        self, request: Request, document: Document, information_class: InformationClass | None = None
    ) -> Revision:
        """A new Entity. Raises AlreadyExists, also for one that the actor may not see: ids are unique."""
        check_may_write(request.actor)
        entity_id = document["id"]
        if self._standing(request.tenant, entity_id) is not None:
            raise AlreadyExists(
                f"{entity_id} exists already", hint="Choose another id, or update it.", where="id"
            )
        check_write(request.actor, None, document)
        chosen = self._class_of_new(request.actor, document, information_class)
        millis, now = _instant()
        created = merge.stamp(document, now)
        return self._revise(
            request, ChangeKind.CREATED, created, tuple(document["attrs"]), chosen, None, millis
        )

    def take_over(self, request: Request, document: Document, kept_as: InformationClass) -> Revision:
        """A new Entity with the times and the class that it has elsewhere. Raises AlreadyExists."""
        check_may_write(request.actor)
        check_may_classify(request.actor, kept_as)
        if self._standing(request.tenant, document["id"]) is not None:
            raise AlreadyExists(
                f"{document['id']} exists already", hint="Choose another id, or update it.", where="id"
            )
        check_write(request.actor, None, document)
        names = tuple(document["attrs"])
        return self._revise(request, ChangeKind.CREATED, document, names, kept_as, None, now_millis())

    def append(
        self, request: Request, entity_id: str, fragment: Document, overwrite: bool = True
    ) -> Revision:
        """Attributes appended (5.6.3); without `overwrite` those that exist stay."""
        return self._change(
            request,
            entity_id,
            lambda old, now: merge.append_attributes(old, fragment, now, overwrite=overwrite),
        )

    def update(self, request: Request, entity_id: str, fragment: Document) -> Revision:
        """Attributes that exist updated (5.6.2)."""
        return self._change(request, entity_id, lambda old, now: merge.update_attributes(old, fragment, now))

    def merge(
        self, request: Request, entity_id: str, fragment: Document, observed_at: str | None = None
    ) -> Revision:
        """A patch merged in (5.6.17)."""
        return self._change(
            request,
            entity_id,
            lambda old, now: merge.merge_patch(old, fragment, now, observed_at=observed_at),
        )

    def replace(self, request: Request, entity_id: str, document: Document) -> Revision:
        """The Entity replaced (5.6.18)."""
        return self._change(request, entity_id, lambda old, now: merge.replace(old, document, now))

    def update_attribute(self, request: Request, entity_id: str, name: str, fragment: Instance) -> Revision:
        """The members of one attribute instance overwritten (5.6.4)."""
        return self._change(
            request, entity_id, lambda old, now: merge.update_attribute(old, name, fragment, now)
        )

    def replace_attribute(self, request: Request, entity_id: str, name: str, instance: Instance) -> Revision:
        """One attribute instance replaced (5.6.19)."""
        return self._change(
            request, entity_id, lambda old, now: merge.replace_attribute(old, name, instance, now)
        )

    def delete_attribute(
        self, request: Request, entity_id: str, name: str, dataset: str | None, all_instances: bool
    ) -> Revision:
        """An attribute, or one instance of it, deleted (5.6.5)."""
        return self._change(
            request,
            entity_id,
            lambda old, now: merge.delete_attribute(
                old, name, now, dataset=dataset, all_instances=all_instances
            ),
        )

    def expire_within(self, request: Request, entity_id: str, until: datetime) -> Revision:
        """Attributes of attributes removed that have expired `until` then (4.22). Raises ResourceNotFound
        where none has."""

        def left(old: Document, now: str) -> Merged:
            found = without_expired_within(old, until, now)
            if not found[1]:
                raise not_found(entity_id)
            return found

        return self._change(request, entity_id, left)

    def keep_attributes(self, request: Request, entity_id: str, is_kept: Callable[[str], bool]) -> Revision:
        """The attributes whose names are not kept deleted (5.6.21)."""
        return self._change(request, entity_id, lambda old, now: merge.keep_attributes(old, is_kept, now))

    def upsert(
        self,
        request: Request,
        document: Document,
        update: bool,
        information_class: InformationClass | None = None,
    ) -> Revision:
        """Created, with this class, when it is not there; else appended to (`update`) or replaced."""
        check_may_write(request.actor)
        standing = self._standing(request.tenant, document["id"])
        if standing is None:
            return self.create(request, document, information_class)
        check_sees(request.actor, document["id"], standing)
        merging = merge.append_attributes if update else merge.replace
        return self._merge_into(request, standing, lambda old, now: merging(old, document, now))

    def delete(self, request: Request, entity_id: str) -> Revision:
        """An Entity gone. Raises ResourceNotFound."""
        standing = self._writable(request, entity_id)
        old = orjson.loads(standing.document)
        check_write(request.actor, old, None)
        return self._revise(
            request,
            ChangeKind.DELETED,
            old,
            tuple(old["attrs"]),
            standing.information_class,
            standing,
            now_millis(),
        )

    def write_past(self, request: Request, entity_id: str, past: PastWrite) -> Revision:
        """What is remembered of an Entity written or erased (5.6.11 to 5.6.16); its state stays as it is.

        Raises ResourceNotFound for an Entity that the actor may not see, NotAllowed.
        """
        check_may_write(request.actor)
        check_write(request.actor, past.before, past.after)
        standing = self._standing(request.tenant, entity_id)
        if standing is not None:
            check_sees(request.actor, entity_id, standing)
            # Of an Entity that says nothing there is no history that would tell whose it is.
            check_write(request.actor, {"type": standing.types}, None)
            information_class = standing.information_class
        elif past.information_class is not None:
            information_class = past.information_class
            check_cleared(request.actor, information_class)
        else:
            information_class = self._class_of_new(request.actor, {"type": list(past.types)}, None)
        change = Change(
            self._sequence + 1,
            request.tenant,
            entity_id,
            past.types,
            ChangeKind.PAST,
            information_class,
            past.told,
            past.attributes,
            now_millis(),
            request.actor.id,
            request.trace,
        )
        self._sequence = change.sequence
        return past_revision(change)

    def classify(self, request: Request, entity_id: str, information_class: InformationClass) -> Revision:
        """An Entity moved to another class. Raises ResourceNotFound, NotAllowed."""
        standing = self._writable(request, entity_id)
        check_may_classify(request.actor, information_class)
        document = orjson.loads(standing.document)
        return self._revise(
            request, ChangeKind.UPDATED, document, (), information_class, standing, now_millis()
        )

    def standing(self, tenant: str, entity_id: str) -> Standing | None:
        """An Entity as the next command finds it, whoever may see it: for a room that judges that itself."""
        return self._standing(tenant, entity_id)

    def secrecy_of(self, types: Sequence[str], information_class: InformationClass) -> InformationClass:
        """The class of something new that another place says is of this class: never below the rules here."""
        return max(information_class, self._classes.class_for(types))

    def bring(
        self,
        request: Request,
        document: Document,
        names: tuple[str, ...],
        information_class: InformationClass,
    ) -> Revision:
        """An Entity as another place of this city says that it is, system's times included; `names` are the
        attributes that were written. Its class is never lowered. Raises NotAllowed."""
        check_may_write(request.actor)
        standing = self._standing(request.tenant, document["id"])
        if standing is None:
            raised, old = self.secrecy_of(document["type"], information_class), None
        else:
            raised, old = max(information_class, standing.information_class), orjson.loads(standing.document)
        check_cleared(request.actor, raised)
        check_write(request.actor, old, document)
        kind = ChangeKind.CREATED if old is None else ChangeKind.UPDATED
        before = b"" if old is None else _before(old, names)
        return self._revise(request, kind, document, names, raised, standing, now_millis(), before)

    def raise_class(self, request: Request, entity_id: str, information_class: InformationClass) -> Revision:
        """An Entity moved to a more secret class, which the actor need not be cleared for."""
        standing = self._writable(request, entity_id)
        raised = max(information_class, standing.information_class)
        document = orjson.loads(standing.document)
        return self._revise(request, ChangeKind.UPDATED, document, (), raised, standing, now_millis())

    def _standing(self, tenant: str, entity_id: str) -> Standing | None:
        revision = self._overlay.get((tenant, entity_id))
        if revision is not None:
            change = revision.change
            if change.kind is ChangeKind.DELETED:
                return None
            return Standing(change.types, change.information_class, change.document, revision.created)
        held = self._state.find(tenant, entity_id, _EVERY_CLASS)
        if held is None:
            return None
        return Standing(held.types, held.information_class, held.document, held.created)

    def _writable(self, request: Request, entity_id: str) -> Standing:
        check_may_write(request.actor)
        standing = self._standing(request.tenant, entity_id)
        if standing is None:
            raise not_found(entity_id)
        check_sees(request.actor, entity_id, standing)
        return standing

    def _change(
        self, request: Request, entity_id: str, merging: Callable[[Document, str], Merged]
    ) -> Revision:
        return self._merge_into(request, self._writable(request, entity_id), merging)

    def _merge_into(
        self, request: Request, standing: Standing, merging: Callable[[Document, str], Merged]
    ) -> Revision:
        millis, now = _instant()
        old = orjson.loads(standing.document)
        new, names = merging(old, now)
        check_write(request.actor, old, new)
        information_class = standing.information_class
        if "type" in names:
            information_class = self._class_of_changed(request.actor, standing, new)
        return self._revise(
            request, ChangeKind.UPDATED, new, names, information_class, standing, millis, _before(old, names)
        )

    def _class_of_new(
        self, actor: Actor, document: Document, wished: InformationClass | None
    ) -> InformationClass:
        by_policy = self._classes.class_for(document["type"])
        if wished is None or wished is by_policy:
            check_cleared(actor, by_policy)
            return by_policy
        check_may_classify(actor, wished)
        return wished

    def _class_of_changed(self, actor: Actor, standing: Standing, new: Document) -> InformationClass:
        added = [name for name in new["type"] if name not in standing.types]
        if not added:
            return standing.information_class
        raised = max(standing.information_class, self._classes.class_for(added))
        check_cleared(actor, raised)
        return raised

    def _revise(
        self,
        request: Request,
        kind: ChangeKind,
        document: Document,
        attributes: tuple[str, ...],
        information_class: InformationClass,
        standing: Standing | None,
        millis: int,
        before: bytes = b"",
    ) -> Revision:
        sequence = self._sequence + 1
        change = Change(
            sequence,
            request.tenant,
            document["id"],
            tuple(document["type"]) if standing is None or "type" in attributes else standing.types,
            kind,
            information_class,
            orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),
            attributes,
            millis,
            request.actor.id,
            request.trace,
            before,
        )
        revision = revise(change, sequence if standing is None else standing.created, document)
        self._sequence = sequence
        self._overlay[(request.tenant, change.entity_id)] = revision
        return revision


def _before(old: Document, names: tuple[str, ...]) -> bytes:
    """The attributes of these names as they were, as `Change.before` keeps them."""
    attributes = old["attrs"]
    were = attributes if len(names) >= len(attributes) and attributes.keys() <= set(names) else None
    if were is None:
        were = {name: attributes[name] for name in names if name in attributes}
    return orjson.dumps(were) if were else b""


def _instant() -> tuple[int, str]:
    """The machine's time in milliseconds and as NGSI-LD writes it."""
    millis = now_millis()
    return millis, _text_of(millis)


@lru_cache(maxsize=4)
def _text_of(millis: int) -> str:
    return format_instant(from_millis(millis))
