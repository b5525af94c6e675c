"""The city's own targets and weights: changed in versions that stay, each with who, when and why.

A version holds all targets and weights of a framework as they stood from then on. To take a change back is a
new version that says what an earlier one said. Every value that is held against a target says by which.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing
from cityloom.context.publishing import Publishing
from cityloom.context.reading import instant, items, word
from cityloom.indicators.framework import Framework, Profile, is_usable
from cityloom.indicators.in_use import InUse
from cityloom.indicators.model import Benchmark, Indicator, Rule
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.texts import check_text
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, entity, json_value, prop, text, value_of

TYPE = "BenchmarkProfile"
PERMISSION = "plan:edit"
_SIGNED = "changedBy"
#: Versions that one framework may have, and what a weight may be at most.
MOST_VERSIONS, MOST_WEIGHT = 10_000, 1000.0
LONGEST_WHY = 1000
_LONGEST_BASIS = 500
#: By code and point.
Targets = Mapping[tuple[str, str], Benchmark]


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target as it is kept."""

    code: str
    point: str
    rule: Rule
    target: float | None = None
    worst: float | None = None
    basis: str = ""
    provenance: str = ""


class Weight(msgspec.Struct, frozen=True):
    """How much a member of the index counts in its group."""

    code: str
    weight: float


class ProfileVersion(msgspec.Struct, frozen=True):
    """All targets and weights of a framework, as they stood from an instant on."""

    framework: str
    #: From 1; 0 is what the framework's files say.
    version: int
    at: datetime | None
    by: str
    why: str
    rows: tuple[Row, ...]
    weights: tuple[Weight, ...]
    #: The version that it brings back; None where it changes something.
    brings_back: int | None = None

    @property
    def targets(self) -> Targets:
        """The targets by code and point."""
        return {(one.code, one.point): _benchmark(one) for one in self.rows}

    @property
    def id(self) -> str:
        """What values that were held against it say."""
        return f"{self.framework}-city-{self.version}"


class Profiles:
    """Keeps the versions, and lets the newest stand. `rejudge` holds the values against changed targets."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        in_use: InUse,
        rejudge: Callable[[Framework], Awaitable[None]],
        audit: AuditLog | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._in_use = in_use
        self._rejudge = rejudge
        self._audit = audit
        self._turns = Editing(broker)
        self._publishing = Publishing(broker, self._turns, "indicators")

    async def load(self) -> None:
        """Let the newest versions stand: after a start."""
        for framework in list(self._in_use):
            versions = self.versions(CITY, framework.id)
            if versions[0].version:
                self._in_use.put(applied(self._in_use.shipped(framework.id), versions[0]))
            await self._rejudge(self._in_use.get(framework.id))

    def versions(self, actor: Actor, framework_id: str) -> list[ProfileVersion]:
        """All versions, the newest first; the last is what the framework's files say. Raises NotFound."""
        shipped = self._in_use.shipped(framework_id)
        found = [
            _version(one, self._publishing.signed(actor, one, _SIGNED))
            for one in self._broker.of_type(actor, TYPE)
            if value_of(one, "framework") == framework_id
        ]
        return [*sorted(found, key=lambda one: -one.version), _of_files(shipped)]

    def get(self, actor: Actor, framework_id: str, version: int) -> ProfileVersion:
        """One version. Raises NotFound."""
        for one in self.versions(actor, framework_id):
            if one.version == version:
                return one
        raise NotFound(Worded("There is no such version"), hint=Worded("Look at the list of versions."))

    def standing(self, actor: Actor, framework_id: str) -> ProfileVersion:
        """The version that stands. Raises NotFound."""
        return self.versions(actor, framework_id)[0]

    # Commands: each raises Conflict when `seen` is not the version that stands

    async def change(
        self,
        actor: Actor,
        framework_id: str,
        targets: Targets | None = None,
        weights: Mapping[str, float] | None = None,
        *,
        why: str,
        seen: int | None = None,
    ) -> ProfileVersion:
        """Set some targets and weights; the others stay. Needs plan:edit. Raises BadInput."""
        require(actor, PERMISSION)
        framework = self._in_use.get(framework_id)
        checked = {key: checked_target(framework, key, one) for key, one in (targets or {}).items()}
        for code, weight in (weights or {}).items():
            _check_weight(code, weight)

        def changed(before: ProfileVersion) -> tuple[Iterable[Row], Iterable[Weight]]:
            rows = {(one.code, one.point): one for one in before.rows} | {
                key: _row(key, one) for key, one in checked.items()
            }
            shares = {one.code: one.weight for one in before.weights} | dict(weights or {})
            return rows.values(), (Weight(code, share) for code, share in shares.items())

        return await self._write(actor, framework_id, changed, why, seen)

    async def bring_back(
        self, actor: Actor, framework_id: str, version: int, *, why: str, seen: int | None = None
    ) -> ProfileVersion:
        """Let stand again what an earlier version said. Needs plan:edit. Raises NotFound."""
        require(actor, PERMISSION)
        wanted = self.get(actor, framework_id, version)
        return await self._write(
            actor, framework_id, lambda _: (wanted.rows, wanted.weights), why, seen, brings_back=version
        )

    async def _write(
        self,
        actor: Actor,
        framework_id: str,
        decide: Callable[[ProfileVersion], tuple[Iterable[Row], Iterable[Weight]]],
        why: str,
        seen: int | None,
        *,
        brings_back: int | None = None,
    ) -> ProfileVersion:
        said = check_text(why, where="why", longest=LONGEST_WHY)
        async with self._turns.turn(framework_id):
            before = self.standing(actor, framework_id)
            if seen is not None and seen != before.version:
                raise Conflict(
                    Worded("It has been changed by somebody else meanwhile"),
                    hint=Worded("Look at it as it is now, then decide again."),
                    where="version",
                )
            found, shares = decide(before)
            rows, weights = tuple(found), tuple(shares)
            if (rows, weights) == (before.rows, before.weights):
                raise BadInput(
                    Worded("Nothing would change"), hint=Worded("Change a target or a weight."), where="why"
                )
            if before.version >= MOST_VERSIONS:
                raise BadInput(Worded("There are too many versions"), hint="", where="why")
            version = ProfileVersion(
                framework_id,
                before.version + 1,
                self._clock.now(),
                actor.id,
                said,
                rows,
                weights,
                brings_back,
            )
            if self._audit is not None:
                await self._audit.record(actor, "indicator.targets", _id(framework_id, version.version))
            document = _document(version)
            await self._broker.create(
                may_write(actor, classify=True),
                document,
                information_class=InformationClass.OPEN,
                trace="indicators:targets",
            )
            await self._publishing.sign(actor, document, _SIGNED)
            framework = applied(self._in_use.shipped(framework_id), version)
            self._in_use.put(framework)
        await self._rejudge(framework)
        return version


def applied(shipped: Framework, version: ProfileVersion) -> Framework:
    """A framework with the targets and weights of a version. Pure."""
    targets = version.targets
    indicators = tuple(_with_targets(one, targets) for one in shipped.indicators)
    number = version.version
    profile = Profile(
        id=version.id,
        title={"en": f"The city's own targets, version {number}", "da": f"Byens egne mål, version {number}"},
        status={
            "en": "Set by this city. Scores cannot be compared with those of other cities.",
            "da": "Sat af denne by. Scorer kan ikke sammenlignes med andre byers.",
        },
    )
    return msgspec.structs.replace(
        shipped,
        indicators=indicators,
        manifest=msgspec.structs.replace(shipped.manifest, profile=profile),
        weights={one.code: one.weight for one in version.weights},
    )


def _with_targets(indicator: Indicator, targets: Targets) -> Indicator:
    points = []
    for point in indicator.points:
        target = targets.get((point.code, point.key))
        used = None if target is None or target.rule is Rule.NONE else target
        points.append(msgspec.structs.replace(point, benchmark=used))
    return msgspec.structs.replace(indicator, points=tuple(points))


def checked_target(framework: Framework, key: tuple[str, str], target: Benchmark) -> Benchmark:
    """A target that may stand. Raises BadInput naming the field."""
    point = next((one for _, one in framework.points() if (one.code, one.key) == key), None)
    if point is None:
        raise BadInput(
            Worded("%(code)s is not in the framework", code=" ".join(key)[:80].strip()),
            hint=Worded("Look at the codes of the framework."),
            where="code",
        )
    for name, said in (("target", target.target), ("worst", target.worst)):
        if said is not None and not math.isfinite(said):
            raise BadInput(
                Worded("This is no number"), hint=Worded("Write a number such as 12.5."), where=name
            )
    if not is_usable(target):
        raise BadInput(
            Worded("The target cannot be used"),
            hint=Worded("A ratio needs a target above 0, a goalpost a target and another worst value."),
            where="target",
        )
    basis = check_text(target.basis, where="basis", longest=_LONGEST_BASIS, optional=target.rule is Rule.NONE)
    return msgspec.structs.replace(target, basis=basis, provenance="set by the city")


def _check_weight(code: str, weight: float) -> None:
    if not (math.isfinite(weight) and 0 <= weight <= MOST_WEIGHT):
        raise BadInput(
            Worded("The weight of %(code)s is not between 0 and %(most)s", code=code[:80], most=MOST_WEIGHT),
            hint=Worded("Write a number such as 2; all alike weigh 1."),
            where="weights",
        )


def _of_files(shipped: Framework) -> ProfileVersion:
    rows = tuple(
        _row((point.code, point.key), point.benchmark)
        for _, point in shipped.points()
        if point.benchmark is not None
    )
    weights = tuple(Weight(code, share) for code, share in shipped.weights.items())
    return ProfileVersion(shipped.id, 0, None, "", "", rows, weights)


def _row(key: tuple[str, str], target: Benchmark) -> Row:
    return Row(*key, target.rule, target.target, target.worst, target.basis, target.provenance)


def _benchmark(row: Row) -> Benchmark:
    return Benchmark(row.rule, row.target, row.worst, row.basis, row.provenance)


def _id(framework_id: str, version: int) -> str:
    return f"urn:ngsi-ld:{TYPE}:{framework_id}:{version}"


def _document(version: ProfileVersion) -> Document:
    attributes = {
        "name": text(en=f"Targets of {version.framework}, version {version.version}"),
        "framework": prop(version.framework),
        "version": prop(version.version),
        "dateIssued": prop(format_instant(version.at) if version.at else ""),
        "remark": prop(version.why),
        "dataOrigin": prop("entered"),
        "targets": json_value(msgspec.to_builtins(version.rows)),
        "weights": json_value(msgspec.to_builtins(version.weights)),
    }
    if version.brings_back is not None:
        attributes["bringsBack"] = prop(version.brings_back)
    return entity(TYPE, _id(version.framework, version.version), attributes)


def _version(document: Document, by: str) -> ProfileVersion:
    number, back = value_of(document, "version"), value_of(document, "bringsBack")
    return ProfileVersion(
        framework=word(document, "framework"),
        version=number if isinstance(number, int) else 0,
        at=instant(document, "dateIssued"),
        by=by,
        why=word(document, "remark"),
        rows=items(document, "targets", Row),
        weights=items(document, "weights", Weight),
        brings_back=back if isinstance(back, int) else None,
    )
