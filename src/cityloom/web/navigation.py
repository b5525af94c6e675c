"""Where one can go: the main menu for everybody, and the second one for those who run the city."""

from __future__ import annotations

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.web.languages import noted as n


class Entry(msgspec.Struct, frozen=True):
    """One entry of a menu. `needs`: one of these permissions; none: everybody."""

    path: str
    title: str
    icon: str
    needs: tuple[str, ...] = ()


MAIN = (
    Entry("/", n("Home"), "home"),
    Entry("/map", n("Map"), "map"),
    Entry("/entities", n("Data"), "table"),
    Entry("/alerts", n("Alerts"), "alert"),
    Entry("/indicators", n("Indicators"), "gauge"),
    Entry("/plan", n("Plan"), "flag"),
    Entry("/initiatives", n("Initiatives"), "flag"),
    Entry("/notices", n("Notices"), "bell"),
    Entry("/report", n("Report something"), "speech"),
    Entry("/open-data", n("Open data"), "open"),
)

STAFF = (
    Entry("/reports", n("Reports received"), "speech", ("reports:answer",)),
    Entry("/warnings", n("Warnings sent"), "bell", ("alerts:handle",)),
    Entry(
        "/plan/contracts",
        n("Contracts"),
        "flag",
        ("contracts:manage", "contracts:examine", "contracts:provide"),
    ),
    Entry("/plan/assessments", n("Assessments"), "gauge", ("plan:edit",)),
    Entry("/devices", n("Devices"), "device", ("devices:admit",)),
    Entry("/parked", n("Parked readings"), "parked", ("parked:read",)),
    Entry("/services", n("Services"), "service", ("services:manage", "alerts:handle", "indicators:enter")),
    Entry(
        "/other-systems",
        n("Other systems"),
        "link",
        ("subscriptions:edit", "sources:register", "connectors:manage", "services:manage", "audit:read"),
    ),
    Entry(
        "/system",
        n("System"),
        "system",
        ("system:read", "connectors:manage", "services:manage", "audit:read"),
    ),
    Entry("/accounts", n("Accounts"), "people", ("accounts:manage",)),
    Entry("/persons", n("One person's data"), "people", ("people:erase",)),
)


def allowed(entry: Entry, actor: Actor) -> bool:
    """Whether the actor may see what the entry leads to: one of its permissions is enough."""
    return not entry.needs or any(actor.may(permission) for permission in entry.needs)


def staff_entries(actor: Actor) -> list[Entry]:
    """The second menu, as far as the actor may go."""
    return [entry for entry in STAFF if allowed(entry, actor)]


def is_here(entry: Entry, path: str) -> bool:
    """Whether a path lies within an entry's part of the site."""
    return path == entry.path or (entry.path != "/" and path.startswith((entry.path + "/", entry.path + ".")))
