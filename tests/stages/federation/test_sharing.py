"""Which registrations may speak of an Entity: found without looking at all of them."""

from __future__ import annotations

from itertools import product

from cityloom.federation.sharing import Directory
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.registration_parsing import parse_registration
from cityloom.ngsild.registrations import compile_registration
from cityloom.ngsild.source_matching import describes

ENTITIES = (
    None,
    [{"type": "Road"}],
    [{"type": ["Road", "Street"]}],
    [{"type": "House"}],
    [{"type": "Road", "id": "urn:x:1"}],
    [{"type": "House", "id": "urn:x:1"}],
    [{"type": "Road", "idPattern": "^urn:x"}],
    [{"type": "House"}, {"type": "Road", "id": "urn:x:2"}],
)


def registration(number, entities):
    information = {"propertyNames": ["speed"]} | ({} if entities is None else {"entities": entities})
    document = {
        "id": f"urn:r:{number}",
        "type": "ContextSourceRegistration",
        "endpoint": "https://broker.example/",
        "information": [information],
    }
    return compile_registration(parse_registration(document, CORE))


def test_none_is_missed_and_all_are_in_order():
    all_of_them = [registration(number, entities) for number, entities in enumerate(ENTITIES * 30)]
    directory = Directory(all_of_them)
    for entity_id, types in product(
        ("urn:x:1", "urn:x:2", "urn:y:1"), ((), ("Road",), ("House", "Street"), ("Lamp",))
    ):
        told = directory.about(entity_id, types)
        wanted = [one for one in all_of_them if describes(one.information[0], entity_id, types)]
        assert [one for one in told if one in wanted] == wanted, (entity_id, types)
    assert [one.id for one in directory.about("urn:y:1", ("Lamp",))] == [f"urn:r:{8 * n}" for n in range(30)]
