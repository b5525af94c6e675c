"""The child that sets one page: a task as JSON on standard input, the PDF on standard output.

It imports nothing of the city, may ask for no more than the files it was handed, and has its bounds from the
system: what a page needs beyond them ends this process and no other.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

#: How this process ends when it has made no PDF.
NOT_INSTALLED, OUT_OF_MEMORY = 3, 4
#: Bytes of address space, and seconds of CPU. Fonts are mapped, so space is more than memory.
MOST_SPACE, MOST_CPU_S = 1 << 31, 120
_SVG = "{http://www.w3.org/2000/svg}"
_MEDIA = {".css": "text/css", ".svg": "image/svg+xml"}


def main() -> int:
    """Read the task, write the PDF; returns how the process ends."""
    _bound()
    task = json.load(sys.stdin.buffer)
    try:
        content = _set(task["html"], task["address"], task["files"], task["drawing_style"])
    except (ImportError, OSError) as error:
        # Pango and its like are loaded by name: where one is missing this is an OSError.
        sys.stderr.write(f"{error}\n")
        return NOT_INSTALLED
    except MemoryError:
        return OUT_OF_MEMORY
    sys.stdout.buffer.write(content)
    return 0


def _bound() -> None:
    """Be polite, and end rather than take more than a page may."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_SPACE, MOST_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _set(html: str, address: str, files: dict[str, str], drawing_style: str) -> bytes:
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class OnlyThese(URLFetcher):  # type: ignore[misc]  # WeasyPrint has no types
        """Hands over the files at hand, and reaches for nothing else."""

        def fetch(self, url: str, _headers: Mapping[str, str] | None = None) -> Any:
            path = urlsplit(url).path
            if path not in files:
                raise ValueError(f"{url[:200]} is not at hand")
            media = _MEDIA[path[path.rindex(".") :]]
            return URLFetcherResponse(url, files[path].encode(), {"Content-Type": media})

    page = HTML(string=html, base_url=address, url_fetcher=OnlyThese(), media_type="print")
    _prepare_drawings(page.etree_element, drawing_style, files)
    content: bytes = page.write_pdf(pdf_variant="pdf/ua-1", pdf_tags=True, custom_metadata=False)
    return content


def _prepare_drawings(root: Any, style: str, files: dict[str, str]) -> None:
    """What each drawing uses of another file is put in, as are the rules; its title is said instead of it.

    A drawing beside words that say the same becomes a background: an artifact, of which nobody is told.
    """
    symbols = {
        f"{path}#{one.get('id')}": one
        for path, text in files.items()
        if path.endswith(".svg")
        for one in ElementTree.fromstring(text).iter(f"{_SVG}symbol")  # noqa: S314 - our own file
    }
    for drawing in list(root.iter(f"{_SVG}svg")):
        for use in list(drawing.iter(f"{_SVG}use")):
            path, _, name = (use.get("href") or "").partition("#")
            symbol = symbols.get(f"{path.partition('?')[0]}#{name}")
            if symbol is not None:
                drawing.set("viewBox", symbol.get("viewBox", "0 0 24 24"))
                drawing.extend(list(symbol))
        rules = drawing.makeelement(f"{_SVG}style", {})
        rules.text = style
        drawing.insert(0, rules)
        title = drawing.find(f"{_SVG}title")
        if title is not None and title.text:
            drawing.set("alt", title.text)
            drawing.set("aria-label", title.text)
        elif drawing.get("aria-hidden") == "true" and drawing.get("class"):
            _put_behind(drawing, files)


def _put_behind(drawing: Any, files: dict[str, str]) -> None:
    """Make a span of a drawing, with the drawing as its background."""
    look, tail = drawing.get("class", ""), drawing.tail
    drawing.tail = None
    text = ElementTree.tostring(drawing, encoding="unicode")
    path = f"/behind/{sha256(text.encode()).hexdigest()[:20]}.svg"
    files[path] = text
    drawing.clear()
    drawing.tag, drawing.tail = "span", tail
    drawing.set("class", look)
    drawing.set("style", f"background: url({path}) 0 0 / 100% 100% no-repeat")


if __name__ == "__main__":
    raise SystemExit(main())
