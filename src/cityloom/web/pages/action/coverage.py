"""What the city works on: by areas of adoption, with cities that did the same, and by domains of services.

An area or domain in which there is nothing is a gap, and stands there as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from cityloom.planning.action.areas import AREAS, DOMAINS
from cityloom.planning.assessments.register import Register
from cityloom.planning.model import Initiative
from cityloom.services.host import FiledService
from cityloom.web.addresses import address
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import SEE_SERVICES, Visit

HERE = "/plan/action/coverage"
#: The register of cities, with the facet of it that has the areas.
CITIES, AREA = "smart_cities_52", "area"
_COLUMNS = ("part", "id", "title", "initiatives", "cities", "services", "processes", "isGap")


def add(pages: Pages) -> None:
    pages.data(f"{HERE}.csv", as_csv)
    pages.get(HERE, show, pdf=True)


async def show(visit: Visit) -> Response:
    """Areas and domains, each with what the city has in it."""
    found = visit.rooms.initiatives.list(visit.actor)
    data = {
        "areas": _areas(visit, found),
        "domains": _domains(visit, found),
        "withoutArea": [_named(visit, one) for one in found if not one.plan.action.areas],
        "withoutDomain": [_named(visit, one) for one in found if not one.plan.action.domain],
        "unfiled": [
            visit.wording.said(one.title)
            for one in visit.rooms.services.filed(visit.actor)
            if one.domain not in DOMAINS
        ],
    }
    return visit.render("plan-coverage.html", data, may_edit=visit.actor.may("initiatives:edit"))


async def as_csv(visit: Visit) -> Response:
    """A row for each area and each domain."""
    found = visit.rooms.initiatives.list(visit.actor)
    rows = [
        {**row, "part": part} | {name: [one["name"] for one in row.get(name, ())] for name in _COLUMNS[3:7]}
        for part, rows in (("area", _areas(visit, found)), ("domain", _domains(visit, found)))
        for row in rows
    ]
    return csv_of(visit, "areas-and-domains", _COLUMNS, rows)


def _areas(visit: Visit, found: Iterable[Initiative]) -> list[dict[str, Any]]:
    """Each area with the city's own initiatives in it, and the cities of the register that worked on it."""
    register = visit.rooms.assessments.library.registers.get(CITIES)
    rows = []
    for area, title in AREAS.items():
        own = [_named(visit, one) for one in found if area in one.plan.action.areas]
        rows.append(
            {
                "id": area,
                "title": visit.language.say(title),
                "initiatives": own,
                "cities": _cities(visit, register, area),
                "href": f"{address('library', CITIES)}?{AREA}={area}" if register else "",
                "isGap": not own,
            }
        )
    return rows


def _cities(visit: Visit, register: Register | None, area: str) -> list[dict[str, str]]:
    return [
        {"name": visit.wording.said(row.name), "href": address("library", CITIES, row.id)}
        for row in (register.rows if register else ())
        if area in row.facets.get(AREA, ())
    ]


def _domains(visit: Visit, found: Iterable[Initiative]) -> list[dict[str, Any]]:
    """Each domain with the services that run here, those of the catalogue of services, and initiatives."""
    services = visit.rooms.services.filed(visit.actor)
    processes = visit.rooms.records.list(visit.actor, "ServiceProcess")
    rows = []
    for domain, title in DOMAINS.items():
        running = [_service(visit, one) for one in services if one.domain == domain]
        said = [
            {"name": visit.wording.said(one.name), "href": record_href(one)}
            for one in processes
            if one.get("domain") == domain
        ]
        own = [_named(visit, one) for one in found if one.plan.action.domain == domain]
        rows.append(
            {
                "id": domain,
                "title": visit.language.say(title),
                "services": running,
                "processes": said,
                "initiatives": own,
                "isGap": not (running or said or own),
            }
        )
    return rows


def _service(visit: Visit, one: FiledService) -> dict[str, str]:
    """A service by its title, linked for those who may see how it is doing."""
    may_see = any(visit.actor.may(permission) for permission in SEE_SERVICES)
    href = f"/services#service-{one.id}" if may_see else ""
    return {"name": visit.wording.said(one.title), "href": href}


def _named(visit: Visit, one: Initiative) -> dict[str, str]:
    return {"name": visit.wording.said(one.plan.name), "href": address("initiatives", one.id)}
