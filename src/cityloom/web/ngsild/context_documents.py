"""The @contexts that are known here (ETSI GS CIM 009, 6.29.3.2, 6.30.3.1)."""

from __future__ import annotations

from typing import Any

from cityloom.ngsild.errors import BadRequestData, OperationNotSupported, ResourceNotFound
from cityloom.web.ngsild.exchange import Exchange, Reply, plain_reply

_KINDS = ("Hosted", "Cached", "ImplicitlyCreated")


async def list_contexts(exchange: Exchange) -> Reply:
    """GET /jsonldContexts."""
    kind = exchange.parameters.text("kind")
    if kind is not None and kind not in _KINDS:
        raise BadRequestData(
            f"{kind[:40]!a} is not a kind of @context", hint=f"Kinds are {', '.join(_KINDS)}.", where="kind"
        )
    found = [one for one in _known(exchange) if kind is None or one["kind"] == kind]
    if exchange.parameters.flag("details"):
        return plain_reply(found)
    return plain_reply([one["URL"] for one in found])


async def serve_context(exchange: Exchange) -> Reply:
    """GET /jsonldContexts/{contextId}: by its local id, or by its URL."""
    wanted = exchange.variables["contextId"]
    found = next((one for one in _known(exchange) if wanted in (one["localId"], one["URL"])), None)
    if found is None:
        raise ResourceNotFound(
            f"There is no @context {wanted[:200]!a}", hint="GET /jsonldContexts lists what there is."
        )
    if exchange.parameters.flag("details"):
        return plain_reply(found)
    if found["kind"] == "Cached":
        raise OperationNotSupported(
            "This @context is a copy of one elsewhere", hint=f"Fetch it from {found['URL']}."
        )
    return plain_reply(exchange.services.contexts.kept(found["localId"]))


def _known(exchange: Exchange) -> list[dict[str, Any]]:
    """Bundled and loaded ones are copies of what is published elsewhere; those from bodies are kept here."""
    contexts = exchange.services.contexts
    cached = [{"URL": uri, "localId": uri, "kind": "Cached"} for uri in contexts.resolver.uris()]
    kept = [
        {"URL": f"{exchange.base}/jsonldContexts/{one}", "localId": one, "kind": "ImplicitlyCreated"}
        for one in contexts.kept_ids()
    ]
    return cached + kept
