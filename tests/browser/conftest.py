"""One Chromium for the browser tests of a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

_SPEC = importlib.util.spec_from_file_location(
    "install_chromium", Path(__file__).with_name("install_chromium.py")
)
_install = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_install)

#: As root Chromium has no sandbox, and the map needs WebGL where there is no graphics card.
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # Everything but the map is drawn without it, at half the cost.
    "--disable-gpu-compositing",
    "--disable-background-networking",
)


# Not for the session: while it is open a loop runs in this thread, and other rooms' tests start their own.
@pytest.fixture(scope="module")
def browser():
    path = _install.chromium()
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser):
    """Opens a page in a context of its own; the contexts are closed after the test.

    `page.faults` has what the console and scripts complain of, `page.asked` the address of each request.
    """
    contexts = []

    def opened(address: str, path: str, *, session: str = "", **options):
        context = browser.new_context(base_url=address, **{"locale": "en", **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        if session:
            context.add_cookies([{"name": "cityloom_session", "value": session, "url": address}])
        page = context.new_page()
        page.faults, page.asked = [], []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
