"""Fields that are texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cityloom.context.reading import language_property
from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_languages, check_line, check_text
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Instance
from cityloom.planning.records.fields.field import Field, a_text, not_one


class Line(Field, frozen=True, kw_only=True):
    """One line of text: str."""

    longest: int = 200

    def check(self, value: Any, where: str) -> str:
        return check_line(a_text(value, where), where=where, longest=self.longest, optional=True)

    def typed(self, plain: Any) -> str | None:
        return plain if isinstance(plain, str) else None


class Prose(Line, frozen=True, kw_only=True):
    """Lines of text: str."""

    longest: int = 8000

    def check(self, value: Any, where: str) -> str:
        return check_text(a_text(value, where), where=where, longest=self.longest, optional=True)


class Said(Field, frozen=True, kw_only=True):
    """A text by language: {"en": "Clean air"}."""

    longest: int = 200
    several_lines: bool = False

    def check(self, value: Any, where: str) -> dict[str, str]:
        by_language = {"en": value} if isinstance(value, str) else value
        if not isinstance(by_language, Mapping):
            raise not_one(Worded("text"), where)
        said = {code: a_text(one, f"{where}.{code}") for code, one in by_language.items()}
        if not any(one.strip() for one in said.values()):
            return {}
        return check_languages(said, where=where, longest=self.longest)

    def typed(self, plain: Any) -> dict[str, str] | None:
        if isinstance(plain, str):
            return {"en": plain}
        if not isinstance(plain, Mapping):
            return None
        return {code: one for code, one in plain.items() if isinstance(one, str)}

    def text(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)

    def parsed(self, text: str, where: str) -> dict[str, str]:
        try:
            said = json.loads(text) if text.lstrip().startswith("{") else text
        except ValueError:
            said = text
        return self.check(said, where)

    def instance(self, value: Any) -> Instance:
        return language_property(value)


class Web(Line, frozen=True, kw_only=True):
    """The address of a page on the web: str."""

    longest: int = 2000

    def check(self, value: Any, where: str) -> str:
        text = check_line(a_text(value, where), where=where, longest=self.longest, optional=True)
        if text and not _is_address(text):
            raise BadInput(
                Worded("This is no address on the web"),
                hint=Worded("Write it as https://example.org/page."),
                where=where,
            )
        return text

    def typed(self, plain: Any) -> str | None:
        # What others wrote becomes a link too: only what would have been taken here.
        return plain if isinstance(plain, str) and _is_address(plain) else None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
