"""Open access is for programs and pages of this machine, not for strangers' pages that its browser shows."""

from __future__ import annotations

import pytest

from cityloom.kernel.actor import CITY

PATHS = (
    "/",
    "/about",
    "/map.json",
    "/live",
    "/healthz",
    "/static/city.css",
    "/openapi.json",
    "/ngsi-ld/v1/types",
)
ENTITY = {"id": "urn:ngsi-ld:Thing:1", "type": "Thing"}


@pytest.fixture
async def open_city(small_city_class):
    made = await small_city_class(frameworks=(), open_access=True).start()
    yield made
    await made.stop()


@pytest.fixture
def browser(open_city, reader_class):
    return reader_class(open_city).client


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "[::1]", "LocalHost:1", "127.0.0.1"]
)
async def test_names_of_loopback_are_answered(browser, host):
    for path in ("/about", "/ngsi-ld/v1/types"):
        assert (await browser.get(path, headers={"host": host})).status_code == 200, path


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:8080",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "evil.test@127.0.0.1",
        "127.0.0.1:80@evil.test",
        "localhost:80:80",
        "192.0.2.1",
        "0.0.0.0",
        "",
    ],
)
async def test_a_stranger_s_name_that_leads_here_opens_nothing(open_city, browser, host):
    for path in PATHS:
        answer = await browser.get(path, headers={"host": host})
        assert answer.status_code == 403 and answer.json()["where"] == "Host", path
    for path in ("/ngsi-ld/v1/entities", "/hooks/http_push", "/language"):
        assert (await browser.post(path, json=ENTITY, headers={"host": host})).status_code == 403, path
    assert open_city.broker.find(CITY, ENTITY["id"]) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    ],
)
async def test_a_stranger_s_page_writes_nothing_under_the_city_s_own_name(open_city, browser, headers):
    answer = await browser.post(
        "/ngsi-ld/v1/entities", json=ENTITY, headers={"host": "localhost:8080", **headers}
    )
    assert answer.status_code == 403, answer.text
    assert open_city.broker.find(CITY, ENTITY["id"]) is None


async def test_a_program_writes(open_city, browser):
    answer = await browser.post("/ngsi-ld/v1/entities", json=ENTITY, headers={"host": "localhost:8080"})
    assert answer.status_code == 201, answer.text


async def test_a_city_with_authentication_answers_to_any_name(visitor):
    assert (await visitor.get("/about", host="city.example")).status_code == 200
