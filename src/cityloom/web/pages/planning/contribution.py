"""A contribution as its author sees it: followed by its code, with the letter of what it changed."""

from __future__ import annotations

import re

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import NotFound
from cityloom.people.contribution import Response as Answer
from cityloom.people.contributions import FollowedContribution
from cityloom.web.addresses import address
from cityloom.web.forms import Form
from cityloom.web.pages.planning.links import is_there_for, link_to
from cityloom.web.pages.routing import Pages
from cityloom.web.persons import handed_out, packed
from cityloom.web.visit import Visit

_CODE = re.compile(r"[A-Za-z0-9 -]{8,60}")
_ACTS = ("forget", "erase")


def add(pages: Pages) -> None:
    pages.post("/contribution/code", open_by_code)
    pages.data("/contribution/{code}/my-data.zip", copy)
    pages.get("/contribution/{code}/letter", letter, pdf=True, json=False)
    pages.get("/contribution/{code}", show)
    pages.post("/contribution/{code}", act)


async def open_by_code(visit: Visit) -> Response:
    """From the code that an author kept to the contribution."""
    form = await visit.form()
    code = form.text("code", longest=60)
    if not _CODE.fullmatch(code):
        form.wrong("code", visit.gettext("Type the code as it stands on your receipt."))
        return _none(visit, form, status=400)
    return visit.redirect(address("contribution", code.replace(" ", "")))


async def show(visit: Visit) -> Response:
    """The contribution as its author sees it. Whoever has the code is the author."""
    form = Form(visit.language)
    try:
        followed = await visit.rooms.contributions.by_code(visit.part("code"))
    except NotFound:
        form.wrong(
            "code", visit.gettext("This code opens no contribution. Type it as it stands on the receipt.")
        )
        return _none(visit, form, status=404)
    return _page(visit, followed, form)


async def letter(visit: Visit) -> Response:
    """What the city answers, as a letter to be printed."""
    followed = await visit.rooms.contributions.by_code(visit.part("code"))
    one = followed.contribution
    return visit.render(
        "contribution-letter.html",
        one=one,
        consultation=followed.consultation,
        code=visit.part("code"),
        links=[_links(visit, response) for response in one.responses],
    )


async def copy(visit: Visit) -> Response:
    """All that the city holds with this contribution, for its author."""
    await visit.rooms.contributions.by_code(visit.part("code"))
    return handed_out(packed(*await visit.rooms.erasure.copy_by_code(visit.part("code"))))


async def act(visit: Visit) -> Response:
    """Let the contact be forgotten, or erase what is personal."""
    form = await visit.form()
    room, code = visit.rooms.contributions, visit.part("code")
    followed = await room.by_code(code)
    chosen = form.choice("act", list(_ACTS), required=visit.gettext("Choose."))
    if form.errors:
        return _page(visit, followed, form, status=400)
    if chosen == "forget":
        await room.forget_contact(followed)
        told = visit.gettext("How to reach you is forgotten.")
        return visit.redirect(address("contribution", code), told)
    if not form.ticked("sure"):
        form.wrong("sure", visit.gettext("Say that you are sure: it cannot be undone."))
        return _page(visit, followed, form, status=400)
    await visit.rooms.erasure.erase_by_code(code)
    told = visit.gettext("Your data are erased, in all copies too. The code opens nothing any more.")
    return visit.redirect("/consultations", told)


def _page(visit: Visit, followed: FollowedContribution, form: Form, *, status: int = 200) -> Response:
    one = followed.contribution
    name = followed.consultation.name if followed.consultation is not None else {}
    return visit.render(
        "contribution.html",
        {
            "status": one.status,
            "text": visit.wording.said(one.text),
            "consultation": visit.wording.said(name),
            "receivedAt": one.received_at,
            "changed": one.changed,
            "responses": [
                {"at": each.at, "text": each.text, "changed": each.changed, "what": _what(visit, each)}
                for each in one.responses
            ],
        },
        status=status,
        one=one,
        record=followed.consultation,
        form=form,
        code=visit.part("code"),
        new="new" in visit.request.query_params,
        has_contact=bool(followed.reporter.email or followed.reporter.phone),
        links=[_links(visit, response) for response in one.responses],
    )


def _what(visit: Visit, response: Answer) -> list[str]:
    """What was changed, as far as its author may know of it: a goal may not be published yet."""
    return [name for name in response.what if is_there_for(visit, name)]


def _links(visit: Visit, response: Answer) -> list[Markup]:
    return [link_to(visit, name) for name in _what(visit, response)]


def _none(visit: Visit, form: Form, *, status: int) -> Response:
    return visit.render("contribution-code.html", status=status, form=form)
