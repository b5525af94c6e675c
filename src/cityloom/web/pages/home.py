"""The first page, by role: what happens now (operators), what was promised (planners), what concerns me
(everybody)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from cityloom.kernel.actor import Actor
from cityloom.operations.alerts import UNCLEARED, AlertQuery
from cityloom.web.languages import noted as n
from cityloom.web.looks import LEVEL_WORDS, LEVELS, WORST_FIRST, Item, looks, state_words
from cityloom.web.pages.alerts import alert_row
from cityloom.web.pages.indicators import framework_row
from cityloom.web.pages.initiatives import initiative_row
from cityloom.web.pages.map_page import ASKED_FOR, background, counts_by_level, drawing, located, map_types
from cityloom.web.pages.notices import notice_row
from cityloom.web.pages.planning.consultations import open_consultations
from cityloom.web.pages.routing import Pages
from cityloom.web.pages.warnings import count_unconfirmed, delivery_row
from cityloom.web.visit import Visit

VIEWS = {"citizen": n("For everybody"), "operator": n("For operators"), "planner": n("For planners")}
#: Lines of a list on the first page.
FEW = 6
#: What people of a city look at, in this order.
_CITIZEN_TYPES = ("WeatherObserved", "TrafficFlowObserved", "OffStreetParking", "AirQualityObserved")


def add(pages: Pages) -> None:
    pages.get("/", show)
    pages.data("/home.json", show)


async def show(visit: Visit) -> Response:
    """The view of the reader's role; any other can be chosen."""
    wanted = visit.query("view")
    view = wanted if wanted in VIEWS else view_of(visit.actor)
    data, shown = await _FILL[view](visit)
    return visit.render(f"home-{view}.html", {"view": view, **data}, views=VIEWS, **shown)


def view_of(actor: Actor) -> str:
    """The view somebody's roles suggest."""
    if actor.may("alerts:handle") or actor.may("devices:admit"):
        return "operator"
    if actor.may("initiatives:edit") or actor.may("indicators:verify"):
        return "planner"
    return "citizen"


Filled = tuple[dict[str, Any], dict[str, Any]]


async def _citizen(visit: Visit) -> Filled:
    notices = visit.rooms.notices.current(visit.actor)
    kinds = [await _kind(visit, name) for name in map_types(visit) if name in _CITIZEN_TYPES]
    kinds.sort(key=lambda kind: _CITIZEN_TYPES.index(kind["type"]))
    items = [item async for item in located(visit, [kind["type"] for kind in kinds])]
    inbox = [delivery_row(visit, one) for one in visit.rooms.deliveries.ledger.inbox(visit.actor)]
    data = {
        "warnings": [one for one in inbox if one["awaited"]],
        "notices": [notice_row(visit, one) for one in notices[:FEW]],
        "kinds": kinds,
        "consultations": open_consultations(visit, FEW),
    }
    return data, {"drawing": drawing(visit, items, small=True)}


async def _kind(visit: Visit, name: str) -> dict[str, Any]:
    """How the things of a type are as a whole: one told by its value, several by how many are how."""
    items = [item async for item in located(visit, (name,), placeless=True)]
    counts = counts_by_level(items)
    return {
        "type": name,
        "title": visit.wording.type_name(name, plural=len(items) != 1),
        "icon": looks()[name].icon,
        "count": len(items),
        "levels": [
            {"level": level, "count": count, "state": state_words(name, level, visit.wording)}
            for level, count in counts.items()
            if count
        ],
        "worst": next((level for level in LEVELS if counts[level]), "none"),
        "middle": _middle(items),
    }


def _middle(items: list[Item]) -> Item | None:
    """The one with the median of the values told first."""
    told = sorted((one for one in items if one.number is not None), key=lambda one: one.number or 0.0)
    return told[len(told) // 2] if told else next(iter(items), None)


async def _operator(visit: Visit) -> Filled:
    alerts = visit.rooms.alerts.list(visit.actor, AlertQuery(statuses=UNCLEARED, limit=FEW))
    types = [name for name in map_types(visit) if name not in ASKED_FOR]
    items = [item async for item in located(visit, types)]
    attention = sorted((one for one in items if one.level in ("bad", "poor")), key=_worst_first)
    data = {
        "alerts": [alert_row(visit, one) for one in alerts.alerts],
        "alertCount": alerts.total,
        "attention": attention[:FEW],
        "attentionCount": len(attention),
        **await _waiting(visit),
    }
    return data, {
        "drawing": drawing(visit, items),
        "ground": background(visit, items),
        "levels": [(name, LEVEL_WORDS[name]) for name in LEVELS],
        "hidden": " ".join(ASKED_FOR),
    }


def _worst_first(item: Item) -> tuple[int, str]:
    return WORST_FIRST[item.level], item.name


async def _waiting(visit: Visit) -> dict[str, int | None]:
    """What waits for somebody, as far as it is the reader's to do; None for what is not."""
    actor, rooms = visit.actor, visit.rooms
    reports = rooms.reports.counts(actor) if actor.may("reports:answer") else None
    return {
        "warningsUnconfirmed": count_unconfirmed(visit) if actor.may("alerts:handle") else None,
        "reportsWaiting": reports["received"] + reports["reopened"] if reports is not None else None,
        "devicesWaiting": len(rooms.devices.waiting(actor)) if actor.may("devices:admit") else None,
        "parked": await rooms.parked.count(actor) if actor.may("parked:read") else None,
        "servicesFailing": sum(one.state in ("failing", "parked") for one in rooms.services.status())
        if actor.may("services:manage") or actor.may("alerts:handle")
        else None,
    }


async def _planner(visit: Visit) -> Filled:
    initiatives = visit.rooms.initiatives.list(visit.actor)
    reports = visit.rooms.indicators.reports(visit.actor)
    data = {
        "frameworks": [framework_row(visit, one) for one in reports],
        "initiatives": [initiative_row(visit, one) for one in initiatives[:FEW]],
    }
    return data, {}


_FILL: dict[str, Callable[[Visit], Awaitable[Filled]]] = {
    "citizen": _citizen,
    "operator": _operator,
    "planner": _planner,
}
