"""Systems that do the same for several sectors, and what one for all of them would save. Pure.

The blocks are such as the ITU's SDG Digital Investment Framework and GovStack find in all sectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import Bars, Column, Figure, Outcome, Series, Table, Unit
from cityloom.planning.finance.sums import rounded

BLOCKS: dict[str, str] = {
    "identity": Worded("Identity and sign-in"),
    "payments": Worded("Payments"),
    "registration": Worded("Registration and applications"),
    "registries": Worded("Registries"),
    "messaging": Worded("Messages to people"),
    "scheduling": Worded("Appointments"),
    "workflow": Worded("Workflow"),
    "consent": Worded("Consent"),
    "exchange": Worded("Exchange between systems"),
    "signature": Worded("Electronic signature"),
    "maps": Worded("Maps and places"),
    "analytics": Worded("Analysis and reports"),
    "hosting": Worded("Hosting"),
    "sensors": Worded("Sensors and devices"),
    "learning": Worded("Learning"),
    "records": Worded("Records of persons"),
}
#: One for all costs more than the dearest of those it replaces: by so much for each further system.
USUAL_EXTRA = Decimal("0.1")


class System(msgspec.Struct, frozen=True, kw_only=True):
    """A system of a sector: which block it is, and what it costs a year."""

    name: str
    sector: str
    block: str
    cost: Decimal


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What one system for all would cost, where that is known: a year, and once for the move."""

    block: str
    cost: Decimal
    move: Decimal = Decimal()


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """A block that several systems are."""

    block: str
    systems: tuple[System, ...]
    now: Decimal
    together: Decimal
    move: Decimal
    #: Whether `together` was said, or is an estimate.
    said: bool

    @property
    def saving(self) -> Decimal:
        """A year; below 0 where sharing costs more."""
        return self.now - self.together

    @property
    def pays_back(self) -> float | None:
        """Years until the move has paid for itself; None: never."""
        return float(self.move / self.saving) if self.saving > 0 else None


def duplicates(
    systems: Sequence[System], shared: Sequence[Shared], currency: str, extra: Decimal = USUAL_EXTRA
) -> tuple[Duplicate, ...]:
    """Blocks with two systems or more, the greatest saving first."""
    known: Mapping[str, Shared] = {one.block: one for one in shared}
    found = []
    for block in dict.fromkeys(one.block for one in systems):
        own = tuple(one for one in systems if one.block == block)
        if len(own) < 2:
            continue
        stated = known.get(block)
        estimate = rounded(max(one.cost for one in own) * (1 + extra * (len(own) - 1)), currency)
        found.append(
            Duplicate(
                block=block,
                systems=own,
                now=sum((one.cost for one in own), Decimal()),
                together=stated.cost if stated else estimate,
                move=stated.move if stated else Decimal(),
                said=stated is not None,
            )
        )
    return tuple(sorted(found, key=lambda one: -one.saving))


def shared_blocks(
    systems: Sequence[System], shared: Sequence[Shared], currency: str, extra: Decimal = USUAL_EXTRA
) -> Outcome:
    """The duplicates with their saving, and which sectors share what."""
    if any(one.cost < 0 for one in systems) or not 0 <= extra <= 5:
        raise BadInput(Worded("This is below 0"), hint=Worded("Enter 0 or more."), where="systems")
    found = duplicates(systems, shared, currency, extra)
    worth = [one for one in found if one.saving > 0]
    return Outcome(
        currency=currency,
        figures=(
            Figure("systems", Worded("Systems"), len(systems), Unit.NUMBER),
            Figure("duplicates", Worded("Blocks that there are several of"), len(found), Unit.NUMBER),
            Figure("now", Worded("They cost a year"), sum((one.now for one in found), Decimal())),
            Figure(
                "saving", Worded("Saved a year by sharing"), sum((one.saving for one in worth), Decimal())
            ),
        ),
        tables=(_duplicates_table(found), _systems_table(systems)),
        drawings=(
            Bars(
                title=Worded("Cost a year now, and with one for all"),
                table="duplicates",
                categories=tuple(BLOCKS.get(one.block, one.block) for one in found),
                series=(
                    Series(Worded("Now"), tuple(float(one.now) for one in found)),
                    Series(Worded("One for all"), tuple(float(one.together) for one in found)),
                ),
            ),
        )
        if found
        else (),
        notes=(
            Worded(
                "Where it is not said what one for all would cost, the dearest of them is taken and "
                "%(extra)s %% more for each further system: an estimate.",
                extra=f"{float(extra) * 100:g}",
            ),
            Worded("The saving counts only blocks that sharing makes cheaper."),
        ),
        warnings=() if found else (Worded("No two systems are the same block: nothing to share was found."),),
    )


def _duplicates_table(found: Sequence[Duplicate]) -> Table:
    columns = (
        Column("block", Worded("Block")),
        Column("systems", Worded("Systems")),
        Column("sectors", Worded("Sectors")),
        Column("now", Worded("Cost a year now"), Unit.MONEY),
        Column("together", Worded("One for all"), Unit.MONEY),
        Column("basis", Worded("How that is known")),
        Column("saving", Worded("Saved a year"), Unit.MONEY),
        Column("move", Worded("Cost of the move"), Unit.MONEY),
        Column("years", Worded("Paid back after"), Unit.YEARS),
    )
    rows = tuple(
        (
            BLOCKS.get(one.block, one.block),
            ", ".join(system.name for system in one.systems),
            ", ".join(dict.fromkeys(system.sector for system in one.systems)),
            one.now,
            one.together,
            Worded("said") if one.said else Worded("estimated"),
            one.saving,
            one.move,
            None if one.pays_back is None else round(one.pays_back, 2),
        )
        for one in found
    )
    foot = (
        Worded("Sum"),
        None,
        None,
        sum((one.now for one in found), Decimal()),
        sum((one.together for one in found), Decimal()),
        None,
        sum((one.saving for one in found), Decimal()),
        sum((one.move for one in found), Decimal()),
        None,
    )
    return Table(
        "duplicates", Worded("Blocks that there are several of"), columns, rows, foot if found else ()
    )


def _systems_table(systems: Sequence[System]) -> Table:
    columns = (
        Column("system", Worded("System")),
        Column("sector", Worded("Sector")),
        Column("block", Worded("Block")),
        Column("cost", Worded("Cost a year"), Unit.MONEY),
    )
    rows = tuple((one.name, one.sector, BLOCKS.get(one.block, one.block), one.cost) for one in systems)
    total = sum((one.cost for one in systems), Decimal())
    return Table("systems", Worded("Systems by sector"), columns, rows, (Worded("Sum"), None, None, total))
