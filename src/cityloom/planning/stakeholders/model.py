"""A stakeholder with all that is known of them: their record, what contacts changed, their roles and ties."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import msgspec

from cityloom.planning.stakeholders.defaults import CELLS
from cityloom.planning.stakeholders.engagement import Standing


class Role(StrEnum):
    """What somebody is to a project (clause 3.2 a); those who are affected support or oppose it."""

    ACTIVE = "active"
    BENEFICIARY = "beneficiary"
    SUPPORTER = "supporter"
    OPPONENT = "opponent"


class Enabling(StrEnum):
    """What somebody is to the undertaking as a whole (clause 3.2 b)."""

    TECHNOLOGY = "technology"
    DRIVER = "driver"
    CITY = "city"


class Involvement(StrEnum):
    """The rings of the onion, from the core outwards (clause 4.1 b)."""

    CORE = "core"
    INVOLVED = "involved"
    CONSULTED = "consulted"
    PASSIVE = "passive"


class RoleHeld(msgspec.Struct, frozen=True):
    """A role in a project from a day on, until the next one."""

    project: str
    role: str
    since: date
    until: date | None = None
    note: str = ""


class Stakeholder(msgspec.Struct, frozen=True, kw_only=True):
    """A stakeholder. Texts by language only in `name`; the others are as they were written."""

    id: str
    name: Mapping[str, str]
    category: str = ""
    scale: str = ""
    sector: str = ""
    enabling: tuple[str, ...] = ()
    involvement: str = ""
    #: The cells of the matrix by name: aims, challenges, potential, constraints, contribution.
    cells: Mapping[str, str] = {}
    duties: str = ""
    standing: Standing = Standing()
    target: str = ""
    strategy: str = ""
    next_action: str = ""
    next_on: date | None = None
    responsible: str = ""
    roles: tuple[RoleHeld, ...] = ()
    relations: int = 0

    def role_in(self, project: str) -> str:
        """The role held now in a project, "" for none."""
        held = [one.role for one in self.roles if one.project == project and one.until is None]
        return held[-1] if held else ""

    @property
    def roles_now(self) -> tuple[str, ...]:
        """The roles held now in any project, in their order."""
        held = {one.role for one in self.roles if one.until is None}
        return tuple(role.value for role in Role if role in held)

    @property
    def empty_cells(self) -> tuple[str, ...]:
        """The cells of the matrix that say nothing."""
        return tuple(name for name in CELLS if not self.cells.get(name))


def in_turn(held: list[RoleHeld]) -> tuple[RoleHeld, ...]:
    """The roles of one stakeholder by project and day; each ends when the next in its project begins."""
    ordered = sorted(held, key=lambda one: (one.project, one.since))
    found = []
    for place, one in enumerate(ordered):
        after = ordered[place + 1] if place + 1 < len(ordered) else None
        ends = after.since if after is not None and after.project == one.project else None
        found.append(msgspec.structs.replace(one, until=one.until or ends))
    return tuple(found)
