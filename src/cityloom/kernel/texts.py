"""Texts that people wrote: trimmed, in one composition, without what would deceive or break a page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from cityloom.kernel.errors import BadInput

#: A language tag as far as texts need it: language, and perhaps script or region (BCP 47).
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")
#: Characters that turn the direction of what follows: they make a text read other than it is.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_line(text: str, *, where: str, longest: int, optional: bool = False) -> str:
    """One line of text, trimmed. Raises BadInput naming `where`."""
    return _check(text, where=where, longest=longest, optional=optional, several_lines=False)


def check_text(text: str, *, where: str, longest: int, optional: bool = False) -> str:
    """Lines of text, trimmed. Raises BadInput naming `where`."""
    return _check(text, where=where, longest=longest, optional=optional, several_lines=True)


def check_languages(texts: Mapping[str, str], *, where: str, longest: int) -> dict[str, str]:
    """The same text in several languages, by language tag; at least one. Empty ones are left out.

    Raises BadInput naming `where` and the language: "title.da".
    """
    checked: dict[str, str] = {}
    for language, text in texts.items():
        if not _LANGUAGE.fullmatch(language):
            hint = "Use a language tag such as en or da."
            raise BadInput(f"{language[:20]!r} is not a language", hint=hint, where=where)
        cleaned = check_text(text, where=f"{where}.{language}", longest=longest, optional=True)
        if cleaned:
            checked[language] = cleaned
    if not checked:
        raise BadInput("There is no text", hint="Write it in at least one language.", where=where)
    return checked


def _check(text: str, *, where: str, longest: int, optional: bool, several_lines: bool) -> str:
    cleaned = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not cleaned and not optional:
        raise BadInput("There is no text", hint="Write something.", where=where)
    if len(cleaned) > longest:
        hint = f"Use at most {longest:,} characters."
        raise BadInput(f"The text has {len(cleaned):,} characters", hint=hint, where=where)
    for character in cleaned:
        if _is_unfit(character, several_lines=several_lines):
            hint = "Remove it; it may have come along when the text was copied."
            raise BadInput(f"The text holds {_named(character)}", hint=hint, where=where)
    return cleaned


def _is_unfit(character: str, *, several_lines: bool) -> bool:
    if character in "\n\t":
        return not several_lines
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn")


def _named(character: str) -> str:
    if character in "\n\t":
        return "a line break"
    return f"a character that cannot be shown (U+{ord(character):04X})"
