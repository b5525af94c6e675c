"""Values of indicators from a file: looked at first, then entered; somebody else verifies them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from cityloom.indicators.evidence import LARGEST, Upload, type_of_values
from cityloom.indicators.exchange.files import read_values
from cityloom.indicators.importing import Plan
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.web.addresses import address
from cityloom.web.forms import Form
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

ENTER = "indicators:enter"
_COLUMNS = ("city", "indicator", "period", "value", "place", "point")


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/import", show, json=False)
    pages.post("/indicators/{framework}/import", handle)


async def show(visit: Visit) -> Response:
    """Where a file of values is chosen."""
    visit.require(ENTER)
    return _page(visit, Form(visit.language))


async def handle(visit: Visit) -> Response:
    """Look at what a file of values would enter, or enter it."""
    visit.require(ENTER)
    form = await visit.form()
    act = form.choice("act", ["look", "enter"], required=visit.gettext("Choose what to do."))
    content = await form.file("file", largest=LARGEST)
    if content is None:
        form.wrong("file", visit.gettext("Choose a file."))
    if form.errors or content is None:
        return _page(visit, form, status=400)
    try:
        plan = await _plan(visit, form, act, content)
    except BadInput as error:
        field = error.where if error.where in ("city", "columns") else "file"
        place = f" ({error.where})" if error.where not in (None, "city", "columns", "file") else ""
        form.wrong(field, form.words_of(error, place))
        return _page(visit, form, status=400)
    return _page(visit, form, plan=plan, entered=act == "enter")


async def _plan(visit: Visit, form: Form, act: str, content: bytes) -> Plan:
    name = form.file_name("file")
    rows = await asyncio.to_thread(read_values, content, name, columns_of(form.text("columns")))
    indicators, framework, city = visit.rooms.indicators, visit.part("framework"), form.text("city")
    if act == "look":
        return await indicators.plan_import(visit.actor, framework, rows, source=name, city=city)
    file = Upload(name=name, media_type=type_of_values(content), data=content, public=form.ticked("public"))
    return await indicators.import_values(visit.actor, framework, rows, file, city=city)


def columns_of(said: str) -> dict[str, str]:
    """What is written as "city=REF_AREA, indicator=KPI" as a mapping. Raises BadInput."""
    found = {}
    for one in filter(None, (part.strip() for part in said.split(","))):
        known, equals, column = one.partition("=")
        if not equals or known.strip() not in _COLUMNS or not column.strip():
            hint = Worded("Write city=REF_AREA; the names are %(names)s.", names=", ".join(_COLUMNS))
            raise BadInput(
                Worded("%(text)s names no column", text=repr(one[:60])), hint=hint, where="columns"
            )
        found[known.strip()] = column.strip()
    return found


def _page(
    visit: Visit, form: Form, *, plan: Plan | None = None, entered: bool = False, status: int = 200
) -> Response:
    framework = visit.rooms.indicators.framework(visit.part("framework"))
    left: dict[str, list[str]] = {}
    for one in plan.left_out if plan is not None else ():
        why = visit.wording.said(one.by_language) if one.by_language else visit.language.say(one.why)
        left.setdefault(why, []).append(one.what + (f" ({one.place})" if one.place else ""))
    data: dict[str, Any] = {
        "planned": [
            {
                "code": f"{one.point.code}.{one.point.key}" if one.point.key else one.point.code,
                "href": address("indicators", framework.id, one.point.code),
                "place": visit.wording.said(one.district.name) if one.district else "",
                "value": one.value,
                "unit": one.point.unit,
                "since": one.entry.since,
                "until": one.entry.until,
            }
            for one in (plan.planned if plan is not None else ())
        ],
        "leftOut": left,
    }
    return visit.render(
        "value-import.html",
        data,
        status=status,
        form=form,
        entered=entered,
        looked=plan is not None,
        framework_id=framework.id,
        framework_title=visit.wording.said(framework.manifest.title),
    )
