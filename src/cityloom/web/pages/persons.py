"""One person's data, for whoever answers to that person: looked up, handed out, erased."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, NotFound
from cityloom.people.erasure import PERMISSION, Erased, Held, Who
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.routing import Pages
from cityloom.web.persons import handed_out, packed
from cityloom.web.visit import Visit

_FIELDS = ("entity", "code", "account", "email", "phone")
#: In the order of the page: the first that was filled in tells what went wrong.
_ASKED = ("email", "phone", "account", "code", "entity")


def add(pages: Pages) -> None:
    pages.get("/persons", show, json=False)
    pages.post("/persons", handle)


async def show(visit: Visit) -> Response:
    """The form in which a person is looked for."""
    visit.require(PERMISSION)
    return _page(visit, Form(visit.language))


def _page(
    visit: Visit, form: Form, *, held: Held | None = None, erased: Erased | None = None, status: int = 200
) -> Response:
    return visit.render("persons.html", status=status, form=form, held=held, erased=erased, fields=_FIELDS)


async def handle(visit: Visit) -> Response:
    """Look, hand out, or erase: what is erased was looked at, and confirmed."""
    form = await visit.form()
    visit.require(PERMISSION)
    act = form.choice("act", ["look", "copy", "erase"], required=visit.gettext("Choose what to do."))
    said = {name: form.text(name, longest=300) for name in _FIELDS}
    if not any(said.values()):
        form.wrong("entity", visit.gettext("Say whose data they are, in one of these ways."))
    erasure, who = visit.rooms.erasure, Who(**said)
    try:
        form.raise_if_wrong()
        if act == "copy":
            return handed_out(packed(*await erasure.copy(visit.actor, who)))
        held = await erasure.look(visit.actor, who)
        if act == "look":
            return _page(visit, form, held=held)
        if not form.ticked("sure"):
            form.wrong("sure", visit.gettext("Say that you have checked it."))
            return _page(visit, form, held=held, status=400)
        return _page(visit, Form(visit.language), erased=await erasure.erase(visit.actor, who))
    except WrongForm:
        return _page(visit, form, status=400)
    except NotFound:
        filled = next(name for name in _ASKED if said[name])
        form.wrong(
            filled,
            visit.gettext("Nothing personal is held under this. What was erased is not found a second time."),
        )
        return _page(visit, form, status=404)
    except BadInput as error:
        place = error.where if error.where in _FIELDS else "entity"
        form.take(BadInput(error.said, hint=error.advice, where=place), *_FIELDS)
        return _page(visit, form, status=400)
