"""The city's information and communication technology by ITU's categories. Pure.

Groups and categories are those of the FG-SSC report on a master plan, table 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from cityloom.kernel.worded import Worded

GROUPS: Mapping[str, str] = {
    "network": Worded("Network facilities"),
    "facilities": Worded("ICT facilities"),
    "sensing": Worded("Terminals, sensing and devices"),
}
#: By category: its group, and what it is called.
_TABLE = {
    "dataLayer": ("network", Worded("Data layer")),
    "dataCentre": ("network", Worded("Data and content centre")),
    "communicationLayer": ("network", Worded("Communication layer")),
    "transportNetworks": ("network", Worded("Transport networks")),
    "accessNetworks": ("network", Worded("Access networks")),
    "networkManagement": ("facilities", Worded("Network management software")),
    "integratedServices": ("facilities", Worded("Capacity for integrated services")),
    "dataManagement": ("facilities", Worded("Data management")),
    "cloud": ("facilities", Worded("Cloud computing and data platform")),
    "geographic": ("facilities", Worded("Geographic information")),
    "augmentedReality": ("facilities", Worded("Augmented reality")),
    "terminals": ("sensing", Worded("Terminals and gateways")),
    "sensors": ("sensing", Worded("Sensors")),
    "internetOfThings": ("sensing", Worded("Internet of Things")),
}
CATEGORIES: Mapping[str, str] = {key: title for key, (_, title) in _TABLE.items()}
_YEAR = 365.2425


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing that is there."""

    category: str
    #: None is not counted.
    count: float | None = None
    owner: str = ""
    since: date | None = None
    #: Years.
    lifetime: float | None = None
    condition: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What there is in a category."""

    category: str
    title: str
    group: str
    items: int
    #: How many things, of the items that were counted.
    count: float
    uncounted: int
    owners: tuple[str, ...]
    #: Mean age in years of the items of which it is known; None where it is of none.
    age: float | None
    #: Items older than they are meant to last, or in a poor condition.
    overdue: int


def states(items: Iterable[Item], today: date) -> list[State]:
    """Every category in the order of the table, empty ones too."""
    by_category: dict[str, list[Item]] = {key: [] for key in _TABLE}
    for one in items:
        if one.category in by_category:
            by_category[one.category].append(one)
    return [_state(key, found, today) for key, found in by_category.items()]


def age_of(item: Item, today: date) -> float | None:
    """Years since it is in use; None where that is not known."""
    return None if item.since is None else (today - item.since).days / _YEAR


def _state(category: str, items: list[Item], today: date) -> State:
    group, title = _TABLE[category]
    ages = [age for one in items if (age := age_of(one, today)) is not None]
    return State(
        category=category,
        title=title,
        group=group,
        items=len(items),
        count=sum(one.count for one in items if one.count is not None),
        uncounted=sum(one.count is None for one in items),
        owners=tuple(sorted({one.owner for one in items if one.owner}, key=str.casefold)),
        age=sum(ages) / len(ages) if ages else None,
        overdue=sum(_is_overdue(one, today) for one in items),
    )


def _is_overdue(item: Item, today: date) -> bool:
    age = age_of(item, today)
    return item.condition == "poor" or (age is not None and item.lifetime is not None and age > item.lifetime)
