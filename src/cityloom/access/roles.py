"""Permissions, roles and clearances as data: the one table that pages and docs print."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput

OPEN, INTERNAL, SECURITY = InformationClass

#: What may be allowed, and in plain words what it lets somebody do.
PERMISSIONS: dict[str, str] = {
    "entities:read": "read entities through the API, within one's clearance",
    "entities:write": "create, change and delete entities, within one's clearance",
    "entities:classify": "set the information class of an entity",
    "sources:read": "see which other brokers are registered as context sources, and at which addresses",
    "sources:register": "register other brokers as context sources, whose data then appear here",
    "subscriptions:edit": "subscribe to changes of entities, and change and end one's own subscriptions",
    "alerts:handle": "raise, acknowledge, assign, comment and clear alerts",
    "reports:answer": "answer, close and publish citizens' reports, and see how to reach their authors",
    "notices:publish": "write, publish and withdraw notices",
    "initiatives:edit": "write, change and adopt initiatives",
    "plan:edit": "write, change and publish what the master plan says",
    "plan:adopt": "write down what the council and its committees have decided, and adopt the plan",
    "stakeholders:edit": "keep the register of stakeholders, and open consultations",
    "contracts:manage": "write contracts that are paid on indicators",
    "contracts:examine": "examine and settle contracts that somebody else wrote",
    "contracts:provide": "see the contracts of one's own party, and dispute what was settled",
    "indicators:enter": "enter indicator values with their evidence",
    "indicators:verify": "verify indicator values that somebody else entered",
    "history:load": "bring whole tables into the past, and take them out again",
    "readings:push": "deliver readings to a connector of the city",
    "edge:bring": "bring the changes of an edge: a smaller CityLoom that works on its own",
    "devices:admit": "admit, refuse and revoke devices",
    "connectors:manage": "start, stop and configure connectors",
    "services:manage": "start, stop and train city services",
    "parked:read": "see readings that were parked, with the reason, and try them again",
    "people:erase": "look up what is held of one person, give them a copy, and erase it for good",
    "accounts:manage": "create and close accounts, give roles, reset passwords",
    "system:read": "see how the city runs inside: its metrics, its stages, its slow requests",
    "audit:read": "read, verify and export the audit log",
    "password:change": "change one's own password",
    "tokens:own": "make and revoke API tokens of one's own",
}

#: Permissions that a person uses in a session and never through an API token.
SESSION_ONLY: frozenset[str] = frozenset({"password:change", "tokens:own"})

#: Roles that nobody signs in with: what holds one delivers with a token.
FOR_PROGRAMS: frozenset[str] = frozenset({"device", "edge"})


class Role(msgspec.Struct, frozen=True):
    """A task in the city, with what it needs and no more."""

    name: str
    title: str
    purpose: str
    permissions: frozenset[str]
    clearance: frozenset[InformationClass]
    #: Whether an account may hold it; the others are given by the city itself.
    assignable: bool = True


def _role(
    name: str,
    title: str,
    purpose: str,
    permissions: Iterable[str] = (),
    clearance: Iterable[InformationClass] = (OPEN,),
    *,
    assignable: bool = True,
) -> Role:
    own = SESSION_ONLY | {"entities:read"} if assignable else frozenset[str]()
    return Role(name, title, purpose, frozenset(permissions) | own, frozenset(clearance), assignable)


#: The roles by name. An account that holds several has the union of them.
ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        _role("anonymous", "Visitor", "sees what is open, without signing in", assignable=False),
        _role("citizen", "Citizen", "follows reports and notices under an account of their own"),
        _role("device", "Device", "a gateway or another system that delivers readings", ["readings:push"]),
        _role(
            "edge",
            "Edge",
            "a smaller CityLoom that works on its own, and brings here what it knows",
            ["edge:bring"],
            [OPEN, INTERNAL],
        ),
        _role(
            "engineer",
            "Engineer",
            "connects devices and data, and keeps the city's models right",
            [
                "entities:write",
                "sources:read",
                "sources:register",
                "devices:admit",
                "connectors:manage",
                "services:manage",
                "parked:read",
                "system:read",
                "history:load",
            ],
            [OPEN, INTERNAL],
        ),
        _role(
            "operator",
            "Operator",
            "watches the city, handles alerts, answers citizens",
            [
                "alerts:handle",
                "reports:answer",
                "notices:publish",
                "sources:read",
                "subscriptions:edit",
                "parked:read",
            ],
            [OPEN, INTERNAL],
        ),
        _role(
            "planner",
            "Planner",
            "plans initiatives and enters indicators",
            [
                "initiatives:edit",
                "plan:edit",
                "stakeholders:edit",
                "contracts:manage",
                "indicators:enter",
                "sources:read",
            ],
            [OPEN, INTERNAL],
        ),
        _role(
            "committee",
            "Committee",
            "decides on the plan, and on changes of its budgets",
            ["plan:adopt"],
            [OPEN, INTERNAL],
        ),
        _role(
            "auditor",
            "Auditor",
            "verifies indicators, settles contracts, and reads who did what",
            ["indicators:verify", "contracts:examine", "audit:read", "parked:read", "sources:read"],
            [OPEN, INTERNAL],
        ),
        _role(
            "provider",
            "Provider",
            "delivers under contracts of the city: sees those of its own party, and may dispute a settlement",
            ["contracts:provide"],
        ),
        _role(
            "data_protection_officer",
            "Data protection officer",
            "gives people a copy of what the city holds of them, and erases it",
            ["people:erase", "audit:read"],
            [OPEN, INTERNAL],
        ),
        _role(
            "security_operator",
            "Security operator",
            "works with information of the security class",
            ["entities:write", "entities:classify", "sources:read", "subscriptions:edit", "alerts:handle"],
            [OPEN, INTERNAL, SECURITY],
        ),
        _role(
            "administrator",
            "Administrator",
            "gives accounts and roles, and may do everything",
            PERMISSIONS,
            [OPEN, INTERNAL, SECURITY],
        ),
    )
}

#: Held by nobody for long: somebody whose first password waits to be changed.
PASSWORD_CHANGE_DUE = _role(
    "password_change_due",
    "First password",
    "must choose a password before anything else",
    ["password:change"],
    assignable=False,
)


def check_roles(names: Iterable[str], *, where: str = "roles") -> frozenset[str]:
    """The role names, when an account may hold each of them. Raises BadInput naming the wrong one."""
    wanted = frozenset(names)
    known = [name for name, role in ROLES.items() if role.assignable]
    hint = f"Roles are: {', '.join(known)}."
    if not wanted:
        raise BadInput("An account needs at least one role", hint=hint, where=where)
    for name in sorted(wanted):
        if name not in known:
            raise BadInput(f"{name!r} is not a role an account may hold", hint=hint, where=where)
    return wanted


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """What the roles allow together. A role that is no longer known allows nothing."""
    return frozenset().union(*(ROLES[name].permissions for name in roles if name in ROLES))


def clearance_of(roles: Iterable[str]) -> frozenset[InformationClass]:
    """What the roles may see together; what is open in any case."""
    cleared = frozenset({OPEN})
    return cleared.union(*(ROLES[name].clearance for name in roles if name in ROLES))


def roles_with(permission: str) -> list[str]:
    """Titles of the roles that have a permission, for hints: whom to ask, what to ask for."""
    return [role.title for role in ROLES.values() if permission in role.permissions]
