"""Who this context source is (ETSI GS CIM 009, 6.33)."""

from __future__ import annotations

from datetime import UTC, datetime

import cityloom
from cityloom.kernel.time import format_instant
from cityloom.web.ngsild.exchange import Exchange, Reply


async def identify(exchange: Exchange) -> Reply:
    """GET /info/sourceIdentity. The time at the source is the city's."""
    services = exchange.services
    alias = services.federation.alias_for(exchange.tenant)
    seconds = int((datetime.now(UTC) - services.started).total_seconds())
    return exchange.reply(
        {
            "id": f"urn:ngsi-ld:ContextSourceIdentity:{alias}",
            "type": "ContextSourceIdentity",
            "contextSourceAlias": alias,
            "contextSourceUptime": f"PT{max(seconds, 0)}S",
            "contextSourceTimeAt": format_instant(services.clock.now()),
            "contextSourceExtras": {"name": "CityLoom", "version": cityloom.__version__},
        }
    )
