"""Reporting something to the city: the form, the receipt, and the page where its author follows it."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, CityError, Conflict, NotFound
from cityloom.ngsild.model import Document, value_of
from cityloom.people.following import Followed
from cityloom.people.photo import LARGEST
from cityloom.people.report import LONGEST_DESCRIPTION, REPORTER, NewReport
from cityloom.web.addresses import address
from cityloom.web.drawing.map import Bounds, draw_plain_map, lines_of, place_at
from cityloom.web.forms import Form, WrongForm
from cityloom.web.looks import name_of
from cityloom.web.pages.map_page import background, city_bounds, located, roads
from cityloom.web.pages.routing import Pages
from cityloom.web.persons import handed_out, packed
from cityloom.web.visit import Visit

#: Places that a search by name shows.
MOST_FOUND = 8
_FIELDS = ("category", "description", "placeName", "photo", "email", "phone", "latitude", "longitude")
#: What an author may do with their report.
_ACTS = ["reply", "reopen", "confirm", "forget", "erase"]
_CODE = re.compile(r"[A-Za-z0-9 -]{8,60}")
#: Types that show where in the city one is.
_GROUND = ("TrafficFlowObserved", "OffStreetParking")
#: Types among which a place is looked for by name.
_PLACES = ("TrafficFlowObserved", "OffStreetParking", "RoadSegment", "Streetlight", "WasteContainer", "Event")


def add(pages: Pages) -> None:
    pages.get("/report", show_form, json=False)
    pages.post("/report", send)
    pages.data("/report/map.svg", plain_map)
    pages.post("/report/code", open_by_code)
    pages.data("/report/{code}/photo", photo)
    pages.data("/report/{code}/my-data.zip", copy)
    pages.get("/report/{code}", show)
    pages.post("/report/{code}", act)


async def show_form(visit: Visit) -> Response:
    """The form for a report, open to everybody."""
    values = {name: visit.query(name) for name in ("category", "latitude", "longitude", "placeName")}
    return await _form_page(visit, Form.filled(visit.language, values))


async def send(visit: Visit) -> Response:
    """Take the report in; or, where a button of the map or of the search was pressed, fill in the place."""
    form = await visit.form()
    if form.value("at.x"):
        await _take_click(visit, form)
        return await _form_page(visit, form)
    if form.value("find"):
        return await _form_page(visit, form, found=_find(visit, form))
    try:
        report = await _report(visit, form)
        receipt = await visit.rooms.reports.submit(visit.actor, report, address=visit.address)
    except WrongForm:
        return await _form_page(visit, form, status=400)
    except BadInput as error:
        form.take(_at_field(error), *_FIELDS)
        return await _form_page(visit, form, status=400)
    return visit.redirect(f"/report/{receipt.code}?new=1")


def _at_field(error: BadInput) -> CityError:
    """The place is one thing to the room and two fields in the form."""
    if (error.where or "").startswith("location"):
        return BadInput(error.said, hint=error.advice, where="latitude")
    return error


async def _report(visit: Visit, form: Form) -> NewReport:
    categories = list(visit.rooms.reports.categories)
    category = form.choice("category", categories, required=visit.gettext("Choose what it is about."))
    description = form.text(
        "description", required=visit.gettext("Say what you saw."), longest=LONGEST_DESCRIPTION
    )
    _take_found(form)
    missing = visit.gettext("Choose the place: on the map, by its name, or by coordinates.")
    latitude = form.number("latitude", required=missing, least=-90, most=90)
    longitude = form.number("longitude", required=missing, least=-180, most=180)
    sent = await form.file("photo", largest=LARGEST)
    form.raise_if_wrong()
    assert latitude is not None and longitude is not None, "a missing one is a mistake of the form"
    return NewReport(
        category=category,
        description=description,
        location=(longitude, latitude),
        place_name=form.text("placeName"),
        photo=sent,
        language=visit.language.code,
        email=form.text("email", longest=254),
        phone=form.text("phone", longest=40),
    )


async def _bounds(visit: Visit) -> Bounds:
    items = [item async for item in located(visit, _GROUND)]
    return city_bounds(visit, items)


async def _take_click(visit: Visit, form: Form) -> None:
    """Where the plain map was clicked. A key pressed on it says 0, 0 and means nothing."""
    x, y = form.value("at.x"), form.value("at.y")
    if x.isdecimal() and y.isdecimal() and len(x + y) < 12 and (x, y) != ("0", "0"):
        longitude, latitude = place_at(await _bounds(visit), int(x), int(y), PLAIN_WIDTH)
        form.fill(longitude=f"{longitude:.6f}", latitude=f"{latitude:.6f}")


def _find(visit: Visit, form: Form) -> list[tuple[str, str]]:
    """Places of the city whose name has the words typed: (longitude and latitude, name)."""
    words = form.text("placeName").casefold()
    if len(words) < 2:
        form.wrong("placeName", visit.gettext("Type a part of the name of the street or place."))
        return []
    found: dict[str, str] = {}
    for kind in _PLACES:
        for document in visit.rooms.broker.of_type(visit.actor, kind):
            name = name_of(document, visit.wording)
            if words in name.casefold() and (place := _middle(document)) and name not in found.values():
                found[place] = name
            if len(found) >= MOST_FOUND:
                return list(found.items())
    if not found:
        form.wrong("placeName", visit.gettext("No place of this name is known. Use the map or coordinates."))
    return list(found.items())


def _middle(document: Document) -> str:
    line = next(lines_of(value_of(document, "location")), [])
    if not line:
        return ""
    longitude = sum(place[0] for place in line) / len(line)
    latitude = sum(place[1] for place in line) / len(line)
    return f"{longitude:.6f},{latitude:.6f}"


def _take_found(form: Form) -> None:
    longitude, _, latitude = form.value("found").partition(",")
    if latitude and not form.value("latitude"):
        form.fill(longitude=longitude, latitude=latitude)


#: Pixels of the plain map: an image that sends where it was clicked needs no script.
PLAIN_WIDTH = 640


async def plain_map(visit: Visit) -> Response:
    """The city as a picture, for the form without JavaScript."""
    items = [item async for item in located(visit, _GROUND)]
    lines = [*roads(visit), *(item.geometry for item in items if item.geometry)]
    drawn = draw_plain_map(lines, city_bounds(visit, items), PLAIN_WIDTH)
    response = Response(str(drawn), media_type="image/svg+xml")
    response.headers["cache-control"] = "private, max-age=300"
    return response


async def _form_page(
    visit: Visit, form: Form, *, found: list[tuple[str, str]] | None = None, status: int = 200
) -> Response:
    items = [item async for item in located(visit, _GROUND)]
    return visit.render(
        "report.html",
        status=status,
        form=form,
        found=found or [],
        categories=visit.choices(visit.rooms.reports.categories),
        ground=background(visit, items),
        plain_width=PLAIN_WIDTH,
    )


# Following a report


async def open_by_code(visit: Visit) -> Response:
    """From the code that an author kept to the report."""
    form = await visit.form()
    code = form.text("code", longest=60)
    if not _CODE.fullmatch(code):
        form.wrong("code", visit.gettext("Type the code as it stands on your receipt."))
        return await _form_page(visit, form, status=400)
    return visit.redirect(address("report", code.replace(" ", "")))


async def show(visit: Visit) -> Response:
    """The report as its author sees it. Whoever has the code is the author."""
    form = Form(visit.language)
    try:
        followed = await visit.rooms.reports.following.by_code(visit.part("code"))
    except NotFound:
        form.wrong(
            "code",
            visit.gettext(
                "This code opens no report. Type it as it stands on the receipt; "
                "what was erased is not there any more."
            ),
        )
        return await _form_page(visit, form, status=404)
    return _follow_page(visit, followed, form)


def _follow_page(visit: Visit, followed: Followed, form: Form, *, status: int = 200) -> Response:
    report = followed.report
    data: dict[str, Any] = {"isPublic": followed.is_public, "replies": followed.replies}
    if report is not None:
        data |= {
            "status": report.status,
            "category": report.category,
            "description": visit.wording.said(report.description),
            "placeName": report.place_name,
            "receivedAt": report.received_at,
            "answers": report.answers,
        }
    return visit.render(
        "report-follow.html",
        data,
        status=status,
        report=report,
        outcomes=visit.rooms.initiatives.answering(visit.actor, report.id) if report else [],
        form=form,
        code=visit.part("code"),
        new="new" in visit.request.query_params,
        has_contact=bool(followed.reporter.email or followed.reporter.phone),
    )


async def act(visit: Visit) -> Response:
    """Write again, say that it is mended or not, or let the contact be forgotten."""
    form = await visit.form()
    following, code = visit.rooms.reports.following, visit.part("code")
    followed = await following.by_code(code)
    chosen = form.choice("act", _ACTS, required=visit.gettext("Choose."))
    try:
        form.raise_if_wrong()
        if chosen == "reply":
            text = form.text("text", required=visit.gettext("Write something."), longest=LONGEST_DESCRIPTION)
            form.raise_if_wrong()
            await following.reply(followed, text, language=visit.language.code)
            told = visit.gettext("Sent to the city.")
        elif chosen == "reopen":
            why = form.text("why", longest=LONGEST_DESCRIPTION)
            await following.reopen(followed, why, language=visit.language.code)
            told = visit.gettext("The report is open again.")
        elif chosen == "confirm":
            await following.confirm(followed)
            told = visit.gettext("Thank you for telling.")
        elif chosen == "erase":
            return await _erase(visit, followed, form)
        else:
            await following.forget_contact(followed)
            told = visit.gettext("How to reach you is forgotten.")
    except WrongForm:
        return _follow_page(visit, followed, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "text", "why")
        return _follow_page(visit, await following.by_code(code), form, status=400)
    return visit.redirect(address("report", code), told)


async def _erase(visit: Visit, followed: Followed, form: Form) -> Response:
    """Erase what is personal of the report, once that was said twice: it cannot be undone."""
    if not form.ticked("sure"):
        form.wrong("sure", visit.gettext("Say that you are sure: it cannot be undone."))
        return _follow_page(visit, followed, form, status=400)
    await visit.rooms.erasure.erase_by_code(visit.part("code"))
    told = visit.gettext("Your data are erased, in all copies too. The code opens nothing any more.")
    return visit.redirect("/report", told)


async def copy(visit: Visit) -> Response:
    """All that the city holds with this report, for its author."""
    return handed_out(packed(*await visit.rooms.erasure.copy_by_code(visit.part("code"))))


async def photo(visit: Visit) -> Response:
    """The author's own photo."""
    followed = await visit.rooms.reports.following.by_code(visit.part("code"))
    if followed.report is None:
        raise NotFound("There is no photo", hint="Look at the report.")
    content, media_type = await visit.rooms.reports.photo(REPORTER, followed.report.id)
    return Response(content, media_type=media_type, headers={"cache-control": "private, max-age=3600"})
