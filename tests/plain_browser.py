"""A browser without JavaScript: pages as people read them, links that are followed, forms that are sent."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from loopback_servers import NO_CERTIFICATES


class Form:
    """A form as it stands on a page: where it goes, what its fields hold, which buttons it has."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.action = attributes.get("action", "")
        self.method = attributes.get("method", "get").lower()
        self.sends_files = attributes.get("enctype") == "multipart/form-data"
        #: What a browser would send if nothing was typed.
        self.values: dict[str, list[str]] = {}
        #: Every field that can be filled, hidden ones too.
        self.names: set[str] = set()
        #: Words on each button, and what it sends.
        self.buttons: list[tuple[str, str, str]] = []


class _Reading(HTMLParser):
    """Takes a page apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self._form: Form | None = None
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self._select: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(said)
            self.forms.append(self._form)
        elif tag == "input" and self._form is not None:
            self._input(self._form, said)
        elif tag == "select" and self._form is not None:
            self._form.names.add(said["name"])
            self._select = (said["name"], [])
        elif tag == "option" and self._select is not None and self._form is not None:
            self._select[1].append(said.get("value", ""))
            if "selected" in said:
                self._form.values[self._select[0]] = [said.get("value", "")]
        if tag in ("a", "button", "textarea"):
            self._open.append((tag, said, []))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select is not None and self._form is not None:
            name, options = self._select
            self._form.values.setdefault(name, options[:1])
            self._select = None
        if self._open and self._open[-1][0] == tag:
            _, said, words = self._open.pop()
            self._close(tag, said, "".join(words))

    def handle_data(self, data: str) -> None:
        for _, _, words in self._open:
            words.append(data)

    def _close(self, tag: str, said: dict[str, str], words: str) -> None:
        if tag == "a" and "href" in said:
            self.links.append((_plain(words), said["href"]))
        elif tag == "button" and self._form is not None and said.get("type", "submit") == "submit":
            self._form.buttons.append((_plain(words), said.get("name", ""), said.get("value", "")))
        elif tag == "textarea" and self._form is not None:
            self._form.names.add(said["name"])
            self._form.values[said["name"]] = [words.removeprefix("\n")]

    @staticmethod
    def _input(form: Form, said: dict[str, str]) -> None:
        name, kind = said.get("name", ""), said.get("type", "text")
        if not name or kind in ("image", "submit", "button"):
            return
        form.names.add(name)
        if kind in ("radio", "checkbox"):
            if "checked" in said:
                form.values.setdefault(name, []).append(said.get("value", "on"))
        elif kind != "file":
            form.values[name] = [said.get("value", "")]


def _plain(words: str) -> str:
    return re.sub(r"\s+", " ", words.replace("\u00ad", "")).strip()


class Page:
    """What a browser shows, and what can be done there."""

    def __init__(self, browser: Browser, reply: httpx2.Response) -> None:
        self._browser = browser
        self.status = reply.status_code
        self.address = str(reply.url)
        self.path = urlsplit(self.address).path
        self.html = reply.text
        self.headers = reply.headers
        read = _Reading()
        read.feed(self.html)
        self.forms, self.links = read.forms, read.links

    @property
    def text(self) -> str:
        """The words on the page."""
        bare = re.sub(r"<(script|style)\b.*?</\1>", " ", self.html, flags=re.S)
        return _plain(html.unescape(re.sub(r"<[^>]+>", " ", bare)))

    @property
    def mistakes(self) -> str:
        """What the page says is wrong with its form."""
        found = re.search(r'<div class="errors".*?</div>', self.html, flags=re.S)
        return _plain(html.unescape(re.sub(r"<[^>]+>", " ", found[0]))) if found else ""

    def part(self, element_id: str) -> str:
        """The words of the element with this id, which has no elements inside."""
        found = re.search(rf'id="{element_id}"[^>]*>([^<]*)<', self.html)
        assert found, f"{self.path} has no #{element_id}:\n{self.text}"
        return html.unescape(found[1]).strip()

    def row(self, words: str) -> str:
        """The words of the first row of a table, or line of a list, that has these words."""
        for found in re.findall(r"<(?:tr|li)\b.*?</(?:tr|li)>", self.html, flags=re.S):
            said = _plain(html.unescape(re.sub(r"<[^>]+>", " ", found)))
            if words in said:
                return said
        raise AssertionError(f"{self.path} has no row with {words!r}:\n{self.text[:2000]}")

    def link(self, words: str) -> str:
        """Where the first link with these words leads."""
        for said, to in self.links:
            if words in said:
                return to
        raise AssertionError(f"{self.path} has no link {words!r}, but: {[said for said, _ in self.links]}")

    def follow(self, words: str) -> Page:
        """Click a link."""
        return self._browser.open(urljoin(self.address, self.link(words)))

    def press(self, words: str, files: dict[str, Any] | None = None, /, **typed: str | list[str]) -> Page:
        """Fill the form that has this button, and press it. Fields that are not there cannot be filled."""
        for form in self.forms:
            for said, name, value in form.buttons:
                if said.startswith(words) and set(typed) | set(files or ()) <= form.names:
                    return self._send(form, (name, value), typed, files)
        offered = [(button[0], sorted(form.names)) for form in self.forms for button in form.buttons]
        raise AssertionError(f"{self.path} has no button {words!r} with {sorted(typed)}, but: {offered}")

    def _send(
        self, form: Form, button: tuple[str, str], typed: dict[str, Any], files: dict[str, Any] | None
    ) -> Page:
        fields: dict[str, Any] = dict(form.values)
        fields |= {name: [value] if isinstance(value, str) else value for name, value in typed.items()}
        if button[0]:
            fields[button[0]] = [button[1]]
        to = urljoin(self.address, form.action)
        if form.method == "get":
            return self._browser.open(str(httpx2.URL(to, params=fields)))
        assert form.sends_files or not files, "this form sends no files"
        return self._browser.send(to, fields, files)


class Browser:
    """Keeps cookies, follows redirects, and refuses to go on where the city has failed."""

    def __init__(self, address: str, *, language: str = "en") -> None:
        self.client = httpx2.Client(
            base_url=address,
            timeout=60,
            verify=NO_CERTIFICATES,
            follow_redirects=True,
            headers={"accept-language": language, "user-agent": "a plain browser"},
        )

    def open(self, path: str, *, status: int = 200) -> Page:
        page = self._page(self.client.get(path))
        assert page.status == status, (path, page.status, page.text[:1500])
        return page

    def data(self, path: str) -> Any:
        """JSON from this path."""
        reply = self.client.get(path)
        assert reply.status_code == 200, (path, reply.status_code, reply.text[:1500])
        return reply.json()

    def send(self, to: str, fields: dict[str, Any], files: dict[str, Any] | None = None) -> Page:
        return self._page(self.client.post(to, data=fields, files=files))

    def close(self) -> None:
        self.client.close()

    def _page(self, reply: httpx2.Response) -> Page:
        page = Page(self, reply)
        assert page.status < 500, (page.address, page.status, page.text)
        return page
