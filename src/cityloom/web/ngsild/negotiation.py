"""What a request says of formats and @contexts in its headers (ETSI GS CIM 009, 6.3.4 to 6.3.6). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cityloom.ngsild.context_link import CONTEXT_RELATION
from cityloom.ngsild.errors import BadRequestData

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^;,=\s]+\s*(?:=\s*(?:"[^"]*"|[^;,"\s]*))?)*)')
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^;,"\s]*))', re.IGNORECASE)
MAX_HEADER = 8_000


@lru_cache(512)
def choose_media(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered media type that is wanted most, the first of equals; None when none is acceptable."""
    if not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept[:MAX_HEADER].split(",")]
    best, found = 0.0, None
    for media in offered:
        quality = _quality(media, ranges)
        if quality > best:
            best, found = quality, media
    return found


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                # A weight that cannot be read weighs nothing either way.
                quality = 1.0
    return media, quality


def _quality(media: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of the most special range that holds this media type."""
    group = media.partition("/")[0] + "/*"
    for wanted in (media, group, "*/*"):
        found = [quality for name, quality in ranges if name == wanted]
        if found:
            return max(found)
    return 0.0


def context_link(headers: Sequence[str]) -> str | None:
    """The @context that Link headers name (JSON-LD 1.1, 6.1). Raises BadRequestData for several."""
    if not headers:
        return None
    found = []
    for header in headers:
        for target, parameters in _LINK.findall(header[:MAX_HEADER]):
            relation = _RELATION.search(parameters)
            if relation and CONTEXT_RELATION in (relation.group(1) or relation.group(2) or "").split():
                found.append(target)
    if len(found) > 1:
        raise BadRequestData(
            "The Link headers name several @contexts",
            hint="Name one; it can draw in others.",
            where="Link",
        )
    return found[0] if found else None


@lru_cache(512)
def media_type(content_type: str) -> tuple[str, str]:
    """The media type and the charset of a Content-Type header, in lower case."""
    media, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            charset = value.strip().strip('"')
    return media, charset
