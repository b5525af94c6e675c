"""The context broker: the one door to how the city is now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from cityloom.context.batch import BatchOutcome, Step, run_batch
from cityloom.context.batch_provision import BatchProvision
from cityloom.context.classes import ClassPolicy
from cityloom.context.commit import Committer, end_process
from cityloom.context.consumption import Consumption
from cityloom.context.expiry import Expired, Expiry, Sweeper
from cityloom.context.folding import INTERVAL, RETENTION, Folding
from cityloom.context.ports import Feed, StateTable
from cityloom.context.provision import Provision
from cityloom.context.recall import Recall
from cityloom.context.revision import Revision
from cityloom.context.stages import Handler, Stages, StageStatus
from cityloom.context.writes import PastWrite, Request
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change
from cityloom.kernel.errors import NotReady
from cityloom.kernel.time import Clock
from cityloom.ngsild.model import Document, Instance


class Broker(BatchProvision, Consumption):
    """Commands, queries and following. All methods are called on the event loop.

    A command returns once its change is durable. Commands take effect in the order in which they are
    called; each sees those before it. Queries see what is durable. What an actor may not see is not there
    for them: not in results, counts, lists of types or references. (One thing cannot be hidden: an actor
    who may write learns from AlreadyExists that an id is taken, since an id names one Entity.)
    """

    def __init__(
        self,
        feed: Feed,
        table: StateTable,
        clock: Clock,
        classes: ClassPolicy | None = None,
        *,
        retention: int = RETENTION,
        fold_interval: float = INTERVAL,
        fail_stop: Callable[[BaseException], None] = end_process,
        recalled: Recall | None = None,
    ) -> None:
        """`recalled` is the state as a standby has followed it; else the table is loaded at the start."""
        self._recall = recalled or Recall(feed, table)
        self._state = self._recall.state
        super().__init__(self._state)
        self._feed = feed
        self._table = table
        self._clock = clock
        self._classes = classes or ClassPolicy()
        self._retention = retention
        self._fold_interval = fold_interval
        self._fail_stop = fail_stop
        self._stages = Stages(feed)
        self._provision: Provision | None = None
        self._committer: Committer | None = None
        self._folding: Folding | None = None
        self._expiry: Expiry | None = None
        self._sweeper: Sweeper | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._last = 0

    # Life

    async def start(self) -> None:
        """Load the folded state, replay the rest of the feed, and begin to write and to be followed.

        Raises BadConfig when feed and table do not belong together.
        """
        count, replayed = await asyncio.to_thread(self._recall.finish, self._feed, self._table)
        self._last = self._feed.last_sequence()
        self._provision = Provision(self._state, self._classes, self._last)
        self._folding = Folding(
            self._feed,
            self._table,
            self._stages,
            folded_through=self._last - count,
            retention=self._retention,
            interval=self._fold_interval,
            fail_stop=self._fail_stop,
        )
        if replayed:
            # They are in the state already: what it keeps of them is asked for, and nothing is changed.
            self._folding.committed(replayed, [self._state.apply(revision) for revision in replayed])
        self._committer = Committer(
            self._feed.append,
            committed=self._on_committed,
            failed=self._provision.failed,
            fail_stop=self._fail_stop,
        )
        self._stages.start(self._last)
        self._expiry = await asyncio.to_thread(Expiry, self._state)
        self._sweeper = Sweeper(self._expiry, self._clock, self._remove)
        self._expiring = asyncio.create_task(self._sweeper.run(), name="expiry")

    async def stop(self, *, folding: bool = True) -> None:
        """Commit what waits, let the stages finish their batches, fold the rest. The stores stay open.

        Without `folding` the next process replays more of the feed: for one that has followed it already.
        """
        if self._committer is None or self._folding is None:
            return
        if self._expiring is not None:
            self._expiring.cancel()
        committer, self._committer = self._committer, None
        await committer.stop()
        await self._stages.stop()
        await self._folding.stop(folding=folding)

    async def sweep(self) -> None:
        """Remove what has expired by now. Whoever asks on behalf of somebody outside calls this first: it is
        done once a second besides, and in that second nothing expired may be seen."""
        if self._sweeper is not None:
            await self._sweeper.sweep()

    @property
    def last_sequence(self) -> int:
        """The sequence of the newest durable change."""
        return self._last

    @property
    def backlog(self) -> int:
        """Changes accepted and not yet durable."""
        return 0 if self._committer is None else self._committer.backlog

    # Provision: each needs the permission `entities:write`, and the clearance for the Entity's class

    async def create(
        self,
        actor: Actor,
        document: Document,
        *,
        information_class: InformationClass | None = None,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Create an Entity (5.6.1). Raises AlreadyExists, NotAllowed."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().create(request, document, information_class))

    async def append(
        self,
        actor: Actor,
        entity_id: str,
        fragment: Document,
        *,
        overwrite: bool = True,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Append attributes (5.6.3); without `overwrite` those that exist stay. Raises ResourceNotFound."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().append(request, entity_id, fragment, overwrite))

    async def update(
        self,
        actor: Actor,
        entity_id: str,
        fragment: Document,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Update attributes that exist (5.6.2). Raises ResourceNotFound."""
        return await self._commit(self._ready().update(Request(actor, tenant, trace), entity_id, fragment))

    async def merge(
        self,
        actor: Actor,
        entity_id: str,
        fragment: Document,
        *,
        observed_at: str | None = None,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Merge a patch into an Entity (5.6.17); `observed_at` dates what comes without a date of its own."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().merge(request, entity_id, fragment, observed_at))

    async def replace(
        self,
        actor: Actor,
        entity_id: str,
        document: Document,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Replace an Entity (5.6.18). Raises ResourceNotFound."""
        return await self._commit(self._ready().replace(Request(actor, tenant, trace), entity_id, document))

    async def delete(
        self, actor: Actor, entity_id: str, *, trace: str = "", tenant: str = DEFAULT_TENANT
    ) -> Change:
        """Delete an Entity (5.6.6). Raises ResourceNotFound."""
        return await self._commit(self._ready().delete(Request(actor, tenant, trace), entity_id))

    async def update_attribute(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        fragment: Instance,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Overwrite members of one attribute instance (5.6.4). Raises ResourceNotFound."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().update_attribute(request, entity_id, name, fragment))

    async def replace_attribute(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        instance: Instance,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Replace one attribute instance (5.6.19). Raises ResourceNotFound."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().replace_attribute(request, entity_id, name, instance))

    async def delete_attribute(
        self,
        actor: Actor,
        entity_id: str,
        name: str,
        *,
        dataset: str | None = None,
        all_instances: bool = False,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Delete an attribute or one instance of it (5.6.5). Raises ResourceNotFound."""
        request = Request(actor, tenant, trace)
        return await self._commit(
            self._ready().delete_attribute(request, entity_id, name, dataset, all_instances)
        )

    async def classify(
        self,
        actor: Actor,
        entity_id: str,
        information_class: InformationClass,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Move an Entity to another information class. Needs `entities:classify` and both clearances."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().classify(request, entity_id, information_class))

    async def upsert(
        self,
        actor: Actor,
        document: Document,
        *,
        update: bool = True,
        information_class: InformationClass | None = None,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Create the Entity; where it exists append to it, or (update=False) replace it."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().upsert(request, document, update, information_class))

    async def write_past(
        self,
        actor: Actor,
        entity_id: str,
        past: PastWrite,
        *,
        trace: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> Change:
        """Write or erase what is remembered (5.6.11 to 5.6.16); history knows what is there."""
        request = Request(actor, tenant, trace)
        return await self._commit(self._ready().write_past(request, entity_id, past))

    async def together(self, draw: Callable[[Provision, Callable[[Revision], None]], None]) -> None:
        """What `draw` makes and hands over, in one commit: all of it is durable or none.

        `draw` gets where commands are made and whom to hand their Revisions to, in their order.
        """
        provision = self._ready()
        assert self._committer is not None, "commands are given while the city runs"
        drawn: list[Revision] = []
        durable: asyncio.Future[None] | None = None
        try:
            draw(provision, drawn.append)
        finally:
            # After a defect too: what was made has a sequence, and there may be no hole.
            if drawn:
                durable = self._committer.submit(drawn)
        if durable is not None:
            await durable

    # Following

    def follow(
        self, stage: str, handler: Handler, *, durable: bool, after: int | None = None, past: bool = False
    ) -> None:
        """Hand every change to `handler`, in order, in batches of at most 5000, at least once.

        A durable stage goes on where it was, also after a restart; one that keeps its place in a store of
        its own says with `after` what it has handled. Others get what comes from now on, and miss changes
        when they are too slow. With `past` it is handed changes of the kind PAST as well. Raises Conflict
        when the name is taken.
        """
        self._stages.follow(stage, handler, durable=durable, after=after, past=past)

    async def leave(self, stage: str) -> None:
        """Stop following under this name."""
        await self._stages.leave(stage)

    def stages(self) -> list[StageStatus]:
        """How everybody who follows is getting on."""
        return self._stages.status(self._last)

    async def caught_up(self) -> None:
        """Wait until every stage has handled what is durable now. A failing stage makes this wait."""
        await self._stages.reached(self._last)

    def _ready(self) -> Provision:
        if self._committer is None or self._provision is None:
            raise NotReady("The city is not running", hint="Try again in a few seconds.")
        self._committer.check_room()
        return self._provision

    async def _commit(self, revision: Revision) -> Change:
        assert self._committer is not None, "a Revision is made while the city runs"
        await self._committer.submit((revision,))
        return revision.change

    async def _batch(self, steps: Iterable[Step]) -> BatchOutcome:
        assert self._committer is not None, "a batch begins while the city runs"
        return await run_batch(steps, self._committer.submit)

    def _on_committed(self, revisions: Sequence[Revision]) -> None:
        assert self._provision is not None and self._folding is not None, "commits come after the start"
        changes = [revision.change for revision in revisions]
        kept = [self._state.apply(revision) for revision in revisions]
        if self._expiry is not None:
            self._expiry.committed(changes)
        self._provision.committed(revisions)
        self._folding.committed(revisions, kept)
        self._last = changes[-1].sequence
        self._stages.committed(changes)

    async def _remove(self, expired: Expired) -> None:
        """Remove what has expired. Raises ResourceNotFound when somebody was quicker."""
        trace = "expiry:expiresAt"
        if expired.within_until is not None:
            request = Request(CITY, expired.tenant, trace)
            await self._commit(self._ready().expire_within(request, expired.entity_id, expired.within_until))
        elif not expired.name:
            await self.delete(CITY, expired.entity_id, trace=trace, tenant=expired.tenant)
        else:
            await self.delete_attribute(
                CITY,
                expired.entity_id,
                expired.name,
                dataset=expired.dataset,
                trace=trace,
                tenant=expired.tenant,
            )
