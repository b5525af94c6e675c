"""What a write leaves behind: nothing that only the garbage collector can find, which stops everybody."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

from cityloom.web.server import ConnectionLimits
from cityloom.web.site import build
from served import Served

ENTITIES = [
    {
        "id": f"urn:ngsi-ld:Station:{number}",
        "type": "Station",
        "temperature": {"type": "Property", "value": 18.5, "unitCode": "CEL"},
        "isIn": {"type": "Relationship", "object": "urn:ngsi-ld:City:1"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [10.2, 56.15]}},
    }
    for number in range(30)
]
PATCHED = {"temperature": {"type": "Property", "value": 19.25, "unitCode": "CEL"}}
WRITES = {
    "a batch": ("POST", "/ngsi-ld/v1/entityOperations/upsert", ENTITIES),
    "a batch that updates": ("POST", "/ngsi-ld/v1/entityOperations/upsert?options=update", ENTITIES),
    "a PATCH": ("PATCH", "/ngsi-ld/v1/entities/urn:ngsi-ld:Station:1/attrs", PATCHED),
}


def _request(method: str, path: str, body: object) -> bytes:
    said = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(said)}\r\n\r\n".encode() + said


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_leaves_nothing_to_the_garbage_collector(small_city_class, write):
    city = await small_city_class(open_access=True, frameworks=()).start()
    async with Served(ConnectionLimits(), app=build(city.rooms)) as served:
        reader, writer = await asyncio.open_connection(*served.listener.getsockname())

        async def send(name: str) -> None:
            writer.write(_request(*WRITES[name]))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 204"))
            length = next((line for line in answer.lower().splitlines() if b"content-length" in line), b":0")
            await reader.readexactly(int(length.partition(b":")[2]))

        await send("a batch")
        await send(write)
        await city.broker.caught_up()
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(10):
                await send(write)
            await city.broker.caught_up()
            gc.collect()
            left = [type(one).__name__ for one in gc.garbage]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        writer.close()
    await city.stop()
    # Less than one of anything a write: what runs beside it by the clock may leave something.
    assert {name for name in left if left.count(name) >= 10} == set()
