"""Records of all kinds: lists, pages, forms and tables, made of what a kind says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.media_types import XLSX
from cityloom.planning.records.fields import Field
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.records.model import Record, State
from cityloom.planning.records.records import LONGEST_NOTE
from cityloom.planning.records.tables import cells, header, workbook_of
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning.links import link_to, record_href
from cityloom.web.pages.planning.panels import PANELS
from cityloom.web.pages.planning.record_form import MOST_FIELDS, filled, inputs, take, values_of
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_file, file_to_keep
from cityloom.web.visit import Visit

#: Records on one page of a list.
PAGE = 100
#: Records that a record's page lists as pointing at it.
MOST_POINTING = 200
ACTS = ("publish", "withdraw", "undo", "discard", "restore")


def add(pages: Pages) -> None:
    pages.data("/plan/{kind}.csv", table)
    pages.data("/plan/{kind}.xlsx", workbook)
    pages.get("/plan/{kind}", browse, pdf=True)
    pages.get("/plan/{kind}/new", show_new, json=False)
    pages.post("/plan/{kind}/new", write_new)
    pages.get("/plan/{kind}/{id:path}/edit", show_edit, json=False)
    pages.post("/plan/{kind}/{id:path}/edit", edit)
    pages.get("/plan/{kind}/{id:path}", show, pdf=True)
    pages.post("/plan/{kind}/{id:path}", handle)


def kind_of(visit: Visit) -> RecordKind:
    """The kind that the address names. Raises NotFound."""
    path = visit.part("kind")
    for kind in visit.rooms.records.kinds.values():
        if kind.path == path:
            return kind
    raise NotFound("There is no such list in the plan", hint="See the plan.")


async def browse(visit: Visit) -> Response:
    """The records of a kind, by name; those of which a text is asked for."""
    kind, asked = kind_of(visit), visit.query("q").strip()
    discarded = bool(visit.query("discarded")) and visit.actor.may(kind.permission)
    found = await _asked(visit, kind, asked, discarded=discarded)
    offset = visit.whole("offset", 0)
    data = {
        "kind": kind.type,
        "total": len(found),
        "records": [record_row(visit, one) for one in found[offset : offset + PAGE]],
    }
    columns = [kind.field(name) for name in kind.columns]
    shown = [[shown_value(visit, column, one) for column in columns] for one in found[offset : offset + PAGE]]
    return visit.render(
        "plan-records.html",
        data,
        kind_path=kind.path,
        title=visit.language.say(kind.plural),
        about=visit.language.say(kind.about),
        singular=visit.language.say(kind.singular),
        columns=[visit.language.say(column.label) for column in columns],
        shown=shown,
        asked=asked,
        discarded=discarded,
        offset=offset,
        limit=PAGE,
        may_edit=visit.actor.may(kind.permission),
    )


async def _asked(visit: Visit, kind: RecordKind, asked: str, *, discarded: bool) -> Sequence[Record]:
    found = visit.rooms.records.list(visit.actor, kind.type, discarded=discarded)
    words = asked.casefold()
    if not words:
        return found

    def fitting() -> Sequence[Record]:
        return [one for one in found if any(words in text.casefold() for text in _texts(one))]

    return await asyncio.to_thread(fitting)


def _texts(record: Record) -> list[str]:
    return [record.kind.field(name).text(value) for name, value in record.values.items()]


def record_row(visit: Visit, record: Record) -> dict[str, Any]:
    """A record as data."""
    return {
        "id": record.id,
        "href": record_href(record),
        "type": record.kind.type,
        "name": visit.wording.said(record.name),
        "state": record.state.value,
        "isAhead": record.is_ahead,
        "publishedAt": record.published_at,
        "origin": visit.origin(record.origin),
        "values": {
            field.name: field.plain(record.values[field.name])
            for field in record.kind.fields
            if field.name in record.values
        },
    }


async def table(visit: Visit) -> Response:
    """The records of a kind as CSV, as far as the reader may see them."""
    kind, found = kind_of(visit), _every(visit)
    return await asyncio.to_thread(lambda: csv_file(visit, kind.path, _rows(visit, kind, found)))


async def workbook(visit: Visit) -> Response:
    """The records of a kind as a workbook, as far as the reader may see them."""
    kind = kind_of(visit)
    found, sheet = _every(visit), visit.language.say(kind.plural)
    content = await asyncio.to_thread(lambda: workbook_of(_rows(visit, kind, found), sheet))
    return file_to_keep(visit, kind.path, "xlsx", content, XLSX)


def _every(visit: Visit) -> Sequence[Record]:
    return visit.rooms.records.list(visit.actor, kind_of(visit).type)


def _rows(visit: Visit, kind: RecordKind, found: Sequence[Record]) -> list[list[str]]:
    languages = visit.desk.languages
    return [header(kind, languages), *(cells(one, languages) for one in found)]


async def show(visit: Visit) -> Response:
    """One record, what was done with it, and what points at it."""
    return await _page(visit, _record(visit), Form(visit.language))


def _record(visit: Visit) -> Record:
    kind = kind_of(visit)
    record = visit.rooms.records.get(visit.actor, visit.part("id"))
    if record.kind is not kind or (record.state is State.DISCARDED and not visit.actor.may(kind.permission)):
        raise NotFound("There is no such record", hint="See the list of them.")
    return record


async def _page(visit: Visit, record: Record, form: Form, *, status: int = 200) -> Response:
    panel = PANELS.get(record.kind.type)
    staff = record.is_working
    return visit.render(
        "plan-record.html",
        record_row(visit, record),
        status=status,
        record=record,
        form=form,
        singular=visit.language.say(record.kind.singular),
        plural=visit.language.say(record.kind.plural),
        facts=_facts(visit, record),
        panel=await panel(visit, record) if panel is not None and not visit.as_json else None,
        pointing=[
            (visit.language.say(one.kind.singular), visit.wording.said(one.name), record_href(one))
            for one in visit.rooms.records.pointing_at(visit.actor, record.id, most=MOST_POINTING)
        ],
        most_pointing=MOST_POINTING,
        may_edit=visit.actor.may(record.kind.permission) and staff,
        steps=[(one, visit.person(one.by)) for one in reversed(record.history)] if staff else [],
    )


def _facts(visit: Visit, record: Record) -> list[tuple[str, Markup, bool]]:
    """What the fields say beside the name: label, value, whether only the staff sees it."""
    return [
        (visit.language.say(field.label), shown_value(visit, field, record), field.internal)
        for field in record.kind.fields
        if field.name in record.values and field.name != "name"
    ]


def shown_value(visit: Visit, field: Field, record: Record) -> Markup:
    """What a field says, for people."""
    if field.name not in record.values:
        return Markup("–")
    parts = visit.desk.environment(visit.language).get_template("plan-values.html")
    made = parts.make_module({"visit": visit, "w": visit.wording})
    shown: Markup = made.shown(field, type(field).__name__, record.values[field.name], _linker(visit))  # type: ignore[attr-defined]  # a macro of the template
    return shown


def _linker(visit: Visit) -> Any:
    return lambda entity_id: link_to(visit, entity_id)


async def show_new(visit: Visit) -> Response:
    """The form for a new record; fields may be filled in by the address."""
    kind = kind_of(visit)
    visit.require(kind.permission)
    asked = {field.name: visit.query(field.name) for field in kind.fields if visit.query(field.name)}
    return _form_page(visit, kind, Form.filled(visit.language, asked), None)


async def write_new(visit: Visit) -> Response:
    """Write a new record."""
    kind = kind_of(visit)
    form = await visit.form(most_fields=MOST_FIELDS)
    visit.require(kind.permission)
    try:
        values = values_of(visit, kind, form)
        form.raise_if_wrong()
        record = await visit.rooms.records.draft(visit.actor, kind.type, values, note=form.value("note"))
    except WrongForm:
        return _form_page(visit, kind, form, None, status=400)
    except BadInput as error:
        take(form, kind, error, visit)
        return _form_page(visit, kind, form, None, status=400)
    return visit.redirect(record_href(record), visit.gettext("Saved, for the staff to see."))


async def show_edit(visit: Visit) -> Response:
    """The form to change a record."""
    record = _record(visit)
    visit.require(record.kind.permission)
    return _form_page(visit, record.kind, filled(visit, record.kind, record.values, record.version), record)


async def edit(visit: Visit) -> Response:
    """Change a record."""
    form = await visit.form(most_fields=MOST_FIELDS)
    record = _record(visit)
    kind = record.kind
    visit.require(kind.permission)
    try:
        values = values_of(visit, kind, form)
        form.raise_if_wrong()
        changed = await visit.rooms.records.edit(
            visit.actor, record.id, values, version=form.value("version"), note=form.value("note")
        )
    except WrongForm:
        return _form_page(visit, kind, form, record, status=400)
    except (BadInput, Conflict) as error:
        take(form, kind, error, visit)
        return _form_page(visit, kind, form, record, status=400)
    here = record_href(changed)
    undo = (here, {"act": "undo", "version": changed.version})
    return visit.redirect(here, visit.gettext("Saved."), undo=undo)


def _form_page(
    visit: Visit, kind: RecordKind, form: Form, record: Record | None, *, status: int = 200
) -> Response:
    return visit.render(
        "plan-record-form.html",
        status=status,
        form=form,
        inputs=inputs(visit, kind, form),
        kind_path=kind.path,
        singular=visit.language.say(kind.singular),
        plural=visit.language.say(kind.plural),
        about=visit.language.say(kind.about),
        record_id=record.id if record is not None else "",
        record_name=visit.wording.said(record.name) if record is not None else "",
    )


async def handle(visit: Visit) -> Response:
    """Publish, withdraw, take back, throw away, restore."""
    form = await visit.form()
    record = _record(visit)
    visit.require(record.kind.permission)
    act = form.choice("act", list(ACTS), required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        return await _do(visit, act, record, form)
    except WrongForm:
        return await _page(visit, record, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "note")
        return await _page(visit, visit.rooms.records.get(visit.actor, record.id), form, status=400)


async def _do(visit: Visit, act: str, record: Record, form: Form) -> Response:
    records, actor, version = visit.rooms.records, visit.actor, form.value("version")
    note, here = form.text("note", longest=LONGEST_NOTE), record_href(record)
    undo: tuple[str, dict[str, str]] | None = None
    if act == "publish":
        await records.publish(actor, record.id, version=version, note=note)
        told, undo = visit.gettext("Published: everybody sees it now."), (here, {"act": "withdraw"})
    elif act == "withdraw":
        await records.withdraw(actor, record.id, note=note)
        told, undo = visit.gettext("Withdrawn: only the staff sees it now."), (here, {"act": "publish"})
    elif act == "discard":
        await records.discard(actor, record.id, version=version, note=note)
        told, undo = visit.gettext("Thrown away."), (here, {"act": "restore"})
    elif act == "restore":
        await records.restore(actor, record.id, version=version)
        told = visit.gettext("It is back, for the staff to see.")
    else:
        await records.undo(actor, record.id, version=version)
        told = visit.gettext("Taken back.")
    return visit.redirect(here, told, undo=undo)
