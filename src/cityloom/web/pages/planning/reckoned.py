"""What follows from a record about money: shown on its page, and as JSON, CSV and a workbook beside it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from markupsafe import Markup
from starlette.responses import Response

from cityloom.kernel.errors import BadInput, NotFound
from cityloom.kernel.media_types import CSV, XLSX
from cityloom.planning.finance.following import followed
from cityloom.planning.finance.outcome import Bars, Cell, Chain, Column, Curves, Drawing, Outcome, Unit, plain
from cityloom.planning.finance.reckoning import RECKONERS
from cityloom.planning.finance.sheets import outcome_as_workbook, table_as_csv
from cityloom.planning.money import digits_of
from cityloom.planning.records.model import Record, State
from cityloom.web.drawing.finance.chain import draw_chain
from cityloom.web.drawing.finance.charts import draw_bars, draw_curves, draw_tornado
from cityloom.web.pages.planning.links import record_href
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import file_to_keep
from cityloom.web.visit import Visit

#: Rows of a table that a page shows; the files have them all.
MOST_ROWS = 250
#: Longer tables are folded up below their drawing.
FOLDED_FROM = 13


def add(pages: Pages) -> None:
    pages.data("/plan/{kind}/{id:path}/result.json", as_data)
    pages.data("/plan/{kind}/{id:path}/result.csv", as_table)
    pages.data("/plan/{kind}/{id:path}/result.xlsx", as_book)


async def panel(visit: Visit, record: Record) -> Markup | None:
    """The result, or why there is none yet."""
    template = visit.desk.environment(visit.language).get_template("plan-reckoned.html")
    shown = {"visit": visit, "w": visit.wording, "href": record_href(record)}
    try:
        outcome = await _outcome(visit, record)
    except BadInput as error:
        return Markup(template.render(outcome=None, error=error, say=visit.language.say, **shown))  # noqa: S704 - the template escapes
    made = template.render(
        outcome=outcome,
        error=None,
        say=visit.language.say,
        tables=[(table, drawings(visit, outcome, table.key)) for table in outcome.tables],
        figure=lambda value, unit: cell(visit, value, unit, outcome.currency),
        cell=lambda value, unit: cell(visit, value, unit, outcome.currency, in_table=True),
        head=lambda column: _head(visit, column, outcome.currency),
        is_number=lambda unit: unit is not Unit.TEXT,
        most=MOST_ROWS,
        folded_from=FOLDED_FROM,
        **shown,
    )
    return Markup(made)  # noqa: S704 - the template escapes


def drawings(visit: Visit, outcome: Outcome, table: str) -> list[tuple[str, Markup]]:
    """What is drawn of a table, each with its title."""
    say = visit.language.say
    return [(say(one.title), _drawn(visit, outcome, one)) for one in outcome.drawings if one.table == table]


def _head(visit: Visit, column: Column, currency: str) -> str:
    label = visit.language.say(column.label)
    return f"{label} ({currency})" if column.unit is Unit.MONEY else label


def _drawn(visit: Visit, outcome: Outcome, drawing: Drawing) -> Markup:
    if isinstance(drawing, Bars):
        return draw_bars(drawing, visit.wording)
    if isinstance(drawing, Curves):
        return draw_curves(drawing, visit.wording)
    if isinstance(drawing, Chain):
        return draw_chain(
            drawing, visit.wording, lambda amount: visit.wording.money(amount, outcome.currency)
        )
    return draw_tornado(drawing, visit.wording)


def cell(visit: Visit, value: Cell, unit: Unit, currency: str, *, in_table: bool = False) -> str:
    """A value as the reader's language writes it; in a table the currency stands in the column's head."""
    wording = visit.wording
    if value is None:
        return "–"
    if isinstance(value, str):
        return visit.language.say(value)
    if isinstance(value, Decimal):
        return wording.number(value, digits_of(currency)) if in_table else wording.money(value, currency)
    if unit is Unit.SHARE:
        return wording.percent(float(value), 1)
    if unit is Unit.YEAR:
        return str(value)
    if unit is Unit.YEARS:
        return wording.quantity(round(float(value), 1), "ANN")
    if unit is Unit.FACTOR:
        return wording.number(value, 4)
    return wording.number(value)


async def _outcome(visit: Visit, record: Record) -> Outcome:
    """Reckoned in a thread: a simulation takes a while. Raises BadInput."""
    rooms = visit.rooms
    year = rooms.clock.now().astimezone(visit.city.zone).year
    return await followed(visit.actor, record, rooms.initiatives, rooms.history, year)


def _record(visit: Visit) -> Record:
    record = visit.rooms.records.get(visit.actor, visit.part("id"))
    kind = record.kind
    hidden = record.state is State.DISCARDED and not visit.actor.may(kind.permission)
    if kind.path != visit.part("kind") or kind.type not in RECKONERS or hidden:
        raise NotFound("There is no such result", hint="See the plan.")
    return record


async def as_data(visit: Visit) -> Response:
    """The result as JSON; amounts are texts."""
    record = _record(visit)
    head = {"id": record.id, "type": record.kind.type, "name": record.name}
    return visit.json(head | plain(await _outcome(visit, record)))


async def as_table(visit: Visit) -> Response:
    """One table of the result as CSV (`table`; the first one otherwise)."""
    record = _record(visit)
    outcome = await _outcome(visit, record)
    asked = visit.query("table")
    table = outcome.table(asked) if asked else outcome.tables[0]
    if table is None:
        raise NotFound("There is no such table", hint="Tables are named on the record's page.")
    content = "\ufeff" + table_as_csv(table, outcome.currency, visit.language.say)
    return file_to_keep(visit, f"{record.kind.path}-{table.key}", "csv", content, CSV)


async def as_book(visit: Visit) -> Response:
    """All tables of the result as a workbook, a sheet each."""
    record = _record(visit)
    outcome = await _outcome(visit, record)
    content = await asyncio.to_thread(outcome_as_workbook, outcome, visit.language.say)
    return file_to_keep(visit, record.kind.path, "xlsx", content, XLSX)
