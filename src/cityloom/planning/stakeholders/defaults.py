"""What ITU-T Y Suppl. 34 tells of stakeholders, as data: categories, and the units of city and state."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_DATA = Path(__file__).parent / "data"
#: Cells of the summary table (Table I.1), in its order.
CELLS = ("aims", "challenges", "potential", "constraints", "contribution")


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """One of the twelve categories, with its row of Table I.1. Texts are by language."""

    id: str
    clause: str
    note: str = ""
    #: local, supralocal or both.
    scale: str
    #: public, private or civic; "" where the table says none.
    sector: str
    #: technology, driver, city: what of the three it is at first.
    enabling: tuple[str, ...]
    name: Mapping[str, str]
    about: Mapping[str, str]
    aims: Mapping[str, tuple[str, ...]]
    challenges: Mapping[str, tuple[str, ...]]
    potential: Mapping[str, tuple[str, ...]]
    constraints: Mapping[str, tuple[str, ...]]
    contribution: Mapping[str, tuple[str, ...]]


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of the municipality (Table 2) or of the state (Table 3). Texts are by language."""

    id: str
    #: municipal or national.
    level: str
    clause: str
    name: Mapping[str, str]
    duties: Mapping[str, tuple[str, ...]]

    @property
    def category(self) -> str:
        """The category that the unit belongs to."""
        return "municipality" if self.level == "municipal" else "government"


@cache
def categories() -> Mapping[str, Category]:
    """The twelve categories by id, in the order of the source."""
    return {one.id: one for one in msgspec.convert(_read("categories")["category"], list[Category])}


@cache
def units() -> Mapping[str, Unit]:
    """The ten municipal units and the eight of the state by id, in the order of the source."""
    return {one.id: one for one in msgspec.convert(_read("units")["unit"], list[Unit])}


@cache
def source() -> str:
    """Where the facts come from."""
    return str(_read("categories")["source"])


def lines(texts: Mapping[str, tuple[str, ...]], language: str) -> str:
    """The sentences of a cell in a language, or in English, one to a line."""
    return "\n".join(texts.get(language, texts["en"]))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / f"{name}.toml").read_text(encoding="utf-8"))
