"""One Chromium for the browser tests of a file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect, sync_playwright

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
    # A machine that is busy draws slowly; Chromium takes it for a hang, and after some has no WebGL any more.
    "--disable-gpu-watchdog",
)
#: Milliseconds for what takes a moment where nothing else runs.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

#: Where a test's pages are kept until its report is written.
PAGES = pytest.StashKey[list]()
#: How a page stands, for the report of a test that failed.
STATE = """() => { const box = document.querySelector('.map-box');
    return {at: location.href, state: document.readyState, hidden: document.hidden,
        focused: document.hasFocus(), active: document.activeElement?.outerHTML.slice(0, 200),
        script: document.documentElement.classList.contains('js'),
        webgl: Boolean(document.createElement('canvas').getContext('webgl2')),
        map: box && {classes: box.className, ...box.dataset}}; }"""


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
def open_page(browser, request):
    """Opens a page in a context of its own; the contexts are closed after the test.

    `page.faults` has what the console and scripts complain of, `page.asked` the address of each request. The
    report of a test that fails tells the faults, the requests that came to nothing, and how the page stood.
    """
    contexts = []
    pages = request.node.stash.setdefault(PAGES, [])

    def opened(address: str, path: str, *, session: str = "", **options):
        context = browser.new_context(base_url=address, **{"locale": "en", **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if session:
            context.add_cookies([{"name": "cityloom_session", "value": session, "url": address}])
        page = context.new_page()
        _listen(page)
        pages.append(page)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()


def _listen(page) -> None:
    page.faults, page.asked, page.unanswered = [], [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
    page.on("crash", lambda _: page.faults.append("the page has crashed"))
    page.on("request", lambda asked: page.asked.append(asked.url))
    page.on("requestfailed", lambda asked: page.unanswered.append(f"{asked.url}: {asked.failure}"))

    def answered(answer) -> None:
        if answer.status >= 400:
            page.unanswered.append(f"{answer.url}: {answer.status}")

    page.on("response", answered)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        for page in item.stash.get(PAGES, []):
            report.sections.append((f"the page {page.url}", _told(page)))
    return report


def _told(page) -> str:
    try:
        state = json.dumps(page.evaluate(STATE), indent=1)
    except Error as lost:
        state = f"the page does not tell: {lost}"
    return "\n".join([state, "faults:", *page.faults, "came to nothing:", *page.unanswered])
