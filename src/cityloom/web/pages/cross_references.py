"""Which indicators of several frameworks are the same quantity: a table of references across."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from cityloom.indicators.framework import Framework, Same
from cityloom.web.addresses import address
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

HERE = "/indicators/cross-references"
#: The register of the series of Recommendations that several frameworks come from.
SERIES = "y4900_series"
_COLUMNS = (
    "framework",
    "code",
    "point",
    "name",
    "otherFramework",
    "otherCode",
    "otherPoint",
    "otherName",
    "factor",
    "basis",
    "provenance",
)


def add(pages: Pages) -> None:
    pages.data(f"{HERE}.csv", as_csv)
    pages.get(HERE, show, pdf=True)


async def show(visit: Visit) -> Response:
    """What is the same in two frameworks in use, why, and who says so."""
    data = {"references": list(_rows(visit))}
    known = SERIES in visit.rooms.assessments.library.registers
    return visit.render("cross-references.html", data, series=address("library", SERIES) if known else "")


async def as_csv(visit: Visit) -> Response:
    """The references as a table."""
    return csv_of(visit, "cross-references", _COLUMNS, _rows(visit))


def _rows(visit: Visit) -> Iterator[dict[str, Any]]:
    frameworks = {one.id: one for one in visit.rooms.indicators.frameworks()}
    for one in frameworks.values():
        for (code, point), others in one.same_as.items():
            for same in others:
                if same.framework in frameworks:
                    yield _row(visit, one, code, point, frameworks[same.framework], same)


def _row(visit: Visit, one: Framework, code: str, point: str, other: Framework, same: Same) -> dict[str, Any]:
    return {
        "framework": one.id,
        "title": visit.wording.said(one.manifest.title),
        "code": code,
        "point": point,
        "name": _name(visit, one, code),
        "href": address("indicators", one.id, code),
        "otherFramework": other.id,
        "otherTitle": visit.wording.said(other.manifest.title),
        "otherCode": same.code,
        "otherPoint": same.point,
        "otherName": _name(visit, other, same.code),
        "otherHref": address("indicators", other.id, same.code),
        "factor": same.factor,
        "basis": same.basis,
        "provenance": same.provenance,
    }


def _name(visit: Visit, framework: Framework, code: str) -> str:
    return next((visit.wording.said(one.name) for one in framework.indicators if one.code == code), "")
