"""Who may not write what, and how that is said."""

from __future__ import annotations

from typing import Any

from cityloom.context.writes import Standing
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import NotAllowed, NotFound
from cityloom.ngsild.errors import ResourceNotFound


def not_found(entity_id: Any) -> NotFound:
    """The error for an Entity that is not there, or not there for the asker: word for word the same."""
    return ResourceNotFound(
        f"There is no entity {entity_id}", hint="Check its id; GET /entities lists what is there.", where="id"
    )


def check_may_write(actor: Actor) -> None:
    if not actor.may("entities:write"):
        raise NotAllowed(
            f"{actor.name or actor.id} may not write entities",
            hint="Sign in with an account whose role may write, or ask the administrator for one.",
        )


def check_sees(actor: Actor, entity_id: str, standing: Standing) -> None:
    if not actor.sees(standing.information_class):
        raise not_found(entity_id)


def check_cleared(actor: Actor, information_class: InformationClass) -> None:
    if not actor.sees(information_class):
        raise NotAllowed(
            f"Entities of this type are {information_class.label} in this city",
            hint=f"Ask the administrator for a role that is cleared for {information_class.label}.",
            where="type",
        )


def check_may_classify(actor: Actor, information_class: InformationClass) -> None:
    if not actor.may("entities:classify"):
        raise NotAllowed(
            f"{actor.name or actor.id} may not choose an information class",
            hint="Leave the class out, or ask the administrator for a role that may classify.",
        )
    check_cleared(actor, information_class)
