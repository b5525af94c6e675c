"""Who delivers under contracts, and which accounts act for them: written, brought back, by whom and why."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict
from cityloom.planning.contracts.contracts import EXAMINE
from cityloom.planning.contracts.model import Party
from cityloom.planning.contracts.parties import LONGEST_NOTE, MANAGE
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

_FIELDS = ("name", "number", "accounts", "note")


def add(pages: Pages, here: str) -> None:
    pages.get(f"{here}/parties", show)
    pages.post(f"{here}/parties", write)


async def show(visit: Visit) -> Response:
    """Who delivers, and which accounts act for them."""
    visit.require(MANAGE, EXAMINE)
    return _page(visit, Form(visit.language))


def _page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    rows = [_row(visit, one) for one in visit.rooms.contracts.parties.all()]
    return visit.render(
        "plan-contract-parties.html",
        {"parties": rows},
        status=status,
        form=form,
        may_edit=visit.actor.may(MANAGE),
        choices=[(one["id"], one["name"]) for one in rows],
    )


def _row(visit: Visit, party: Party) -> dict[str, Any]:
    return {
        "id": party.id,
        "name": party.name,
        "number": party.number,
        "accounts": [visit.rooms.access.accounts.user_name(one) for one in party.accounts],
        "history": [
            {"at": one.at, "by": visit.person(one.by), "did": one.did, "note": one.note}
            for one in reversed(party.history)
        ],
        "canBeUndone": bool(party.before),
        "version": party.version,
    }


async def write(visit: Visit) -> Response:
    """Add a party, write one anew, or bring back what stood there before."""
    form = await visit.form()
    visit.require(MANAGE)
    try:
        if form.value("act") == "undo":
            parties = visit.rooms.contracts.parties
            await parties.undo(visit.actor, form.value("party"), version=form.value("version"))
            told = visit.gettext("Taken back.")
        else:
            await _write(visit, form)
            told = visit.gettext("Saved.")
    except WrongForm:
        return _page(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, *_FIELDS)
        return _page(visit, form, status=400)
    return visit.redirect("/plan/contracts/parties", told)


async def _write(visit: Visit, form: Form) -> None:
    parties, accounts = visit.rooms.contracts.parties, visit.rooms.access.accounts
    name = form.text("name", required=visit.gettext("Give it a name."))
    typed = form.text("accounts", longest=2000).replace(",", " ").split()
    # An unknown name is handed on as it is: the room says that it is no provider's account.
    ids = [accounts.id_of(one) or one for one in typed]
    said = {"number": form.text("number"), "note": form.text("note", longest=LONGEST_NOTE)}
    form.raise_if_wrong()
    if party := form.value("party"):
        await parties.change(visit.actor, party, name, accounts=ids, version=form.value("version"), **said)
    else:
        await parties.add(visit.actor, name, accounts=ids, **said)
