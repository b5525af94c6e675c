"""Pages on paper: what is printed of a page, and what whatever sets it may not do."""

from __future__ import annotations

import asyncio
import re
import socket
import zlib

import pytest

from cityloom.adapters.weasyprint import typesetting
from cityloom.adapters.weasyprint.printer import AT_ONCE, MOST_WAITING, WeasyPrinter
from cityloom.kernel.errors import NotReady
from cityloom.web.printing import CannotPrint, NoPrinter, Sheet, TooLongToPrint

try:
    import weasyprint
except (ImportError, OSError):
    weasyprint = None
needs_pango = pytest.mark.skipif(weasyprint is None, reason="WeasyPrint or Pango is missing")


@pytest.fixture
async def reader(small_city_class, reader_class):
    city = await small_city_class(frameworks=("city",)).start()
    yield reader_class(city)
    await city.stop()


@pytest.fixture
def tray(reader):
    return reader.city.printer


def sheet_of(html: str, **files: str) -> Sheet:
    return Sheet(f"<!doctype html><html lang='da'><title>A</title>{html}", "http://city.test/a", files, "")


def unpacked(pdf: bytes) -> bytes:
    """All objects of a PDF in clear."""
    found = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return b"\n".join([pdf, *(_inflated(one) for one in found)])


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return stream


async def test_the_same_page_is_printed_without_what_is_for_screens(reader, tray):
    page = await reader.get("/indicators/city?q=air")
    assert 'href="/indicators/city.pdf?q=air"' in page.text
    answer = await reader.get("/indicators/city.pdf?q=air")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["content-disposition"] == 'inline; filename="indicators-city-simulated.pdf"'
    assert answer.headers["cache-control"] == page.headers["cache-control"]
    (sheet,) = tray.sheets
    assert '<nav class="main-nav"' not in sheet.html and "<script" not in sheet.html
    assert '<html lang="en"' in sheet.html and "simulated town" in sheet.html
    assert "http://city.test/indicators/city?q=air" in sheet.html
    assert re.search(r"<h1>.*</h1>", sheet.html)
    # All that the page asks for is at hand.
    asked = {path.partition("?")[0] for path in re.findall(r'(?:href|src)="(/static/[^"#]+)', sheet.html)}
    assert asked - set(sheet.files) <= {"/static/favicon.svg"}


async def test_what_is_no_page_is_not_printed(reader, tray):
    answer = await reader.get("/indicators/nothing.pdf")
    assert (answer.status_code, tray.sheets) == (404, [])
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_city_without_a_printer_says_so(reader):
    object.__setattr__(reader.city.rooms, "printer", NoPrinter())
    answer = await reader.get("/indicators/city.pdf")
    assert answer.status_code == 501 and "makes no PDF" in answer.text


@needs_pango
async def test_a_real_page_is_set_accessibly(reader):
    object.__setattr__(reader.city.rooms, "printer", WeasyPrinter())
    answer = await reader.get("/indicators/city.pdf")
    assert answer.content.startswith(b"%PDF-1.7")
    inside = unpacked(answer.content)
    for mark in (b"pdfuaid:part", b"/StructTreeRoot", b"/Lang (en)", b"/Marked true", b"/S /TH"):
        assert mark in inside, mark


@needs_pango
async def test_a_drawing_beside_words_is_drawn_and_told_to_nobody():
    """Each figure of the structure tree has words of its own, as PDF/UA asks."""
    star = '<svg xmlns="http://www.w3.org/2000/svg"><symbol id="sign-good" viewBox="0 0 9 9">'
    files = {"/i.svg": f'{star}<path d="M1 1h7v7z"/></symbol></svg>'}
    hidden = "<svg class='sign good' aria-hidden='true'><use href='/i.svg#sign-good'/></svg> good"
    size = "<style>.sign { display: inline-block; width: 9px; height: 9px }</style>"
    bare = unpacked(await WeasyPrinter().pdf(sheet_of(f"{size}<p>good")))
    drawn = unpacked(await WeasyPrinter().pdf(sheet_of(f"{size}<p>{hidden}<p>{hidden}", **files)))
    assert drawn.count(b"/S /Figure") == 0 and len(drawn) > len(bare) + 200
    told = "<svg viewBox='0 0 9 9' width='9' height='9'><title>Nine</title><path d='M1 1h7v7z'/></svg>"
    page = unpacked(await WeasyPrinter().pdf(sheet_of(f"<p>{told}")))
    assert page.count(b"/S /Figure") == 1 and b"/Alt (Nine)" in page


@needs_pango
async def test_what_sets_a_page_reaches_for_nothing(tmp_path):
    secret = tmp_path / "secret.css"
    secret.write_text("body::before { content: 'a'; page-break-after: always }")
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"http://127.0.0.1:{server.getsockname()[1]}"
        html = f"<img src='{host}/a.png' alt='a'><link rel=stylesheet href='{host}/b.css'>"
        html += f"<link rel=stylesheet href='{secret.as_uri()}'><style>@import '{host}/c.css'</style>"
        html += (
            f"<svg viewBox='0 0 9 9'><title>t</title><image href='{host}/d.png' width='9' height='9'/></svg>"
        )
        content = await WeasyPrinter().pdf(sheet_of(html))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert content.startswith(b"%PDF")


async def test_a_page_that_takes_too_long_is_ended():
    printer = WeasyPrinter(longest_s=0.001)
    with pytest.raises(TooLongToPrint):
        await printer.pdf(sheet_of("<p>a</p>"))
    with pytest.raises(TooLongToPrint):
        await printer.pdf(sheet_of("a" * 4_000_001))


async def test_few_are_printed_at_once_and_few_wait(monkeypatch):
    running, most = 0, 0
    go_on = asyncio.Event()

    async def of_child(_self, _task):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1
        return b"%PDF"

    monkeypatch.setattr(WeasyPrinter, "_of_child", of_child)
    printer = WeasyPrinter()
    asked = [asyncio.create_task(printer.pdf(sheet_of("a"))) for _ in range(AT_ONCE + MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(NotReady):
        await printer.pdf(sheet_of("a"))
    go_on.set()
    assert await asyncio.gather(*asked) == [b"%PDF"] * len(asked)
    assert most == AT_ONCE


async def test_where_it_is_not_installed_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("cityloom.adapters.weasyprint.printer._CHILD", "tests_of_paper_no_such_module")
    with pytest.raises(TooLongToPrint):  # ended for a reason that is not known
        await WeasyPrinter().pdf(sheet_of("a"))
    monkeypatch.undo()

    class Ended:
        returncode = typesetting.NOT_INSTALLED

        async def communicate(self, _task):
            return b"", b"cannot load library 'libpango-1.0-0'\n"

    async def child(*_arguments, **_options):
        return Ended()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", child)
    with pytest.raises(CannotPrint) as told:
        await WeasyPrinter().pdf(sheet_of("a"))
    assert "cityloom[reports]" in told.value.hint and "libpango" in told.value.hint
