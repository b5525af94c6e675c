"""From changes to what is told of them, to whom, and what is told at intervals (ETSI GS CIM 009, 5.8.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import msgspec

from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.change import Change
from cityloom.kernel.time import now_millis
from cityloom.ngsild.attribute_changes import waited_for
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.model import Document
from cityloom.subscriptions.backlog import Notifying
from cityloom.subscriptions.delivery import Delivery
from cityloom.subscriptions.matching import Happened, Matcher, Rule, query_of
from cityloom.subscriptions.model import Kept, Pending
from cityloom.subscriptions.owners import Owners
from cityloom.subscriptions.periodic import Intervals
from cityloom.subscriptions.places import Places
from cityloom.subscriptions.rendering import Rendered, Rendering
from cityloom.subscriptions.secrecy import Secrecy

#: Seconds of looking at changes before others get their turn on the event loop.
TURN_SECONDS = 0.005
#: Entities in one page of what is told at intervals.
PAGE = 100


class Serving:
    """Lives on the event loop. `now` tells the instant by which subscriptions expire."""

    def __init__(
        self,
        places: Places,
        owners: Owners,
        delivery: Delivery,
        secrecy: Secrecy,
        now: Callable[[], str],
        bounds: Notifying,
    ) -> None:
        self._places = places
        self._owners = owners
        self._delivery = delivery
        self._secrecy = secrecy
        self._now = now
        #: The subscriptions that are told of at intervals.
        self.intervals = Intervals(self._tell_all, bounds)
        self._matchers: dict[str, Matcher] = {}
        self._renderings: dict[tuple[str, str], Rendering] = {}

    def serve(self, kept: Kept, context: Context) -> None:
        """Tell of a subscription from now on; it may be served already, as it was."""
        self.cease(kept)
        if kept.wanted.time_interval is None:
            self._matchers.setdefault(kept.tenant, Matcher(self._owners.lookup)).add(kept)
        else:
            self.intervals.add(kept)
        mask = waited_for(kept.wanted.triggers)
        self._renderings[kept.key] = Rendering(kept, context, mask, self._owners.linked)
        self._delivery.forgive(lane_of(kept))

    def cease(self, kept: Kept) -> None:
        """Tell of it no more."""
        matcher = self._matchers.get(kept.tenant)
        if matcher is not None:
            matcher.remove(kept.wanted.id)
        self.intervals.remove(kept.key)
        self._renderings.pop(kept.key, None)

    def context(self, kept: Kept) -> Context:
        """In whose words a subscription is told of; the core's where it is not served."""
        rendering = self._renderings.get(kept.key)
        return CORE if rendering is None else rendering.context

    async def follow(self, changes: list[Change]) -> None:
        """Offer what changes tell to the endpoints' queues; on return it is sent, or kept to be sent."""
        found: list[Pending] = []
        turn = perf_counter()
        for change in changes:
            self._secrecy.note(change)
            matcher = self._matchers.get(change.tenant)
            if matcher:
                happened = Happened(change)
                for rule in matcher.concerned(happened):
                    found += self._told(rule, happened)
                if perf_counter() - turn > TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = perf_counter()
        if found:
            await self._delivery.keep(found)

    def _told(self, rule: Rule, happened: Happened) -> list[Pending]:
        change = happened.change
        now = self._now()
        rendered: dict[Any, Rendered] = {}
        today: dict[str, Actor | None] = {}
        found = []
        for kept in rule.asked_by.values():
            if kept.since >= change.sequence or kept.wanted.status(now) != "active":
                continue
            if kept.owner not in today:
                today[kept.owner] = self._owners.today(kept.owner)
            owner = self._owners.bounded(kept, today[kept.owner])
            if owner is None or not owner.sees(change.information_class):
                continue
            rendering = self._renderings[kept.key]
            shown = rendered.get(rendering.key)
            if shown is None:
                shown = rendered[rendering.key] = rendering.of_change(happened, owner)
            found.append(self._offer(kept, change.entity_id, shown))
        return found

    def _offer(self, kept: Kept, entity_id: str, rendered: Rendered) -> Pending:
        item = Pending(
            self._delivery.next_place(),
            lane_of(kept),
            kept.tenant,
            kept.wanted.id,
            entity_id,
            rendered.classes,
            now_millis(),
            rendered.shown,
        )
        self._delivery.offer(item)
        return item

    async def _tell_all(self, kept: Kept) -> None:
        """Everything that matches, page by page; nothing while the last is still on its way."""
        owner = self._owners.of(kept)
        now = self._now()
        if owner is None or kept.wanted.status(now) != "active" or self._delivery.waits(lane_of(kept)):
            return
        rendering = self._renderings[kept.key]
        query = msgspec.structs.replace(query_of(kept.wanted), limit=PAGE)
        while True:
            page = await self._places.search(owner, query, tenant=kept.tenant)
            offered = []
            for document in page.documents:
                secrecy = self._owners.class_of(owner, document["id"], kept.tenant)
                if secrecy is not None:
                    shown = rendering.of_document(document, secrecy, owner)
                    offered.append(self._offer(kept, document["id"], shown))
            await self._delivery.keep(offered)
            if len(page.texts) < PAGE:
                return
            query = msgspec.structs.replace(query, offset=query.offset + PAGE)

    async def pass_on(self, kept: Kept, told: Sequence[tuple[Document, InformationClass]]) -> None:
        """Notify of Entities as a source tells them, each with the class of all that it says; on return it
        is sent, or kept to be sent."""
        owner = self._owners.of(kept)
        rendering = self._renderings.get(kept.key)
        if owner is None or rendering is None or kept.wanted.status(self._now()) != "active":
            return
        offered = [
            self._offer(kept, document["id"], rendering.of_document(document, secrecy, owner))
            for document, secrecy in told
            if owner.sees(secrecy)
        ]
        await self._delivery.keep(offered)


def lane_of(kept: Kept) -> str:
    """The queue of a subscription: its endpoint's; its own where sending is throttled."""
    uri = kept.wanted.notification.endpoint.uri
    if kept.wanted.throttling is None and kept.wanted.time_interval is None:
        return uri
    return f"{uri} {kept.tenant} {kept.wanted.id}"
