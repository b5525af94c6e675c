"""What a notification shows of an Entity, as its subscription asks (ETSI GS CIM 009, 5.2.14, 5.8.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.media_types import GEO_JSON, JSON_LD
from cityloom.kernel.time import format_instant, from_millis
from cityloom.ngsild.attribute_changes import Happening
from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import TooManyResults
from cityloom.ngsild.fallbacks import Version, conforming, version_of
from cityloom.ngsild.linking import Join, Shown, join_linked
from cityloom.ngsild.model import Document
from cityloom.ngsild.notified import Telling, told_of_change, told_of_deletion
from cityloom.ngsild.projection import Projection
from cityloom.ngsild.representation import Format, View, geojson_feature, projected, show
from cityloom.ngsild.subscription import IDENTITY, Notification, Subscription
from cityloom.subscriptions.matching import Happened
from cityloom.subscriptions.model import Kept

_DELETED = int(Happening.ATTRIBUTE_DELETED)

#: An Entity that the owner may see, with its class; None for others.
Linked = Callable[[Actor, str, str], tuple[Document, InformationClass] | None]


class Rendered(msgspec.Struct, frozen=True):
    """Entities as JSON, and the classes of all that they tell."""

    shown: bytes
    classes: tuple[InformationClass, ...]


class Rendering:
    """How one subscription shows Entities. Subscriptions with equal `key` show the same."""

    def __init__(self, kept: Kept, context: Context, mask: int, linked: Linked) -> None:
        wanted = kept.wanted
        params = wanted.notification
        self._tenant = kept.tenant
        self.context = context
        self._linked = linked
        self._view = _view(wanted)
        self._join = _join(params)
        self._version = _version(wanted.conformance)
        self._watched = None if wanted.watched is None else frozenset(wanted.watched)
        self._tells_ends = bool(mask & _DELETED)
        self._media = params.endpoint.accept
        self._telling = Telling(self._view.format, bool(params.show_changes), self._view.sys_attrs)
        self.key = (
            orjson.dumps([context.reference(), msgspec.to_builtins(self._view, order="deterministic")]),
            self._media,
            self._telling,
            self._tells_ends,
            self._watched,
            self._version,
            None if self._join is None else (kept.owner, self._join.how, self._join.levels),
        )

    def of_change(self, happened: Happened, owner: Actor) -> Rendered:
        """The Entity as the change leaves it."""
        change = happened.change
        at = format_instant(from_millis(change.at_millis))
        if change.kind is ChangeKind.DELETED:
            names = set(change.attributes) if self._tells_ends else set[str]()
            if self._watched is not None:
                names &= self._watched
            document = told_of_deletion(happened.document, sorted(names), at, self._telling)
        elif change.kind is ChangeKind.CREATED:
            document = happened.document
        else:
            changed = list(happened.happenings)
            document = told_of_change(happened.document, happened.before, changed, at, self._telling)
        return self.of_document(document, change.information_class, owner)

    def of_document(self, document: Document, secrecy: InformationClass, owner: Actor) -> Rendered:
        """An Entity as it is, for readers of the version of the standard that is asked for (4.3.6.8)."""
        classes = {secrecy}
        document = self._conforming(document)
        found: list[Shown] = [(document, self._view)]
        if self._join is not None and "deletedAt" not in document:

            def lookup(entity_id: str) -> Document | None:
                seen = self._linked(owner, self._tenant, entity_id)
                if seen is None:
                    return None
                classes.add(seen[1])
                return self._conforming(seen[0])

            try:
                found = join_linked([document], self.context, self._view, self._join, lookup)
            except TooManyResults:
                found = [(document, self._view)]
        shown = b",".join(orjson.dumps(self._written(one, view)) for one, view in found)
        return Rendered(shown, tuple(sorted(classes)))

    def _conforming(self, document: Document) -> Document:
        if self._version is None or self._media == GEO_JSON:
            return document
        return conforming(document, self._version, self.context)

    def _written(self, document: Document, view: View) -> dict[str, Any]:
        if self._media == GEO_JSON:
            return geojson_feature(document, self.context, view)
        shown = show(document, self.context, view)
        if self._media == JSON_LD:
            shown["@context"] = self.context.reference()
        return shown


def _view(wanted: Subscription) -> View:
    params = wanted.notification
    base = View(
        format=_format(params),
        sys_attrs=bool(params.sys_attrs),
        lang=wanted.lang,
        dataset_id=frozenset(wanted.datasets or ()),
    )
    if params.attributes is not None:
        return msgspec.structs.replace(base, pick=IDENTITY | frozenset(params.attributes))
    return projected(base, params.pick or Projection(), params.omit or Projection())


def _format(params: Notification) -> Format:
    return "simplified" if params.format == "keyValues" else params.format or "normalized"


def _version(text: str | None) -> Version | None:
    return None if text is None else version_of(text)


def _join(params: Notification) -> Join | None:
    if params.join is None or params.join == "@none":
        return None
    return Join(params.join, params.join_level or 1)
