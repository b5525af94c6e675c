"""Forms: what was typed, what is wrong with it, and the token that shows which page it was typed on."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData, UploadFile

from cityloom.kernel.errors import BadInput, CityError, NotAllowed
from cityloom.kernel.media_types import BYTES
from cityloom.web.languages import Language

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
#: The error's place when it belongs to no one field.
WHOLE = "form"


def form_token(key: str) -> str:
    """A token for the forms of one page. It differs each time, so that packing it away betrays nothing."""
    nonce = secrets.token_urlsafe(9)
    return f"{nonce}.{_mac(key, nonce)}"


def check_token(key: str, shown: str) -> None:
    """Raises NotAllowed when the token was not made for this browser."""
    nonce, _, mac = shown.partition(".")
    if not (key and nonce and hmac.compare_digest(_mac(key, nonce).encode(), mac.encode("utf-8", "replace"))):
        raise NotAllowed(
            "This form was opened too long ago, or under another sign-in",
            hint="Go back, load the page again, and send the form once more.",
        )


def _mac(key: str, nonce: str) -> str:
    mac = hmac.new(key.encode(), b"form " + nonce.encode("utf-8", "replace"), sha256).digest()
    return urlsafe_b64encode(mac[:18]).decode()


class Form:
    """Typed values by field, and the mistakes found in them. Texts for people are in their language."""

    def __init__(self, language: Language, data: FormData | None = None) -> None:
        self._language = language
        self._data = data if data is not None else FormData()
        self._initial: dict[str, str] = {}
        self._filled: dict[str, str] = {}
        #: What is wrong, by field, in the order found.
        self.errors: dict[str, str] = {}

    @classmethod
    def filled(cls, language: Language, values: Mapping[str, object]) -> Form:
        """A form as it is first shown."""
        form = cls(language)
        form._initial = {name: "" if value is None else str(value) for name, value in values.items()}
        return form

    def value(self, name: str) -> str:
        """What the field shows."""
        if name in self._filled:
            return self._filled[name]
        typed = self._data.get(name)
        return typed if isinstance(typed, str) else self._initial.get(name, "")

    def fill(self, **values: str) -> None:
        """Put values into fields, over what was typed."""
        self._filled |= values

    def values(self, name: str) -> list[str]:
        """What is ticked among boxes of one name."""
        return [one for one in self._data.getlist(name) if isinstance(one, str)]

    def ticked(self, name: str) -> bool:
        return bool(self.value(name))

    def wrong(self, name: str, message: str) -> None:
        """Note a mistake; the first one of a field counts."""
        self.errors.setdefault(name, message)

    def take(self, error: CityError, *fields: str) -> None:
        """Note what a room found wrong, at the field it names when that is one of `fields`."""
        place = (error.where or "").split(".")[0]
        self.wrong(place if place in fields else WHOLE, self.words_of(error))

    def words_of(self, error: CityError, place: str = "") -> str:
        """What a room found wrong, and where, and what to do, in the reader's language where it can be."""
        say = self._language.say
        return f"{say(error.said)}{place}. {say(error.advice)}".strip()

    def raise_if_wrong(self) -> None:
        if self.errors:
            raise WrongForm(self)

    def text(self, name: str, *, required: str = "", longest: int = 200) -> str:
        """Trimmed text. `required` is what to say when there is none."""
        typed = self.value(name).strip().replace("\r\n", "\n")
        if not typed and required:
            self.wrong(name, required)
        if len(typed) > longest:
            self.wrong(name, self._say("Use at most %(count)s characters.", count=longest))
        return typed

    def choice(self, name: str, choices: Mapping[str, object] | list[str], *, required: str = "") -> str:
        """One of the choices, or "" when none was made."""
        typed = self.value(name)
        if typed not in choices:
            if required or typed:
                self.wrong(name, required or self._say("Choose one of the list."))
            return ""
        return typed

    def number(
        self, name: str, *, required: str = "", least: float | None = None, most: float | None = None
    ) -> float | None:
        """A number, with a point or a comma before its fraction."""
        exact = self.decimal(name, required=required)
        if exact is None:
            return None
        value = float(exact)
        if (least is not None and value < least) or (most is not None and value > most):
            self.wrong(name, self._say("Enter a number from %(least)s to %(most)s.", least=least, most=most))
        return value

    def decimal(self, name: str, *, required: str = "") -> Decimal | None:
        """An exact number, such as an amount of money."""
        typed = self.value(name).strip().replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
        if not typed:
            if required:
                self.wrong(name, required)
            return None
        try:
            value = Decimal(typed.replace(",", ".") if typed.count(",") == 1 and "." not in typed else typed)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite():
            self.wrong(name, self._say("Enter a number, such as 12 or 12.5."))
            return None
        return value

    def day(self, name: str, zone: ZoneInfo, *, required: str = "") -> datetime | None:
        """The beginning of a day in the city's zone, typed as 2026-04-12."""
        typed = self.value(name).strip()
        if not typed:
            if required:
                self.wrong(name, required)
            return None
        try:
            return datetime.strptime(typed, "%Y-%m-%d").replace(tzinfo=zone)
        except ValueError:
            self.wrong(name, self._say("Enter a date as year-month-day, such as 2026-04-12."))
            return None

    async def file(self, name: str, *, largest: int) -> bytes | None:
        """The content of an uploaded file; None when none was chosen."""
        found = self._data.get(name)
        if not isinstance(found, UploadFile) or not found.filename:
            return None
        content = await found.read(largest + 1)
        if len(content) > largest:
            self.wrong(name, self._say("Choose a file of at most %(count)s MB.", count=largest // 1_000_000))
            return None
        return content

    def file_name(self, name: str) -> str:
        """The name of the uploaded file, without folders."""
        found = self._data.get(name)
        raw = found.filename if isinstance(found, UploadFile) and found.filename else ""
        return raw.replace("\\", "/").rsplit("/", 1)[-1][:120]

    def file_type(self, name: str) -> str:
        """What the browser says of the uploaded file's kind."""
        found = self._data.get(name)
        said = found.content_type if isinstance(found, UploadFile) else None
        return (said or BYTES).partition(";")[0].strip()

    def _say(self, message: str, **values: object) -> str:
        return self._language.gettext(message) % values


class WrongForm(BadInput):
    """The form has mistakes; the page shows it again with them."""

    def __init__(self, form: Form) -> None:
        super().__init__("There is a mistake in the form", hint="Correct the fields that are marked.")
        self.form = form
