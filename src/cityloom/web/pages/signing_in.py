"""Signing in and out, and choosing a password."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.access.errors import NotSignedIn
from cityloom.access.passwords import SHORTEST
from cityloom.access.sessions import SignedIn
from cityloom.kernel.errors import BadInput
from cityloom.web.forms import WHOLE, Form
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/sign-in", show_sign_in, json=False)
    pages.post("/sign-in", sign_in)
    pages.post("/sign-out", sign_out)
    pages.get("/password", show_password, json=False)
    pages.post("/password", change_password)


async def show_sign_in(visit: Visit) -> Response:
    """The form to sign in."""
    return _sign_in_page(visit, Form.filled(visit.language, {"name": visit.query("name")}))


async def sign_in(visit: Visit) -> Response:
    """Begin a session."""
    form = await visit.form()
    name = form.text("name", required=visit.gettext("Enter your user name."), longest=64)
    password = form.value("password")
    if not password:
        form.wrong("password", visit.gettext("Enter your password."))
    if form.errors:
        return _sign_in_page(visit, form, status=400)
    try:
        opened = await visit.rooms.access.accounts.authenticate(
            name, password, address=visit.address, browser=_browser(visit)
        )
    except NotSignedIn:
        form.wrong(WHOLE, visit.gettext("The user name or the password is not right."))
        return _sign_in_page(visit, form, status=401)
    _remember(visit, opened)
    if opened.must_change_password:
        return visit.redirect("/password")
    return visit.redirect(visit.back())


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    await visit.form()
    if visit.request.state.session:
        await visit.rooms.access.accounts.sessions.sign_out(visit.request.state.session)
    visit.close_session()
    return visit.redirect("/")


async def show_password(visit: Visit) -> Response:
    """The form to change one's password."""
    visit.require("password:change")
    return _password_page(visit, Form(visit.language))


async def change_password(visit: Visit) -> Response:
    """Another password; every other session of the account ends."""
    form = await visit.form()
    visit.require("password:change")
    current, wanted = form.value("current"), form.value("password")
    if not current:
        form.wrong("current", visit.gettext("Enter the password you have now."))
    if len(wanted) < SHORTEST:
        message = visit.gettext("Choose a password of at least %(count)s characters.", count=SHORTEST)
        form.wrong("password", message)
    if form.value("again") != wanted:
        form.wrong("again", visit.gettext("The two passwords are not the same."))
    if form.errors:
        return _password_page(visit, form, status=400)
    try:
        opened = await visit.rooms.access.accounts.change_password(
            visit.actor, current, wanted, address=visit.address, browser=_browser(visit)
        )
    except BadInput as error:
        form.take(error, "current", "password")
        return _password_page(visit, form, status=400)
    _remember(visit, opened)
    return visit.redirect("/")


def _remember(visit: Visit, opened: SignedIn) -> None:
    visit.open_session(opened.token, opened.expires_at)


def _browser(visit: Visit) -> str:
    agent: str = visit.request.headers.get("user-agent", "")
    return agent[:200]


def _sign_in_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    return visit.render("sign-in.html", status=status, form=form, back=visit.back())


def _password_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    due = visit.must_change_password()
    return visit.render("password.html", status=status, form=form, due=due, shortest=SHORTEST)
