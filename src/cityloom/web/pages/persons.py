"""One person's data, for whoever answers to that person: looked up, handed out, erased."""

from __future__ import annotations

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, NotFound
from cityloom.people.asking import Asked
from cityloom.people.erasure import PERMISSION
from cityloom.people.held import Erased, Held, Who
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.routing import Pages
from cityloom.web.persons import handed_out, packed
from cityloom.web.visit import Visit

_FIELDS = ("entity", "code", "account", "email", "phone")
#: In the order of the page: the first that was filled in tells what went wrong.
_ASKED = ("email", "phone", "account", "code", "entity")


_ACTS = ("look", "copy", "erase", "confirm", "refuse")


def add(pages: Pages) -> None:
    pages.get("/persons", show, json=False)
    pages.post("/persons", handle)


async def show(visit: Visit) -> Response:
    """The form in which a person is looked for."""
    visit.require(PERMISSION)
    return await _page(visit, Form(visit.language))


async def _page(
    visit: Visit,
    form: Form,
    *,
    held: Held | None = None,
    done: Erased | Asked | None = None,
    status: int = 200,
) -> Response:
    erasure = visit.rooms.erasure
    return visit.render(
        "persons.html",
        status=status,
        form=form,
        held=held,
        erased=done if isinstance(done, Erased) else None,
        asked=done if isinstance(done, Asked) else None,
        waiting=[(one, visit.person(one.by)) for one in await erasure.waiting(visit.actor)],
        alone=erasure.alone,
        fields=_FIELDS,
    )


async def handle(visit: Visit) -> Response:
    """Look, hand out, erase or ask for it; confirm or refuse what somebody else asked for."""
    form = await visit.form()
    visit.require(PERMISSION)
    act = form.choice("act", list(_ACTS), required=visit.gettext("Choose what to do."))
    if act in ("confirm", "refuse"):
        return await _answer(visit, act, form)
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
            return await _page(visit, form, held=held)
        if not form.ticked("sure"):
            form.wrong("sure", visit.gettext("Say that you have checked it."))
            return await _page(visit, form, held=held, status=400)
        return await _page(visit, Form(visit.language), done=await erasure.erase(visit.actor, who))
    except WrongForm:
        return await _page(visit, form, status=400)
    except NotFound:
        filled = next(name for name in _ASKED if said[name])
        form.wrong(
            filled,
            visit.gettext("Nothing personal is held under this. What was erased is not found a second time."),
        )
        return await _page(visit, form, status=404)
    except BadInput as error:
        place = error.where if error.where in _FIELDS else "entity"
        form.take(BadInput(error.said, hint=error.advice, where=place), *_FIELDS)
        return await _page(visit, form, status=400)


async def _answer(visit: Visit, act: str, form: Form) -> Response:
    """What the second person says to an erasure."""
    erasure, order = visit.rooms.erasure, form.value("order")
    if act == "refuse":
        await erasure.refuse(visit.actor, order)
        return visit.redirect("/persons", visit.gettext("Refused: nothing is erased."))
    if not form.ticked("sure"):
        form.wrong("sure", visit.gettext("Say that you have checked it."))
        return await _page(visit, form, status=400)
    return await _page(visit, Form(visit.language), done=await erasure.confirm(visit.actor, order))
