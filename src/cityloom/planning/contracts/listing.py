"""Contracts in the order of their list, and by what they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cityloom.context.publishing import public_id
from cityloom.planning.contracts.model import Contract


def in_order(every: Iterable[Contract | None]) -> Sequence[Contract]:
    """Drafts last, each part by name."""
    found = (one for one in every if one is not None)
    return sorted(found, key=lambda one: (one.is_draft, _name(one)))


def by_subject(contracts: Iterable[Contract]) -> Mapping[str, Sequence[Contract]]:
    """The contracts that pay by an Entity's values, or serve it, by its public id."""
    found: dict[str, list[Contract]] = {}
    for one in contracts:
        terms = one.standing
        for name in {public_id(terms.initiative), *(line.about for line in terms.lines)}:
            found.setdefault(name, []).append(one)
    return found


def _name(contract: Contract) -> str:
    names = contract.standing.name
    return str(names.get("en") or next(iter(names.values()), "")).casefold()
