"""A small city with pages, and a reader who clicks through them without a browser."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from pathlib import Path

import httpx2
import pytest

_SPEC = importlib.util.spec_from_file_location("small_city", Path(__file__).with_name("small_city.py"))
small_city = importlib.util.module_from_spec(_SPEC)
sys.modules.setdefault("small_city", small_city)
_SPEC.loader.exec_module(small_city)

TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


class Reader:
    """Somebody with a cookie jar. Requests go straight into the application."""

    def __init__(self, city, *, language: str = "en") -> None:
        self.city = city
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=city.site, raise_app_exceptions=False),
            base_url="http://city.test",
            headers={"accept-language": language},
        )

    async def get(self, path: str, **headers: str):
        return await self.client.get(path, headers=headers)

    async def text(self, path: str) -> str:
        """The page, which must be there, with entities decoded."""
        answer = await self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return html.unescape(answer.text)

    async def data(self, path: str):
        """The page's data."""
        answer = await self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer.json()

    async def send(self, path: str, fields: dict, *, files: dict | None = None, seen: str = "/about"):
        """Send a form with the token of a page; the answer as it comes."""
        found = TOKEN.search((await self.get(seen)).text)
        assert found, f"{seen} has no form"
        return await self.client.post(path, data={"form_token": found[1], **fields}, files=files)

    async def done(self, path: str, fields: dict, **more) -> str:
        """Send a form that must be accepted; the page that one is brought to, entities decoded."""
        answer = await self.send(path, fields, **more)
        assert answer.status_code == 303, (answer.status_code, _mistakes(answer.text))
        return await self.text(answer.headers["location"])

    async def refused(self, path: str, fields: dict, *, status: int = 400, **more) -> str:
        """Send a form that must be refused; what is said to be wrong."""
        answer = await self.send(path, fields, **more)
        assert answer.status_code == status, (answer.status_code, answer.text[:500])
        return _mistakes(answer.text)

    async def sign_in(self, *roles: str, name: str = "") -> Reader:
        """As somebody with these roles."""
        token = await self.city.session(name or roles[0], *roles)
        self.client.cookies.set("cityloom_session", token, domain="city.test")
        return self


def _mistakes(text: str) -> str:
    found = re.search(r'<div class="errors".*?</div>', text, re.S)
    shown = found[0] if found else text
    return html.unescape(re.sub(r"<[^>]+>", " ", shown)).strip()


@pytest.fixture
async def city():
    """An empty city, without frameworks of indicators."""
    made = await small_city.SmallCity(frameworks=()).start()
    yield made
    await made.stop()


@pytest.fixture
async def measured_city():
    """A city with its indicators."""
    made = await small_city.SmallCity().start()
    yield made
    await made.stop()


@pytest.fixture
def visitor(city):
    return Reader(city)


@pytest.fixture
def reader_of(city):
    """Makes readers with roles."""

    async def make(*roles: str, name: str = "", language: str = "en") -> Reader:
        return await Reader(city, language=language).sign_in(*roles, name=name)

    return make


@pytest.fixture
def small_city_class():
    return small_city.SmallCity


@pytest.fixture
def reader_class():
    return Reader
