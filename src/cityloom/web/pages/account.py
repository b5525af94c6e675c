"""One's own account: sessions, API tokens, reports sent under it."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.access.roles import PERMISSIONS, SESSION_ONLY
from cityloom.access.tokens import LONGEST_DAYS, NewToken
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed
from cityloom.web.forms import Form, WrongForm
from cityloom.web.labels import ROLES
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/account", show)
    pages.post("/account/tokens", make_token)
    pages.post("/account/revoke", revoke)


async def show(visit: Visit) -> Response:
    """What there is of one's own."""
    visit.require("tokens:own")
    return await _page(visit, Form.filled(visit.language, {"days": 90}))


async def _page(visit: Visit, form: Form, *, made: NewToken | None = None, status: int = 200) -> Response:
    accounts = visit.rooms.access.accounts
    tokens = await accounts.tokens.own(visit.actor)
    sessions = await accounts.sessions.own(visit.actor)
    data = {
        "name": visit.actor.name,
        "roles": sorted(visit.actor.roles),
        "tokens": [
            {
                "id": one.id,
                "label": one.label,
                "permissions": sorted(one.permissions),
                "classes": [found.label for found in sorted(one.clearance)],
                "createdAt": one.created_at,
                "expiresAt": one.expires_at,
                "lastUsedAt": one.last_used_at,
            }
            for one in tokens
        ],
        "sessions": [
            {"id": one.id, "browser": one.browser, "address": one.address, "seenAt": one.seen_at}
            for one in sessions
        ],
    }
    own = [name for name in PERMISSIONS if visit.actor.may(name) and name not in SESSION_ONLY]
    return visit.render(
        "account.html",
        data,
        status=status,
        form=form,
        made=made,
        titles=[visit.gettext(ROLES[name][0]) for name in sorted(visit.actor.roles) if name in ROLES],
        permissions=[(name, PERMISSIONS[name]) for name in own],
        classes=visit.choices(one.label for one in sorted(visit.actor.clearance)),
        reports=await visit.rooms.reports.following.by_account(visit.actor),
    )


async def make_token(visit: Visit) -> Response:
    """A new token; its secret is shown on the answer, once."""
    form = await visit.form()
    visit.require("tokens:own")
    label = form.text("label", required=visit.gettext("Say what the token is for."), longest=80)
    days = form.number("days", required=visit.gettext("Say for how many days."), least=1, most=LONGEST_DAYS)
    wanted = form.values("permissions")
    if not wanted:
        form.wrong("permissions", visit.gettext("Choose what the token may do."))
    labels = form.values("classes") or [InformationClass.OPEN.label]
    clearance = [one for one in InformationClass if one.label in labels]
    try:
        form.raise_if_wrong()
        made = await visit.rooms.access.accounts.tokens.create(
            visit.actor, label, permissions=wanted, clearance=clearance, days=int(days or 1)
        )
    except WrongForm:
        return await _page(visit, form, status=400)
    except (BadInput, Conflict, NotAllowed) as error:
        form.take(error, "label", "days", "permissions")
        return await _page(visit, form, status=400)
    return await _page(visit, Form.filled(visit.language, {"days": 90}), made=made)


async def revoke(visit: Visit) -> Response:
    """End a token or a session of one's own."""
    form = await visit.form()
    accounts = visit.rooms.access.accounts
    if token := form.value("token"):
        await accounts.tokens.revoke(visit.actor, token)
        return visit.redirect("/account", visit.gettext("The token opens nothing any more."))
    await accounts.sessions.revoke(visit.actor, form.value("session"))
    return visit.redirect("/account", visit.gettext("The session is ended."))
