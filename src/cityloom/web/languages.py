"""The languages of the pages: gettext catalogs, read at the first use, and which one a reader wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

import msgspec
from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from cityloom.kernel.worded import Worded

FOLDER = Path(__file__).parent / "locale"
DOMAIN = "cityloom"
#: The language that the sources are written in.
SOURCE = "en"

#: Whose way of writing numbers and dates is followed, where a language has several.
_SPELT_AS = {"en": "en-GB"}


class Language(msgspec.Struct, frozen=True):
    """A language with its texts. `name` is its own name for itself, such as "dansk"."""

    code: str
    name: str
    #: "ltr" or "rtl".
    direction: str
    locale: Locale
    texts: NullTranslations

    def gettext(self, message: str) -> str:
        return self.texts.gettext(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        return self.texts.ngettext(singular, plural, number)

    def say(self, text: str) -> str:
        """What a room says, in this language where it is `Worded`."""
        if isinstance(text, Worded):
            return self.gettext(text.template) % {
                name: self.say(value) if isinstance(value, Worded) else value
                for name, value in text.values.items()
            }
        return text


def noted(message: str) -> str:
    """Marks a text for translation where it stands; it is translated where it is shown."""
    return message


def noted_plural(singular: str, plural: str) -> tuple[str, str]:
    """The same for a text that has a singular and a plural."""
    return singular, plural


def available() -> list[str]:
    """Codes of the languages that there are catalogs for, the language of the sources first."""
    found = sorted(path.parent.parent.name for path in FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
    return sorted(found, key=lambda code: code != SOURCE)


@cache
def language(code: str) -> Language:
    """The language of a code that is in `available()`."""
    locale = Locale.parse(_SPELT_AS.get(code, code), sep="-")
    with (FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        catalog = read_po(source, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Language(
        code=code,
        name=locale.get_language_name(locale) or code,
        direction=locale.character_order.replace("left-to-right", "ltr").replace("right-to-left", "rtl"),
        locale=locale,
        texts=GNUTranslations(compiled),
    )


def choose(chosen: str | None, accepted: str, offered: Iterable[str]) -> Language:
    """The language of a reader: the one chosen before, else what the browser asks for, else the first."""
    codes = list(offered)
    if chosen in codes:
        return language(chosen)
    for code in _accepted(accepted):
        if code in codes:
            return language(code)
        if (plain := code.split("-")[0]) in codes:
            return language(plain)
    return language(codes[0] if codes else SOURCE)


def _accepted(header: str) -> list[str]:
    """Codes of an Accept-Language header, the most wanted first (RFC 9110, 12.5.4)."""
    weighed: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        code, _, weight = part.strip().partition(";q=")
        try:
            wanted = float(weight) if weight else 1.0
        except ValueError:
            continue
        if code and wanted > 0:
            weighed.append((-wanted, code.lower()))
    return [code for _, code in sorted(weighed, key=lambda pair: pair[0])]


def said(texts: object, code: str) -> tuple[str, str]:
    """A text of the data in the language wanted, else in English, else in any: (text, its language).

    `texts` is a language map or a plain string; then the language is unknown, "".
    """
    if isinstance(texts, Mapping) and texts:
        for wanted in (code, SOURCE, next(iter(texts))):
            if texts.get(wanted):
                return str(texts[wanted]), str(wanted)
    return ("" if texts is None or isinstance(texts, Mapping) else str(texts)), ""
