"""Indicators: frameworks with their scores, and each value with what it rests on or what it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from cityloom.indicators.evidence import LARGEST, MEDIA_TYPES, Upload
from cityloom.indicators.framework import Framework, point_id
from cityloom.indicators.model import VALUE, Entry, Quality
from cityloom.indicators.summaries import FrameworkReport, GroupScore, IndicatorSummary
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.media_types import BYTES
from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import to_millis
from cityloom.planning.model import Initiative
from cityloom.web.addresses import address
from cityloom.web.drawing.chart import Chart, draw_chart
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.action.shown import chain_of
from cityloom.web.pages.district_panel import district_map, panel_of
from cityloom.web.pages.effects import draw_effect, effect_row, of_initiative
from cityloom.web.pages.indicator_rows import (
    ENTER,
    LEVEL_OF_POINTS,
    QUALITIES,
    VERIFY,
    figure,
    indicator_row,
    quality_words,
)
from cityloom.web.pages.planning.contracts import contracts_about
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Values that a framework's card shows.
_SHOWN = 6
#: Initiatives whose effect an indicator's page tells; each takes a tenth of a second.
_MOST_EFFECTS = 3
#: What a form of a value has.
VALUE_FIELDS = (
    "value",
    "numerator",
    "denominator",
    "since",
    "until",
    "source",
    "note",
    "quality",
    "evidence",
    "survey",
)


def add(pages: Pages) -> None:
    pages.get("/indicators", browse)
    pages.data("/indicators/{framework}/{code}/evidence/{digest}", evidence)
    pages.get("/indicators/{framework}/{code}", show, pdf=True)
    pages.post("/indicators/{framework}/{code}", handle)
    pages.get("/indicators/{framework}", show_framework, pdf=True)


async def browse(visit: Visit) -> Response:
    """The frameworks in use, each with its score and how much of it is reported."""
    reports = visit.rooms.indicators.reports(visit.actor)
    return visit.render("indicators.html", {"frameworks": [framework_row(visit, one) for one in reports]})


def framework_row(visit: Visit, report: FrameworkReport) -> dict[str, Any]:
    """A framework as it is listed."""
    manifest, tally = report.framework.manifest, report.tallies[""]
    return {
        "id": manifest.id,
        "href": address("indicators", manifest.id),
        "title": visit.wording.said(manifest.title),
        "description": visit.wording.said(manifest.description),
        "edition": manifest.edition,
        "source": manifest.source,
        "scored": manifest.scoring == "points",
        "percent": report.score.percent,
        "scoredPoints": report.score.scored,
        "level": LEVEL_OF_POINTS.get(report.score.band or 0, "none"),
        "total": tally.total,
        "reported": tally.reported,
        "verified": tally.verified,
        "groups": [_group(visit, one) for one in report.groups],
        "values": [indicator_row(visit, one) for one in report.indicators if one.is_reported][:_SHOWN],
        "profile": visit.wording.said(manifest.profile.title),
        "profileStatus": visit.wording.said(manifest.profile.status),
        "caution": visit.wording.said(manifest.caution),
        "notInHand": visit.wording.said(manifest.not_in_hand),
    }


def _group(visit: Visit, score: GroupScore) -> dict[str, Any]:
    return {
        "path": "/".join(score.group.path),
        "name": visit.wording.said(score.group.name),
        "percent": score.score.percent,
        "scoredPoints": score.score.scored,
        "level": LEVEL_OF_POINTS.get(score.score.band or 0, "none"),
        "reported": score.reported,
        "total": score.total,
        "groups": [_group(visit, one) for one in score.groups],
    }


async def show_framework(visit: Visit) -> Response:
    """All data points of a framework under their groups."""
    report = visit.rooms.indicators.report(visit.actor, visit.part("framework"))
    state, level = visit.query("state"), visit.query("level")
    words = visit.query("q").casefold()
    rows = [indicator_row(visit, one) for one in report.indicators]
    shown = [
        row
        for row in rows
        if (not state or row["state"] == state)
        and (not level or row["coreLevel"] == level)
        and (not words or words in f"{row['name']} {row['code']}".casefold())
    ]
    data = {"framework": framework_row(visit, report), "indicators": shown}
    by_group: dict[str, list[dict[str, Any]]] = {}
    for row in shown:
        by_group.setdefault(row["groups"], []).append(row)
    return visit.render(
        "framework.html",
        data,
        by_group=by_group,
        may_enter=visit.actor.may(ENTER),
        may_verify=visit.actor.may(VERIFY),
        tallies=report.tallies,
        state=state,
        level=level,
        q=visit.query("q"),
        levels=[name for name in report.tallies if name],
    )


async def show(visit: Visit) -> Response:
    """One indicator with each of its figures."""
    return await _page(visit, Form(visit.language))


def points_of(visit: Visit) -> list[IndicatorSummary]:
    """The figures of the indicator that is asked for. Raises NotFound."""
    indicators = visit.rooms.indicators
    ids = indicators.find(visit.part("framework"), visit.part("code"))
    return [indicators.summary(visit.actor, one) for one in ids]


async def _page(visit: Visit, form: Form, *, opened: str = "", status: int = 200) -> Response:
    points = points_of(visit)
    first = points[0]
    framework = next(one for one in visit.rooms.indicators.frameworks() if one.id == first.framework)
    aiming = {one.id: visit.rooms.initiatives.aiming_at(visit.actor, one.id) for one in points}
    districts = {one.id: panel_of(visit, one) for one in points}
    data = {
        "framework": first.framework,
        "code": first.code,
        "name": visit.wording.said(first.name) if len(points) == 1 else first.code,
        "definition": visit.wording.said(first.definition),
        "level": first.level,
        "figures": [_told(visit, one) for one in points],
        "contracts": {one.id: contracts_about(visit, one.id) for one in points},
        "belongsTo": {
            one.id: chain_of(visit, visit.rooms.initiatives.aiming_at(visit.actor, one.id)) for one in points
        },
        "districts": districts,
        "earlier": [row for one in points for row in _earlier(visit, framework, one)],
    }
    return visit.render(
        "indicator.html",
        data,
        status=status,
        points=points,
        form=form,
        opened=opened,
        framework_title=visit.wording.said(framework.manifest.title),
        groups=[visit.wording.said(one.name) for one in first.groups],
        charts={one.id: await _course(visit, one) for one in points},
        initiatives=aiming,
        maps={one.id: district_map(visit, one) if districts[one.id] else None for one in points},
        has_districts=bool(visit.rooms.indicators.districts.districts(visit.actor)),
        effects={one.id: await _effects(visit, one.id, aiming[one.id]) for one in points},
        qualities=[(str(int(one)), visit.gettext(words)) for one, words in QUALITIES.items()],
        may_enter=visit.actor.may(ENTER),
        may_verify=visit.actor.may(VERIFY),
        surveys=survey_choices(visit),
        sees_files=visit.actor.may(ENTER) or visit.actor.may(VERIFY),
        yesterday=(visit.rooms.clock.now() - timedelta(days=1)).astimezone(visit.city.zone).date(),
        accepted=",".join(MEDIA_TYPES),
    )


async def _effects(
    visit: Visit, indicator: str, aiming: Sequence[Initiative]
) -> list[tuple[Initiative, dict[str, Any], Any]]:
    """What each initiative that has begun did to the indicator, with its chart."""
    found = []
    for one in aiming[:_MOST_EFFECTS]:
        if one.plan.starts_at is not None and one.plan.starts_at <= visit.rooms.clock.now():
            told = await of_initiative(visit, indicator, one)
            chart = draw_effect(visit, told, visit.wording.said(one.plan.name)) if told.effect else None
            found.append((one, effect_row(visit, told), chart))
    return found


def _told(visit: Visit, one: IndicatorSummary) -> dict[str, Any]:
    """A data point with everything behind it, in words and as data."""
    return {
        **indicator_row(visit, one),
        "quality": quality_words(visit, one.quality, one.origin),
        "unit": one.unit,
        "numeratorText": one.numerator_text,
        "denominatorText": one.denominator_text,
        "numerator": one.numerator,
        "partsUnit": one.parts_unit,
        "denominator": one.denominator,
        "since": one.since,
        "until": one.until,
        "rows": one.rows,
        "entities": one.entities,
        "coverage": one.coverage,
        "wantedCoverage": one.wanted_coverage,
        "provisional": one.provisional,
        "provisionalText": figure(visit, one, one.provisional),
        "method": one.method,
        "because": one.because,
        "source": one.source,
        "remark": one.remark,
        "survey": one.survey or None,
        "respondents": one.respondents,
        "percentOfTarget": one.percent_of_target,
        "target": one.benchmark.target if one.benchmark else None,
        "profile": one.profile,
        "definitionVersion": one.definition_version,
        "targetText": figure(visit, one, one.benchmark.target) if one.benchmark else "",
        "targetBasis": one.benchmark.basis if one.benchmark else "",
        "note": visit.wording.said(one.note),
        "findings": [visit.wording.said(found.check.message) for found in one.findings],
        "trouble": one.trouble,
        "answeredBy": _answered_by(one),
    }


def _earlier(visit: Visit, framework: Framework, one: IndicatorSummary) -> list[dict[str, Any]]:
    """How a data point was defined before."""
    return [
        {
            "point": one.point,
            "until": then.until,
            "version": then.version,
            "definition": visit.wording.said(then.definition),
            "numerator": then.numerator,
            "denominator": then.denominator,
            "unit": then.unit,
            "basis": then.basis,
            "provenance": then.provenance,
        }
        for then in framework.earlier.get((one.code, one.point), ())
    ]


def _answered_by(one: IndicatorSummary) -> dict[str, Any] | None:
    """Where the value stands, when it is the same quantity as one of another framework."""
    same = one.answered_by
    if same is None:
        return None
    return {
        "id": point_id(same.framework, same.code, same.point),
        "href": address("indicators", same.framework, same.code) + (f"#{same.point}" if same.point else ""),
        "framework": same.framework,
        "code": f"{same.code}.{same.point}" if same.point else same.code,
        "factor": same.factor,
        "basis": same.basis,
        "provenance": same.provenance,
    }


async def _course(visit: Visit, one: IndicatorSummary) -> Any:
    """The values so far, where there are several."""
    if one.answered_by is not None:  # its past is told where the value stands
        return None
    readings = await asyncio.to_thread(_readings, visit, one.id)
    if len(readings) < 2:
        return None
    since, until = readings[0][0], max(readings[-1][0], visit.rooms.clock.now())
    target = one.benchmark.target if one.benchmark else None
    chart = Chart(
        title=visit.wording.said(one.name),
        unit=visit.wording.unit(one.unit_code) if one.unit_code else one.unit,
        since=since - timedelta(seconds=1),
        until=until,
        times=[to_millis(at) for at, _ in readings],
        values=[value for _, value in readings],
        target=target,
        target_words=visit.gettext("target"),
    )
    return draw_chart(chart, visit.wording)


def _readings(visit: Visit, point_id: str) -> list[tuple[datetime, float]]:
    try:
        found = visit.rooms.history.raw(visit.actor, point_id, [VALUE], dataset="", last_n=400)
    except NotFound:
        return []
    numbers = [one for one in found if is_number(one.value)]
    return sorted((one.at, float(one.value)) for one in numbers)


async def evidence(visit: Visit) -> Response:
    """A file on which a value rests. It is handed over as a download and never shown in the page."""
    for one in points_of(visit):
        if any(file.digest == visit.part("digest") for file in one.evidence):
            file, content = await visit.rooms.indicators.evidence(visit.actor, one.id, visit.part("digest"))
            # Name and type may have been written through the API: neither goes into a header as it is.
            headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"}
            kind = file.media_type if file.media_type in MEDIA_TYPES else BYTES
            return Response(content, media_type=kind, headers=headers)
    raise NotFound("There is no such evidence", hint="It may belong to an earlier value.")


async def handle(visit: Visit) -> Response:
    """Enter a value, verify one, take one back."""
    form = await visit.form()
    act = form.choice("act", ["enter", "verify", "withdraw"], required=visit.gettext("Choose what to do."))
    point = next((one for one in points_of(visit) if one.id == form.value("point")), None)
    if point is None:
        raise NotFound("There is no such figure", hint="Look at the indicator again.")
    try:
        form.raise_if_wrong()
        told = await _do(visit, act, point, form)
    except WrongForm:
        return await _page(visit, form, opened=point.id, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, *VALUE_FIELDS)
        return await _page(visit, form, opened=point.id, status=400)
    here = address("indicators", point.framework, point.code)
    undo = (here, {"act": "withdraw", "point": point.id}) if act == "enter" else None
    return visit.redirect(here, told, undo=undo)


async def _do(visit: Visit, act: str, point: IndicatorSummary, form: Form) -> str:
    indicators, version = visit.rooms.indicators, form.value("version")
    if act == "verify":
        await indicators.verify(visit.actor, point.id, version=version)
        return visit.gettext("The value is verified.")
    if act == "withdraw":
        await indicators.withdraw(visit.actor, point.id, version=version)
        return visit.gettext("The value is taken back.")
    visit.require(ENTER)
    entry = entry_of(visit, point, form, survey=form.text("survey", longest=500))
    await indicators.enter(visit.actor, point.id, entry, await uploads_of(form), version=version)
    return visit.gettext("The value is entered.")


async def uploads_of(form: Form) -> list[Upload]:
    """The evidence that was sent along. Raises WrongForm."""
    content = await form.file("evidence", largest=LARGEST)
    form.raise_if_wrong()
    if content is None:
        return []
    name, media_type = form.file_name("evidence"), form.file_type("evidence")
    return [Upload(name=name, media_type=media_type, data=content, public=form.ticked("public"))]


def survey_choices(visit: Visit) -> list[tuple[str, str]]:
    """The closed surveys whose results may be entered, with their days and how many answered."""
    return [
        (
            one.id,
            visit.ngettext(
                "%(name)s, %(day)s, %(num)s answer",
                "%(name)s, %(day)s, %(num)s answers",
                one.answered,
                name=visit.wording.said(one.name),
                day=visit.wording.day(one.day.isoformat()),
            ),
        )
        for one in visit.rooms.indicators.surveys()
    ]


def entry_of(visit: Visit, point: IndicatorSummary, form: Form, *, survey: str = "") -> Entry:
    """What was typed; the result of a survey needs no source of its own. Raises WrongForm."""
    missing = visit.gettext("Say for which period.")
    since = form.day("since", visit.city.zone, required=missing)
    last = form.day("until", visit.city.zone, required=missing)
    value: float | bool | None
    if point.is_yes_or_no:
        chosen = form.choice("value", ["yes", "no"], required=visit.gettext("Choose yes or no."))
        value = chosen == "yes"
    else:
        value = form.number("value")
    wanted = "" if survey else visit.gettext("Say where the value comes from.")
    source = form.text("source", required=wanted, longest=2000)
    quality = form.value("quality")
    numerator, denominator = form.number("numerator"), form.number("denominator")
    form.raise_if_wrong()
    assert since is not None and last is not None, "a missing day is a mistake of the form"
    return Entry(
        since=since,
        # The last day belongs to the period.
        until=last + timedelta(days=1),
        value=value,
        numerator=numerator,
        denominator=denominator,
        quality=Quality(int(quality)) if quality in [str(int(one)) for one in Quality] else Quality.UNKNOWN,
        source=source,
        note=form.text("note", longest=2000),
        survey=survey,
    )
