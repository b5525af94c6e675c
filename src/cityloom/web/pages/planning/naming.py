"""Goals and initiatives that a form offers: to choose from while they are few, else typed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cityloom.context.publishing import public_id
from cityloom.planning.stakeholders.kinds import PROJECTS
from cityloom.web.forms import Form
from cityloom.web.visit import Visit

#: More things than this to choose from are typed by name or id instead.
MOST_OFFERED = 300
_INITIATIVE = "Initiative"
_Pair = tuple[str, str]


def initiatives(visit: Visit) -> list[_Pair]:
    """The initiatives that the reader sees: id and name."""
    return [(one.id, visit.wording.said(one.plan.name)) for one in visit.rooms.initiatives.list(visit.actor)]


def projects(visit: Visit) -> list[_Pair]:
    """The goals and initiatives that the reader sees, by name."""
    found: dict[str, str] = {}
    for kind in PROJECTS:
        if kind == _INITIATIVE:
            found |= initiatives(visit)
        else:
            records = visit.rooms.records.list(visit.actor, kind)
            found |= {one.id: visit.wording.said(one.name) for one in records}
    return sorted(found.items(), key=lambda one: one[1].casefold())


def offered(every: list[_Pair], near: Collection[str]) -> tuple[list[_Pair], bool]:
    """What is offered of it, and whether that is all: of many only those that are `near`, by id."""
    if len(every) <= MOST_OFFERED:
        return every, True
    return [pair for pair in every if pair[0] in near], False


def named(visit: Visit, form: Form, name: str, every: Iterable[_Pair]) -> list[str]:
    """The ids of what was typed into a field by name or id, with semicolons between.

    What nothing is called, or more than one thing, is marked there.
    """
    typed = [part.strip() for part in form.text(name, longest=4000).split(";") if part.strip()]
    if not typed:
        return []
    called: dict[str, list[str]] = {}
    for entity_id, words in every:
        called.setdefault(words.casefold(), []).append(entity_id)
        called.setdefault(public_id(entity_id).casefold(), []).append(entity_id)
    found: list[str] = []
    for one in typed:
        ids = called.get(one.casefold()) or called.get(public_id(one).casefold(), [])
        if len(ids) == 1:
            found += ids
        elif one.startswith("urn:"):
            # The room knows whether there is such a thing.
            found.append(one)
        else:
            form.wrong(name, visit.gettext("Nothing, or more than one, is called %(name)s.", name=one[:80]))
    return found
