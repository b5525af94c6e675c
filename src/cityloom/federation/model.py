"""The words of asking other brokers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.q_language import Term
from cityloom.ngsild.registrations import Registration

#: Codes of the header NGSILD-Warning (table 6.3.17-1).
Warning = Literal["", "110", "111", "199", "299"]
_WARNINGS: dict[str, str] = {
    "110": "Response is Stale",
    "111": "Revalidation Failed",
    "199": "Miscellaneous Warning",
    "299": "Miscellaneous Persistent Warning",
}


class Origin(msgspec.Struct, frozen=True):
    """The request on whose behalf others are asked."""

    actor: Actor
    tenant: str
    #: The pseudonyms of the Context Sources that the request came through (6.3.18), the first one first.
    via: tuple[str, ...] = ()
    #: Headers by name in lower case.
    headers: Mapping[str, str] = {}
    context: Context = CORE
    #: Where the request's @context can be fetched; None: nowhere.
    context_address: str | None = None
    #: Which Context Sources may be asked (4.9).
    csf: Term | None = None


class Question(msgspec.Struct, frozen=True):
    """One HTTP request to a source, but for what is the same for all."""

    method: str
    #: Below /ngsi-ld/v1.
    path: str
    parameters: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = ""
    #: Whether an answer may be kept for as long as the source allows (6.3.17).
    may_be_kept: bool = False


class Reply(msgspec.Struct, frozen=True):
    """What a source answered: its status, or 504 and 502 for what kept it from answering."""

    registration: Registration
    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    #: What is told of it in NGSILD-Warning; "" where all went well.
    warning: Warning = ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Wire(msgspec.Struct, frozen=True):
    """How a source is spoken to: with which @context, and where that stands (None: it is the core's)."""

    context: Context
    address: str | None = None


def warning_text(code: str, alias: str, registration: Registration | None = None) -> str:
    """A value of NGSILD-Warning."""
    about = "" if registration is None else f" ({registration.id})"
    return f'{code} {alias} "{_WARNINGS[code]}{about}"'


class Standing(msgspec.Struct):
    """How a registration has fared since the city began (table 5.2.9-2). Instants as documents hold them."""

    times_sent: int = 0
    times_failed: int = 0
    last_success: str = ""
    last_failure: str = ""
    failed: bool = False

    def shown(self) -> dict[str, Any]:
        """The members of a registration that tell of it; none before anything was sent."""
        if not self.times_sent:
            return {}
        found: dict[str, Any] = {
            "status": "failed" if self.failed else "ok",
            "timesSent": self.times_sent,
            "timesFailed": self.times_failed,
        }
        if self.last_success:
            found["lastSuccess"] = self.last_success
        if self.last_failure:
            found["lastFailure"] = self.last_failure
        return found
