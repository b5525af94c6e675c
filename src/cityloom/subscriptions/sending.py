"""A notification on its way: its form and its headers (ETSI GS CIM 009, 5.3.1, 6.3.6, 7.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from secrets import token_hex
from typing import Any

import orjson

from cityloom.kernel.media_types import GEO_JSON, JSON, JSON_LD
from cityloom.kernel.outbound import AddressNotAllowed, Outbound
from cityloom.ngsild.context_link import link_to_context
from cityloom.ngsild.subscription import Endpoint
from cityloom.subscriptions.model import Kept
from cityloom.subscriptions.places import tenant_in
from cityloom.subscriptions.ports import Publisher

#: Seconds for one notification, where the subscription gives none, and at most.
USUAL_DEADLINE = 10.0
LONGEST_DEADLINE = 30.0
#: Bytes of an answer, of which only the status is wanted.
LARGEST_ANSWER = 65_536

#: What this process names notifications by; they are told apart by it and a number.
_PROCESS = token_hex(8)
_NUMBERS = count(1)
_VERSIONS = {"mqtt3.1.1": 4, "mqtt5.0": 5}


class Sender:
    """Sends one notification. Raises AddressNotAllowed, Unreachable."""

    def __init__(self, outbound: Outbound, publisher: Publisher) -> None:
        self._outbound = outbound
        self._publisher = publisher

    def check(self, endpoint: Endpoint) -> None:
        """Look at an address before it is kept. Raises AddressNotAllowed."""
        try:
            (self._publisher if is_mqtt(endpoint) else self._outbound).check(endpoint.uri)
        except AddressNotAllowed as error:
            error.where = "notification.endpoint.uri"
            raise

    async def send(self, kept: Kept, shown: Sequence[bytes], at: str, reference: Any) -> int:
        """The status of the answer, 200 where a broker has taken it. `shown` are Entities as JSON."""
        return await self.dispatch(kept, written(kept, shown, at, reference))

    async def dispatch(self, kept: Kept, body: bytes) -> int:
        """The same for a notification that is written already."""
        endpoint = kept.wanted.notification.endpoint
        deadline = min((endpoint.timeout or USUAL_DEADLINE * 1000) / 1000, LONGEST_DEADLINE)
        if is_mqtt(endpoint):
            message = orjson.dumps({"metadata": _metadata(kept), "body": orjson.Fragment(body)})
            await self._publisher.publish(
                endpoint.uri,
                message,
                version=_VERSIONS[endpoint.setting("MQTT-Version") or "mqtt5.0"],
                qos=int(endpoint.setting("MQTT-QoS") or 0),
                deadline=deadline,
            )
            return 200
        headers = headers_of(kept)
        answer = await self._outbound.send(
            "POST", endpoint.uri, headers, body, deadline=deadline, largest=LARGEST_ANSWER
        )
        return answer.status


def is_mqtt(endpoint: Endpoint) -> bool:
    """Whether an endpoint is a topic of an MQTT broker."""
    return endpoint.uri.lower().startswith("mqtt")


def written(kept: Kept, shown: Sequence[bytes], at: str, reference: Any) -> bytes:
    """A notification as JSON (5.3.1). `reference` is the @context that is named in it where it is JSON-LD."""
    endpoint = kept.wanted.notification.endpoint
    data: Any = orjson.Fragment(b"[" + b",".join(shown) + b"]")
    if endpoint.accept == GEO_JSON:
        data = {"type": "FeatureCollection", "features": data}
        if not prefers_plain(endpoint):
            data["@context"] = reference
    notification = {
        "id": f"urn:ngsi-ld:Notification:{_PROCESS}-{next(_NUMBERS):x}",
        "type": "Notification",
        "subscriptionId": kept.wanted.id,
        "notifiedAt": at,
        "data": data,
    }
    if endpoint.accept == JSON_LD:
        notification["@context"] = reference
    return orjson.dumps(notification)


def headers_of(kept: Kept) -> dict[str, str]:
    """The headers of a notification: what the receiver is to be told comes on top (5.2.22)."""
    endpoint = kept.wanted.notification.endpoint
    media = endpoint.accept or JSON
    found: dict[str, str] = {"Content-Type": media, "Accept": JSON}
    if media == JSON or (media == GEO_JSON and prefers_plain(endpoint)):
        found["Link"] = link_to_context(kept.link)
    found |= _where(kept)
    given = {pair.key.lower() for pair in endpoint.receiver_info or ()}
    found = {name: value for name, value in found.items() if name.lower() not in given}
    return found | {pair.key: pair.value for pair in endpoint.receiver_info or ()}


def _where(kept: Kept) -> dict[str, str]:
    """The tenant and the snapshot that a notification is about (6.3.14, 6.3.22)."""
    named = {"NGSILD-Tenant": tenant_in(kept.tenant), "NGSILD-Snapshot": kept.snapshot}
    return {name: value for name, value in named.items() if value}


def prefers_plain(endpoint: Endpoint) -> bool:
    """Whether GeoJSON is wanted without an @context in it (5.3.1)."""
    return "body=json" in (endpoint.told("Prefer") or "").replace(" ", "").split(",")


def _metadata(kept: Kept) -> Mapping[str, str]:
    endpoint = kept.wanted.notification.endpoint
    media = endpoint.accept or JSON
    found: dict[str, str] = {"Content-Type": media}
    if media != JSON_LD:
        found["Link"] = link_to_context(kept.link)
    found |= _where(kept)
    return found | {pair.key: pair.value for pair in endpoint.receiver_info or ()}
