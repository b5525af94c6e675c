"""Reports of a framework: the verification report in versions, and a factsheet of one page."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from cityloom.indicators.model import Quality
from cityloom.indicators.publications import Publication
from cityloom.indicators.verification import ReportGroup, ReportRow, VerificationReport
from cityloom.kernel.errors import NotFound
from cityloom.web.addresses import address
from cityloom.web.drawing.radar import Spoke, draw_radar
from cityloom.web.pages.indicator_rows import LEVEL_OF_POINTS, QUALITIES, VERIFY
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

#: Categories on a radar at most; beyond, its spokes cannot be told apart.
_MOST_SPOKES = 40
_COLUMNS = (
    "code", "point", "name", "group", "level", "value", "unit", "since", "until", "source", "quality",
    "origin", "verified", "target", "rule", "percentOfTarget", "points", "findings", "evidence",
)  # fmt: skip


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/verification", show, pdf=True)
    pages.data("/indicators/{framework}/verification.csv", as_csv)
    pages.post("/indicators/{framework}/verification", publish)
    pages.get("/indicators/{framework}/verification/{version:int}", show_version, pdf=True)
    pages.data("/indicators/{framework}/verification/{version:int}.csv", version_as_csv)
    pages.get("/indicators/{framework}/factsheet", factsheet, pdf=True)


async def show(visit: Visit) -> Response:
    """The verification report of a framework as it stands now."""
    framework = visit.part("framework")
    return _page(visit, visit.rooms.indicators.publications.draft(visit.actor, framework))


async def show_version(visit: Visit) -> Response:
    """A version of the report, as it was published."""
    published = _version(visit)
    return _page(visit, published.report, published)


async def as_csv(visit: Visit) -> Response:
    """The rows of the report as it stands now."""
    report = visit.rooms.indicators.publications.draft(visit.actor, visit.part("framework"))
    return _csv(visit, report, "")


async def version_as_csv(visit: Visit) -> Response:
    """The rows of a published version."""
    published = _version(visit)
    return _csv(visit, published.report, f"-{published.version}")


async def publish(visit: Visit) -> Response:
    """Publish the report as its next version: everybody can read it from then on, and it stays as it is."""
    await visit.form()
    visit.require(VERIFY)
    published = await visit.rooms.indicators.publications.publish(visit.actor, visit.part("framework"))
    here = address("indicators", published.framework, "verification", str(published.version))
    return visit.redirect(here, visit.gettext("Published: everybody can read it now."))


def _version(visit: Visit) -> Publication:
    version = int(visit.part("version"))
    if version > 1_000_000:
        raise NotFound("There is no such version", hint="Look at the list of versions.")
    return visit.rooms.indicators.publications.get(visit.actor, visit.part("framework"), version)


def _page(visit: Visit, report: VerificationReport, published: Publication | None = None) -> Response:
    versions = visit.rooms.indicators.publications.list(visit.actor, report.framework)
    data = {
        "report": msgspec.to_builtins(report),
        "digest": report.digest,
        "version": published.version if published else None,
        "versions": [
            {"version": one.version, "issuedAt": one.issued_at, "digest": one.digest} for one in versions
        ],
    }
    by_group: dict[str, list[ReportRow]] = {}
    for one in report.rows:
        by_group.setdefault(one.group, []).append(one)
    return visit.render(
        "verification.html",
        data,
        told_report=report,
        published=published,
        by_group=by_group,
        names=_chains(visit, report),
        levels=LEVEL_OF_POINTS,
        figure=lambda one, value: _figure(visit, one, value),
        quality=lambda one: visit.gettext(QUALITIES[Quality(one.quality)]) if one.quality else "",
        here=address("indicators", report.framework, "verification"),
        may_publish=visit.actor.may(VERIFY) and published is None,
    )


def _figure(visit: Visit, one: ReportRow, value: float | bool | None) -> str:
    """A value of a row with its unit."""
    if value is None:
        return ""
    if isinstance(value, bool) or one.is_yes_or_no:
        return visit.wording.quantity(bool(value))
    unit = visit.wording.unit(one.unit_code) if one.unit_code else one.unit
    return f"{visit.wording.number(value)}\u202f{unit}".strip()


def _csv(visit: Visit, report: VerificationReport, ending: str) -> Response:
    rows = (
        {
            **msgspec.to_builtins(one),
            "name": visit.wording.said(one.name),
            "findings": "; ".join(visit.wording.said(found) for found in one.findings),
            "evidence": "; ".join(one.evidence),
        }
        for one in report.rows
    )
    return csv_of(visit, f"{report.framework}-verification{ending}", _COLUMNS, rows)


async def factsheet(visit: Visit) -> Response:
    """One page on a framework: what is reported, the scores of its categories, and its groups at a glance."""
    report = visit.rooms.indicators.publications.draft(visit.actor, visit.part("framework"))
    scored = report.scoring == "points"
    names = _told_apart(visit, report, axes := _axes(report))
    spokes = [_spoke(names[one.path], one, index, scored) for index, one in enumerate(axes)]
    title = (
        visit.gettext("Scores of the categories, from 0 to 100 percent") if scored else _share_words(visit)
    )
    data = {
        "framework": report.framework,
        "title": visit.wording.said(report.title),
        "at": report.at,
        "scored": scored,
        "percent": report.percent,
        "level": LEVEL_OF_POINTS.get(report.band or 0, "none"),
        "scoredPoints": report.scored,
        "tallies": [msgspec.to_builtins(one) for one in report.tallies],
        "categories": spokes,
        "snapshot": _snapshot(visit, report),
        "findings": len(report.with_findings),
        "profileStatus": visit.wording.said(report.profile_status) if scored else "",
        "caution": visit.wording.said(report.caution),
        "notInHand": visit.wording.said(report.not_in_hand),
        "edition": report.edition,
    }
    return visit.render("factsheet.html", data, radar=_radar(spokes, title), radar_title=title)


def _chains(visit: Visit, report: VerificationReport) -> dict[str, str]:
    """The name of each group after those of the wider ones."""
    names = {one.path: visit.wording.said(one.name) for one in report.groups}
    found = {}
    for path in names:
        keys = path.split("/")
        above = ["/".join(keys[: depth + 1]) for depth in range(len(keys))]
        found[path] = " › ".join(names.get(one, one) for one in above)
    return found


def _share_words(visit: Visit) -> str:
    return visit.gettext("Share of the categories that is reported, from 0 to 100 percent")


def _axes(report: VerificationReport) -> list[ReportGroup]:
    """The narrowest groups; wider ones where those are too many to be drawn."""
    found = report.narrowest
    if len(found) > _MOST_SPOKES:
        found = [one for one in report.groups if one.depth == 1]
    return found[:_MOST_SPOKES]


def _told_apart(visit: Visit, report: VerificationReport, axes: list[ReportGroup]) -> dict[str, str]:
    """The names of some groups; where two have one name, with that of the wider group."""
    wider = {one.path: visit.wording.said(one.name) for one in report.groups}
    names = [wider[one.path] for one in axes]
    found = {}
    for one in axes:
        name, above = wider[one.path], wider.get(one.path.rpartition("/")[0], "")
        found[one.path] = f"{name} ({above})" if names.count(name) > 1 and above else name
    return found


def _spoke(name: str, one: ReportGroup, index: int, scored: bool) -> dict[str, Any]:
    share = 100.0 * one.reported / one.total if one.total else None
    return {
        "number": index + 1,
        "path": one.path,
        "name": name,
        "percent": one.percent if scored else share,
        "level": LEVEL_OF_POINTS.get(one.band or 0, "none"),
        "reported": one.reported,
        "total": one.total,
    }


def _radar(spokes: list[dict[str, Any]], title: str) -> Any:
    if len(spokes) < 3:
        return None
    told = ", ".join(f"{one['name']} {one['percent']:.0f}" for one in spokes if one["percent"] is not None)
    drawn = [Spoke(str(one["number"]), one["percent"]) for one in spokes]
    return draw_radar(drawn, f"{title}: {told}" if told else title)


def _snapshot(visit: Visit, report: VerificationReport) -> list[dict[str, Any]]:
    """The two widest kinds of groups: dimensions, and in each its sub-dimensions."""
    return [
        {
            "path": one.path,
            "depth": one.depth,
            "name": visit.wording.said(one.name),
            "percent": one.percent,
            "level": LEVEL_OF_POINTS.get(one.band or 0, "none"),
            "reported": one.reported,
            "total": one.total,
        }
        for one in report.groups
        if one.depth <= 2
    ]
