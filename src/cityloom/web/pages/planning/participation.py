"""Who took part, whether participation goes wrong, and the analysis in three steps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from cityloom.kernel.errors import Conflict
from cityloom.people.contribution import Kind, act_of
from cityloom.planning.records.model import Record
from cityloom.planning.stakeholders import analysis, participation, words
from cityloom.planning.stakeholders.kinds import PERMISSION
from cityloom.planning.stakeholders.model import Stakeholder
from cityloom.planning.stakeholders.participation import Finding, Peril, Rule, Verdict
from cityloom.web.forms import Form
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.stakeholder_words import (
    all_said,
    name_of,
    page_of,
    said,
    staff_only,
)
from cityloom.web.pages.planning.stakeholders import register
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file
from cityloom.web.visit import Visit

#: Names that a step of the analysis shows of those for whom something is missing.
MOST_SHOWN = 50
_DAYS, _HOURS, _MONEY = Rule.DAYS, Rule.HOURS, Rule.MONEY


def add(pages: Pages) -> None:
    pages.data("/plan/stakeholders/participation.csv", warnings_table)
    pages.get("/plan/stakeholders/participation", warnings)
    pages.get("/plan/stakeholders/analysis", wizard)
    pages.post("/plan/stakeholders/analysis", finish)


# -- warnings ----------------------------------------------------------------------------------------------


async def warnings(visit: Visit) -> Response:
    """The three perils, judged by who took part, with the rule of each."""
    staff_only(visit)
    found = await _findings(visit)
    shown = {peril: [_shown(visit, one) for one in several] for peril, several in found.items()}
    return visit.render(
        "plan-stakeholder-participation.html",
        {
            "perils": {
                peril.value: [msgspec.to_builtins(one) for one in several] for peril, several in found.items()
            }
        },
        shown=shown,
        names={peril: visit.language.say(name) for peril, name in words.PERILS.items()},
        verdicts=_verdicts(visit),
        may_edit=visit.actor.may(PERMISSION),
        rules=visit.rooms.records.list(visit.actor, "EngagementRules"),
        href=record_href,
    )


async def warnings_table(visit: Visit) -> Response:
    """The same as CSV."""
    staff_only(visit)
    rows = []
    for peril, several in (await _findings(visit)).items():
        for one in several:
            shown = _shown(visit, one)
            rows.append(
                [
                    visit.language.say(words.PERILS[peril]),
                    shown["formula"],
                    shown["value"],
                    shown["threshold"],
                    _verdicts(visit)[one.verdict],
                    shown["who"],
                ]
            )
    columns = [
        visit.gettext("Peril"),
        visit.gettext("What is counted"),
        visit.gettext("Counted"),
        visit.gettext("At most"),
        visit.gettext("Verdict"),
        visit.gettext("Who"),
    ]
    return csv_file(visit, "participation", [columns, *rows])


async def _findings(visit: Visit) -> dict[Peril, tuple[Finding, ...]]:
    people, contributions = register(visit), visit.rooms.contributions.of(visit.actor)
    attended, rules = people.attendance(visit.actor), people.rules()[0]
    known = people.register(visit.actor)
    counts = Counter(one.consultation for one in contributions if one.kind == Kind.CONTRIBUTION)
    efforts = people.efforts(visit.actor, counts)

    def found() -> dict[Peril, tuple[Finding, ...]]:
        said_in = (act_of(one) for one in contributions if one.kind == Kind.CONTRIBUTION)
        return participation.findings([*said_in, *attended], efforts, known, rules)

    return await asyncio.to_thread(found)


def _verdicts(visit: Visit) -> dict[Verdict, str]:
    return {
        Verdict.FINE: visit.gettext("within bounds"),
        Verdict.WARNING: visit.gettext("warning"),
        Verdict.UNKNOWN: visit.gettext("cannot be told yet"),
    }


def _shown(visit: Visit, one: Finding) -> dict[str, Any]:
    """A finding in words."""
    return {
        "formula": visit.language.say(words.FORMULAS[one.rule]),
        "verdict": one.verdict,
        "value": _quantity(visit, one, one.value),
        "threshold": _quantity(visit, one, one.threshold),
        "who": _who(visit, one),
        "why": _why(visit, one),
        "of": one.of,
    }


def _quantity(visit: Visit, one: Finding, value: float | None) -> str:
    if value is None:
        return "–"
    if one.rule is _DAYS:
        return visit.wording.quantity(value, "DAY")
    if one.rule is _HOURS:
        return visit.wording.quantity(value, "HUR")
    if one.rule is _MONEY:
        return f"{visit.wording.number(value, 2)} {one.currency}".strip()
    return visit.wording.percent(value)


def _why(visit: Visit, one: Finding) -> str:
    if one.verdict is not Verdict.UNKNOWN:
        return ""
    if one.rule is _MONEY and "," in one.currency:
        return visit.gettext("The costs are in several currencies: %(which)s.", which=one.currency)
    return visit.gettext("It takes %(least)s; there are %(count)s.", least=one.least, count=one.of)


def _who(visit: Visit, one: Finding) -> str:
    if one.rule is Rule.ONE_VOICE and one.who:
        record = visit.rooms.records.find(visit.actor, one.who)
        return visit.wording.said(record.name) if record is not None else one.who
    return ", ".join(
        said(visit, words.CATEGORIES, part.strip()) for part in one.who.split(",") if part.strip()
    )


# -- the analysis in three steps ---------------------------------------------------------------------------


async def wizard(visit: Visit) -> Response:
    """One of the three steps: what is there, what is missing, and what changed since the last round."""
    staff_only(visit)
    return _wizard_page(visit, Form(visit.language))


async def finish(visit: Visit) -> Response:
    """Keep how all stand today as the result of this round."""
    form = await visit.form()
    visit.require(PERMISSION)
    findings = form.text("findings", longest=8000)
    if form.errors:
        return _wizard_page(visit, form, status=400)
    try:
        made = await register(visit).finish_round(visit.actor, visit.rooms.contributions.today(), findings)
    except Conflict as error:
        form.take(error)
        return _wizard_page(visit, form, status=400)
    told = visit.gettext("%(name)s is kept as it stands today.", name=visit.wording.said(made.name))
    return visit.redirect("/plan/stakeholders/analysis?step=3", told)


def _wizard_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    step = visit.whole("step", 1, least=1, most=3)
    people = register(visit)
    found = people.all(visit.actor)
    rounds = people.rounds(visit.actor)
    sections = _SECTIONS[step - 1](visit, found)
    compared = _compared(found, rounds)
    return visit.render(
        "plan-stakeholder-analysis.html",
        {
            "step": step,
            "count": len(found),
            "done": analysis.share_done(found),
            "missing": {title: list(names) for title, names, _ in sections},
            "rounds": [
                {"id": one.id, "round": one.get("round"), "day": str(one.get("day"))} for one in rounds
            ],
            "compared": msgspec.to_builtins(compared) if compared else None,
        },
        status=status,
        form=form,
        sections=[(title, _links(visit, found, names), len(names), hint) for title, names, hint in sections],
        counts=Counter(one.category for one in found),
        names=all_said(visit, words.CATEGORIES),
        comparison=compared,
        finished=[(one, record_href(one)) for one in rounds],
        may_edit=visit.actor.may(PERMISSION),
    )


#: A heading, the ids (or names) it is about, and what to do.
_Section = tuple[str, Sequence[str], str]


def _first(visit: Visit, found: Sequence[Stakeholder]) -> list[_Section]:
    step = analysis.identified(found, list(words.CATEGORIES))
    empty = [said(visit, words.CATEGORIES, category) for category in step.empty]
    return [
        (
            visit.gettext("Categories with nobody yet"),
            empty,
            visit.gettext("Add somebody, or be sure that there is nobody."),
        ),
        (visit.gettext("Named more than once"), step.twice, visit.gettext("Throw one of them away.")),
    ]


def _second(visit: Visit, found: Sequence[Stakeholder]) -> list[_Section]:
    step = analysis.categorised(found)
    return [
        (
            visit.gettext("Without a role in any project"),
            step.without_role,
            visit.gettext("Say who is active, gains, supports or opposes."),
        ),
        (
            visit.gettext("Not said what they enable or drive"),
            step.without_enabling,
            visit.gettext("Say whether they enable technology, drive it, or enable the city."),
        ),
        (
            visit.gettext("Without a relation to anybody"),
            step.without_relation,
            visit.gettext("Say with whom they deal."),
        ),
    ]


def _third(visit: Visit, found: Sequence[Stakeholder]) -> list[_Section]:
    step = analysis.detailed(found, visit.rooms.contributions.today())
    fill = visit.gettext("Fill in the matrix.")
    judge = visit.gettext("Judge it, or note a contact.")
    return [
        (visit.gettext("Cells of the matrix are empty"), list(step.cells), fill),
        (visit.gettext("Engagement is not judged"), step.without_level, judge),
        (visit.gettext("Power or interest is not judged"), step.without_power, judge),
        (visit.gettext("No engagement is aimed at"), step.without_target, visit.gettext("Choose a level.")),
        (
            visit.gettext("No next action with a day"),
            step.without_next,
            visit.gettext("Say what is next, and by when."),
        ),
        (
            visit.gettext("The next action is overdue"),
            step.overdue,
            visit.gettext("Do it, or set another day."),
        ),
    ]


_SECTIONS = (_first, _second, _third)


def _links(visit: Visit, found: Sequence[Stakeholder], names: Sequence[str]) -> list[tuple[str, str]]:
    """What each name is called, and the page it leads to, "" for none."""
    by_id = {one.id: one for one in found}
    return [
        (name_of(visit, by_id[name]), page_of(name)) if name in by_id else (name, "")
        for name in names[:MOST_SHOWN]
    ]


def _compared(found: Sequence[Stakeholder], rounds: Sequence[Record]) -> analysis.Compared | None:
    """What is different today from the last round."""
    if not rounds:
        return None
    empty = dict.fromkeys(analysis.Row.__struct_fields__, "")
    before = [analysis.Row(**{**empty, **row}) for row in rounds[0].get("rows", ())]
    return analysis.compared(before, [analysis.row(one) for one in found])
