"""All frameworks from other sides: by the goals of the world, over the years, by the principles of choice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any

from starlette.responses import Response

from cityloom.indicators.by_goal import GOALS, GoalReport, alignment, by_goal
from cityloom.indicators.principles import Principle, Rated, Rating, rate
from cityloom.indicators.years import FrameworkYears, YearIndex, YearScore
from cityloom.kernel.errors import NotFound
from cityloom.kernel.time import to_millis
from cityloom.planning.model import Initiative
from cityloom.planning.sdg import GOALS as GOAL_NAMES
from cityloom.planning.sdg import TITLES
from cityloom.web.addresses import address
from cityloom.web.drawing.chart import Chart, draw_chart
from cityloom.web.languages import noted as n
from cityloom.web.pages.indicator_rows import ENTER, LEVEL_OF_POINTS, VERIFY, indicator_row
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

PRINCIPLES = {
    Principle.COMPREHENSIVENESS: (
        n("Comprehensive"),
        n("The set sees all sides of the city: in every group something is reported."),
    ),
    Principle.COMPARABILITY: (
        n("Comparable"),
        n("Definition and unit are known, and the value does not grow with the city alone."),
    ),
    Principle.AVAILABILITY: (
        n("Available"),
        n("There is a value: verified, or of the city's own data with little missing."),
    ),
    Principle.INDEPENDENCE: (
        n("Independent"),
        n("No other indicator changes from year to year as this one does (correlation 0.9 and more)."),
    ),
    Principle.SIMPLICITY: (n("Simple"), n("The formula is known and short.")),
    Principle.TIMELINESS: (n("Timely"), n("The period of the value ended not long ago.")),
}
_LEVELS = {2: "good", 1: "fair", 0: "bad", None: "none"}
_RATED = {2: n("kept"), 1: n("in part"), 0: n("not"), None: n("not known")}
_YEAR_COLUMNS = (
    "framework", "group", "year", "reported", "total", "scored", "percent", "definedOtherwise", "index",
    "indexDefinition", "indexVersion", "profile",
)  # fmt: skip
_GOAL_COLUMNS = (
    "goal",
    "target",
    "framework",
    "code",
    "point",
    "name",
    "value",
    "unit",
    "verified",
    "percentOfTarget",
)

#: Initiatives that a page names of a goal or a target.
MOST_NAMED = 8


def add(pages: Pages) -> None:
    pages.get("/indicators/sdg", goals, pdf=True)
    pages.data("/indicators/sdg.csv", goals_as_csv)
    pages.get("/indicators/sdg/{goal:int}", show_goal, pdf=True)
    pages.get("/indicators/years", years, pdf=True)
    pages.data("/indicators/years.csv", years_as_csv)
    pages.post("/indicators/years", begin_years)
    pages.get("/indicators/{framework}/principles", principles, pdf=True)
    pages.data("/indicators/{framework}/principles.csv", principles_as_csv)


# By goal


async def goals(visit: Visit) -> Response:
    """The 17 goals, each with how much of it is measured and how far the city is."""
    reports = visit.rooms.indicators.reports(visit.actor)
    found = by_goal(reports)
    initiatives = _by_target(visit)
    titles = {one.id: one.manifest.title for one in visit.rooms.indicators.frameworks()}
    data = {
        "goals": [_goal_row(visit, one, initiatives) for one in found],
        "frameworks": [
            {
                "framework": one.framework,
                "title": visit.wording.said(titles[one.framework]),
                "named": one.named,
                "total": one.total,
            }
            for one in alignment(reports)
        ],
        "withoutTarget": [
            _named(visit, one)
            for one in visit.rooms.initiatives.list(visit.actor)
            if not one.plan.action.sdg_targets
        ],
    }
    return visit.render("sdg.html", data)


async def show_goal(visit: Visit) -> Response:
    """One goal: its targets, the indicators that speak to them, and the initiatives that serve them."""
    wanted = int(visit.part("goal"))
    if wanted not in GOALS:
        raise NotFound("There is no such goal", hint="There are 17.")
    found = by_goal(visit.rooms.indicators.reports(visit.actor))[wanted - 1]
    initiatives = _by_target(visit)
    served = [target for target in initiatives if target.partition(".")[0] == str(wanted)]
    data = {
        **_goal_row(visit, found, initiatives),
        "targets": [
            {
                "target": target,
                "name": _target_name(visit, target),
                "indicators": [
                    indicator_row(visit, one)
                    | {"percentOfTarget": one.percent_of_target, "framework": one.framework}
                    for one in found.by_target.get(target, ())
                ],
                "initiatives": _first_named(visit, initiatives.get(target, ())),
                "initiativeCount": len(initiatives.get(target, ())),
            }
            for target in dict.fromkeys([*found.by_target, *sorted(served)])
        ],
    }
    return visit.render("sdg-goal.html", data)


async def goals_as_csv(visit: Visit) -> Response:
    """Every indicator under each target that it speaks to."""
    rows = (
        {
            "goal": found.goal,
            "target": target,
            "framework": one.framework,
            "code": one.code,
            "point": one.point,
            "name": visit.wording.said(one.name),
            "value": one.value,
            "unit": one.unit,
            "verified": one.verified,
            "percentOfTarget": one.percent_of_target,
        }
        for found in by_goal(visit.rooms.indicators.reports(visit.actor))
        for target, every in found.by_target.items()
        for one in every
    )
    return csv_of(visit, "sdg", _GOAL_COLUMNS, rows)


def _goal_row(visit: Visit, found: GoalReport, initiatives: dict[str, list[Initiative]]) -> dict[str, Any]:
    serving = {
        one.id: one
        for target, every in initiatives.items()
        if target.partition(".")[0] == str(found.goal)
        for one in every
    }
    return {
        "goal": found.goal,
        "name": visit.gettext(GOAL_NAMES[found.goal]),
        "href": address("indicators", "sdg", str(found.goal)),
        "indicators": len(found.indicators),
        "reported": found.reported,
        "verified": found.verified,
        "percent": found.percent,
        "initiatives": _first_named(visit, serving.values()),
        "initiativeCount": len(serving),
    }


def _target_name(visit: Visit, target: str) -> str:
    title = TITLES.get(target)
    return visit.language.say(title) if title else ""


def _first_named(visit: Visit, several: Iterable[Initiative]) -> list[dict[str, Any]]:
    """As many by name as a page shows; as data all of them."""
    return [_named(visit, one) for one in islice(several, None if visit.as_json else MOST_NAMED)]


def _named(visit: Visit, one: Initiative) -> dict[str, Any]:
    return {"name": visit.wording.said(one.plan.name), "href": address("initiatives", one.id)}


def _by_target(visit: Visit) -> dict[str, list[Initiative]]:
    """The initiatives by the targets that they serve."""
    found: dict[str, list[Initiative]] = {}
    for one in visit.rooms.initiatives.list(visit.actor):
        for target in one.plan.action.sdg_targets:
            found.setdefault(target, []).append(one)
    return found


# Over the years


async def years(visit: Visit) -> Response:
    """How all frameworks stood at the end of each year; a bar tells how far the work is."""
    every = visit.rooms.indicators.years
    found = every.found
    titles = {one.id: visit.wording.said(one.manifest.title) for one in visit.rooms.indicators.frameworks()}
    data = {
        "at": found.at if found else None,
        "years": list(found.years) if found else [],
        "values": found.values if found else 0,
        "isRunning": every.is_running,
        "done": every.done,
        "total": every.total,
        "frameworks": [
            {
                "id": one.framework,
                "title": titles.get(one.framework, one.framework),
                "total": one.total,
                "profile": one.profile,
                "years": [_year_row(year) for year in one.groups[""]],
                "index": [_index_row(year) for year in one.index],
            }
            for one in (found.frameworks if found else ())
        ],
    }
    charts = {one.framework: _course(visit, one, titles) for one in (found.frameworks if found else ())}
    may_begin = visit.actor.may(ENTER) or visit.actor.may(VERIFY)
    return visit.render("indicator-years.html", data, charts=charts, may_begin=may_begin)


async def begin_years(visit: Visit) -> Response:
    """Work the years out anew, in the background."""
    await visit.form()
    visit.require(ENTER, VERIFY)
    visit.rooms.indicators.years.begin()
    return visit.redirect("/indicators/years")


async def years_as_csv(visit: Visit) -> Response:
    """Each framework and each of its groups in each year."""
    found = visit.rooms.indicators.years.found
    rows = (
        {
            "framework": one.framework,
            "group": path,
            "total": one.total if not path else None,
            "profile": one.profile,
            **_year_row(year),
            **(_index_row(one.index[place]) if not path and one.index else {}),
        }
        for one in (found.frameworks if found else ())
        for path, every in one.groups.items()
        for place, year in enumerate(every)
    )
    return csv_of(visit, "indicators-by-year", _YEAR_COLUMNS, rows)


def _year_row(one: YearScore) -> dict[str, Any]:
    return {
        "year": one.year,
        "reported": one.reported,
        "scored": one.score.scored,
        "percent": one.score.percent,
        "level": LEVEL_OF_POINTS.get(one.score.band or 0, "none"),
        "definedOtherwise": one.defined_otherwise,
    }


def _index_row(one: YearIndex) -> dict[str, Any]:
    return {
        "year": one.year,
        "index": one.score,
        "indexDefinition": one.definition,
        "indexVersion": one.version,
    }


def _course(visit: Visit, one: FrameworkYears, titles: dict[str, str]) -> Any:
    known = [year for year in one.groups[""] if year.score.percent is not None]
    if len(known) < 2:
        return None
    clock = visit.rooms.clock.now()
    ends = [clock.replace(year=year.year, month=12, day=31) for year in known]
    return draw_chart(
        Chart(
            title=titles.get(one.framework, one.framework),
            unit="%",
            since=ends[0] - timedelta(days=30),
            until=ends[-1],
            times=[to_millis(at) for at in ends],
            values=[year.score.percent for year in known],
        ),
        visit.wording,
    )


# By the principles


async def principles(visit: Visit) -> Response:
    """Each indicator by the six principles, and those that tell the same as another."""
    rated = _rated(visit)
    framework = visit.rooms.indicators.framework(visit.part("framework"))
    data = {
        "framework": framework.id,
        "title": visit.wording.said(framework.manifest.title),
        "principles": [
            {
                "principle": one.value,
                "name": visit.gettext(name),
                "about": visit.gettext(about),
                "mean": rated.mean(one),
            }
            for one, (name, about) in PRINCIPLES.items()
        ],
        "unseen": len(rated.unseen),
        "groups": rated.groups,
        "compared": rated.compared,
        "yearsKnown": visit.rooms.indicators.years.found is not None,
        "indicators": [_rating_row(visit, one) for one in rated.ratings],
    }
    return visit.render("principles.html", data)


async def principles_as_csv(visit: Visit) -> Response:
    """The ratings as numbers: 2 kept, 1 in part, 0 not, empty where nothing tells."""
    names = [one.value for one in PRINCIPLES if one is not Principle.COMPREHENSIVENESS]
    rows = (
        {"code": one.indicator.code, "point": one.indicator.point,
         "alike": "; ".join(f"{other} {strength:.2f}" for other, strength in one.alike)}
        | {name.value: mark for name, mark in one.ratings.items()}
        for one in _rated(visit).ratings
    )  # fmt: skip
    return csv_of(visit, f"{visit.part('framework')}-principles", ("code", "point", *names, "alike"), rows)


def _rated(visit: Visit) -> Rated:
    indicators = visit.rooms.indicators
    found = indicators.years.found
    report = indicators.report(visit.actor, visit.part("framework"))
    return rate(report, found.series if found else {}, visit.rooms.clock.now())


def _rating_row(visit: Visit, one: Rating) -> dict[str, Any]:
    found = one.indicator
    return {
        "code": found.code,
        "point": found.point,
        "name": visit.wording.said(found.name),
        "href": address("indicators", found.framework, found.code),
        "ratings": [
            {
                "principle": name.value,
                "rating": mark,
                "level": _LEVELS[mark],
                "text": visit.gettext(_RATED[mark]),
            }
            for name, mark in one.ratings.items()
        ],
        "alike": [{"id": other, "correlation": strength} for other, strength in one.alike],
    }
