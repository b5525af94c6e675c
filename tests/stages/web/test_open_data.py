"""What is taken along as JSON reads like every other answer of NGSI-LD."""

from __future__ import annotations

from datetime import timedelta

from cityloom.ngsild.model import entity, point, prop

BENCH = "urn:ngsi-ld:Bench:1"


async def test_open_things_are_taken_along_in_the_simplified_form(city, visitor):
    at = city.clock.now() - timedelta(minutes=5)
    seats = {"seats": prop(4, at=at, unit="C62"), "location": point(9.0, 56.0)}
    await city.write(entity("Bench", BENCH, seats))
    (taken,) = await visitor.data("/open-data/Bench.json")
    assert taken == {
        "id": BENCH,
        "type": "Bench",
        "seats": 4,
        "location": {"type": "Point", "coordinates": [9.0, 56.0]},
    }
    same = await visitor.data("/ngsi-ld/v1/entities?type=Bench&format=simplified")
    assert same == [taken]
