"""Time that is not to count: proposed by one person of the city, confirmed by a second. It is money. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed
from cityloom.kernel.worded import Worded
from cityloom.planning.contracts.checking import MOST_EXCLUSIONS
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.model import Contract


def with_proposed(contract: Contract, proposed: Exclusion) -> list[Exclusion]:
    """The contract's exclusions with one more, which counts for nothing yet."""
    if len(contract.exclusions) >= MOST_EXCLUSIONS:
        raise BadInput(
            Worded("There are too many of them"),
            hint=Worded("Keep to %(most)s.", most=MOST_EXCLUSIONS),
            where="since",
        )
    return [*contract.exclusions, proposed]


def with_confirmed(contract: Contract, place: int, actor: Actor, at: str) -> list[Exclusion]:
    """The contract's exclusions with one of those that wait confirmed. Raises NotAllowed, Conflict."""
    waiting = waiting_at(contract, place)
    if actor.id == waiting.by:
        raise NotAllowed(
            Worded("Who proposed that time does not count does not confirm it"),
            hint=Worded("Ask a second person who may examine contracts."),
        )
    confirmed = msgspec.structs.replace(waiting, confirmed_by=actor.id, confirmed_at=at)
    return [confirmed if number == place else one for number, one in enumerate(contract.exclusions)]


def without(contract: Contract, place: int) -> list[Exclusion]:
    """The contract's exclusions without one of those that wait. Raises Conflict."""
    waiting_at(contract, place)
    return [one for number, one in enumerate(contract.exclusions) if number != place]


def waiting_at(contract: Contract, place: int) -> Exclusion:
    """An exclusion that waits for a second person. Raises Conflict."""
    if not 0 <= place < len(contract.exclusions) or contract.exclusions[place].is_confirmed:
        raise Conflict(
            Worded("Nothing waits there for a second person"),
            hint=Worded("Look at the contract again."),
            where="exclusion",
        )
    return contract.exclusions[place]


def check_open(exclusion: Exclusion, settled: Iterable[tuple[str, str]]) -> None:
    """Raise Conflict when some of the time is in a period that was settled."""
    if any(exclusion.touches(begin, end) for begin, end in settled):
        raise Conflict(
            Worded("This time has been settled"),
            hint=Worded("A reviewer may take it into account when the provider disputes the settlement."),
            where="since",
        )


def check_none_waits(contract: Contract, since: str, until: str) -> None:
    """Raise Conflict when some of a period is proposed not to count, and nobody has said yes or no."""
    if any(not one.is_confirmed and one.touches(since, until) for one in contract.exclusions):
        raise Conflict(
            Worded("Some of this period is proposed not to count"),
            hint=Worded("Let a second person confirm it, or drop it, on the contract's page."),
            where="period",
        )
