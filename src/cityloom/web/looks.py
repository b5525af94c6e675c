"""How an Entity looks on a map and in a list: its name, its state, the value told first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, TypeAlias

import msgspec

from cityloom.kernel.numbers import is_number
from cityloom.kernel.time import parse_instant
from cityloom.ngsild.model import Document, Instance, content, instance_of, value_of
from cityloom.web.addresses import entity_path
from cityloom.web.languages import noted as n
from cityloom.web.wording import Wording

Level: TypeAlias = Literal["none", "info", "good", "fair", "poor", "bad"]
#: From what needs attention to what does not; lists are in this order.
LEVELS: tuple[Level, ...] = ("bad", "poor", "fair", "good", "info", "none")
WORST_FIRST: dict[str, int] = {level: place for place, level in enumerate(LEVELS)}
#: What a level means where a type has no words of its own.
LEVEL_WORDS: dict[str, str] = {
    "bad": n("bad"),
    "poor": n("poor"),
    "fair": n("fair"),
    "good": n("good"),
    "info": n("no rating"),
    "none": n("no current data"),
}
STATE_WORDS: dict[str, str] = {
    text: text
    for text in (
        n("plenty of room"),
        n("filling up"),
        n("nearly full"),
        n("full"),
        n("good air"),
        n("fair air"),
        n("moderate air"),
        n("poor air"),
        n("has room"),
        n("half full"),
    )
}

#: Beside a state that is told against undisturbed traffic: how it is against the normal week.
SHARE_OF_USUAL = n("%(share)s of the usual speed at this hour")

#: A description that stands for a name is cut here.
_LONGEST_NAME = 120
_RULES = Path(__file__).parent / "looks.toml"


class Unless(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that takes an Entity out of the rating."""

    attribute: str
    value: str


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One type's entry of looks.toml."""

    icon: str = "dot"
    headline: tuple[str, ...] = ()
    #: Minutes; 0: never.
    stale: int = 0
    by: Literal["", "word", "share", "bounds"] = ""
    attribute: str = ""
    of: str = ""
    #: A share of the usual in percent, told beside the state that a word tells.
    usual: str = ""
    levels: dict[str, Level] = {}
    least: dict[Level, float] = {}
    bounds: dict[str, tuple[float, float, float]] = {}
    states: dict[Level, str] = {}
    unless: Unless | None = None


class Value(msgspec.Struct):
    """One value as the stream tells it: for a chart, and in words."""

    number: float | None
    text: str
    at: str


class Item(msgspec.Struct, omit_defaults=True):
    """An Entity on the map, in a list, or in the stream. Texts are in the reader's language."""

    id: str
    type: str
    name: str
    level: Level
    state: str
    text: str
    at: str
    icon: str
    href: str
    #: The value told first, where it is a number.
    number: float | None = None
    values: dict[str, Value] = {}
    geometry: dict[str, Any] | None = None


@cache
def looks() -> dict[str, Look]:
    """The looks by type."""
    return msgspec.toml.decode(_RULES.read_bytes(), type=dict[str, Look])


def look_of(document: Document) -> Look:
    """The look of an Entity: that of its first type that has one."""
    known = looks()
    return next((known[name] for name in document["type"] if name in known), Look())


def name_of(document: Document, wording: Wording) -> str:
    """What an Entity is called; the last part of its id when it has no name."""
    for attribute in ("name", "title"):
        said = wording.said(value_of(document, attribute))
        if said:
            return said
    said = wording.said(value_of(document, "description"))
    if said:
        return shorten(said, _LONGEST_NAME, placeholder=" …")
    return str(document["id"]).removeprefix("urn:ngsi-ld:").split(":", 1)[-1]


def item_of(document: Document, wording: Wording, *, geometry: bool = False, values: bool = False) -> Item:
    """How an Entity looks now."""
    look = look_of(document)
    known = [(name, item) for name in look.headline if (item := instance_of(document, name)) is not None]
    current = [(name, item) for name, item in known if not _is_stale(item, look, wording)]
    dated = [item for _, item in known if "observedAt" in item]
    stale = bool(dated) and all(_is_stale(item, look, wording) for item in dated)
    # A road that nobody drives on has a speed of hours ago, and a count of now.
    told = next(iter(current or known), None)
    level, state = rate(document, look, wording, stale=stale)
    return Item(
        id=document["id"],
        type=document["type"][0],
        name=name_of(document, wording),
        level=level,
        state=state,
        text=told_value(*told, wording) if told else "",
        at=str((told[1] if told else document).get("observedAt") or document.get("modifiedAt", "")),
        icon=look.icon,
        href=entity_path(document["id"]),
        number=_number(content(told[1])) if told else None,
        values=_values(document, wording) if values else {},
        geometry=value_of(document, "location") if geometry else None,
    )


def is_over(document: Document) -> bool:
    """What has ended stays off the map: alerts that are cleared, reports that are closed."""
    return value_of(document, "status") in ("cleared", "closed") and document["type"][0] in (
        "Alert",
        "CitizenReport",
    )


def told_value(name: str, item: Instance, wording: Wording) -> str:
    """A value with its unit, or with what was counted."""
    value = content(item)
    if isinstance(value, str):
        return wording.plain(value)
    if item["type"] == "LanguageProperty":
        return wording.said(value)
    return wording.counted(name, value) or wording.quantity(value, item.get("unitCode"))


def rate(document: Document, look: Look, wording: Wording, *, stale: bool = False) -> tuple[Level, str]:
    """The level and its words."""
    if stale:
        return "none", wording.language.gettext(LEVEL_WORDS["none"])
    if look.unless and value_of(document, look.unless.attribute) == look.unless.value:
        return "none", wording.choice(look.unless.value)
    if look.by == "word":
        word = value_of(document, look.attribute)
        if isinstance(word, list):
            word = word[0] if word else None
        if word is None:
            return look.levels.get(str(word), "none"), wording.language.gettext(LEVEL_WORDS["none"])
        said = [wording.choice(word), _against_usual(document, look, wording)]
        return look.levels.get(str(word), "none"), " · ".join(filter(None, said))
    level = _measured(document, look)
    words = look.states.get(level, "")
    return level, wording.language.gettext(words or LEVEL_WORDS[level])


def _against_usual(document: Document, look: Look, wording: Wording) -> str:
    """The share of what is usual now, where it was worked out together with the state; else ""."""
    state, share = instance_of(document, look.attribute), instance_of(document, look.usual)
    number = _number(content(share)) if share else None
    if not state or not share or number is None or share.get("observedAt") != state.get("observedAt"):
        return ""
    return wording.language.gettext(SHARE_OF_USUAL) % {"share": wording.percent(number / 100)}


def state_words(type_name: str, level: str, wording: Wording) -> str:
    """What a level means for the things of a type."""
    look = looks().get(type_name, Look())
    words = next((words for found, words in look.states.items() if found == level), "")
    if words:
        return wording.language.gettext(words)
    word = next((word for word, found in look.levels.items() if found == level), "")
    return wording.choice(word) if word else wording.language.gettext(LEVEL_WORDS[level])


def _measured(document: Document, look: Look) -> Level:
    if look.by == "share":
        return _by_share(value_of(document, look.attribute), value_of(document, look.of), look.least)
    if look.by == "bounds":
        rated = [
            _by_bounds(value_of(document, name), bounds)
            for name, bounds in look.bounds.items()
            if isinstance(value_of(document, name), int | float)
        ]
        return min(rated, key=WORST_FIRST.__getitem__, default="none")
    return "info"


def _by_share(part: Any, whole: Any, least: Mapping[Level, float]) -> Level:
    if not isinstance(part, int | float) or not isinstance(whole, int | float) or whole <= 0:
        return "none"
    share = part / whole
    if not 0 <= share <= 1:
        return "none"
    return next((level for level, bound in least.items() if share >= bound), "bad")


def _by_bounds(value: float, bounds: tuple[float, float, float]) -> Level:
    levels: tuple[Level, ...] = ("good", "fair", "poor")
    return next((level for level, bound in zip(levels, bounds, strict=True) if value <= bound), "bad")


def _is_stale(item: Instance, look: Look, wording: Wording) -> bool:
    if not look.stale or "observedAt" not in item:
        return False
    age = wording.now() - parse_instant(item["observedAt"], where="observedAt")
    return age > timedelta(minutes=look.stale)


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _values(document: Document, wording: Wording) -> dict[str, Value]:
    """The default instances of what can be measured or read, by name."""
    values: dict[str, Value] = {}
    for name in document["attrs"]:
        item = instance_of(document, name)
        if item is None or item["type"] not in ("Property", "LanguageProperty"):
            continue
        value = content(item)
        number = _number(value)
        if number is not None or isinstance(value, str | bool):
            values[name] = Value(number, told_value(name, item, wording), item.get("observedAt", ""))
    return values
