"""Records out of a table: looked at first, then written."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from cityloom.kernel.errors import BadInput
from cityloom.planning.records.importing import Does, Import, Outcome
from cityloom.planning.records.tables import MOST_ROWS, header, lines_of, read_rows
from cityloom.web.forms import WHOLE, Form
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.records import kind_of
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Bytes of a table.
LARGEST = 8_000_000


def add(pages: Pages) -> None:
    pages.get("/plan/{kind}/import", show, json=False)
    pages.post("/plan/{kind}/import", handle)


async def show(visit: Visit) -> Response:
    """Where a table is chosen."""
    visit.require(kind_of(visit).permission)
    return _page(visit, visit.blank_form())


async def handle(visit: Visit) -> Response:
    """Look at what a table would do, or bring it."""
    kind = kind_of(visit)
    visit.require(kind.permission)
    form = await visit.form()
    act = form.choice("act", ["look", "bring"], required=visit.gettext("Choose what to do."))
    content = await form.file("file", largest=LARGEST)
    if content is None:
        form.wrong("file", visit.gettext("Choose a file."))
    if form.errors or content is None:
        return _page(visit, form, status=400)
    try:
        lines = await asyncio.to_thread(lines_of, content, form.file_name("file"))
        rows = read_rows(kind, lines)
        coming = Import(visit.rooms.records, visit.actor, kind)
        note = visit.gettext("out of the table %(name)s", name=form.file_name("file"))
        outcomes = coming.look(rows) if act == "look" else await coming.bring(rows, note=note)
    except BadInput as error:
        form.wrong("file" if (error.where or "").startswith("file") else WHOLE, form.words_of(error))
        return _page(visit, form, status=400)
    return _page(visit, form, outcomes=outcomes, brought=act == "bring")


def _page(
    visit: Visit,
    form: Form,
    *,
    outcomes: list[Outcome] | None = None,
    brought: bool = False,
    status: int = 200,
) -> Response:
    kind = kind_of(visit)
    found = outcomes or []
    return visit.render(
        "plan-import.html",
        status=status,
        form=form,
        kind_path=kind.path,
        plural=visit.language.say(kind.plural),
        columns=header(kind, visit.desk.languages),
        most_rows=MOST_ROWS,
        looked=outcomes is not None,
        brought=brought,
        counts=[(does.value, sum(one.does is does for one in found)) for does in Does],
        rows=[
            {
                "number": one.number,
                "does": one.does.value,
                "name": visit.wording.said(one.name),
                "href": record_href(one.record) if one.record is not None else "",
                "error": form.words_of(one.error) if one.error is not None else "",
                "where": one.error.where if one.error is not None else "",
            }
            for one in found
        ],
    )
