"""Feed, table of states, contacts, photos and what waits to be told, with what is personal sealed in them.

An Entity of a type that nobody declared personal passes as it is, for one look at its types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import orjson

from cityloom.adapters.sealed.sealing import Sealing, is_sealed_document
from cityloom.context.keeping import pack, unpack
from cityloom.context.ports import Feed, Folded, FollowedFeed, StateTable
from cityloom.context.revision import bounds_of
from cityloom.kernel.change import DEFAULT_TENANT, Change
from cityloom.people.personal import PersonalType
from cityloom.people.ports import PhotoStore, Reporter, ReporterStore
from cityloom.snapshots.ports import SnapshotStores, Stores
from cityloom.subscriptions.model import Pending
from cityloom.subscriptions.ports import Key, Outbox

_CONTACT, _PHOTO, _WAITING = b"contact", b"photo", b"waiting"


class OpenedFeed:
    """A `FollowedFeed` over another: read, never written."""

    def __init__(self, feed: FollowedFeed, sealing: Sealing) -> None:
        self._feed = feed
        self._sealing = sealing
        self.where = feed.where
        self.last_sequence = feed.last_sequence

    def read(self, after: int, limit: int) -> list[Change]:
        """See `FollowedFeed.read`."""
        return [_opened(self._sealing, change) for change in self._feed.read(after, limit)]


class SealedFeed:
    """A `Feed` over another."""

    def __init__(self, feed: Feed, sealing: Sealing) -> None:
        self._feed = feed
        self._sealing = sealing
        self.where = feed.where
        self.last_sequence = feed.last_sequence
        self.trim = feed.trim
        self.cursor = feed.cursor
        self.set_cursor = feed.set_cursor
        self.close = feed.close

    def append(self, changes: Sequence[Change]) -> None:
        """See `Feed.append`."""
        rule_of = self._sealing.personal.of
        self._feed.append(
            [
                change if (rule := rule_of(change.types)) is None else self._sealed(rule, change)
                for change in changes
            ]
        )

    def read(self, after: int, limit: int) -> list[Change]:
        """See `Feed.read`."""
        return [_opened(self._sealing, change) for change in self._feed.read(after, limit)]

    def _sealed(self, rule: PersonalType, change: Change) -> Change:
        return msgspec.structs.replace(
            change,
            document=self._sealing.document(rule, change.tenant, change.entity_id, change.document),
            before=self._sealing.before(rule, change),
        )


def _opened(sealing: Sealing, change: Change) -> Change:
    document = sealing.opened_document(change.document)
    before = sealing.opened_before(change.before)
    if document is change.document and before is change.before:
        return change
    return msgspec.structs.replace(change, document=document, before=before)


class SealedStateTable:
    """A `StateTable` over another. Places are coarse on the disk where the type's rule says so."""

    def __init__(self, table: StateTable, sealing: Sealing) -> None:
        self._table = table
        self._sealing = sealing
        self.folded_through = table.folded_through
        self.close = table.close

    def load(self) -> Iterator[Folded]:
        """See `StateTable.load`."""
        for state in self._table.load():
            yield self._opened(state) if is_sealed_document(state.document) else state

    def fold(self, upserts: Sequence[Folded], deletes: Sequence[int], through: int) -> None:
        """See `StateTable.fold`."""
        self._table.fold([self._sealed(state) for state in upserts], deletes, through)

    def _sealed(self, state: Folded) -> Folded:
        rule = self._sealing.personal.of(state.types)
        if rule is None:
            return state
        plain = unpack(state.document)
        document = self._sealing.document(rule, state.tenant, state.entity_id, plain)
        if document is plain:
            return state
        bounds = bounds_of(orjson.loads(document)) if rule.coarse else state.bounds
        return msgspec.structs.replace(state, document=pack(document), bounds=bounds)

    def _opened(self, state: Folded) -> Folded:
        document = self._sealing.opened_document(unpack(state.document))
        bounds = bounds_of(orjson.loads(document))
        return msgspec.structs.replace(state, document=pack(document), bounds=bounds)


class SealedReporters:
    """A `ReporterStore` over another: how to reach somebody is sealed with the key of their report."""

    def __init__(self, reporters: ReporterStore, sealing: Sealing) -> None:
        self._reporters = reporters
        self._sealing = sealing
        self.forget_contact = reporters.forget_contact
        self.with_contact = reporters.with_contact
        self.delete = reporters.delete

    def add(self, reporter: Reporter) -> None:
        """See `ReporterStore.add`."""
        of = reporter.report_id
        sealed = {
            name: self._sealing.text(DEFAULT_TENANT, of, said, _CONTACT) if said else ""
            for name, said in (("email", reporter.email), ("phone", reporter.phone))
        }
        self._reporters.add(msgspec.structs.replace(reporter, **sealed))

    def of_report(self, report_id: str) -> Reporter | None:
        """See `ReporterStore.of_report`."""
        return self._opened(self._reporters.of_report(report_id))

    def of_code(self, follow_digest: str) -> Reporter | None:
        """See `ReporterStore.of_code`."""
        return self._opened(self._reporters.of_code(follow_digest))

    def of_account(self, account_id: str) -> list[Reporter]:
        """See `ReporterStore.of_account`."""
        found = (self._opened(one) for one in self._reporters.of_account(account_id))
        return [one for one in found if one is not None]

    def _opened(self, reporter: Reporter | None) -> Reporter | None:
        if reporter is None:
            return None
        of = reporter.report_id
        plain = {
            name: self._sealing.opened_text(DEFAULT_TENANT, of, said, _CONTACT) or ""
            for name, said in (("email", reporter.email), ("phone", reporter.phone))
        }
        return msgspec.structs.replace(reporter, **plain)


class SealedPhotos:
    """A `PhotoStore` over another."""

    def __init__(self, photos: PhotoStore, sealing: Sealing) -> None:
        self._photos = photos
        self._sealing = sealing
        self.delete = photos.delete

    def put(self, data: bytes, extension: str, *, of: str) -> str:
        """See `PhotoStore.put`."""
        return self._photos.put(self._sealing.data(DEFAULT_TENANT, of, data, _PHOTO), extension, of=of)

    def get(self, name: str) -> bytes | None:
        """See `PhotoStore.get`."""
        data = self._photos.get(name)
        return None if data is None else self._sealing.opened_data(data, _PHOTO)


class SealedOutbox:
    """An `Outbox` over another: what is told of an Entity with a key waits sealed.

    What was erased meanwhile is told by its id and type alone.
    """

    def __init__(self, outbox: Outbox, sealing: Sealing) -> None:
        self._outbox = outbox
        self._sealing = sealing
        self.lanes = outbox.lanes
        self.newest = outbox.newest
        self.tallies = outbox.tallies
        self.sizes: Callable[[], Mapping[Key, int]] = outbox.sizes
        self.settle = outbox.settle
        self.forget = outbox.forget
        self.close = outbox.close

    def add(self, items: Sequence[Pending]) -> None:
        """See `Outbox.add`."""
        has = self._sealing.keys.has
        self._outbox.add([self._sealed(one) if has(one.tenant, one.entity_id) else one for one in items])

    def oldest(self, key: Key, limit: int) -> list[Pending]:
        """See `Outbox.oldest`."""
        return [self._opened(one) for one in self._outbox.oldest(key, limit)]

    def read(self, lane: str, after: int, limit: int) -> list[Pending]:
        """See `Outbox.read`."""
        return [self._opened(one) for one in self._outbox.read(lane, after, limit)]

    def _sealed(self, item: Pending) -> Pending:
        shown = self._sealing.data(item.tenant, item.entity_id, item.shown, _WAITING)
        return msgspec.structs.replace(item, shown=shown)

    def _opened(self, item: Pending) -> Pending:
        shown = self._sealing.opened_data(item.shown, _WAITING)
        if shown is item.shown:
            return item
        if shown is None:
            kind = item.entity_id.split(":")[2] if item.entity_id.count(":") > 2 else "Erased"
            shown = orjson.dumps({"id": item.entity_id, "type": kind})
        return msgspec.structs.replace(item, shown=shown)


class SealedSnapshotStores:
    """`SnapshotStores` over others: the feed of each snapshot is sealed as the city's is."""

    def __init__(self, stores: SnapshotStores, sealing: Sealing) -> None:
        self._stores = stores
        self._sealing = sealing
        self.size = stores.size
        self.remove = stores.remove
        self.names = stores.names

    def open(self, name: str) -> Stores:
        """See `SnapshotStores.open`."""
        found = self._stores.open(name)
        return found._replace(feed=SealedFeed(found.feed, self._sealing))
