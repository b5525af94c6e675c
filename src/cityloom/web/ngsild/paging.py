"""The count of what was found, and links to the pages before and after (ETSI GS CIM 009, 6.3.10, 6.3.13)."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from cityloom.kernel.media_types import JSON_LD
from cityloom.web.ngsild.asking import page_of
from cityloom.web.ngsild.exchange import ROOT, Exchange, Headers

Order = Callable[[dict[str, str]], list[str]]


_needs_no_quotes = re.compile(r"[A-Za-z0-9_.~:,*-]*").fullmatch


def page_headers(exchange: Exchange, *, more: bool, total: int | None) -> Headers:
    """Of Entities: links are typed as the answer is, their parameters sorted."""
    return _headers(exchange, more, total, sorted, exchange.media)


def list_headers(exchange: Exchange, *, more: bool, total: int | None) -> Headers:
    """Of subscriptions and registrations: parameters as they were given, those of the page last."""
    return _headers(exchange, more, total, list, JSON_LD)


def _headers(exchange: Exchange, more: bool, total: int | None, order: Order, media: str) -> Headers:
    headers: Headers = []
    if total is not None:
        headers.append((b"ngsild-results-count", str(total).encode()))
    limit, offset, _ = page_of(exchange.parameters)
    if not limit:
        return headers
    pages = {"next": offset + limit} if more else {}
    if offset:
        pages["prev"] = max(0, offset - limit)
    given = {name: value for name, value in exchange.parameters.items() if name not in ("limit", "offset")}
    for relation, start in pages.items():
        page = given | {"limit": str(limit), "offset": str(start)}
        query = "&".join(f"{name}={_quoted(page[name])}" for name in order(page))
        link = f'<{ROOT}{exchange.operation.path}?{query}>; rel="{relation}"; type="{media}"'
        headers.append((b"link", link.encode()))
    return headers


def _quoted(value: str) -> str:
    return value if _needs_no_quotes(value) else quote(value, safe=":,*")
