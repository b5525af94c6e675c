"""What the distributed operations have in common (ETSI GS CIM 009, 4.3.6, 6.3.17, 6.3.18)."""

from __future__ import annotations

from collections.abc import Iterable

from cityloom.federation.model import Origin, Wire, warning_text
from cityloom.federation.peers import via_of
from cityloom.federation.questions import wire_of
from cityloom.kernel.errors import CityError
from cityloom.ngsild.contexts import Context, is_core
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.registrations import Registration
from cityloom.web.ngsild.exchange import Exchange, Headers, Reply


def origin_of(exchange: Exchange, csf: str | None = None) -> Origin:
    """The request as those must know it who ask others for it. Raises BadRequestData for a wrong csf."""
    headers = exchange.headers()
    try:
        wanted = None if csf is None else parse_q(csf, exchange.context)
    except BadRequestData as error:
        error.where = "csf"
        raise
    return Origin(
        actor=exchange.actor,
        tenant=exchange.tenant,
        via=via_of(headers.get("via", "")),
        headers=headers,
        context=exchange.context,
        context_address=address_of(exchange.context),
        csf=wanted,
    )


def address_of(context: Context) -> str | None:
    """Where others can fetch an @context; None where nowhere, and for the core's."""
    source = context.source
    if isinstance(source, list):
        parts = [part for part in source if not (isinstance(part, str) and is_core(part))]
        source = parts[0] if len(parts) == 1 else None
    return source if isinstance(source, str) and not is_core(source) else None


async def wire_to(exchange: Exchange, origin: Origin, registration: Registration) -> Wire:
    """How a source is spoken to."""
    own = registration.told("jsonldContext")
    try:
        context = None if own is None else await exchange.services.contexts.use(own)
    except CityError:
        # It cannot be had: names go out in full.
        context = None
    return wire_of(registration, origin, context)


def warned(exchange: Exchange, reply: Reply, warnings: Iterable[tuple[str, Registration]]) -> Reply:
    """The answer with its warnings (6.3.17)."""
    alias = exchange.services.federation.alias_for(exchange.tenant)
    told: Headers = [
        (b"ngsild-warning", warning_text(code, alias, registration).encode("latin-1", "replace"))
        for code, registration in warnings
    ]
    return Reply(reply.status, reply.body, reply.media, [*(reply.headers or []), *told]) if told else reply
