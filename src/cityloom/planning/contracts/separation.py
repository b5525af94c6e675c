"""Separation of duties: who wrote a contract, delivers, settles, decides and pays are different persons.

Each check raises NotAllowed. `delivers` says whether the actor belongs to the contract's provider. Pure.
"""

from __future__ import annotations

from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import Conflict, NotAllowed
from cityloom.kernel.worded import Worded
from cityloom.planning.contracts.model import Contract, Settlement
from cityloom.planning.contracts.terms import Terms


def check_examiner(actor: Actor, contract: Contract, terms: Terms, *, delivers: bool) -> None:
    """Settling is for the examiner whom the period's terms name, who had no hand in the contract."""
    if delivers:
        raise NotAllowed(
            Worded("Whoever delivers does not settle"), hint=Worded("Ask the contract's examiner.")
        )
    if actor.id in contract.every_author:
        raise NotAllowed(
            Worded("Who wrote a contract does not settle it"), hint=Worded("Ask the contract's examiner.")
        )
    if actor.id != terms.examiner:
        raise NotAllowed(
            Worded("The contract names another examiner"),
            hint=Worded("Ask them, or change the contract."),
        )


def check_reviewer(actor: Actor, contract: Contract, settlement: Settlement, *, delivers: bool) -> None:
    """A dispute is decided by somebody who neither wrote, examined nor settled, nor excluded time."""
    examiners = {settlement.settled_by, *(one.terms.examiner for one in contract.versions)}
    exclusions = settlement.statement.exclusions
    excluded = {who for one in exclusions for who in (one.by, one.confirmed_by) if who}
    if actor.id in examiners | excluded or actor.id in contract.every_author:
        raise NotAllowed(
            Worded("Who wrote or examined a contract does not decide a dispute about it"),
            hint=Worded("Ask a person who had no part in it."),
        )
    if delivers:
        raise NotAllowed(
            Worded("Whoever delivers does not decide"), hint=Worded("Ask a person who had no part in it.")
        )


def check_payer(actor: Actor, settlement: Settlement, *, delivers: bool) -> None:
    """Paying is for a second person, and not while it is disputed: that raises Conflict."""
    if settlement.status == "disputed":
        raise Conflict(
            Worded("It is disputed"), hint=Worded("Pay once the dispute is decided."), where="status"
        )
    if actor.id == settlement.settled_by or delivers:
        raise NotAllowed(Worded("Who settled does not pay"), hint=Worded("Ask a second person."))
