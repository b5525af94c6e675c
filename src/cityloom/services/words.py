"""A service's words for people: `messages/<language>.toml`, written as each language writes numbers."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton
from babel.numbers import format_decimal

from cityloom.kernel.errors import BrokenPlugin


class Messages:
    """Templates by language and key. A template's {names} are filled by `say`."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], *, where: str = "messages") -> None:
        self.texts = texts
        self._where = where

    def say(self, key: str, facts: Mapping[str, object], zone: ZoneInfo) -> dict[str, str]:
        """The text in every language. Raises BrokenPlugin when a language lacks the key or a fact is missing.

        Numbers get one decimal unless whole, instants the local weekday and time; a fact may be a mapping
        from language to text.
        """
        return {language: self._one(language, key, facts, zone) for language in self.texts}

    def title(self) -> dict[str, str]:
        """The service's name for people."""
        return {language: texts["title"] for language, texts in self.texts.items()}

    def summary(self) -> dict[str, str]:
        """One sentence on what the service does."""
        return {language: texts["summary"] for language, texts in self.texts.items()}

    def _one(self, language: str, key: str, facts: Mapping[str, object], zone: ZoneInfo) -> str:
        template = self.texts[language].get(key)
        if template is None:
            raise BrokenPlugin(
                f"There is no text {key!r}", hint="Write it.", where=f"{self._where}/{language}.toml"
            )
        written = {name: _write(value, language, zone) for name, value in facts.items()}
        try:
            return template.format(**written)
        except (KeyError, IndexError, ValueError) as error:
            raise BrokenPlugin(
                f"The text {key!r} cannot be filled: {error}",
                hint=f"It may use {', '.join(written) or 'nothing'}.",
                where=f"{self._where}/{language}.toml",
            ) from None


def read_messages(folder: Path) -> Messages:
    """The messages of a plugin's folder, one language a file. Raises BrokenPlugin."""
    texts: dict[str, dict[str, str]] = {}
    for path in sorted((folder / "messages").glob("*.toml")):
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BrokenPlugin(
                f"The messages are not TOML: {error}", hint="Correct them.", where=str(path)
            ) from None
        if not all(isinstance(item, str) for item in raw.values()):
            raise BrokenPlugin("A message is not a text", hint="Write key = 'text'.", where=str(path))
        missing = {"title", "summary"} - raw.keys()
        if missing:
            raise BrokenPlugin(
                f"There is no {min(missing)!r}",
                hint="Every service has a title and a summary.",
                where=str(path),
            )
        texts[path.stem] = raw
    if not texts:
        raise BrokenPlugin(
            "There are no messages", hint="Write messages/en.toml.", where=str(folder / "messages")
        )
    return Messages(texts, where=str(folder / "messages"))


def placeholders(template: str) -> frozenset[str]:
    """The {names} in a template. Raises ValueError when its braces do not match."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def _write(value: object, language: str, zone: ZoneInfo) -> str:
    if isinstance(value, Mapping):
        return str(value.get(language, value.get("en", "")))
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        pattern = "#,##0" if float(value).is_integer() and isinstance(value, int) else "#,##0.0"
        return str(format_decimal(value, format=pattern, locale=language))
    if isinstance(value, datetime):
        return str(format_skeleton("EHm", value, tzinfo=zone, locale=language))
    return str(value)
