"""Words of stakeholders in the reader's language, and the tables that stand beside diagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cityloom.kernel.actor import InformationClass
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.kinds import PERMISSION
from cityloom.planning.stakeholders.model import Stakeholder
from cityloom.web.addresses import address
from cityloom.web.visit import Visit


def staff_only(visit: Visit) -> None:
    """How somebody stands is for those who may see what is internal. Raises NotAllowed."""
    if not may_see_standing(visit):
        visit.require(PERMISSION)


def may_see_standing(visit: Visit) -> bool:
    """Whether the reader may see how somebody stands."""
    return visit.actor.sees(InformationClass.INTERNAL) or visit.actor.may(PERMISSION)


def said(visit: Visit, choices: Mapping[str, str], value: str) -> str:
    """What a value is called, "" for none."""
    return visit.language.say(choices[value]) if value in choices else value


def all_said(visit: Visit, choices: Mapping[str, str]) -> dict[str, str]:
    """All values with what they are called."""
    return {value: visit.language.say(name) for value, name in choices.items()}


def listed(visit: Visit, choices: Mapping[str, str], values: Sequence[str]) -> str:
    """Several values in one cell."""
    return ", ".join(said(visit, choices, value) for value in values)


def name_of(visit: Visit, one: Stakeholder) -> str:
    """What a stakeholder is called."""
    return visit.wording.said(one.name) or one.id


def page_of(one_id: str) -> str:
    """The address of a stakeholder's page."""
    return address("plan", "stakeholders", one_id)


def points(value: float | None) -> str:
    """Power or interest in a cell."""
    return "" if value is None else f"{value:g}"


def level(visit: Visit, value: str) -> str:
    """A level of engagement."""
    return said(visit, words.LEVELS, value)
