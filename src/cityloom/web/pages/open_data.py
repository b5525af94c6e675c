"""Open data: every type that has open things, to download whole, and the API to ask for more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.errors import NotFound
from cityloom.kernel.media_types import CSV
from cityloom.ngsild.model import Document, value_of
from cityloom.ngsild.representation import represent
from cityloom.web.looks import looks
from cityloom.web.pages.entity_history import span_of
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

#: Formats of whole histories.
FORMATS = {"csv": CSV, "parquet": "application/vnd.apache.parquet"}
#: Without a range, a download holds this much.
USUAL = timedelta(days=7)


#: Seconds for which a size is told again: it is a rough figure, and finding it reads the whole history.
REMEMBERED = 600.0


class Sizes:
    """About how many rows the usual CSV of each type has; asked of history once in `REMEMBERED` seconds."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._found: dict[str, tuple[float, int]] = {}
        self._turn = asyncio.Lock()

    async def of(self, visit: Visit, names: Collection[str]) -> dict[str, int]:
        """The sizes by type. Who asks while somebody else's question is answered shares the answer."""
        async with self._turn:
            fresh = self._now() - REMEMBERED
            self._found = {
                name: kept for name, kept in self._found.items() if name in names and kept[0] > fresh
            }
            asked = [name for name in names if name not in self._found]
            sizes = await asyncio.to_thread(lambda: [_rows_of(visit, name) for name in asked])
            self._found |= {name: (self._now(), size) for name, size in zip(asked, sizes, strict=True)}
            return {name: self._found[name][1] for name in names}


def add(pages: Pages) -> None:
    sizes = Sizes()
    pages.get("/open-data", partial(browse, sizes))
    pages.data("/open-data/{type}.{format}", download)


async def browse(sizes: Sizes, visit: Visit) -> Response:
    """What is open, whoever asks: also somebody signed in gets here what everybody gets."""
    types = visit.rooms.broker.types(ANONYMOUS)
    rows = [_row(visit, name, count) for name, count in types.items()]
    return visit.render(
        "open-data.html", {"types": rows}, days=USUAL.days, sizes=await sizes.of(visit, types)
    )


def _rows_of(visit: Visit, name: str) -> int:
    """About how many rows the usual CSV of a type has, as if its readings came evenly; called in a thread."""
    usual = USUAL / timedelta(milliseconds=1)
    found = visit.rooms.history.statistics(ANONYMOUS, f"type:{name}")
    return round(sum(one.count * min(1.0, usual / max(one.last - one.first, 1)) for _, one in found))


def _row(visit: Visit, name: str, count: int) -> dict[str, Any]:
    first = next(iter(visit.rooms.broker.of_type(ANONYMOUS, name)), None)
    return {
        "type": name,
        "title": visit.wording.type_name(name, plural=True),
        "icon": looks()[name].icon if name in looks() else "dot",
        "count": count,
        "licence": _licence(visit, first),
        "source": _source(visit, first),
        "downloads": {form: f"/open-data/{name}.{form}" for form in ("json", *FORMATS)},
    }


def _licence(visit: Visit, document: Document | None) -> str:
    return visit.wording.said(value_of(document, "license")) if document else ""


def _source(visit: Visit, document: Document | None) -> str:
    if document is None:
        return ""
    return visit.wording.said(value_of(document, "dataProvider") or value_of(document, "source"))


async def download(visit: Visit) -> Response:
    """The things of a type now, in NGSI-LD's simplified JSON, or their history as CSV or Parquet."""
    name, form = visit.part("type"), visit.part("format")
    if name not in visit.rooms.broker.types(ANONYMOUS) or form not in ("json", *FORMATS):
        raise NotFound("There is no such open data", hint="See the list of open data.")
    if form == "json":
        things = visit.rooms.broker.of_type(ANONYMOUS, name)
        return visit.json([represent(one, format="simplified") for one in things])
    span = span_of(visit, everything=True)
    since = span.since or visit.rooms.clock.now() - USUAL
    path = await asyncio.to_thread(
        visit.rooms.history.export, ANONYMOUS, f"type:{name}", form, None, since, span.until
    )
    return FileResponse(
        path,
        media_type=FORMATS[form],
        filename=visit.file_name(name, form),
        headers={"cache-control": "no-store"},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )
