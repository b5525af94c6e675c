"""Accounts of everybody, for those who give them."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.access.accounts import NewPassword
from cityloom.access.model import Account
from cityloom.access.roles import ROLES
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.web.forms import Form, WrongForm
from cityloom.web.labels import ROLES as ROLE_WORDS
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

MANAGE = "accounts:manage"


def add(pages: Pages) -> None:
    pages.get("/accounts", browse)
    pages.post("/accounts", create)
    pages.post("/accounts/{id}", handle)


async def browse(visit: Visit) -> Response:
    """Every account."""
    visit.require(MANAGE)
    return await _page(visit, Form(visit.language))


async def _page(visit: Visit, form: Form, *, made: NewPassword | None = None, status: int = 200) -> Response:
    found = await visit.rooms.access.accounts.all(visit.actor)
    roles = [role.name for role in ROLES.values() if role.assignable]
    titles = {name: visit.gettext(ROLE_WORDS[name][0]) for name in roles}
    purposes = {name: visit.gettext(ROLE_WORDS[name][1]) for name in roles}
    return visit.render(
        "accounts.html",
        {"accounts": [_row(one) for one in found]},
        status=status,
        form=form,
        made=made,
        roles=[(name, f"{titles[name]}: {purpose}") for name, purpose in purposes.items()],
        titles=titles,
    )


def _row(account: Account) -> dict[str, object]:
    """What may be shown of an account: no digest of anything."""
    return {
        "id": account.id,
        "name": account.name,
        "displayName": account.display_name,
        "roles": sorted(account.roles),
        "createdAt": account.created_at,
        "disabled": account.disabled,
        "mustChangePassword": account.must_change_password,
    }


async def create(visit: Visit) -> Response:
    """A new account; its first password is shown on the answer, once."""
    form = await visit.form()
    visit.require(MANAGE)
    name = form.text("name", required=visit.gettext("Give the account a user name."), longest=64)
    roles = form.values("roles")
    if not roles:
        form.wrong("roles", visit.gettext("Choose at least one role."))
    try:
        form.raise_if_wrong()
        made = await visit.rooms.access.accounts.create(
            visit.actor, name, display_name=form.text("displayName", longest=100), roles=roles
        )
    except WrongForm:
        return await _page(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "name", "roles")
        return await _page(visit, form, status=400)
    return await _page(visit, Form(visit.language), made=made)


async def handle(visit: Visit) -> Response:
    """Other roles, another password, closed or open."""
    form = await visit.form()
    visit.require(MANAGE)
    accounts, account_id = visit.rooms.access.accounts, visit.part("id")
    acts = ["roles", "reset", "disable", "enable"]
    act = form.choice("act", acts, required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    try:
        if act == "reset":
            made = await accounts.reset_password(visit.actor, account_id)
            return await _page(visit, Form(visit.language), made=made)
        if act == "roles":
            await accounts.change_roles(visit.actor, account_id, form.values("roles"))
            return visit.redirect("/accounts", visit.gettext("The roles are changed."))
        await accounts.disable(visit.actor, account_id, disabled=act == "disable")
    except (BadInput, Conflict) as error:
        form.take(error, "roles")
        return await _page(visit, form, status=409)
    other = "enable" if act == "disable" else "disable"
    told = (
        visit.gettext("The account is closed.") if act == "disable" else visit.gettext("The account is open.")
    )
    return visit.redirect("/accounts", told, undo=(f"/accounts/{account_id}", {"act": other}))
