"""A city seen by its operator: a real process, its metrics as Prometheus reads them."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from cityloom.app.watch.metrics import METRICS, OF_THE_LIBRARY
from running_city import RunningCity

CITY = """
name = "Watched"
[connectors.mqtt]
[connectors.http_push]
"""
#: Told once enough is known of how the disk fills up.
LATER = {"cityloom_disk_growth_bytes_per_day", "cityloom_disk_full_in_seconds"}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    home = tmp_path_factory.mktemp("watched") / "city"
    home.mkdir()
    (home / "city.toml").write_text(CITY)
    city = RunningCity(home, "up")
    yield city
    city.stop()


def create(city, name, kind="Bench"):
    body = {"id": f"urn:ngsi-ld:{kind}:{name}", "type": kind, "name": {"type": "Property", "value": name}}
    assert city.web.post("/ngsi-ld/v1/entities", json=body, headers=city.as_terminal).status_code == 201


def metrics_of(city, headers=None):
    answer = city.web.get("/metrics", headers=headers or city.as_terminal)
    assert answer.status_code == 200, answer.text
    return answer.text, {family.name: family for family in parse(answer.text)}


def value(families, name, **labels):
    """The value of the sample with these labels; 0 where there is none."""
    family = families[name.removesuffix("_total").removesuffix("_count")]
    return sum(
        one.value for one in family.samples if one.name == name and labels.items() <= one.labels.items()
    )


def test_all_that_is_documented_is_told_and_nothing_else(city):
    create(city, "first")
    city.web.get("/")
    text, families = metrics_of(city)
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    # Nobody was turned away, so there is no reason to count by.
    everywhere = {metric.name for metric in (*METRICS, *OF_THE_LIBRARY) if not metric.told_by}
    wanted = everywhere - LATER - {"cityloom_refused_total"}
    assert told == wanted
    assert value(families, "cityloom_disk_free_bytes") > 0
    assert value(families, "cityloom_file_bytes", file="feed.db") > 0
    assert value(families, "process_resident_memory_bytes") > 10_000_000
    assert value(families, "cityloom_connector_up", connector="mqtt") == 1


def test_what_was_asked_is_counted_by_operation_and_status(city):
    _, before = metrics_of(city)
    create(city, "one")
    create(city, "two")
    city.web.get("/ngsi-ld/v1/entities", headers=city.as_terminal)
    city.web.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Bench:none", headers=city.as_terminal)
    city.web.get("/ngsi-ld/v1/nothing", headers=city.as_terminal)
    text, after = metrics_of(city)

    def more(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    asked = "cityloom_requests_total"
    assert more(asked, method="POST", address="/entities", status="201") == 2
    assert more(asked, method="GET", address="/entities", status="400") == 1
    assert more(asked, method="GET", address="/entities/{entityId}", status="404") == 1
    assert more(asked, address="", status="404") == 1
    assert more("cityloom_request_seconds_count", operation="entities_write") == 2
    assert more("cityloom_changes_total") >= 2
    assert more("cityloom_commit_seconds_count") >= 1
    assert more("cityloom_stage_handled_total", stage="subscriptions") >= 1
    assert value(after, "cityloom_entities", type="Bench") >= 2
    assert "urn:ngsi-ld" not in text


def test_a_parked_message_and_a_refused_connection_are_seen(city):
    token = city.as_terminal
    pushed = city.web.post(
        "/hooks/http_push", content=b"{", headers=token | {"content-type": "application/json"}
    )
    assert pushed.status_code < 500
    long = city.web.get("/", headers={"x-long": "a" * 300_000})
    assert long.status_code == 431
    _, families = metrics_of(city)
    assert value(families, "cityloom_refused_total", reason="large head") == 1


def test_metrics_are_for_those_who_run_the_city(city):
    assert city.web.get("/metrics").status_code == 401
    assert city.web.get("/metrics", headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_the_system_page_tells_the_same_and_names_no_value(city):
    city.web.get(
        "/ngsi-ld/v1/entities", params={"type": "Bench", "q": 'name=="secret"'}, headers=city.as_terminal
    )
    told = city.web.get("/system.json", headers=city.as_terminal).json()
    assert {one["name"] for one in told["inside"]["stages"]} == {one["name"] for one in told["stages"]}
    assert told["inside"]["growth"]["full_in_s"] is None
    assert told["inside"]["commits"] > 0
    assert "feed.db" in {one["name"] for one in told["inside"]["files"]}
    assert "secret" not in json.dumps(told)
    page = city.web.get("/system", headers=city.as_terminal).text
    assert "That cannot be told yet" in page
    danish = city.web.get("/system", headers=city.as_terminal | {"accept-language": "da"}).text
    assert "Det kan ikke siges endnu" in danish
