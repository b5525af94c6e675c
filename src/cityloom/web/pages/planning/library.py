"""The library: registers of cities, cases and reports, with filters, and what here implements them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from cityloom.kernel.errors import NotFound
from cityloom.planning.assessments.register import Register, Row, counted, searched, sharing
from cityloom.web.addresses import address
from cityloom.web.drawing.world import Spot, crowded, draw_world
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

HERE = "/library"
#: The facet by which rows of several registers belong together.
_COUNTRY = "country"


def add(pages: Pages) -> None:
    pages.get(HERE, browse)
    pages.data(f"{HERE}/{{register}}.csv", as_csv)
    pages.get(f"{HERE}/{{register}}", show)
    pages.get(f"{HERE}/{{register}}/{{row}}", show_row)


async def browse(visit: Visit) -> Response:
    """All registers."""
    rows = [
        {**_head(visit, one), "rows": len(one.rows)}
        for one in visit.rooms.assessments.library.registers.values()
    ]
    return visit.render("library.html", {"registers": rows})


def _register(visit: Visit) -> Register:
    found = visit.rooms.assessments.library.registers.get(visit.part("register"))
    if found is None:
        raise NotFound("There is no such register", hint="Choose one of the library.")
    return found


def _head(visit: Visit, one: Register) -> dict[str, Any]:
    return {
        "id": one.id,
        "href": address("library", one.id),
        "title": visit.wording.said(one.title),
        "about": visit.wording.said(one.about),
        "source": one.source,
        "edition": one.edition,
        "provenance": visit.wording.said(one.provenance),
    }


async def show(visit: Visit) -> Response:
    """The rows of a register that fit what is asked for."""
    register = _register(visit)
    text, chosen = _asked(visit, register)
    rows = searched(register, text, chosen)
    data = {
        **_head(visit, register),
        "text": text,
        "chosen": chosen,
        "total": len(register.rows),
        "rows": [_row(visit, register, one) for one in rows],
        "facets": [
            {
                "id": facet.id,
                "title": visit.wording.said(facet.title),
                "values": [
                    {"id": value, "title": visit.wording.said(facet.values[value]), "count": count}
                    for value, count in counted(register, rows, facet).items()
                ],
            }
            for facet in register.facets
        ],
    }
    query = urlencode({name: one for name, one in {"q": text, **chosen}.items() if one})
    return visit.render("library-register.html", data, query=query, maps=_maps(visit, rows))


def _maps(visit: Visit, rows: Sequence[Row]) -> list[Any]:
    """Where the rows are, and the part closer in which most of them stand; none where no row has a place."""
    spots = [Spot(visit.wording.said(one.name), *one.point) for one in rows if one.point]
    if not spots:
        return []
    told = visit.ngettext(
        "Map with %(num)s place. The table has the same as text.",
        "Map with %(num)s places. The table has the same as text.",
        len(spots),
    )
    closer = crowded(spots)
    words = visit.gettext("The most crowded part of the map, closer.")
    return [draw_world(spots, told).svg, *([draw_world(closer, words).svg] if closer else [])]


def _asked(visit: Visit, register: Register) -> tuple[str, dict[str, str]]:
    return visit.query("q").strip()[:200], {one.id: visit.query(one.id) for one in register.facets}


def _row(visit: Visit, register: Register, one: Row) -> dict[str, Any]:
    titles = {facet.id: facet for facet in register.facets}
    return {
        "id": one.id,
        "href": address("library", register.id, one.id),
        "name": visit.wording.said(one.name),
        "text": visit.wording.said(one.text),
        "facets": {
            name: [visit.wording.said(titles[name].values[value]) for value in values]
            for name, values in one.facets.items()
        },
        "point": one.point,
        "year": one.year,
        "implementedBy": one.implemented_by,
        "see": one.see,
        "provenance": one.provenance,
    }


async def show_row(visit: Visit) -> Response:
    """One row with all that is known of it, and what here implements it."""
    register = _register(visit)
    row = register.row(visit.part("row"))
    if row is None:
        raise NotFound("The register has no such row", hint="Look at its list.")
    library = visit.rooms.assessments.library
    see = [
        (address("plan", "assessments", one), visit.wording.said(library.questionnaires[one].title))
        for one in row.see
        if one in library.questionnaires
    ]
    data = {
        **_row(visit, register, row),
        "register": _head(visit, register),
        "sameCountry": [
            {**_head(visit, library.registers[name]), "rows": [_named(visit, name, one) for one in rows]}
            for name, rows in sharing(library.registers, register, row, _COUNTRY).items()
        ],
    }
    spots = [Spot(data["name"], *row.point)] if row.point else []
    return visit.render(
        "library-row.html",
        data,
        related=see,
        titles={facet.id: visit.wording.said(facet.title) for facet in register.facets},
        values=row.facets,
        drawing=draw_world(spots, visit.gettext("Where it is: %(name)s", name=data["name"])).svg
        if spots
        else None,
    )


def _named(visit: Visit, register: str, one: Row) -> dict[str, str]:
    return {"href": address("library", register, one.id), "name": visit.wording.said(one.name)}


async def as_csv(visit: Visit) -> Response:
    """The rows that fit what is asked for, as a table."""
    register = _register(visit)
    text, chosen = _asked(visit, register)
    names = [facet.id for facet in register.facets]
    rows = []
    for one in searched(register, text, chosen):
        shown = _row(visit, register, one)
        longitude, latitude = one.point or (None, None)
        place = {"longitude": longitude, "latitude": latitude}
        rows.append({**shown, **{name: one.facets.get(name, []) for name in names}, **place})
    columns = ["id", "name", "text", *names, "longitude", "latitude", "year", "implementedBy", "provenance"]
    return csv_of(visit, register.id, columns, rows)
