"""The natural language filter (ETSI GS CIM 009, 4.15; RFC 5646, RFC 4647 lookup)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cityloom.ngsild.errors import BadRequestData

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?")
MAX_RANGES = 50


@lru_cache(256)
def parse_languages(text: str) -> tuple[str, ...]:
    """Language ranges, the most wanted first: "fr;q=0.5,da" gives ("da", "fr"). Raises BadRequestData."""
    found: list[tuple[float, str]] = []
    for part in text.split(","):
        matched = _RANGE.fullmatch(part)
        if matched is None or len(found) >= MAX_RANGES:
            raise BadRequestData(
                f"{text[:60]!a} is not a choice of languages",
                hint="Write tags such as da,en;q=0.8,*;q=0.5.",
                where="lang",
            )
        weight = float(matched.group(2) or 1)
        if weight > 0:
            found.append((weight, matched.group(1).lower()))
    found.sort(key=lambda item: -item[0])
    return tuple(tag for _, tag in found)


def choose_language(languages: Mapping[str, Any], wanted: str) -> tuple[str, Any]:
    """The language tag and what is said in it: the best match, else the default, else whatever there is."""
    by_tag = {tag.lower(): tag for tag in languages}
    for tag in parse_languages(wanted):
        found = _lookup(by_tag, tag)
        if found is not None:
            return found, languages[found]
    chosen = by_tag.get("@none") or by_tag.get("en") or next(iter(languages))
    return chosen, languages[chosen]


def _lookup(by_tag: Mapping[str, str], wanted: str) -> str | None:
    """The tag itself, or a shorter form of it, or a more special one."""
    if wanted == "*":
        return None
    tag = wanted
    while tag:
        if tag in by_tag:
            return by_tag[tag]
        tag = tag.rpartition("-")[0]
    return next((own for low, own in by_tag.items() if low.startswith(wanted + "-")), None)
