"""What all pages share: the rooms, the templates by language, the static files."""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import Any
from urllib.parse import quote

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from cityloom import __version__
from cityloom.context.summaries import Summaries
from cityloom.ngsild.model import Document
from cityloom.web import navigation
from cityloom.web.addresses import address, entity_path
from cityloom.web.languages import Language, available, said
from cityloom.web.live import Live
from cityloom.web.looks import Item, is_over, item_of
from cityloom.web.reasons import note_words
from cityloom.web.rooms import Rooms
from cityloom.web.static import FOLDER, StaticFiles
from cityloom.web.turns import Turns
from cityloom.web.wording import Wording

TEMPLATES = FOLDER.parent / "templates"


class _CompiledOnce(BytecodeCache):
    """Templates compiled in this process: a language more costs no compiling more."""

    def __init__(self) -> None:
        #: By the template's key, the checksum of its source and its code.
        self._known: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        checksum, code = self._known.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._known[bucket.key] = (bucket.checksum, bucket.code)


_COMPILED = _CompiledOnce()


class Desk:
    """Built once; handed to every Visit."""

    def __init__(self, rooms: Rooms, statics: StaticFiles, live: Live) -> None:
        self.rooms = rooms
        self.live = live
        self.statics = statics
        known = available()
        wanted = [code for code in rooms.city.languages if code in known]
        #: Codes of the languages offered: the city's own first, then every other there is.
        self.languages = wanted + [code for code in known if code not in wanted]
        self._environments: dict[str, Environment] = {}
        self._items: dict[tuple[str, str], Summaries[Item | None]] = {}
        #: Of whoever makes something long.
        self.turns = Turns()

    def environment(self, language: Language) -> Environment:
        """The templates with the texts of a language."""
        found = self._environments.get(language.code)
        if found is None:
            found = self._environments[language.code] = self._build(language)
        return found

    def items(self, type_name: str, language: Language) -> Summaries[Item | None]:
        """How the Entities of a type look in a language, None for what has ended.

        For types whose look does not follow from the time.
        """
        key = (type_name, language.code)
        if key not in self._items:
            wording = Wording(language, self.rooms.city.zone, self.rooms.clock)

            def read(document: Document) -> Item | None:
                return None if is_over(document) else item_of(document, wording, geometry=True)

            self._items[key] = Summaries(self.rooms.broker, type_name, read)
        return self._items[key]

    def _build(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_COMPILED,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        texts: Any = environment
        texts.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)
        environment.filters["paragraphs"] = _paragraphs
        environment.tests["in_group"] = _in_group
        environment.globals.update(
            asset=self.statics.address,
            built=self.statics.has,
            icon=self._icon,
            sign=self._sign,
            city=self.rooms.city,
            rooms=self.rooms,
            menu=navigation.MAIN,
            staff_entries=navigation.staff_entries,
            is_here=navigation.is_here,
            address=address,
            entity_path=entity_path,
            quoted=lambda text: quote(str(text), safe=""),
            offered_languages=self.languages,
            note_words=note_words,
            platform_version=__version__,
        )
        return environment

    def _icon(self, name: str) -> Markup:
        """A drawing beside words that say the same; hidden from screen readers."""
        return Markup(
            '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>'
        ).format(self.statics.address("icons.svg"), name)

    def _sign(self, level: str) -> Markup:
        """The sign of a level: its own shape and colour, beside words that say the same."""
        return Markup(
            '<svg class="sign {0}" data-part="sign" aria-hidden="true" focusable="false">'
            '<use href="{1}#sign-{0}"/></svg>'
        ).format(level, self.statics.address("icons.svg"))


def _paragraphs(texts: Mapping[str, str], code: str) -> list[str]:
    """A text of several paragraphs, in the language wanted or in one there is."""
    return [part.strip() for part in said(texts, code)[0].split("\n\n") if part.strip()]


def _in_group(path: str, group: str) -> bool:
    """Whether a path of groups lies within another."""
    return path == group or path.startswith(group + "/")
