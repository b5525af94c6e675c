"""The register of stakeholders: who they are, loaded from the defaults, contacted, given roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, NotFound
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.defaults import CELLS
from cityloom.planning.stakeholders.engagement import STRATEGIES
from cityloom.planning.stakeholders.kinds import CONTACT, PERMISSION, ROLE
from cityloom.planning.stakeholders.model import Stakeholder
from cityloom.planning.stakeholders.stakeholders import DEFAULTS, Stakeholders
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning.record_form import inputs, take, values_of
from cityloom.web.pages.planning.stakeholder_words import (
    all_said,
    level,
    name_of,
    page_of,
    points,
    said,
    staff_only,
)
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file
from cityloom.web.visit import Visit

#: What is written down of a stakeholder by a form of its own: its kind, and its day.
_NOTES: Mapping[str, tuple[RecordKind, str]] = {"contact": (CONTACT, "day"), "role": (ROLE, "since")}


def add(pages: Pages) -> None:
    pages.get("/plan/stakeholders", browse)
    pages.post("/plan/stakeholders/load", load)
    pages.data("/plan/stakeholders/matrix.csv", matrix_table)
    pages.get("/plan/stakeholders/matrix", matrix)
    pages.data("/plan/stakeholders/engagement.csv", engagement_table)
    pages.get("/plan/stakeholders/engagement", engagement)
    pages.get("/plan/stakeholders/note-{what}", show_note, json=False)
    pages.post("/plan/stakeholders/note-{what}", note)


def register(visit: Visit) -> Stakeholders:
    """The register over this city's records."""
    return visit.rooms.contributions.stakeholders


async def browse(visit: Visit) -> Response:
    """All stakeholders, by category; of each what the reader may know."""
    category, asked = visit.query("category"), visit.query("q").strip()
    every = register(visit).all(visit.actor)
    found = [
        one
        for one in every
        if (not category or one.category == category) and asked.casefold() in name_of(visit, one).casefold()
    ]
    counts = Counter(one.category for one in every)
    staff = visit.actor.sees(InformationClass.INTERNAL)
    data = {
        "total": len(found),
        "categories": {value: counts[value] for value in words.CATEGORIES},
        "stakeholders": [_row(visit, one, staff=staff) for one in found],
    }
    return visit.render(
        "plan-stakeholders.html",
        data,
        found=found,
        every=len(every),
        staff=staff,
        asked=asked,
        category=category,
        names=all_said(visit, words.CATEGORIES),
        scales=all_said(visit, words.SCALES),
        sectors=all_said(visit, words.SECTORS),
        levels=all_said(visit, words.LEVELS),
        roles=all_said(visit, words.ROLES),
        may_edit=visit.actor.may(PERMISSION),
        path_of=page_of,
    )


def _row(visit: Visit, one: Stakeholder, *, staff: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": one.id,
        "name": name_of(visit, one),
        "category": one.category,
        "scale": one.scale,
        "sector": one.sector,
        "enabling": one.enabling,
        "roles": one.roles_now,
        "relations": one.relations,
    }
    if staff:
        row |= {
            "involvement": one.involvement,
            "level": one.standing.level,
            "targetLevel": one.target,
            "power": one.standing.power,
            "interest": one.standing.interest,
        }
    return row


async def load(visit: Visit) -> Response:
    """Load the twelve categories, or the units of municipality or state, to be edited."""
    form = await visit.form()
    visit.require(PERMISSION)
    what = form.choice("what", list(DEFAULTS), required=visit.gettext("Choose what to load."))
    if form.errors:
        raise BadInput(visit.gettext("Choose what to load."), hint="", where="what")
    count = await register(visit).load(visit.actor, what, visit.language.code)
    told = (
        visit.gettext("%(count)s loaded. Change them to what your city is like.", count=count)
        if count
        else visit.gettext("They are all there already.")
    )
    return visit.redirect("/plan/stakeholders", told)


# -- the matrix and the table of the source ---------------------------------------------------------------


async def matrix(visit: Visit) -> Response:
    """The matrix of Table I.1, as this city has it."""
    columns, rows, shown = _matrix(visit)
    return _table(visit, "matrix", visit.gettext("Stakeholder matrix"), columns, rows, shown)


async def matrix_table(visit: Visit) -> Response:
    """The same as CSV."""
    columns, rows, _ = _matrix(visit)
    return csv_file(visit, "stakeholder-matrix", [columns, *rows])


def _matrix(visit: Visit) -> tuple[list[str], list[list[str]], list[Stakeholder]]:
    found = register(visit).all(visit.actor)
    columns = [visit.gettext("Stakeholder"), visit.gettext("Category"), visit.gettext("Scale and sector")]
    columns += [visit.language.say(words.CELL_NAMES[cell]) for cell in CELLS]
    rows = [
        [
            name_of(visit, one),
            said(visit, words.CATEGORIES, one.category),
            ", ".join(
                part
                for part in (said(visit, words.SCALES, one.scale), said(visit, words.SECTORS, one.sector))
                if part
            ),
            *(one.cells.get(cell, "") for cell in CELLS),
        ]
        for one in found
    ]
    return columns, rows, list(found)


async def engagement(visit: Visit) -> Response:
    """How each stands and what is next: Table 1 of the source."""
    staff_only(visit)
    columns, rows, shown = _engagement(visit)
    return _table(visit, "engagement", visit.gettext("Engagement of stakeholders"), columns, rows, shown)


async def engagement_table(visit: Visit) -> Response:
    """The same as CSV."""
    staff_only(visit)
    columns, rows, _ = _engagement(visit)
    return csv_file(visit, "stakeholder-engagement", [columns, *rows])


def _engagement(visit: Visit) -> tuple[list[str], list[list[str]], list[Stakeholder]]:
    found = register(visit).all(visit.actor)
    columns = [
        visit.gettext("Stakeholder"),
        visit.gettext("Engagement now"),
        visit.gettext("Aimed at"),
        visit.gettext("Strategy"),
        visit.gettext("Power"),
        visit.gettext("Interest"),
        visit.gettext("Next action"),
        visit.gettext("To be done by"),
        visit.gettext("Responsible"),
    ]
    rows = [
        [
            name_of(visit, one),
            level(visit, one.standing.level),
            level(visit, one.target),
            strategy_of(visit, one),
            points(one.standing.power),
            points(one.standing.interest),
            one.next_action,
            visit.wording.day(one.next_on.isoformat()) if one.next_on else "",
            one.responsible,
        ]
        for one in found
    ]
    return columns, rows, list(found)


def strategy_of(visit: Visit, one: Stakeholder) -> str:
    """What is done with somebody: what was agreed, or what their field of the grid says."""
    if one.strategy or one.standing.quadrant is None:
        return one.strategy
    return visit.language.say(STRATEGIES[one.standing.quadrant])


def _table(
    visit: Visit,
    path: str,
    title: str,
    columns: list[str],
    rows: list[list[str]],
    found: list[Stakeholder],
) -> Response:
    return visit.render(
        "plan-stakeholder-table.html",
        {"columns": columns, "rows": rows},
        here=f"/plan/stakeholders/{path}",
        title=title,
        paths=[page_of(one.id) for one in found],
    )


# -- what is written down of one -----------------------------------------------------------------------------


async def show_note(visit: Visit) -> Response:
    """The form for a contact or a role."""
    visit.require(PERMISSION)
    kind, day = _note(visit)
    asked = {
        "stakeholder": visit.query("stakeholder"),
        day: visit.rooms.contributions.today().isoformat(),
        "project": visit.query("project"),
    }
    return _note_page(visit, kind, Form.filled(visit.language, asked))


async def note(visit: Visit) -> Response:
    """Write down a contact, which may change how somebody stands; or a role from a day on."""
    kind, _ = _note(visit)
    form = await visit.form()
    visit.require(PERMISSION)
    try:
        values = values_of(visit, kind, form)
        form.raise_if_wrong()
        if kind is CONTACT:
            await register(visit).note_contact(visit.actor, values)
        else:
            await register(visit).give_role(visit.actor, values)
    except WrongForm:
        return _note_page(visit, kind, form, status=400)
    except (BadInput, NotFound) as error:
        take(form, kind, error, visit)
        return _note_page(visit, kind, form, status=400)
    return visit.redirect(page_of(str(values["stakeholder"])), visit.gettext("Written down."))


def _note(visit: Visit) -> tuple[RecordKind, str]:
    found = _NOTES.get(visit.part("what"))
    if found is None:
        raise NotFound("There is no such form", hint="See the stakeholders.")
    return found


def _note_page(visit: Visit, kind: RecordKind, form: Form, *, status: int = 200) -> Response:
    shown = [one for one in inputs(visit, kind, form) if one.name != "name"]
    return visit.render(
        "plan-stakeholder-note.html",
        status=status,
        form=form,
        inputs=shown,
        title=visit.language.say(kind.singular),
        about=visit.language.say(kind.about),
        here=visit.path,
    )
