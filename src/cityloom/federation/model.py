"""The words of asking other brokers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from cityloom.kernel.actor import Actor
from cityloom.kernel.outbound import plain_address
from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.q_language import Term
from cityloom.ngsild.registrations import EntityInfo, Registration

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
    #: Whether it is about Entities, so that `local` can be asked for (6.3.18).
    is_of_entities: bool = True


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
    #: Why the last failure was one, for staff.
    last_error: str = ""

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


class Health(msgspec.Struct, frozen=True):
    """How one registered source is doing, for staff."""

    tenant: str
    registration: Registration
    standing: Standing
    #: Who registered it: `Actor.id`.
    owner: str

    @property
    def name(self) -> str:
        return str(self.registration.document.get("registrationName", ""))

    @property
    def endpoint(self) -> str:
        """Its address, without what opens it."""
        return plain_address(self.registration.endpoint)

    @property
    def status(self) -> Literal["unasked", "answering", "failing"]:
        if not self.standing.times_sent:
            return "unasked"
        return "failing" if self.standing.failed else "answering"

    @property
    def types(self) -> tuple[str, ...]:
        """The types of Entities that it is asked for; none: any type."""
        asked = [one for info in self.registration.information for one in info.entities or (EntityInfo(),)]
        if any(not one.types for one in asked):
            return ()
        return tuple(dict.fromkeys(name for one in asked for name in one.types))

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that it is asked for; none: all."""
        asked = [info.attributes for info in self.registration.information]
        return tuple(sorted(frozenset().union(*asked))) if all(asked) else ()
