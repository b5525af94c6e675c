"""What the broker's commands do, and whom they refuse."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from cityloom.context.writes import PastWrite
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor, InformationClass
from cityloom.kernel.change import ChangeKind
from cityloom.kernel.errors import NotAllowed, NotReady
from cityloom.ngsild.errors import AlreadyExists, ResourceNotFound
from cityloom.ngsild.model import entity, point, prop, rel, value_of

OPEN, INTERNAL, SECURITY = InformationClass
WRITER = Actor(id="device:1", permissions=frozenset({"entities:write"}))
READER = Actor(id="reader")
CLEARED = Actor(
    id="officer", permissions=frozenset({"entities:write"}), clearance=frozenset(InformationClass)
)


def road(number: int = 1, speed: float = 50.0, **attributes):
    made = {"speed": prop(speed), **attributes}
    return entity("Road", f"urn:ngsi-ld:Road:{number}", made)


def fragment(**attributes):
    return {"attrs": {name: [item] for name, item in attributes.items()}}


async def test_create_makes_an_entity_that_can_be_retrieved(broker):
    change = await broker.create(CITY, road(), trace="test:7")
    found = broker.retrieve(ANONYMOUS, "urn:ngsi-ld:Road:1")
    assert value_of(found, "speed") == 50.0
    assert found["createdAt"] == found["modifiedAt"]
    assert (change.sequence, change.kind, change.trace, change.by) == (
        1,
        ChangeKind.CREATED,
        "test:7",
        "city",
    )
    assert change.attributes == ("speed",)


async def test_create_again_is_refused_and_changes_nothing(broker):
    await broker.create(CITY, road(speed=1.0))
    with pytest.raises(AlreadyExists):
        await broker.create(CITY, road(speed=2.0))
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 1.0
    assert broker.last_sequence == 1


async def test_create_twice_at_once_lets_one_through(broker):
    results = await asyncio.gather(*(broker.create(CITY, road()) for _ in range(5)), return_exceptions=True)
    assert [isinstance(one, AlreadyExists) for one in results].count(True) == 4
    assert broker.last_sequence == 1


async def test_update_at_once_with_others_loses_none_of_them(broker):
    await broker.create(CITY, road())
    await asyncio.gather(
        *(
            broker.append(CITY, "urn:ngsi-ld:Road:1", fragment(**{f"lane{number}": prop(number)}))
            for number in range(40)
        )
    )
    found = broker.retrieve(CITY, "urn:ngsi-ld:Road:1")
    assert {f"lane{number}" for number in range(40)} <= set(found["attrs"])


async def test_update_is_not_seen_before_it_is_durable(broker):
    await broker.create(CITY, road(speed=1.0))
    writing = asyncio.ensure_future(broker.update(CITY, "urn:ngsi-ld:Road:1", fragment(speed=prop(2.0))))
    await asyncio.sleep(0)
    assert broker.backlog == 1
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 1.0
    await writing
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 2.0


async def test_update_of_what_was_created_a_moment_ago_finds_it(broker):
    creating = asyncio.ensure_future(broker.create(CITY, road()))
    await asyncio.sleep(0)
    await broker.update(CITY, "urn:ngsi-ld:Road:1", fragment(speed=prop(3.0)))
    await creating
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 3.0


async def test_append_without_overwrite_leaves_what_is_there(broker):
    await broker.create(CITY, road(speed=1.0))
    change = await broker.append(
        CITY, "urn:ngsi-ld:Road:1", fragment(speed=prop(9.0), lanes=prop(2)), overwrite=False
    )
    assert change.attributes == ("lanes",)
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 1.0


async def test_merge_patches_the_inside_of_an_attribute(broker):
    before = prop({"left": 1, "right": 2}) | {"observedAt": "2014-08-01T00:00:00Z"}
    await broker.create(CITY, road(lanes=before))
    patch = {"attrs": {"lanes": [{"type": "Property", "value": {"right": 3}}]}}
    await broker.merge(CITY, "urn:ngsi-ld:Road:1", patch, observed_at="2014-08-02T00:00:00Z")
    item = broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]["lanes"][0]
    assert item["value"] == {"left": 1, "right": 3}
    assert item["observedAt"] == "2014-08-02T00:00:00Z"


async def test_replace_drops_what_the_new_document_has_not(broker):
    await broker.create(CITY, road(lanes=prop(2)))
    change = await broker.replace(CITY, "urn:ngsi-ld:Road:1", road(speed=8.0))
    assert set(broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]) == {"speed"}
    assert set(change.attributes) == {"speed", "lanes"}


async def test_replace_attribute_and_update_attribute_touch_one_instance(broker):
    await broker.create(CITY, road(lanes=prop(2)))
    await broker.replace_attribute(CITY, "urn:ngsi-ld:Road:1", "speed", prop(7.0, unit="KMH"))
    await broker.update_attribute(CITY, "urn:ngsi-ld:Road:1", "speed", {"type": "Property", "value": 9.0})
    item = broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]["speed"][0]
    assert (item["value"], item["unitCode"]) == (9.0, "KMH")


async def test_delete_takes_the_entity_and_keeps_its_last_state_in_the_change(broker):
    await broker.create(CITY, road(speed=4.0))
    change = await broker.delete(CITY, "urn:ngsi-ld:Road:1")
    assert broker.find(CITY, "urn:ngsi-ld:Road:1") is None
    assert change.kind is ChangeKind.DELETED
    assert b'"value":4.0' in change.document


async def test_delete_then_create_gives_a_new_entity(broker):
    await broker.create(CITY, road(lanes=prop(1)))
    deleting = asyncio.ensure_future(broker.delete(CITY, "urn:ngsi-ld:Road:1"))
    await asyncio.sleep(0)
    change = await broker.create(CITY, road())
    await deleting
    assert change.kind is ChangeKind.CREATED
    assert set(broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]) == {"speed"}


async def test_delete_attribute_takes_one_attribute(broker):
    await broker.create(CITY, road(lanes=prop(2)))
    change = await broker.delete_attribute(CITY, "urn:ngsi-ld:Road:1", "lanes")
    assert change.attributes == ("lanes",)
    assert set(broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]) == {"speed"}


@pytest.mark.parametrize("command", ["append", "update", "merge", "replace"])
async def test_commands_on_an_entity_that_is_not_there_say_so(broker, command):
    with pytest.raises(ResourceNotFound):
        await getattr(broker, command)(CITY, "urn:ngsi-ld:Road:1", road())
    assert broker.last_sequence == 0


async def test_retrieve_of_what_is_not_there_says_so(broker):
    with pytest.raises(ResourceNotFound, match="urn:ngsi-ld:Road:1"):
        broker.retrieve(CITY, "urn:ngsi-ld:Road:1")


async def test_upsert_creates_then_updates_or_replaces(broker):
    first = await broker.upsert(CITY, road(lanes=prop(2)))
    second = await broker.upsert(CITY, road(speed=6.0))
    assert (first.kind, second.kind) == (ChangeKind.CREATED, ChangeKind.UPDATED)
    assert set(broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]) == {"speed", "lanes"}
    await broker.upsert(CITY, road(speed=7.0), update=False)
    assert set(broker.retrieve(CITY, "urn:ngsi-ld:Road:1")["attrs"]) == {"speed"}


async def test_upsert_many_sorts_ids_into_created_updated_and_errors(broker):
    await broker.create(CITY, road(1))
    await broker.create(CITY, entity("Camera", "urn:ngsi-ld:Camera:1", {}))
    batch = [road(2), road(1), entity("Camera", "urn:ngsi-ld:Camera:1", {}), road(2, speed=9.0)]
    outcome = await broker.upsert_many(WRITER, batch, update=True)
    assert outcome.created == ["urn:ngsi-ld:Road:2"]
    assert outcome.updated == ["urn:ngsi-ld:Road:1", "urn:ngsi-ld:Road:2"]
    assert [entity_id for entity_id, _ in outcome.errors] == ["urn:ngsi-ld:Camera:1"]
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:2"), "speed") == 9.0


async def test_upsert_many_takes_more_than_one_turn(broker):
    outcome = await broker.upsert_many(CITY, [road(number) for number in range(2500)], update=True)
    assert len(outcome.created) == 2500
    assert broker.types(ANONYMOUS) == {"Road": 2500}


async def test_upsert_many_of_nothing_is_nothing(broker):
    outcome = await broker.upsert_many(CITY, [], update=True)
    assert (outcome.created, outcome.updated, outcome.errors) == ([], [], [])


async def test_create_update_merge_and_delete_many_each_report_by_entity(broker):
    created = await broker.create_many(CITY, [road(1), road(2), road(1)])
    assert created.created == ["urn:ngsi-ld:Road:1", "urn:ngsi-ld:Road:2"]
    assert isinstance(created.errors[0][1], AlreadyExists)
    updated = await broker.update_many(CITY, [road(1, 3.0), road(3, 3.0)])
    assert updated.updated == ["urn:ngsi-ld:Road:1"] and updated.errors[0][0] == "urn:ngsi-ld:Road:3"
    merged = await broker.merge_many(CITY, [road(2, 5.0)])
    assert merged.updated == ["urn:ngsi-ld:Road:2"]
    deleted = await broker.delete_many(CITY, ["urn:ngsi-ld:Road:2", "urn:ngsi-ld:Road:9"])
    assert deleted.deleted == ["urn:ngsi-ld:Road:2"] and deleted.errors[0][0] == "urn:ngsi-ld:Road:9"


async def test_a_defect_in_a_batch_leaves_no_hole_in_the_sequence(broker):
    with pytest.raises(KeyError):
        await broker.create_many(CITY, [road(1), {"id": "urn:broken", "type": ["Road"]}])
    change = await broker.create(CITY, road(2))
    assert change.sequence == 2
    assert broker.types(CITY) == {"Road": 2}


async def test_commands_need_the_permission_to_write(broker):
    await broker.create(CITY, road())
    for command in (
        broker.create(READER, road(2)),
        broker.update(READER, "urn:ngsi-ld:Road:1", fragment(speed=prop(1.0))),
        broker.delete(READER, "urn:ngsi-ld:Road:1"),
    ):
        with pytest.raises(NotAllowed):
            await command
    assert broker.last_sequence == 1


async def test_create_takes_its_class_from_the_policy(broker):
    await broker.create(CITY, entity("Camera", "urn:ngsi-ld:Camera:1", {}))
    await broker.create(CITY, entity("Road", "urn:ngsi-ld:Road:1", {}))
    assert broker.class_of(CITY, "urn:ngsi-ld:Camera:1") is SECURITY
    assert broker.class_of(CITY, "urn:ngsi-ld:Road:1") is OPEN


async def test_create_of_several_types_takes_the_most_secret_class(broker):
    document = entity("Road", "urn:ngsi-ld:Road:1", {})
    document["type"] = ["Road", "Meter"]
    change = await broker.create(CITY, document)
    assert change.information_class is INTERNAL


async def test_create_with_a_class_needs_the_permission_to_classify(broker):
    with pytest.raises(NotAllowed, match="may not choose"):
        await broker.create(CLEARED, road(), information_class=INTERNAL)
    change = await broker.create(CITY, road(), information_class=INTERNAL)
    assert change.information_class is INTERNAL


async def test_create_of_a_type_the_writer_is_not_cleared_for_is_refused(broker):
    with pytest.raises(NotAllowed, match="security"):
        await broker.create(WRITER, entity("Camera", "urn:ngsi-ld:Camera:1", {}))


async def test_append_of_a_secret_type_raises_the_class(broker):
    await broker.create(CITY, road())
    change = await broker.append(CITY, "urn:ngsi-ld:Road:1", {"type": ["Camera"], "attrs": {}})
    assert change.information_class is SECURITY
    assert broker.find(ANONYMOUS, "urn:ngsi-ld:Road:1") is None
    assert broker.types(CITY) == {"Camera": 1, "Road": 1}


async def test_classify_moves_an_entity_out_of_sight_and_back(broker):
    await broker.create(CITY, road(location=point(10.0, 56.0)))
    await broker.classify(CITY, "urn:ngsi-ld:Road:1", SECURITY)
    assert broker.find(ANONYMOUS, "urn:ngsi-ld:Road:1") is None
    assert broker.types(ANONYMOUS) == {}
    await broker.classify(CITY, "urn:ngsi-ld:Road:1", OPEN)
    assert broker.types(ANONYMOUS) == {"Road": 1}


async def test_classify_needs_its_permission(broker):
    await broker.create(CITY, road())
    with pytest.raises(NotAllowed, match="may not choose"):
        await broker.classify(CLEARED, "urn:ngsi-ld:Road:1", INTERNAL)
    assert broker.class_of(CITY, "urn:ngsi-ld:Road:1") is OPEN


async def test_every_command_on_an_unseen_entity_answers_as_if_it_were_absent(broker):
    await broker.create(CITY, road(1), information_class=SECURITY)
    for command in ("append", "update", "merge", "replace"):
        errors = []
        for number in (1, 2):
            with pytest.raises(ResourceNotFound) as caught:
                await getattr(broker, command)(WRITER, f"urn:ngsi-ld:Road:{number}", road(number))
            errors.append((str(caught.value).replace(f":{number}", ":N"), caught.value.where))
        assert errors[0] == errors[1]
    with pytest.raises(ResourceNotFound):
        await broker.delete(WRITER, "urn:ngsi-ld:Road:1")
    with pytest.raises(ResourceNotFound):
        broker.class_of(WRITER, "urn:ngsi-ld:Road:1")
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 50.0


async def test_create_of_an_id_that_is_taken_out_of_sight_is_refused(broker):
    await broker.create(CITY, road(1), information_class=SECURITY)
    with pytest.raises(AlreadyExists):
        await broker.create(WRITER, road(1, speed=1.0))
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 50.0


async def test_tenants_do_not_see_each_other(broker):
    await broker.create(CITY, road(1, speed=1.0), tenant="north")
    await broker.create(CITY, road(1, speed=2.0))
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1", tenant="north"), "speed") == 1.0
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1"), "speed") == 2.0
    await broker.delete(CITY, "urn:ngsi-ld:Road:1", tenant="north")
    assert broker.types(CITY) == {"Road": 1}
    assert broker.tenants(CITY) == [""]


async def test_tenants_do_not_meet_before_the_commit_either(broker):
    results = await asyncio.gather(
        *(broker.create(CITY, road(1, speed=float(number)), tenant=f"t{number}") for number in range(3))
    )
    assert [change.kind for change in results] == [ChangeKind.CREATED] * 3
    await asyncio.gather(
        broker.delete(CITY, "urn:ngsi-ld:Road:1", tenant="t1"),
        broker.append(CITY, "urn:ngsi-ld:Road:1", fragment(lanes=prop(2)), tenant="t2"),
        broker.create(CITY, road(5), tenant="t2"),
        broker.append(CITY, "urn:ngsi-ld:Road:5", fragment(lanes=prop(2)), tenant="t2"),
    )
    assert set(broker.retrieve(CITY, "urn:ngsi-ld:Road:1", tenant="t0")["attrs"]) == {"speed"}
    assert value_of(broker.retrieve(CITY, "urn:ngsi-ld:Road:1", tenant="t2"), "speed") == 2.0


async def test_of_type_lists_in_the_order_of_creation(broker):
    for number in (3, 1, 2):
        await broker.create(CITY, road(number), information_class=SECURITY if number == 1 else OPEN)
    await broker.update(CITY, "urn:ngsi-ld:Road:3", fragment(speed=prop(1.0)))
    ids = [one["id"][-1] for one in broker.of_type(CITY, "Road")]
    assert ids == ["3", "1", "2"]
    assert [one["id"][-1] for one in broker.of_type(ANONYMOUS, "Road")] == ["3", "2"]
    await broker.classify(CITY, "urn:ngsi-ld:Road:1", OPEN)
    assert [one["id"][-1] for one in broker.of_type(ANONYMOUS, "Road")] == ["3", "1", "2"]


async def test_referrers_follow_relationships_and_evidence(broker):
    because = {"type": "JsonProperty", "json": [{"about": "type:Weather"}, {"about": "urn:ngsi-ld:Road:2"}]}
    await broker.create(CITY, road(1, refRoad=rel(["urn:ngsi-ld:Road:2", "urn:ngsi-ld:Road:3"])))
    await broker.create(CITY, road(4, because=because))
    assert broker.referrers(ANONYMOUS, "urn:ngsi-ld:Road:2") == ["urn:ngsi-ld:Road:1", "urn:ngsi-ld:Road:4"]
    assert broker.referrers(ANONYMOUS, "type:Weather") == ["urn:ngsi-ld:Road:4"]
    await broker.update(CITY, "urn:ngsi-ld:Road:1", fragment(refRoad=rel("urn:ngsi-ld:Road:3")))
    assert broker.referrers(ANONYMOUS, "urn:ngsi-ld:Road:2") == ["urn:ngsi-ld:Road:4"]
    await broker.classify(CITY, "urn:ngsi-ld:Road:4", SECURITY)
    assert broker.referrers(ANONYMOUS, "urn:ngsi-ld:Road:2") == []
    await broker.delete(CITY, "urn:ngsi-ld:Road:1")
    assert broker.referrers(CITY, "urn:ngsi-ld:Road:3") == []


async def test_commands_before_the_start_and_after_the_stop_are_not_ready(city):
    async with city() as broker:
        await broker.create(CITY, road())
    with pytest.raises(NotReady, match="not running"):
        await broker.create(CITY, road(2))


async def test_a_change_tells_what_the_attributes_were_that_it_wrote(broker):
    created = await broker.create(CITY, road(name=prop("High Street")))
    updated = await broker.append(CITY, "urn:ngsi-ld:Road:1", fragment(speed=prop(60.0), length=prop(7)))
    removed = await broker.delete_attribute(CITY, "urn:ngsi-ld:Road:1", "name")
    deleted = await broker.delete(CITY, "urn:ngsi-ld:Road:1")
    assert (created.before, deleted.before) == (b"", b"")
    (was,) = orjson.loads(updated.before).pop("speed")
    assert (was["value"], was["modifiedAt"]) == (50.0, was["createdAt"])
    assert orjson.loads(updated.before).keys() == {"speed"}
    assert orjson.loads(removed.before)["name"][0]["value"] == "High Street"


async def test_the_past_is_written_by_who_may_write_alone(broker):
    past = PastWrite(("Road",), b'{"attrs":{}}', (), None, None, None)
    before = broker.last_sequence
    for actor in (ANONYMOUS, Actor("reader", permissions=frozenset({"entities:read"}))):
        with pytest.raises(NotAllowed):
            await broker.write_past(actor, "urn:ngsi-ld:Road:1", past)
    assert broker.last_sequence == before
