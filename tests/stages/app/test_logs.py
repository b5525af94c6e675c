"""The log: its forms, its levels, what belongs to a request, and what is never in it."""

import asyncio
import io
import json
import logging

import pytest

from cityloom.app.logs import JsonLines, PlainLines, begin_logging, without_secrets
from cityloom.kernel.spans import REQUEST


@pytest.fixture
def written():
    """A logger that writes into a text, in a form of choice."""
    made = []

    def make(form):
        text = io.StringIO()
        handler = logging.StreamHandler(text)
        handler.setFormatter(form)
        logger = logging.getLogger("cityloom.tested")
        logger.addHandler(handler)
        logger.propagate = False
        made.append((logger, handler))
        return logger, text

    yield make
    for logger, handler in made:
        logger.removeHandler(handler)
        logger.propagate = True


async def test_a_json_line_carries_its_request_and_its_error(written):
    logger, text = written(JsonLines())

    async def request(name):
        REQUEST.set(name)
        await asyncio.sleep(0)
        try:
            raise ValueError("the disk said no")
        except ValueError:
            logger.exception("%s failed", "it")

    await asyncio.gather(asyncio.create_task(request("one-1")), asyncio.create_task(request("two-2")))
    logger.warning("nobody asked")
    first, second, third = map(json.loads, text.getvalue().splitlines())
    assert {first["request"], second["request"]} == {"one-1", "two-2"}
    assert first["level"] == "error"
    assert first["logger"] == "cityloom.tested"
    assert first["message"] == "it failed"
    assert first["at"].endswith("+00:00")
    assert "ValueError: the disk said no" in first["error"]
    assert "request" not in third and "error" not in third


def test_a_plain_line_is_for_people(written):
    logger, text = written(PlainLines())
    token = REQUEST.set("abc-1")
    logger.warning("The disk is slow")
    REQUEST.reset(token)
    logger.warning("It is well again")
    first, second = text.getvalue().splitlines()
    assert first.endswith("WARNING cityloom.tested: The disk is slow [abc-1]")
    assert second.endswith("WARNING cityloom.tested: It is well again")


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("Authorization: Bearer abc.def-123 was sent", "abc.def-123"),
        ('{"password": "seven quiet lanterns"}', "seven"),
        ("token=hunter2hunter2", "hunter2"),
        (f"cityloom_{'x' * 43} is no token", "xxx"),
        (f"clt_{'y' * 43} is no device's", "yyy"),
        ("mqtt://anna:hunter2@broker.example:1883 does not answer", "hunter2"),
        ("GET /ngsi-ld/v1/entities?q=name==%22Anna%22 failed", "Anna"),
        ("https://elsewhere.example/a?key=hunter2: 500", "hunter2"),
        ("anna.jensen@example.org cannot be reached", "anna"),
        ("/ngsi-ld/v1/entities/urn:ngsi-ld:Person:anna-jensen failed", "anna"),
    ],
)
def test_what_opens_a_door_or_names_somebody_is_left_out(written, said, secret):
    assert secret not in without_secrets(said)
    for form in (JsonLines(), PlainLines()):
        logger, text = written(form)
        try:
            raise RuntimeError(said)
        except RuntimeError as error:
            logger.warning("It failed: %s", error, exc_info=error)
        assert secret not in text.getvalue()
        assert "It failed" in text.getvalue()


def test_an_entity_is_told_by_a_mark_that_stays():
    one = without_secrets("urn:ngsi-ld:Person:anna failed")
    assert one == without_secrets("urn:ngsi-ld:Person:anna failed")
    assert one != without_secrets("urn:ngsi-ld:Person:bo failed")
    assert one.startswith("urn:ngsi-ld:Person:~")
    assert without_secrets("urn:ngsi-ld:Subscription:7 fails") == "urn:ngsi-ld:Subscription:7 fails"
    assert without_secrets("cityloom_commits_failed_total is 3") == "cityloom_commits_failed_total is 3"


def test_the_level_and_the_requests_are_as_asked(monkeypatch):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    tally = logging.getLogger("cityloom.web.request_tally")
    try:
        begin_logging("json", "error", requests=True)
        assert not logging.getLogger("cityloom.context").isEnabledFor(logging.WARNING)
        assert tally.isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        tally.setLevel(logging.NOTSET)


def test_somebody_else_s_words_make_no_line_and_speak_to_no_terminal(written):
    logger, text = written(PlainLines())
    logger.warning("%s failed", "/a\n2026-01-01 ERROR cityloom: forged\x1b[2J\u2028")
    (line,) = text.getvalue().splitlines()
    assert line.isprintable() and "\\n2026" in line


@pytest.mark.parametrize(
    "text",
    [
        "POST /ngsi-ld/ex/remote-notify/8Yw_k-0123456789abcdefghijklmnop failed",
        "The @context of urn:ngsi-ld:Subscription:distsub-8Yw_k-0123456789abcdefghijklmnop cannot be had",
    ],
)
def test_what_a_source_shows_is_left_out(text):
    assert "8Yw_k" not in without_secrets(text)
