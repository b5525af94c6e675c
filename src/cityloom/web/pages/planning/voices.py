"""Who has a part in a goal or an initiative, and whose contributions changed it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from cityloom.kernel.actor import InformationClass
from cityloom.planning.records.model import Record
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.kinds import ROLE
from cityloom.web.addresses import address
from cityloom.web.pages.planning.links import is_there_for, link_to
from cityloom.web.pages.planning.stakeholder_words import said
from cityloom.web.visit import Visit


def voices_of(visit: Visit, target: str) -> list[dict[str, Any]]:
    """The contributions that changed something: what everybody may read of each, and for the staff the way
    to it."""
    staff = visit.actor.sees(InformationClass.INTERNAL)
    return [
        {
            "text": visit.wording.said(one.public_text),
            "speaksFor": one.speaks_for,
            "consultation": one.consultation if is_there_for(visit, one.consultation) else "",
            "href": address("plan", "contributions", one.id) if staff else "",
        }
        for one in visit.rooms.contributions.changing(target)
        if staff or one.public_text
    ]


def shown_voices(visit: Visit, target: str) -> Markup:
    """Both as a part of a page; nothing where there is neither."""
    pointing = visit.rooms.records.pointing_at(visit.actor, target)
    roles = [one for one in pointing if one.kind is ROLE and one.get("until") is None]
    voices = voices_of(visit, target)
    if not roles and not voices:
        return Markup("")
    template = visit.desk.environment(visit.language).get_template("plan-voices.html")
    return Markup(  # noqa: S704 - the template escapes
        template.render(
            visit=visit,
            voices=[
                (one, link_to(visit, one["consultation"]) if one["consultation"] else "") for one in voices
            ],
            groups={one["speaksFor"]: said(visit, words.CATEGORIES, one["speaksFor"]) for one in voices},
            roles=[
                (link_to(visit, one.get("stakeholder", "")), said(visit, words.ROLES, one.get("role", "")))
                for one in roles
            ],
        )
    )


async def panel(visit: Visit, record: Record) -> Markup | None:
    """The same on the page of a goal."""
    return shown_voices(visit, record.id) or None
