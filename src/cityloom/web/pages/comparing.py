"""Cities beside each other by a framework: with what speaks against comparing them, in no order of size."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from cityloom.indicators.comparing import Brought, CityValue, ComparedCity, Row, comparison
from cityloom.indicators.evidence import LARGEST
from cityloom.indicators.exchange.files import read_values
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.kernel.errors import BadInput
from cityloom.web.addresses import address
from cityloom.web.forms import Form
from cityloom.web.languages import noted as n
from cityloom.web.pages.indicator_rows import ENTER, figure
from cityloom.web.pages.routing import Pages
from cityloom.web.pages.value_import import columns_of
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

#: Cities that are shown beside the own one when none was chosen, and at most.
_USUAL, _MOST = 4, 6
DOUBTS = {
    "years": n("The values are of years that lie two or more apart."),
    "noDefinition": n(
        "The framework's definition is not in hand, so nobody can tell whether all measured the same."
    ),
    "methods": n("This city works its value out of sensors and registers; the others report theirs."),
    "notVerified": n("This city's value has not been verified."),
    "totals": n("It is a total: a larger city has more of it."),
}


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/compare", show, pdf=True)
    pages.data("/indicators/{framework}/compare.csv", as_csv)
    pages.post("/indicators/{framework}/compare", handle)


async def show(visit: Visit) -> Response:
    """The city's values beside those of other cities."""
    return _page(visit, Form(visit.language))


async def as_csv(visit: Visit) -> Response:
    """All values of all cities as a long table, the city's own among them."""
    report = visit.rooms.indicators.report(visit.actor, visit.part("framework"))
    cities = visit.rooms.indicators.comparing.cities(visit.actor, report.framework.id)
    rows: list[dict[str, Any]] = [
        {"city": city.name, "indicator": one.code, "point": one.point, "value": one.value,
         "period": one.period, "source": one.source or city.source}
        for city in cities
        for one in city.values
    ]  # fmt: skip
    rows += [
        {"city": visit.city.name, "indicator": one.code, "point": one.point, "value": one.value,
         "period": f"{one.since:%Y-%m-%d}/{one.until:%Y-%m-%d}" if one.since and one.until else "",
         "source": one.source}
        for one in report.indicators
        if one.is_reported
    ]  # fmt: skip
    columns = ("city", "indicator", "point", "period", "value", "source")
    return csv_of(visit, f"{report.framework.id}-cities", columns, rows)


async def handle(visit: Visit) -> Response:
    """Bring a file of other cities' values, or keep nothing of a city any more."""
    form = await visit.form()
    visit.require(ENTER)
    here = address("indicators", visit.part("framework"), "compare")
    if form.value("act") == "forget":
        await visit.rooms.indicators.comparing.forget(visit.actor, visit.part("framework"), form.text("city"))
        return visit.redirect(here, visit.gettext("Nothing of that city is kept any more."))
    content = await form.file("file", largest=LARGEST)
    if content is None:
        form.wrong("file", visit.gettext("Choose a file."))
        return _page(visit, form, status=400)
    name = form.file_name("file")
    try:
        rows = await asyncio.to_thread(read_values, content, name, columns_of(form.text("columns")))
        brought = await visit.rooms.indicators.comparing.bring(
            visit.actor,
            visit.part("framework"),
            rows,
            source=form.text("source", longest=200) or name,
            note=form.text("note", longest=1000),
        )
    except BadInput as error:
        form.wrong(
            "file", form.words_of(error, f" ({error.where})" if error.where not in (None, "file") else "")
        )
        return _page(visit, form, status=400)
    return _page(visit, Form(visit.language), brought=brought)


def _page(visit: Visit, form: Form, *, brought: Brought | None = None, status: int = 200) -> Response:
    report = visit.rooms.indicators.report(visit.actor, visit.part("framework"))
    every = visit.rooms.indicators.comparing.cities(visit.actor, report.framework.id)
    chosen = _chosen(visit, every)
    rows = [_row(visit, one, chosen) for one in comparison(report, chosen)]
    data = {
        "framework": report.framework.id,
        "title": visit.wording.said(report.framework.manifest.title),
        "edition": report.framework.manifest.edition,
        "caution": visit.wording.said(report.framework.manifest.caution),
        "cities": [
            {"name": one.name, "source": one.source, "note": one.note, "broughtAt": one.brought_at,
             "values": len(one.values), "shown": one in chosen}
            for one in every
        ],
        "indicators": rows,
    }  # fmt: skip
    left: dict[str, list[str]] = {}
    for one in brought.left_out if brought else ():
        why = visit.language.say(one.why)
        left.setdefault(why, []).append(one.what + (f" ({one.place})" if one.place else ""))
    return visit.render(
        "compare.html",
        data,
        status=status,
        form=form,
        brought=brought,
        left=left,
        may_enter=visit.actor.may(ENTER),
        here=address("indicators", report.framework.id, "compare"),
    )


def _chosen(visit: Visit, every: list[ComparedCity]) -> list[ComparedCity]:
    wanted = visit.request.query_params.getlist("city")[:_MOST]
    return [one for one in every if one.name in wanted] if wanted else every[:_USUAL]


def _row(visit: Visit, row: Row, cities: list[ComparedCity]) -> dict[str, Any]:
    own = row.own
    return {
        "code": own.code,
        "point": own.point,
        "name": visit.wording.said(own.name),
        "href": address("indicators", own.framework, own.code) + (f"#{own.point}" if own.point else ""),
        "value": own.value,
        "text": figure(visit, own, own.value),
        "until": own.until,
        "others": [_other(visit, own, row.others.get(city.name)) for city in cities],
        "doubts": [one.value for one in row.doubts],
        "doubtTexts": [visit.gettext(DOUBTS[one.value]) for one in row.doubts],
    }


def _other(visit: Visit, own: IndicatorSummary, found: CityValue | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"value": found.value, "text": figure(visit, own, found.value), "period": found.period}
