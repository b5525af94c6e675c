"""What the pages of stakeholders and consultations show below what is written down."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from cityloom.kernel.actor import InformationClass
from cityloom.planning.model import Initiative
from cityloom.planning.records.model import Record
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.engagement import has_reached
from cityloom.planning.stakeholders.kinds import PERMISSION
from cityloom.planning.stakeholders.unit_work import work_of
from cityloom.web.addresses import address
from cityloom.web.drawing.stakeholders.trend import draw_course
from cityloom.web.pages.planning.links import link_to, record_href
from cityloom.web.pages.planning.stakeholder_words import all_said, name_of
from cityloom.web.pages.planning.stakeholders import register, strategy_of
from cityloom.web.visit import Visit

#: Of one sort, in the work of a unit.
MOST_SHOWN = 40
#: Kinds of records that name who is in charge.
_WITH_UNITS = ("ServiceProcess", "InfrastructureItem", "OutsideFactor", "PlanCommunication", "Consultation")


async def stakeholder(visit: Visit, record: Record) -> Markup | None:
    """How one stands and came to stand there, their roles, and what was said."""
    one = register(visit).one(visit.actor, record.id)
    staff = visit.actor.sees(InformationClass.INTERNAL)
    levels = all_said(visit, words.LEVELS)
    course = [moment for moment in one.standing.course if moment.on.year > 1]
    template = visit.desk.environment(visit.language).get_template("plan-stakeholder-panel.html")
    title = visit.gettext("Engagement of %(name)s over time", name=name_of(visit, one))
    return Markup(  # noqa: S704 - the template escapes
        template.render(
            visit=visit,
            w=visit.wording,
            one=one,
            staff=staff,
            may_edit=visit.actor.may(PERMISSION),
            levels=levels,
            quadrants=all_said(visit, {key.value: name for key, name in words.QUADRANTS.items()}),
            strategy=strategy_of(visit, one),
            reached=has_reached(one.standing.level, one.target),
            course=draw_course(course, levels, title, visit.wording) if course else None,
            roles=[(held, link_to(visit, held.project)) for held in one.roles],
            role_names=all_said(visit, words.ROLES),
            contacts=[(each, record_href(each)) for each in register(visit).contacts(visit.actor, one.id)],
            channels=all_said(visit, words.CHANNELS),
            work=_work(visit, record) if record.get("unitOf") else None,
            department=visit.wording.said(record.name),
        )
    )


def _work(visit: Visit, record: Record) -> dict[str, Any]:
    """What a unit has on its hands, as far as the reader may see it."""
    rooms = visit.rooms
    named = [one for kind in _WITH_UNITS for one in rooms.records.list(visit.actor, kind)]
    found = work_of(record.name, rooms.initiatives.list(visit.actor), named, rooms.plan.today())
    said = visit.wording.said
    return {
        "own": [_initiative(visit, one) for one in found.own[:MOST_SHOWN]],
        "shared": [_initiative(visit, one) for one in found.shared[:MOST_SHOWN]],
        "more": max(len(found.own) - MOST_SHOWN, 0) + max(len(found.shared) - MOST_SHOWN, 0),
        "records": [
            (visit.language.say(one.kind.singular), said(one.name), record_href(one))
            for one in found.records[:MOST_SHOWN]
        ],
        "overdue": [
            (address("initiatives", one.id), said(one.plan.name), said(step.names) or step.name, step.due)
            for one, step in found.overdue[:MOST_SHOWN]
        ],
    }


def _initiative(visit: Visit, one: Initiative) -> tuple[str, str, str]:
    return address("initiatives", one.id), visit.wording.said(one.plan.name), one.phase


async def consultation(visit: Visit, record: Record) -> Markup | None:
    """Where a consultation is, what is missing before it opens, and the way to its page."""
    where = visit.rooms.contributions.stage_of(record)
    template = visit.desk.environment(visit.language).get_template("plan-consultation-panel.html")
    return Markup(  # noqa: S704 - the template escapes
        template.render(
            visit=visit,
            w=visit.wording,
            stage=visit.language.say(words.STAGES[where.stage]),
            checks=[
                (
                    visit.language.say(words.PRINCIPLES[one.principle]),
                    one.holds,
                    [visit.language.say(text) for text in one.missing],
                )
                for one in where.checks
            ],
            href=address("consultations", record.id),
            received=address("plan", "contributions", record.id, "all"),
            staff=visit.actor.sees(InformationClass.INTERNAL),
        )
    )
