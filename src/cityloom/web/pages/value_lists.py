"""Many values at once: a list in which a second person verifies them, a sheet on which they are entered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from cityloom.indicators.evidence import LARGEST, MEDIA_TYPES, Upload
from cityloom.indicators.model import Entry, Quality
from cityloom.indicators.summaries import FrameworkReport, IndicatorSummary
from cityloom.kernel.errors import BadInput, CityError
from cityloom.web.addresses import address
from cityloom.web.forms import Form
from cityloom.web.pages.indicator_rows import ENTER, QUALITIES, VERIFY, figure, indicator_row
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

#: Values on a page of the list, and rows of a sheet: a form has 200 fields at most.
_AT_ONCE, _ROWS = 100, 45
_SHEET_COLUMNS = (
    "city",
    "indicator",
    "point",
    "name",
    "period",
    "value",
    "numerator",
    "denominator",
    "unit",
    "source",
)


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/verify", to_verify)
    pages.post("/indicators/{framework}/verify", verify)
    pages.data("/indicators/{framework}/sheet.csv", empty_sheet)
    pages.get("/indicators/{framework}/sheet", sheet, json=False)
    pages.post("/indicators/{framework}/sheet", enter)


# To verify


async def to_verify(visit: Visit) -> Response:
    """The values that wait for a second person, each with its evidence."""
    visit.require(VERIFY)
    return _list_page(visit, Form(visit.language))


async def verify(visit: Visit) -> Response:
    """Verify the values that are ticked; those that this person entered are refused."""
    form = await visit.form()
    visit.require(VERIFY)
    chosen = form.values("point")[:_AT_ONCE]
    if not chosen:
        form.wrong("form", visit.gettext("Tick the values that you have looked at."))
    if not form.ticked("seen"):
        form.wrong("seen", visit.gettext("Say that you have looked at what each value rests on."))
    if form.errors:
        return _list_page(visit, form, chosen=chosen, status=400)
    known = {one.id for one in visit.rooms.indicators.report(visit.actor, visit.part("framework")).indicators}
    done, refused = 0, []
    for one in chosen:
        point, _, version = one.partition("|")
        try:
            if point not in known:
                raise BadInput("There is no such figure", hint="Load the list again.")
            await visit.rooms.indicators.verify(visit.actor, point, version=version)
            done += 1
        except CityError as error:
            refused.append((point.rpartition(":")[2] if point in known else point[:80], error))
    if not refused:
        told = visit.ngettext("%(num)s value is verified.", "%(num)s values are verified.", done)
        return visit.redirect(address("indicators", visit.part("framework"), "verify"), told)
    return _list_page(visit, form, done=done, refused=refused, status=409)


def _list_page(
    visit: Visit,
    form: Form,
    *,
    chosen: list[str] | None = None,
    done: int = 0,
    refused: list[tuple[str, CityError]] | None = None,
    status: int = 200,
) -> Response:
    report = visit.rooms.indicators.report(visit.actor, visit.part("framework"))
    waiting = [
        one for one in report.indicators if one.is_reported and not one.verified and one.answered_by is None
    ]
    data = {
        "framework": report.framework.id,
        "title": visit.wording.said(report.framework.manifest.title),
        "waiting": [_waiting(visit, one) for one in waiting[:_AT_ONCE]],
        "more": max(0, len(waiting) - _AT_ONCE),
        "verified": done,
        "refused": [
            {"what": what, "why": error.message, "hint": error.hint} for what, error in refused or []
        ],
    }
    return visit.render("verify-list.html", data, status=status, form=form, chosen=set(chosen or ()))


def _waiting(visit: Visit, one: IndicatorSummary) -> dict[str, Any]:
    return {
        **indicator_row(visit, one),
        "version": one.version,
        "since": one.since,
        "until": one.until,
        "source": one.source,
        "remark": one.remark,
        "method": one.method,
        "enteredBy": visit.person(one.entered_by) if one.entered_by else "",
        "isOwn": one.entered_by == visit.actor.id,
        "findings": [visit.wording.said(found.check.message) for found in one.findings],
        "evidence": [
            {
                "name": file.name,
                "href": address("indicators", one.framework, one.code, "evidence", file.digest),
            }
            for file in one.evidence
        ],
    }


# To enter


async def sheet(visit: Visit) -> Response:
    """A sheet for a group of indicators and a period: a line for each figure."""
    visit.require(ENTER)
    return _sheet_page(visit, Form(visit.language))


async def enter(visit: Visit) -> Response:
    """Enter the lines of a sheet that are filled; a line that is wrong keeps none of the others back."""
    form = await visit.form()
    visit.require(ENTER)
    missing = visit.gettext("Say for which period.")
    since = form.day("since", visit.city.zone, required=missing)
    last = form.day("until", visit.city.zone, required=missing)
    source = form.text("source", required=visit.gettext("Say where the values come from."), longest=2000)
    quality = form.value("quality")
    content = await form.file("evidence", largest=LARGEST)
    entered: list[str] = []
    lines = _lines(visit, visit.rooms.indicators.report(visit.actor, visit.part("framework")))
    filled = [one for index, one in enumerate(lines) if _is_filled(form, index)]
    if not filled:
        form.wrong("form", visit.gettext("Fill in at least one line."))
    if form.errors or since is None or last is None:
        return _sheet_page(visit, form, status=400)
    about = Entry(
        since=since,
        until=last + timedelta(days=1),
        quality=Quality(int(quality)) if quality in [str(int(one)) for one in Quality] else Quality.UNKNOWN,
        source=source,
    )
    files = []
    if content is not None:
        name, media_type = form.file_name("evidence"), form.file_type("evidence")
        files.append(Upload(name=name, media_type=media_type, data=content, public=form.ticked("public")))
    for index, one in enumerate(lines):
        if _is_filled(form, index) and await _enter_line(visit, form, index, one, about, files):
            entered.append(one.id)
    if form.errors:
        return _sheet_page(visit, form, entered=entered, status=400)
    told = visit.ngettext("%(num)s value is entered.", "%(num)s values are entered.", len(entered))
    return visit.redirect(address("indicators", visit.part("framework")), told)


def _is_filled(form: Form, index: int) -> bool:
    return any(form.value(f"{name}_{index}").strip() for name in ("value", "numerator", "denominator"))


async def _enter_line(
    visit: Visit, form: Form, index: int, one: IndicatorSummary, about: Entry, files: list[Upload]
) -> bool:
    """Whether the line was entered; else the form says what is wrong with it."""
    before = set(form.errors)
    value: float | bool | None
    if one.is_yes_or_no:
        value = {"yes": True, "no": False}.get(form.value(f"value_{index}"))
    else:
        value = form.number(f"value_{index}")
    numerator, denominator = form.number(f"numerator_{index}"), form.number(f"denominator_{index}")
    if set(form.errors) != before:
        return False
    entry = Entry(
        since=about.since,
        until=about.until,
        value=value,
        numerator=numerator,
        denominator=denominator,
        quality=about.quality,
        source=about.source,
    )
    try:
        await visit.rooms.indicators.enter(visit.actor, one.id, entry, files)
    except CityError as error:
        form.wrong(f"value_{index}", f"{one.code} {one.point}".strip() + f": {form.words_of(error, '')}")
        return False
    return True


def _groups(report: FrameworkReport) -> list[str]:
    """The groups that have figures of their own, in the framework's order."""
    return list(
        dict.fromkeys("/".join(one.groups[-1].path) if one.groups else "" for one in report.indicators)
    )


def _lines(visit: Visit, report: FrameworkReport) -> list[IndicatorSummary]:
    groups = _groups(report)
    wanted = visit.query("group")
    wanted = wanted if wanted in groups else next(iter(groups), "")
    found = [
        one
        for one in report.indicators
        if ("/".join(one.groups[-1].path) if one.groups else "") == wanted and one.answered_by is None
    ]
    offset = visit.whole("offset", 0)
    return found[offset : offset + _ROWS]


def _sheet_page(visit: Visit, form: Form, *, entered: list[str] | None = None, status: int = 200) -> Response:
    report = visit.rooms.indicators.report(visit.actor, visit.part("framework"))
    groups = _groups(report)
    wanted = visit.query("group")
    names = {path: report.framework.groups.get(tuple(path.split("/"))) for path in groups}
    yesterday: datetime = visit.rooms.clock.now() - timedelta(days=1)
    return visit.render(
        "value-sheet.html",
        status=status,
        form=form,
        framework_id=report.framework.id,
        framework_title=visit.wording.said(report.framework.manifest.title),
        lines=[
            (one, visit.wording.said(one.name), figure(visit, one, one.value))
            for one in _lines(visit, report)
        ],
        groups=[(path, visit.wording.said(one.name) if one else path) for path, one in names.items()],
        group=wanted if wanted in groups else next(iter(groups), ""),
        entered=set(entered or ()),
        accepted=",".join(MEDIA_TYPES),
        qualities=[(str(int(one)), visit.gettext(words)) for one, words in QUALITIES.items()],
        yesterday=yesterday.astimezone(visit.city.zone).date(),
    )


async def empty_sheet(visit: Visit) -> Response:
    """All figures of a framework as a table to fill in elsewhere, in the form that the import takes."""
    visit.require(ENTER)
    report = visit.rooms.indicators.report(visit.actor, visit.part("framework"))
    year = (visit.rooms.clock.now().astimezone(visit.city.zone)).year - 1
    rows = (
        {
            "city": visit.city.name,
            "indicator": one.code,
            "point": one.point,
            "name": visit.wording.said(one.name),
            "period": str(year),
            "unit": one.unit,
            "denominator": one.known_denominator,
        }
        for one in report.indicators
        if one.answered_by is None
    )
    return csv_of(visit, f"{report.framework.id}-{year}", _SHEET_COLUMNS, rows)
