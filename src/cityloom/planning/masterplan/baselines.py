"""Baselines: what all indicators said on a day, frozen, so that later values are held against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cityloom.access.authority import require
from cityloom.context.broker import Broker
from cityloom.indicators.indicators import Indicators
from cityloom.indicators.ports import EvidenceStore
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.change import Because
from cityloom.kernel.errors import Conflict
from cityloom.kernel.texts import check_line
from cityloom.kernel.time import Clock, format_instant
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import prop
from cityloom.planning.masterplan.frozen import Frozen, FrozenDocuments

TYPE = "PlanBaseline"
FORMAT = "cityloom-baseline/1"
_PERMISSION = "plan:edit"


class BaselineValue(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What one indicator said when the baseline was frozen."""

    id: str
    framework: str
    code: str
    name: Mapping[str, str]
    value: float | bool
    unit: str = ""
    #: The period of which it tells, as instants; "" where it does not say.
    since: str = ""
    until: str = ""
    source: str = ""
    origin: str = ""
    method: str = ""
    verified: bool = False
    #: What it was worked out from: which readings of what, in which interval, how many.
    because: tuple[Because, ...] = ()


class Compared(msgspec.Struct, frozen=True):
    """A frozen value and what stands there now; None where nothing does any more, or yet."""

    before: BaselineValue
    now: float | bool | None
    change: float | None


class Baselines:
    """Freezes what everybody may see of the indicators' values."""

    def __init__(
        self, broker: Broker, clock: Clock, store: EvidenceStore, indicators: Indicators, city: str
    ) -> None:
        self._frozen = FrozenDocuments(broker, clock, store, TYPE)
        self._indicators = indicators
        self._clock = clock
        self._city = city

    async def freeze(self, actor: Actor, name: Mapping[str, str], *, origin: str = "entered") -> Frozen:
        """Freeze all values that stand now. Raises Conflict where there are none."""
        require(actor, _PERMISSION)
        names = {code: check_line(said, where="name", longest=200) for code, said in name.items()}
        values = self.standing()
        if not values:
            raise Conflict(
                Worded("No indicator has a value"), hint=Worded("Enter some values first."), where="values"
            )
        content = {
            "format": FORMAT,
            "city": self._city,
            "number": self._frozen.next_number(actor),
            "frozenAt": format_instant(self._clock.now()),
            "name": names,
            "values": [msgspec.to_builtins(one) for one in values],
        }
        return await self._frozen.freeze(actor, content, names, {"values": prop(len(values))}, origin=origin)

    def standing(self) -> list[BaselineValue]:
        """What all open indicators say now, each where its value stands, by framework and code."""
        found = {
            one.id: _value(one, one.value)
            for report in self._indicators.reports(ANONYMOUS)
            for one in report.indicators
            if one.value is not None and one.answered_by is None
        }
        return sorted(found.values(), key=lambda one: (one.framework, one.code, one.id))

    def list(self, actor: Actor) -> Sequence[Frozen]:
        """All baselines, the newest first."""
        return self._frozen.list(actor)

    def get(self, actor: Actor, baseline_id: str) -> Frozen:
        """One of them. Raises ResourceNotFound."""
        return self._frozen.get(actor, baseline_id)

    async def text(self, baseline: Frozen) -> bytes | None:
        """The frozen text itself; None where it is gone or was tampered with."""
        return await self._frozen.text(baseline)

    async def values(self, baseline: Frozen) -> Sequence[BaselineValue] | None:
        """What was frozen; None where it is gone or was tampered with."""
        content = await self._frozen.content(baseline)
        return None if content is None else msgspec.convert(content["values"], list[BaselineValue])

    async def newest(self, actor: Actor) -> Mapping[str, BaselineValue]:
        """The values of the newest baseline by the indicator's id; none where there is none."""
        baseline = next(iter(self.list(actor)), None)
        values = await self.values(baseline) if baseline is not None else None
        return {one.id: one for one in values or ()}


def compared(before: Iterable[BaselineValue], now: Mapping[str, float | bool]) -> list[Compared]:
    """Frozen values with what stands there now, by the indicators' ids. Yes and no have no change."""
    found = []
    for one in before:
        value = now.get(one.id)
        numbers = value is not None and not isinstance(value, bool) and not isinstance(one.value, bool)
        found.append(Compared(one, value, value - one.value if numbers and value is not None else None))
    return found


def _value(one: IndicatorSummary, value: float | bool) -> BaselineValue:
    return BaselineValue(
        id=one.id,
        framework=one.framework,
        code=f"{one.code}.{one.point}" if one.point else one.code,
        name=dict(one.name),
        value=value,
        unit=one.unit_code or one.unit,
        since=format_instant(one.since) if one.since else "",
        until=format_instant(one.until) if one.until else "",
        source=one.source,
        origin=one.origin,
        method=one.method,
        verified=one.verified,
        because=one.because,
    )
