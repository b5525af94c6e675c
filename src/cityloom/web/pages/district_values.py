"""Values of an indicator by district: what is known of each, entered, verified and taken back there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from cityloom.indicators.districts.comparing import by_district
from cityloom.indicators.evidence import MEDIA_TYPES
from cityloom.indicators.summaries import IndicatorSummary
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.district_panel import district_map, told
from cityloom.web.pages.indicator_rows import ENTER, QUALITIES, VERIFY, indicator_row
from cityloom.web.pages.indicators import VALUE_FIELDS, entry_of, points_of, uploads_of
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

_COLUMNS = (
    "city", "indicator", "point", "place", "period", "value", "unit", "numerator", "denominator", "district",
    "rows", "entities", "coverage", "method", "source", "verified", "percentOfTarget",
)  # fmt: skip
_HALF_A_DAY = timedelta(hours=12)


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/{code}/districts", show, pdf=True)
    pages.data("/indicators/{framework}/{code}/districts.csv", as_csv)
    pages.post("/indicators/{framework}/{code}/districts", handle)


async def show(visit: Visit) -> Response:
    """Each figure of an indicator in each district."""
    return _page(visit, Form(visit.language))


async def as_csv(visit: Visit) -> Response:
    """A row for each figure and district, in the form that the import takes."""
    rows = (
        {
            **row,
            "city": visit.city.name,
            "indicator": point.code,
            "point": point.point,
            "place": row["name"],
            "period": _period(visit, row["since"], row["until"]),
        }
        for point in points_of(visit)
        for row in _told(visit, point)["rows"]
    )
    return csv_of(visit, f"{visit.part('code').replace(':', '-')}-districts", _COLUMNS, rows)


def _period(visit: Visit, since: datetime | None, until: datetime | None) -> str:
    """First and last day."""
    if since is None or until is None:
        return ""
    # Midnights of whatever zone are of their own day half a day on, and those that end one half a day before.
    first, last = (
        (at.astimezone(visit.city.zone)).date() for at in (since + _HALF_A_DAY, until - _HALF_A_DAY)
    )
    return f"{min(first, last).isoformat()}/{last.isoformat()}"


def _told(visit: Visit, point: IndicatorSummary) -> dict[str, Any]:
    return told(visit, point, by_district(point, visit.rooms.indicators.districts.of(visit.actor, point.id)))


def _page(visit: Visit, form: Form, *, opened: str = "", status: int = 200) -> Response:
    points = points_of(visit)
    first, room = points[0], visit.rooms.indicators.districts
    districts = room.districts(visit.actor)
    data = {
        "framework": first.framework,
        "code": first.code,
        "name": visit.wording.said(first.name) if len(points) == 1 else first.code,
        "figures": [
            {**indicator_row(visit, one), "unit": one.unit, "districts": _told(visit, one)} for one in points
        ],
    }
    framework = visit.rooms.indicators.framework(first.framework)
    return visit.render(
        "indicator-districts.html",
        data,
        status=status,
        points=points,
        form=form,
        opened=opened,
        here=address("indicators", first.framework, first.code, "districts"),
        framework_title=visit.wording.said(framework.manifest.title),
        has_districts=bool(districts),
        district_choices=[(one.id, visit.wording.said(one.name)) for one in districts],
        maps={one.id: district_map(visit, one) for one in points},
        versions={found.id: found.version for one in points for found in room.of(visit.actor, one.id)},
        qualities=[(str(int(one)), visit.gettext(words)) for one, words in QUALITIES.items()],
        accepted=",".join(MEDIA_TYPES),
        may_enter=visit.actor.may(ENTER),
        may_verify=visit.actor.may(VERIFY),
    )


async def handle(visit: Visit) -> Response:
    """Enter a value of a district, verify one, take one back."""
    form = await visit.form()
    act = form.choice("act", ["enter", "verify", "withdraw"], required=visit.gettext("Choose what to do."))
    point = next((one for one in points_of(visit) if one.id == form.value("point")), None)
    if point is None:
        raise NotFound("There is no such figure", hint="Look at the indicator again.")
    try:
        form.raise_if_wrong()
        said = await _do(visit, act, point, form)
    except WrongForm:
        return _page(visit, form, opened=point.id, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "district", *VALUE_FIELDS)
        return _page(visit, form, opened=point.id, status=400)
    here = address("indicators", point.framework, point.code, "districts")
    fields = {"act": "withdraw", "point": point.id, "district": form.value("district")}
    return visit.redirect(here, said, undo=(here, fields) if act == "enter" else None)


async def _do(visit: Visit, act: str, point: IndicatorSummary, form: Form) -> str:
    room, version, district = visit.rooms.indicators, form.value("version"), form.value("district")
    if act == "verify":
        await room.districts.verify(visit.actor, point.id, district, version=version)
        return visit.gettext("The value is verified.")
    if act == "withdraw":
        await room.districts.withdraw(visit.actor, point.id, district, version=version)
        return visit.gettext("The value is taken back.")
    visit.require(ENTER)
    entry = entry_of(visit, point, form)
    files = await uploads_of(form)
    await room.enter_for_district(visit.actor, point.id, district, entry, files)
    return visit.gettext("The value is entered.")
