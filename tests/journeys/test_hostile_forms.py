"""Forms and addresses as somebody hostile sends them: told what is wrong, and nobody else has to wait."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


def _small_city() -> Any:
    path = Path(__file__).parents[1] / "stages" / "web" / "small_city.py"
    name = "small_city_of_journeys"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name].SmallCity()


@pytest.fixture
async def web() -> AsyncIterator[httpx2.AsyncClient]:
    """A visitor of a small city. A defect in the city is an answer with 500, as over the network."""
    city = await _small_city().start()
    transport = httpx2.ASGITransport(app=city.site, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://city.test") as client:
        client.headers["x-person"] = await city.session("somebody", "administrator")
        yield client
    await city.stop()


def _administrator(web: httpx2.AsyncClient) -> dict[str, str]:
    return {"cookie": f"cityloom_session={web.headers['x-person']}"}


def _part(*fields: tuple[str, bytes]) -> bytes:
    parts = [
        b'--x\r\ncontent-disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (a.encode(), b) for a, b in fields
    ]
    return b"".join(parts) + b"--x--\r\n"


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nthis is no header"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x"),
        ("multipart/form-data; boundary=x", _part(*[("a", b"")] * 300)),
        ("multipart/form-data; boundary=x; charset=utf-7", _part(("name", b"+2AA-"))),
        ("multipart/form-data; boundary=x; charset=unicode_escape", _part(("name", b"\\ud800"))),
        ("application/x-www-form-urlencoded", b"a=&" * 300),
        ("application/x-www-form-urlencoded", b"name=%ff%00%ed%a0%80&password=%00"),
        ("application/json", b"{}"),
        ("text/plain", b""),
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/report", "/warnings/code", "/report/code"])
async def test_form_refuses_what_cannot_be_read(web: httpx2.AsyncClient, path: str, media: str, body: bytes):
    reply = await web.post(path, content=body, headers={"content-type": media})
    assert reply.status_code in (400, 403), reply.status_code


@pytest.mark.parametrize(
    "said", ["punycode", '"punycode"', 'punycode; x="; charset=utf-8"', "utf-8; charset=punycode"]
)
async def test_form_is_not_decoded_as_its_sender_says(web: httpx2.AsyncClient, said: str, no_hang):
    body = _part(("name", b"a" * 900_000))
    with no_hang():
        reply = await web.post(
            "/sign-in",
            content=body,
            headers={"content-type": f"multipart/form-data; boundary=x; charset={said}"},
        )
    assert reply.status_code == 400
    assert "charset" in reply.text


async def test_form_in_utf_8_is_read_with_or_without_its_charset(web: httpx2.AsyncClient):
    token = _TOKEN.search((await web.get("/sign-in")).text)
    assert token is not None
    fields = (("form_token", token[1].encode()), ("name", "søren".encode()), ("password", b"x"))
    for said in ("", "; charset=utf-8", '; charset="UTF-8"'):
        media = f"multipart/form-data; boundary=x{said}"
        reply = await web.post("/sign-in", content=_part(*fields), headers={"content-type": media})
        assert reply.status_code == 401
        assert "søren" in reply.text


@pytest.mark.parametrize("number", ["²", "①", "-1", "1e9", "9" * 5000, "٣", "\x00", "0x10"])
@pytest.mark.parametrize("path", ["/alerts?offset=", "/reports?offset=", "/map?offset=", "/parked?before="])
async def test_page_takes_what_is_no_number_for_none(web: httpx2.AsyncClient, path: str, number: str):
    address = httpx2.URL("http://city.test" + path.partition("?")[0])
    name = path.partition("?")[2].rstrip("=")
    reply = await web.get(address.copy_with(params={name: number}), headers=_administrator(web))
    assert reply.status_code == 200


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", ""])
async def test_report_takes_a_click_that_is_no_place_for_none(web: httpx2.AsyncClient, number: str):
    token = _TOKEN.search((await web.get("/report")).text)
    assert token is not None
    reply = await web.post("/report", data={"form_token": token[1], "at.x": number or "5", "at.y": number})
    assert reply.status_code == 200
