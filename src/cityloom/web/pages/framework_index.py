"""The composite index of a framework part by part; its weights and targets, the city's own in versions."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from cityloom.indicators.indices import IndexTold, Part
from cityloom.indicators.model import Benchmark, DataPoint, Indicator, Rule
from cityloom.indicators.profiles import PERMISSION, ProfileVersion, Targets
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.worded import Worded
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

#: A table of targets that is sent.
_LARGEST = 1024 * 1024
_MOST_ROWS = 5000
#: Members of the index whose weights one form takes.
_MOST_WEIGHTS = 150
_SHOWN_VERSIONS = 50
_INDEX_COLUMNS = (
    "code",
    "name",
    "depth",
    "score",
    "points",
    "outOf",
    "share",
    "weight",
    "available",
    "value",
)
_TARGET_COLUMNS = ("code", "point", "target", "worst", "rule", "basis", "provenance")
RULES: dict[Rule, str] = {
    Rule.RATIO_UP: n("more is better: share of the target that is reached"),
    Rule.RATIO_DOWN: n("less is better: target over value"),
    Rule.GOALPOST: n("between the worst value and the target"),
    Rule.PARITY: n("1 is best, both ways"),
    Rule.BOOLEAN: n("yes is best"),
    Rule.NONE: n("no target"),
}


def add(pages: Pages) -> None:
    pages.get("/indicators/{framework}/index", show_index, pdf=True)
    pages.data("/indicators/{framework}/index.csv", index_as_csv)
    pages.post("/indicators/{framework}/index", weigh)
    pages.get("/indicators/{framework}/targets", show_targets, pdf=True)
    pages.data("/indicators/{framework}/targets.csv", targets_as_csv)
    pages.post("/indicators/{framework}/targets", set_targets)


# The index


async def show_index(visit: Visit) -> Response:
    """The composite index of a framework by the values that stand, part by part."""
    return _index_page(visit, Form(visit.language))


async def index_as_csv(visit: Visit) -> Response:
    """A row for each part of the index."""
    told = visit.rooms.indicators.index(visit.actor, visit.part("framework"))
    rows = (_part_row(visit, one) for one in (told.parts if told else ()))
    return csv_of(visit, f"{visit.part('framework')}-index", _INDEX_COLUMNS, rows)


def _part_row(visit: Visit, one: Part) -> dict[str, Any]:
    return {
        "code": one.code,
        "name": visit.wording.said(one.name),
        "depth": one.depth,
        "isGroup": one.is_group,
        "score": one.score,
        "points": one.points,
        "outOf": one.out_of,
        "share": one.share,
        "weight": one.weight,
        "available": one.available,
        "value": one.value,
    }


def _index_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    framework = visit.rooms.indicators.framework(visit.part("framework"))
    told = visit.rooms.indicators.index(visit.actor, framework.id)
    versions = visit.rooms.indicators.profiles.versions(visit.actor, framework.id)
    data: dict[str, Any] = {
        "framework": framework.id,
        "title": visit.wording.said(framework.manifest.title),
        "notInHand": visit.wording.said(framework.manifest.not_in_hand),
        "profile": framework.manifest.profile.id,
        "profileTitle": visit.wording.said(framework.manifest.profile.title),
        "index": _index_row(visit, told) if told else None,
        "version": versions[0].version,
    }
    return visit.render(
        "framework-index.html",
        data,
        status=status,
        form=form,
        here=address("indicators", framework.id, "index"),
        may_change=visit.actor.may(PERMISSION),
        members=_members(told),
    )


def _index_row(visit: Visit, told: IndexTold) -> dict[str, Any]:
    left: dict[str, list[str]] = {}
    for one in told.notes:
        left.setdefault(one.said, []).append(one.code)
    return {
        "definition": told.definition,
        "version": told.version,
        "title": visit.wording.said(told.title),
        "caution": visit.wording.said(told.caution),
        "isOwn": told.is_own,
        "minimumAvailability": told.minimum_availability,
        "score": told.score,
        "parts": [_part_row(visit, one) for one in told.parts],
        "leftOut": left,
    }


def _members(told: IndexTold | None) -> list[Part]:
    """The parts that a weight can be given: the widest first, as many as a form takes."""
    every = [one for one in (told.parts if told else ()) if one.depth]
    return sorted(every, key=lambda one: one.depth)[:_MOST_WEIGHTS]


async def weigh(visit: Visit) -> Response:
    """Give members of the index other weights."""
    form = await visit.form(most_fields=_MOST_WEIGHTS + 20)
    visit.require(PERMISSION)
    framework = visit.part("framework")
    members = _members(visit.rooms.indicators.index(visit.actor, framework))
    weights: dict[str, float] = {}
    for place, one in enumerate(members):
        said = form.number(f"weight_{place}")
        if said is not None and said != one.weight:
            weights[one.code] = said
    why = form.text("why", required=visit.gettext("Say why."), longest=1000)
    try:
        form.raise_if_wrong()
        await visit.rooms.indicators.profiles.change(
            visit.actor, framework, weights=weights, why=why, seen=_seen(form)
        )
    except WrongForm:
        return _index_page(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "why", "weights")
        return _index_page(visit, form, status=400)
    return visit.redirect(
        address("indicators", framework, "index"), visit.gettext("The weights are changed.")
    )


# The targets


async def show_targets(visit: Visit) -> Response:
    """The targets of a framework as they stand, or as an earlier version had them; and all versions."""
    return _targets_page(visit, Form(visit.language))


async def targets_as_csv(visit: Visit) -> Response:
    """The targets as the table that is taken back, and that `cityloom score --benchmarks` reads."""
    version = _asked(visit)
    rows = (
        {
            "code": one.code,
            "point": one.point,
            "target": one.target,
            "worst": one.worst,
            "rule": one.rule.value,
            "basis": one.basis,
            "provenance": one.provenance,
        }
        for one in version.rows
    )
    return csv_of(visit, f"{version.framework}-targets-{version.version}", _TARGET_COLUMNS, rows)


def _asked(visit: Visit) -> ProfileVersion:
    profiles, framework = visit.rooms.indicators.profiles, visit.part("framework")
    if visit.query("version"):
        return profiles.get(visit.actor, framework, visit.whole("version", 0))
    return profiles.standing(visit.actor, framework)


def _targets_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    framework = visit.rooms.indicators.framework(visit.part("framework"))
    versions = visit.rooms.indicators.profiles.versions(visit.actor, framework.id)
    shown = _asked(visit)
    chosen = visit.query("point") or form.value("point")
    rows = [_target_row(visit, indicator, point, shown) for indicator, point in framework.points()]
    data = {
        "framework": framework.id,
        "title": visit.wording.said(framework.manifest.title),
        "version": shown.version,
        "standing": versions[0].version,
        "targets": rows,
        "weights": {one.code: one.weight for one in shown.weights},
        "versions": [_version_row(visit, one) for one in versions[:_SHOWN_VERSIONS]],
    }
    return visit.render(
        "framework-targets.html",
        data,
        status=status,
        form=form,
        here=address("indicators", framework.id, "targets"),
        may_change=visit.actor.may(PERMISSION),
        chosen=next((one for one in rows if one["key"] == chosen), None),
        rules=[(one.value, visit.gettext(words)) for one, words in RULES.items()],
        profile_status=visit.wording.said(framework.manifest.profile.status),
    )


def _target_row(
    visit: Visit, indicator: Indicator, point: DataPoint, version: ProfileVersion
) -> dict[str, Any]:
    target = version.targets.get((point.code, point.key)) or Benchmark(Rule.NONE)
    name = visit.wording.said(indicator.name)
    return {
        "key": f"{point.code}|{point.key}",
        "code": point.code,
        "point": point.key,
        "name": f"{name}: {visit.wording.said(point.name)}" if point.key else name,
        "unit": point.unit,
        "rule": target.rule.value,
        "ruleText": visit.gettext(RULES[target.rule]),
        "target": target.target,
        "worst": target.worst,
        "basis": target.basis,
        "provenance": target.provenance,
    }


def _version_row(visit: Visit, one: ProfileVersion) -> dict[str, Any]:
    return {
        "version": one.version,
        "id": one.id if one.version else "",
        "at": one.at,
        # Who of the city decided is for the city.
        "by": visit.person(one.by) if one.by and visit.actor.sees(InformationClass.INTERNAL) else "",
        "why": one.why,
        "bringsBack": one.brings_back,
        "targets": sum(row.rule is not Rule.NONE for row in one.rows),
    }


async def set_targets(visit: Visit) -> Response:
    """Set a target, bring a table of them, or let an earlier version stand again."""
    form = await visit.form()
    visit.require(PERMISSION)
    act = form.choice("act", ["set", "bring", "back"], required=visit.gettext("Choose what to do."))
    why = form.text("why", required=visit.gettext("Say why."), longest=1000)
    framework, profiles = (
        visit.rooms.indicators.framework(visit.part("framework")),
        visit.rooms.indicators.profiles,
    )
    try:
        form.raise_if_wrong()
        if act == "back":
            version = form.number("version")
            await profiles.bring_back(visit.actor, framework.id, int(version or 0), why=why, seen=_seen(form))
        else:
            targets = _typed(visit, form) if act == "set" else await _sent(visit, form)
            await profiles.change(visit.actor, framework.id, targets, why=why, seen=_seen(form))
    except WrongForm:
        return _targets_page(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "why", "rule", "target", "worst", "basis", "file", "point")
        return _targets_page(visit, form, status=400)
    told = visit.gettext("The targets are changed; all values are held against them.")
    return visit.redirect(address("indicators", framework.id, "targets"), told)


def _seen(form: Form) -> int | None:
    said = form.value("seen")
    return int(said) if said.isdecimal() and len(said) < 9 else None


def _typed(visit: Visit, form: Form) -> Targets:
    """The target that was typed. Raises WrongForm, BadInput."""
    code, _, key = form.value("point").partition("|")
    rule = form.choice("rule", [one.value for one in Rule], required=visit.gettext("Choose a rule."))
    target, worst = form.number("target"), form.number("worst")
    basis = form.text("basis", longest=500)
    form.raise_if_wrong()
    return {(code, key): Benchmark(Rule(rule), target, worst, basis)}


async def _sent(visit: Visit, form: Form) -> Targets:
    """The targets of a table. Raises WrongForm, BadInput naming the line."""
    content = await form.file("file", largest=_LARGEST)
    if content is None:
        form.wrong("file", visit.gettext("Choose a file."))
    form.raise_if_wrong()
    return await asyncio.to_thread(read_targets, content or b"")


def read_targets(raw: bytes) -> Targets:
    """The targets in a table with the columns code, point, target, worst, rule and basis. Raises BadInput."""
    try:
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            Worded("This is no CSV: %(why)s", why=error), hint=Worded("Save it as CSV UTF-8."), where="file"
        ) from None
    if len(rows) > _MOST_ROWS:
        raise BadInput(
            Worded("The file has too many rows"),
            hint=Worded("%(count)s are the most.", count=_MOST_ROWS),
            where="file",
        )
    return dict(_read(line, row) for line, row in enumerate(rows, 2))


def _read(line: int, row: dict[str, str | None]) -> tuple[tuple[str, str], Benchmark]:
    try:
        said = {name: row[name] or "" for name in ("code", "target", "worst", "rule", "basis")}
        target, worst = (float(said[name]) if said[name] else None for name in ("target", "worst"))
        rule = Rule(said["rule"])
    except (KeyError, ValueError) as error:
        raise BadInput(
            Worded("Line %(line)s cannot be read: %(why)s", line=line, why=error),
            hint=Worded(
                "Needed: code, point, target, worst, rule (%(rules)s), basis.", rules=", ".join(_rule_names())
            ),
            where="file",
        ) from None
    return (said["code"], row.get("point") or ""), Benchmark(rule, target, worst, said["basis"])


def _rule_names() -> Iterable[str]:
    return (one.value for one in Rule)
