"""The whole plan out as JSON, CSV and a workbook, and an existing plan in from a table, looked at first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from starlette.responses import Response

from cityloom.kernel.errors import BadInput, NotAllowed
from cityloom.kernel.media_types import XLSX
from cityloom.planning.masterplan.sheet import SheetImport, SheetRow, sheet
from cityloom.planning.model import Initiative
from cityloom.planning.records.fields import plain_values
from cityloom.planning.records.importing import Does
from cityloom.planning.records.model import Record
from cityloom.planning.records.tables import lines_of, workbook_of
from cityloom.web.forms import Form
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.planning.plan import EDIT
from cityloom.web.pages.planning.record_import import LARGEST
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit, json_list


def add(pages: Pages) -> None:
    pages.data("/plan/all.json", as_json)
    pages.data("/plan/all.csv", as_csv)
    pages.data("/plan/all.xlsx", as_xlsx)
    pages.get("/plan/import", show, json=False)
    pages.post("/plan/import", handle)


def _lines(visit: Visit) -> Callable[[], list[list[str]]]:
    """What the reader may see, gathered; the lines of its table are made in a thread."""
    kinds, records, initiatives = visit.rooms.records.kinds.values(), _records(visit), _initiatives(visit)
    return lambda: sheet(kinds, records, initiatives, visit.desk.languages)


def _records(visit: Visit) -> dict[str, Sequence[Record]]:
    records = visit.rooms.records
    return {kind: records.list(visit.actor, kind) for kind in records.kinds}


def _initiatives(visit: Visit) -> Sequence[Initiative]:
    return visit.rooms.initiatives.list(visit.actor)


async def as_json(visit: Visit) -> Response:
    """Everything of the plan that the reader may see."""
    phase = int(visit.rooms.plan.phases.position(visit.actor).phase)
    records, initiatives = _records(visit), _initiatives(visit)

    def rows() -> Iterator[bytes]:
        yield b'{"phase":%d,"records":' % phase
        yield from json_list(_record(one) for several in records.values() for one in several)
        yield b',"initiatives":'
        yield from json_list(map(_initiative, initiatives))
        yield b"}"

    return visit.whole_json(await asyncio.to_thread(lambda: b"".join(rows())))


def _initiative(one: Initiative) -> dict[str, Any]:
    return {"id": one.id, "phase": one.phase, "isDraft": one.is_draft, "plan": one.plan}


def _record(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "type": record.kind.type,
        "state": record.state.value,
        "origin": record.origin,
        "values": plain_values(record.kind.fields, record.values),
    }


async def as_csv(visit: Visit) -> Response:
    """The same as one table, which can be brought in again."""
    lines = _lines(visit)
    return await asyncio.to_thread(lambda: csv_file(visit, "plan", lines()))


async def as_xlsx(visit: Visit) -> Response:
    """The same as a workbook."""
    lines, name = _lines(visit), visit.gettext("Plan")
    content = await asyncio.to_thread(lambda: workbook_of(lines(), name))
    return file_to_keep(visit, "plan", "xlsx", content, XLSX)


async def show(visit: Visit) -> Response:
    """Where the table of an existing plan is chosen."""
    visit.require(EDIT)
    return _page(visit, visit.blank_form())


async def handle(visit: Visit) -> Response:
    """Look at what a table would do, or bring it."""
    visit.require(EDIT)
    form = await visit.form()
    act = form.choice("act", ["look", "bring"], required=visit.gettext("Choose what to do."))
    content = await form.file("file", largest=LARGEST)
    if content is None:
        form.wrong("file", visit.gettext("Choose a file."))
    if form.errors or content is None:
        return _page(visit, form, status=400)
    rooms, name = visit.rooms, form.file_name("file")
    try:
        lines = await asyncio.to_thread(lines_of, content, name)
        coming = SheetImport(rooms.records, rooms.initiatives, visit.actor, lines)
        note = visit.gettext("out of the table %(name)s", name=name)
        rows = coming.look() if act == "look" else await coming.bring(note=note)
    except (BadInput, NotAllowed) as error:
        form.wrong("file", form.words_of(error))
        return _page(visit, form, status=400)
    return _page(visit, form, rows=rows, brought=act == "bring")


def _page(
    visit: Visit,
    form: Form,
    *,
    rows: list[SheetRow] | None = None,
    brought: bool = False,
    status: int = 200,
) -> Response:
    found = rows or []
    kinds = visit.rooms.records.kinds.values()
    return visit.render(
        "plan-import-all.html",
        status=status,
        form=form,
        looked=rows is not None,
        brought=brought,
        kinds=[(kind.path, visit.language.say(kind.plural), _columns(visit, kind.path)) for kind in kinds],
        counts=[(does.value, sum(one.outcome.does is does for one in found)) for does in Does],
        rows=[_row(visit, form, one) for one in found],
    )


def _columns(visit: Visit, path: str) -> str:
    kind = next(one for one in visit.rooms.records.kinds.values() if one.path == path)
    return ", ".join(field.name for field in kind.fields)


def _row(visit: Visit, form: Form, row: SheetRow) -> dict[str, Any]:
    one = row.outcome
    return {
        "number": one.number,
        "kind": row.kind,
        "does": one.does.value,
        "name": visit.wording.said(one.name),
        "href": record_href(one.record) if one.record is not None else "",
        "error": form.words_of(one.error) if one.error is not None else "",
        "where": one.error.where if one.error is not None else "",
    }
