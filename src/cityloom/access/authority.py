"""Asking for leave: the checks that every command makes before it acts."""

from __future__ import annotations

from cityloom.access.errors import NotSignedIn, PasswordChangeDue
from cityloom.access.roles import PASSWORD_CHANGE_DUE, PERMISSIONS, roles_with
from cityloom.kernel.actor import AS_A_ROOM, AS_THE_PLATFORM, Actor, InformationClass
from cityloom.kernel.errors import BadConfig, NotAllowed

#: Everybody, while authentication is off. Never the actor of a request from another machine.
OPEN_ACCESS = Actor(
    id="open-access",
    name="Open access",
    roles=frozenset({"open_access"}),
    permissions=frozenset(PERMISSIONS) | {AS_A_ROOM, AS_THE_PLATFORM},
    clearance=frozenset(InformationClass),
)

#: Whoever owns the city's folder, at a terminal of the machine it runs on.
TERMINAL = Actor(
    id="terminal",
    name="Terminal",
    roles=frozenset({"administrator"}),
    permissions=frozenset(PERMISSIONS),
    clearance=frozenset(InformationClass),
)

OPEN_ACCESS_WARNING = (
    "OPEN ACCESS: authentication is off. Everybody who reaches this address may read, change and delete "
    "everything, whatever its class. For trials on this machine only."
)

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def require(actor: Actor, permission: str) -> None:
    """Raise when the actor lacks a permission; the error says what to do about it."""
    if actor.may(permission):
        return
    doing = PERMISSIONS[permission]
    if PASSWORD_CHANGE_DUE.name in actor.roles:
        raise PasswordChangeDue(
            "The first password must be changed before anything else",
            hint="Choose a password of your own, then go on.",
        )
    if actor.roles == frozenset({"anonymous"}):
        raise NotSignedIn(f"Only somebody signed in may {doing}", hint="Sign in first.")
    holders = " or ".join(roles_with(permission))
    raise NotAllowed(
        f"{actor.name or actor.id} may not {doing}",
        hint=f"It takes the permission {permission}. Ask an administrator for the role {holders}.",
    )


def may_write(actor: Actor, *, classify: bool = False) -> Actor:
    """The same actor with leave to write entities: for a room that has checked its own permission.

    The clearance stays what it is, so nobody reaches an entity that they may not see.
    """
    more = {"entities:write", AS_A_ROOM, AS_THE_PLATFORM}
    if classify:
        more.add("entities:classify")
    return Actor(actor.id, actor.name, actor.roles, actor.permissions | more, actor.clearance)


def check_open_access(host: str) -> None:
    """Open access is served on loopback alone. Raises BadConfig for any other address."""
    if host not in _LOOPBACK:
        raise BadConfig(
            f"Open access is not served on {host}",
            hint="Leave out --open-access, or serve on 127.0.0.1.",
            where="--open-access",
        )
