"""Subscriptions over HTTP: kept, shown, changed and let go (ETSI GS CIM 009, 6.10, 6.11)."""

from __future__ import annotations

from typing import Any

import pytest

SUBSCRIPTION: dict[str, Any] = {
    "id": "urn:ngsi-ld:Subscription:1",
    "type": "Subscription",
    "entities": [{"type": "Road"}],
    "watchedAttributes": ["speed"],
    "q": "speed>50",
    "throttling": 0.5,
    "notification": {
        "format": "concise",
        "endpoint": {"uri": "http://127.0.0.1:9/told", "accept": "application/json", "timeout": 500},
    },
}
PATH = "/subscriptions/urn:ngsi-ld:Subscription:1"


@pytest.fixture
async def subscribed(api):
    reply = await api.post("/subscriptions", json=SUBSCRIPTION)
    assert reply.status_code == 201, reply.text
    assert reply.headers["location"] == f"/ngsi-ld/v1{PATH}"
    return api


async def test_a_subscription_comes_back_as_it_was_sent_with_its_state(subscribed):
    shown = (await subscribed.get(PATH)).json()
    notification = shown.pop("notification")
    assert shown.pop("status") == "active"
    assert shown.pop("jsonldContext").endswith(".jsonld")
    assert shown.pop("isActive", True) is True
    assert shown.pop("notificationTrigger") == ["attributeCreated", "attributeUpdated"]
    assert shown == {name: value for name, value in SUBSCRIPTION.items() if name != "notification"}
    assert notification["format"] == "concise"
    assert notification["endpoint"] == SUBSCRIPTION["notification"]["endpoint"]


async def test_an_id_is_taken_once_and_made_up_where_there_is_none(subscribed, problem):
    problem(await subscribed.post("/subscriptions", json=SUBSCRIPTION), 409, "AlreadyExists")
    nameless = {name: value for name, value in SUBSCRIPTION.items() if name != "id"}
    made = (await subscribed.post("/subscriptions", json=nameless)).headers["location"]
    assert (await subscribed.get(made.removeprefix("/ngsi-ld/v1"))).status_code == 200


async def test_the_list_is_paged_and_counted(subscribed):
    second = {**SUBSCRIPTION, "id": "urn:ngsi-ld:Subscription:2"}
    await subscribed.post("/subscriptions", json=second)
    page = await subscribed.get("/subscriptions?limit=1&count=true")
    assert [one["id"] for one in page.json()] == [SUBSCRIPTION["id"]]
    assert page.headers["ngsild-results-count"] == "2"
    assert 'rel="next"' in page.headers["link"]
    rest = await subscribed.get("/subscriptions?limit=1&offset=1")
    assert [one["id"] for one in rest.json()] == [second["id"]]


async def test_a_patch_changes_what_it_names_and_removes_what_it_nulls(subscribed):
    change = {"q": "speed>80", "throttling": None, "isActive": False}
    assert (await subscribed.patch(PATH, json=change)).status_code == 204
    shown = (await subscribed.get(PATH)).json()
    assert shown["q"] == "speed>80" and "throttling" not in shown
    assert shown["isActive"] is False and shown["status"] == "paused"


async def test_a_patch_looks_at_the_body_s_type_before_it_looks_for_the_subscription(api, problem):
    reply = await api.patch(PATH, content=b"{}", headers={"content-type": "text/plain"})
    assert reply.status_code == 415
    problem(await api.patch(PATH, json={"q": "speed>1"}), 404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"q": "speed>>"}, "q"),
        ({"entities": []}, "entities"),
        ({"timeInterval": 5}, "watchedAttributes"),
        ({"notification": {"endpoint": {"uri": "ftp://city.example/"}}}, "notification.endpoint.uri"),
        *(
            (
                {"notification": {"endpoint": {"uri": f"mqtt://city.example/{topic}"}}},
                "notification.endpoint.uri",
            )
            for topic in ("", "city/+", "city/%2B", "city/%23", "%24SYS/broker", "city/%00", "x" * 65_536)
        ),
        ({"notificationTrigger": ["entityPainted"]}, "notificationTrigger"),
        ({"expiresAt": "yesterday"}, "expiresAt"),
    ],
)
async def test_a_wrong_patch_names_the_member_and_changes_nothing(subscribed, problem, change, where):
    before = (await subscribed.get(PATH)).json()
    said = problem(await subscribed.patch(PATH, json=change), 400, "BadRequestData")
    assert said.get("where", "").startswith(where), said
    assert (await subscribed.get(PATH)).json() == before


async def test_what_is_deleted_is_gone(subscribed, problem):
    assert (await subscribed.delete(PATH)).status_code == 204
    problem(await subscribed.delete(PATH), 404, "ResourceNotFound")
    assert (await subscribed.get("/subscriptions")).json() == []


async def test_subscriptions_are_nothing_for_visitors_nor_for_other_tenants(subscribed, problem):
    visitor = {"x-test-actor": "anonymous"}
    assert (await subscribed.get("/subscriptions", headers=visitor)).status_code in (401, 403)
    assert (await subscribed.delete(PATH, headers=visitor)).status_code in (401, 403)
    elsewhere = {"ngsild-tenant": "harbour"}
    await subscribed.post("/entities", json={"id": "urn:x:1", "type": "Quay"}, headers=elsewhere)
    assert (await subscribed.get("/subscriptions", headers=elsewhere)).json() == []
    problem(await subscribed.get(PATH, headers=elsewhere), 404, "ResourceNotFound")
    assert (await subscribed.get(PATH)).status_code == 200
