"""One reader's request of a page: who, in which language, and how the answer is made."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from markupsafe import Markup, escape
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cityloom.access.authority import require
from cityloom.access.roles import PASSWORD_CHANGE_DUE
from cityloom.kernel.actor import Actor
from cityloom.kernel.errors import BadInput, CityError
from cityloom.kernel.media_types import JSON
from cityloom.web.addresses import entity_path, safe_path
from cityloom.web.forms import TOKEN_FIELD, Form, check_token, form_token
from cityloom.web.identity import SESSION_COOKIE
from cityloom.web.languages import choose, language
from cityloom.web.looks import name_of
from cityloom.web.wording import Wording

if TYPE_CHECKING:
    from cityloom.web.desk import Desk

VISIT_COOKIE = "cityloom_visit"
LANGUAGE_COOKIE = "cityloom_language"
THEME_COOKIE = "cityloom_theme"
TOLD_COOKIE = "cityloom_told"
THEMES = ("light", "dark")
#: One of these lets somebody pause the city's clock and set its speed.
PACE_PERMISSIONS = ("alerts:handle", "connectors:manage", "services:manage")
#: One of these lets somebody see how services and connectors are doing.
SEE_SERVICES = (
    "services:manage",
    "connectors:manage",
    "alerts:handle",
    "indicators:enter",
    "audit:read",
)
#: Seconds of the city's time in one second.
SPEEDS = (1.0, 10.0, 60.0, 300.0, 900.0)
_YEAR = 31_536_000
_LONGEST_FORM = 12_000_000


class Told(msgspec.Struct, frozen=True):
    """What the next page says about what was just done, and how to take it back."""

    text: str
    undo_path: str = ""
    #: Fields that the undo form sends.
    undo_fields: dict[str, str] = {}


class Unmade(Response):
    """A page whose text is still to be made: `Visit.made` gives the answer itself."""

    def __init__(self, parts: Callable[[], Iterator[str]], status: int) -> None:
        super().__init__(status_code=status)
        self.parts = parts


class Visit:
    """Everything a page handler needs. Handlers return what `render`, `redirect` or `file` gives."""

    def __init__(self, desk: Desk, request: Request) -> None:
        self.desk = desk
        self.rooms = desk.rooms
        self.city = desk.rooms.city
        self.request = request
        self.actor: Actor = request.state.actor
        self.language = choose(
            request.cookies.get(LANGUAGE_COOKIE),
            request.headers.get("accept-language", ""),
            desk.languages,
        )
        #: Of the changes that the page shows, at the least: its stream goes on from here.
        self.position = desk.live.position(self.actor.clearance)
        self.wording = Wording(self.language, self.city.zone, self.rooms.clock)
        theme = request.cookies.get(THEME_COOKIE, "")
        self.theme = theme if theme in THEMES else ""
        #: Whether the page is printed, too, under its path with ".pdf".
        self.has_pdf = False
        self._cookies: list[tuple[str, str, int]] = []

    # What was asked

    @property
    def path(self) -> str:
        path: str = self.request.url.path
        return path

    @property
    def as_json(self) -> bool:
        """Whether the page is asked for as data."""
        return self.path.endswith((".json", "/metrics"))

    @property
    def as_pdf(self) -> bool:
        """Whether the page is asked for on paper."""
        return self.has_pdf and self.path.endswith(".pdf")

    @property
    def page_address(self) -> str:
        """The whole address of the page itself, where it is read in a browser."""
        return str(self.request.url.replace(path=self.path.removesuffix(".pdf"), fragment=""))

    @property
    def pdf_address(self) -> str:
        """The address of the page on paper, with what is asked for."""
        query = f"?{self.request.url.query}" if self.request.url.query else ""
        return f"{quote(self.path, safe='/:')}.pdf{query}"

    @property
    def address(self) -> str:
        """The network address the request came from."""
        return self.request.client.host if self.request.client else ""

    @property
    def trace(self) -> str:
        """What changes set off by this request are traced to."""
        return f"page:{self.request.state.request_id}"

    @property
    def signed_in(self) -> bool:
        return bool(self.request.state.session) and "anonymous" not in self.actor.roles

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)[:500]

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 100_000) -> int:
        """A whole number of the query, moved into its bounds."""
        text = self.query(name)
        return max(least, min(most, int(text))) if text.isdecimal() and len(text) < 10 else default

    def require(self, *permissions: str) -> None:
        """Raises unless the actor has one of the permissions."""
        if not any(self.actor.may(permission) for permission in permissions):
            require(self.actor, permissions[0])

    async def form(self, *, most_fields: int = 200) -> Form:
        """The form that was sent. Raises NotAllowed when its token is not this browser's, BadInput."""
        data = await self._form_data(most_fields)
        if not self.request.state.bearer:
            shown = data.get(TOKEN_FIELD)
            check_token(self._known_key(), shown if isinstance(shown, str) else "")
        return Form(self.language, data)

    async def _form_data(self, most_fields: int) -> FormData:
        # By a charset the sender would choose a decoder, and some take minutes for a megabyte. It is read as
        # the parser of the form reads it.
        _, said = parse_options_header(self.request.headers.get("content-type"))
        if said.get(b"charset", b"utf-8").lower() != b"utf-8":
            raise BadInput("The form is in a charset that is not taken", hint="Send it as UTF-8.")
        try:
            return await self.request.form(max_files=2, max_fields=most_fields, max_part_size=_LONGEST_FORM)
        except HTTPException as error:
            raise BadInput(
                f"The form cannot be read: {error.detail}", hint="Load the page again and send it once more."
            ) from None

    def blank_form(self) -> Form:
        """A form that nobody has typed into."""
        return Form(self.language)

    # Words

    def gettext(self, message: str, **values: object) -> str:
        text = self.language.gettext(message)
        return text % values if values else text

    def ngettext(self, singular: str, plural: str, number: int, **values: object) -> str:
        return self.language.ngettext(singular, plural, number) % {"num": number, **values}

    def language_name(self, code: str) -> str:
        """A language's name in itself."""
        return language(code).name.capitalize()

    def person(self, actor_id: str) -> str:
        """The name of an account, the title of a city service; the id itself for others. For the staff."""
        if actor_id.startswith("service:"):
            return self.service_title(actor_id.removeprefix("service:"))
        return self.rooms.access.accounts.display_name(actor_id)

    def seconds(self, length: float) -> str:
        """A length of time in words."""
        return self.wording.span(timedelta(seconds=length))

    def choices(self, values: Iterable[str]) -> list[tuple[str, str]]:
        """Values out of a list with their words, for the fields of a form."""
        return [(value, self.wording.heading(value)) for value in values]

    def link_to(self, about: str) -> Markup:
        """A link to an Entity by its name, to the list of a type, or the id of what may not be seen."""
        if about.startswith("type:"):
            name = about.removeprefix("type:")
            link = Markup('<a href="/entities?type={}">{}</a>')
            return link.format(quote(name, safe=""), self.wording.type_name(name, plural=True))
        if about.startswith("service:"):
            return self._service_link(about.removeprefix("service:"))
        document = self.rooms.broker.find(self.actor, about)
        if document is None:
            return Markup("<code>{}</code>").format(about)
        return Markup('<a href="{}">{}</a>').format(entity_path(about), name_of(document, self.wording))

    def _service_link(self, service: str) -> Markup:
        """A city service by its title, linked for those who may see how it is doing."""
        title = self.service_title(service)
        if not any(self.actor.may(permission) for permission in SEE_SERVICES):
            return escape(title)
        return Markup('<a href="/services#service-{}">{}</a>').format(service, title)

    def service_title(self, service: str) -> str:
        """A city service's name in the reader's language; its id when it is switched off."""
        titles = (one.title for one in self.rooms.services.status() if one.id == service)
        return self.wording.said(next(titles, {})) or service

    def origin(self, said: object) -> str:
        """Where data come from, as a page tells it. What a demo city's own rooms count is no measurement."""
        text = str(said or "")
        return self.city.demo if self.city.demo and text == "measured" else text

    def file_name(self, stem: str, ending: str) -> str:
        """What data that are taken along are called: those of a demo city say so wherever they come to."""
        origin = f"-{self.city.demo}" if self.city.demo else ""
        return f"{stem}{origin}.{ending}"

    # The city's clock

    def may_set_pace(self) -> bool:
        """Whether this reader may pause the city's clock and set its speed."""
        return any(self.actor.may(permission) for permission in PACE_PERMISSIONS)

    def running_speed(self) -> float:
        """Seconds of the city's time that pass in one second, now."""
        pace = self.rooms.pace
        if pace is None:
            return 1.0
        return 0.0 if pace.paused else pace.speed

    def speeds(self) -> list[tuple[float, str]]:
        """The speeds offered, with the one that is set."""
        pace = self.rooms.pace
        offered = sorted({*SPEEDS, pace.speed} if pace else SPEEDS)
        return [(speed, self._speed_words(speed)) for speed in offered]

    def pace_words(self) -> str:
        """How fast the city's time passes."""
        pace = self.rooms.pace
        if pace is None:
            return ""
        return self.gettext("paused") if pace.paused else self._speed_words(pace.speed)

    def _speed_words(self, speed: float) -> str:
        if speed == 1:
            return self.gettext("as fast as in life")
        if speed < 60:
            return self.gettext("%(times)s times as fast as in life", times=self.wording.number(speed))
        minutes = self.wording.span(timedelta(seconds=speed * 60))
        return self.gettext("%(span)s in a minute", span=minutes)

    # The answer

    def hidden(self) -> Markup:
        """The hidden field with the token, for a form of this page."""
        field = Markup('<input type="hidden" name="{}" value="{}">')
        return field.format(TOKEN_FIELD, self.token())

    def token(self) -> str:
        """The token for the forms of this page."""
        return form_token(self._known_key() or self._new_key())

    def render(
        self,
        template: str,
        data: dict[str, Any] | None = None,
        *,
        status: int = 200,
        **only_shown: Any,
    ) -> Response:
        """The page, or its data as JSON when that was asked for. `only_shown` is for the page alone."""
        if self.as_json:
            return self.json(data or {}, status=status)
        shown = {"visit": self, "w": self.wording, "told": self._take_told(), **(data or {}), **only_shown}
        content = self.desk.environment(self.language).get_template(template)
        return Unmade(lambda: content.generate(shown), status)

    async def made(self, answer: Response) -> Response:
        """What a handler returned, to be sent: a page's text is made now, in turns with others."""
        if not isinstance(answer, Unmade):
            return answer
        html = await self.desk.turns.joined(answer.parts())
        page = HTMLResponse(html, status_code=answer.status_code)
        page.raw_headers += [pair for pair in answer.raw_headers if pair[0] != b"content-length"]
        return self._finish(page)

    def json(self, data: Any, *, status: int = 200) -> Response:
        return self._finish(
            Response(msgspec.json.encode(data, enc_hook=_plain), status_code=status, media_type=JSON)
        )

    def whole_json(self, encoded: bytes) -> Response:
        """JSON that was encoded elsewhere: `json` of what is long would keep everybody waiting."""
        return self._finish(Response(encoded, media_type=JSON))

    def redirect(
        self, to: str, told: str = "", *, undo: tuple[str, dict[str, str]] | None = None
    ) -> Response:
        """Go on to another page (303), which then says what was done."""
        if told:
            path, fields = undo or ("", {})
            self._set(TOLD_COOKIE, self._sign(msgspec.json.encode(Told(told, path, fields))), 60)
        return self._finish(RedirectResponse(to, status_code=303))

    def to_sign_in(self) -> Response:
        """Sign in first, then come back here."""
        query = f"?{self.request.url.query}" if self.request.url.query else ""
        return self.redirect(f"/sign-in?back={quote(self.path + query, safe='/')}")

    def back(self, default: str = "/") -> str:
        """The page of this city that a form names to return to; never another site."""
        return safe_path(self.query("back"), default)

    def keep(self, cookie: str, value: str) -> None:
        """Remember a preference for a year."""
        self._set(cookie, value, _YEAR)

    def open_session(self, token: str, expires_at: datetime) -> None:
        """Put a session's token into the browser, until the session ends at the latest."""
        seconds = int((expires_at - datetime.now(expires_at.tzinfo)).total_seconds())
        self._set(SESSION_COOKIE, token, max(seconds, 0))

    def close_session(self) -> None:
        self._set(SESSION_COOKIE, "", 0)
        self._set(VISIT_COOKIE, "", 0)

    def must_change_password(self) -> bool:
        return PASSWORD_CHANGE_DUE.name in self.actor.roles

    # Inside

    def _known_key(self) -> str:
        return self.request.state.session or self.request.cookies.get(VISIT_COOKIE, "")

    def _new_key(self) -> str:
        key = secrets.token_urlsafe(24)
        self._set(VISIT_COOKIE, key, _YEAR)
        # A page may ask for several tokens.
        self.request.cookies[VISIT_COOKIE] = key
        return key

    def _set(self, name: str, value: str, seconds: int) -> None:
        self._cookies.append((name, value, seconds))

    def _sign(self, content: bytes) -> str:
        key = self._known_key() or self._new_key()
        mac = hmac.new(key.encode(), b"told " + content, sha256).digest()[:18]
        return urlsafe_b64encode(mac + content).decode()

    def _take_told(self) -> Told | None:
        raw = self.request.cookies.get(TOLD_COOKIE)
        if not raw or self.as_pdf:
            return None
        self._set(TOLD_COOKIE, "", 0)
        try:
            packed = urlsafe_b64decode(raw.encode())
            mac, content = packed[:18], packed[18:]
            right = hmac.new(self._known_key().encode(), b"told " + content, sha256).digest()[:18]
            return msgspec.json.decode(content, type=Told) if hmac.compare_digest(mac, right) else None
        except (ValueError, msgspec.MsgspecError):
            return None

    def _finish(self, response: Response) -> Response:
        response.headers.setdefault("cache-control", "no-store" if self.signed_in else "no-cache, private")
        response.headers.setdefault("vary", "cookie, accept-language")
        for name, value, seconds in self._cookies:
            response.set_cookie(
                name,
                value,
                max_age=seconds,
                path="/",
                httponly=True,
                samesite="lax",
                secure=self.request.url.scheme == "https",
            )
        return response


def json_list(items: Iterable[object]) -> Iterator[bytes]:
    """A list as JSON, piece by piece."""
    before = b"["
    for item in items:
        yield before + msgspec.json.encode(item, enc_hook=_plain)
        before = b","
    yield b"]" if before == b"," else b"[]"


def _plain(value: object) -> object:
    if isinstance(value, CityError):
        return {"title": value.message, "detail": value.hint, "where": value.where}
    return str(value)
