"""A page as it goes on paper: the same template, as PDF."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from cityloom.kernel.media_types import PDF
from cityloom.web.printing import Sheet
from cityloom.web.static import StaticFiles
from cityloom.web.visit import Visit

#: What a printed page may ask for: nothing else is at hand where it is set.
_AT_HAND = ("print.css", "icons.svg")
#: Put into each drawing of the page: the page's own styles do not reach into it.
_DRAWINGS = "print-drawings.css"


async def printed(visit: Visit, page: Response) -> Response:
    """A rendered page as PDF; an answer that is no page (a redirect, an error) as it is."""
    if page.status_code != 200 or not page.headers.get("content-type", "").startswith("text/html"):
        return page
    statics = visit.desk.statics
    content = await visit.rooms.printer.pdf(
        Sheet(bytes(page.body).decode(), visit.page_address, _files(statics), statics.text(_DRAWINGS))
    )
    name = visit.file_name(visit.path.removesuffix(".pdf").strip("/").replace("/", "-") or "page", "pdf")
    return Response(
        content,
        media_type=PDF,
        headers={
            "content-disposition": f'inline; filename="{_plain(name)}"',
            "cache-control": page.headers["cache-control"],
            "vary": page.headers["vary"],
        },
    )


def _files(statics: StaticFiles) -> dict[str, str]:
    return {urlsplit(statics.address(name)).path: statics.text(name) for name in _AT_HAND}


def _plain(name: str) -> str:
    """A name that may stand in a header."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name
    )
