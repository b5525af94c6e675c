"""Traces of a real city, told to a collector on the loopback that reads OTLP's protobuf."""

import gzip
import json
import queue
import secrets
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from loopback_servers import InThread
from running_city import RunningCity

ONLY_HERE = "anna-jensen"


class Collector(InThread):
    """Takes what exporters send, and what a city sends to endpoints and sources."""

    def __init__(self):
        self.spans = []
        self.services = set()
        self.headers = []
        self.asked = queue.Queue()
        self.bodies = b""
        super().__init__(self._answer)

    def _answer(self, asked):
        if asked.method == "POST" and asked.path == "/v1/traces":
            self.take(asked.headers, asked.body)
        else:
            self.asked.put((asked.path, asked.headers))
        return 200, {"content-type": "application/json"}, b"[]" if asked.method == "GET" else b""

    def take(self, headers, body):
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.bodies += body
        self.headers.append(headers)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add((told["service.name"], told["cityloom.city"]))
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def called(self, name, trace=None):
        return [
            one for one in self.spans if one.name == name and (trace is None or one.trace_id.hex() == trace)
        ]

    def wait_for(self, name, trace=None, patience=40):
        until = time.monotonic() + patience
        while not self.called(name, trace):
            assert time.monotonic() < until, (
                f"{name} was not told: {sorted({one.name for one in self.spans})}"
            )
            time.sleep(0.05)
        return self.called(name, trace)[0]


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A collector, and a city that tells it what it does."""
    home = tmp_path_factory.mktemp("traced") / "city"
    home.mkdir()
    with Collector() as collector:
        (home / "city.toml").write_text(
            'name = "Tracetown"\nframeworks = []\n[outbound]\ninside = true\n[log]\nformat = "json"\n'
            f'requests = true\n[traces]\nendpoint = "{collector.address}/v1/traces"\n'
            'headers = { authorization = "Bearer of-the-collector" }\nservice = "weaver"\n'
        )
        city = RunningCity(home, "up")
        yield collector, city
        city.stop()


def parent():
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, {"traceparent": f"00-{trace}-{span}-01"}


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def create(city, name, headers):
    body = {"id": f"urn:ngsi-ld:Bench:{name}", "type": "Bench", "seats": {"type": "Property", "value": 3}}
    return city.web.post("/ngsi-ld/v1/entities", json=body, headers=city.as_terminal | headers)


def subscribe(city, uri):
    wanted = {
        "type": "Subscription",
        "entities": [{"type": "Bench"}],
        "notification": {"endpoint": {"uri": uri}},
    }
    answer = city.web.post("/ngsi-ld/v1/subscriptions", json=wanted, headers=city.as_terminal)
    assert answer.status_code == 201, answer.text


def test_a_write_is_followed_from_its_sender_to_who_is_notified(traced):
    collector, city = traced
    subscribe(city, f"{collector.address}/told")
    trace, sender, carried = parent()
    assert create(city, ONLY_HERE, carried).status_code == 201
    path, headers = collector.asked.get(timeout=40)
    assert path == "/told"
    carried_on = headers["traceparent"]
    assert carried_on.split("-")[1] == trace
    request = collector.wait_for("POST /entities", trace)
    assert request.parent_span_id.hex() == sender
    assert request.kind == request.SPAN_KIND_SERVER
    told = attributes(request)
    assert told["http.response.status_code"] == 201
    assert told["http.route"] == "/entities"
    commit = collector.wait_for("commit", trace)
    assert commit.parent_span_id == request.span_id
    stage = collector.wait_for("stage subscriptions", trace)
    assert stage.parent_span_id == request.span_id
    notify = collector.wait_for("notify", trace)
    assert notify.parent_span_id == stage.span_id
    sent = collector.wait_for("POST", trace)
    assert sent.parent_span_id == notify.span_id
    assert sent.kind == sent.SPAN_KIND_CLIENT
    assert carried_on.split("-")[2] == sent.span_id.hex()
    collector.wait_for("stage history", trace)
    assert collector.services == {("weaver", "Tracetown")}
    assert all(one["authorization"] == "Bearer of-the-collector" for one in collector.headers)
    # Nothing of what is in the city, and no key to it.
    assert ONLY_HERE.encode() not in collector.bodies
    assert city.key.encode() not in collector.bodies


def test_a_source_is_asked_in_the_same_trace(traced):
    collector, city = traced
    source = {
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Lamp"}]}],
        "endpoint": collector.address,
    }
    answer = city.web.post("/ngsi-ld/v1/csourceRegistrations", json=source, headers=city.as_terminal)
    assert answer.status_code == 201, answer.text
    trace, _, carried = parent()
    city.web.get("/ngsi-ld/v1/entities?type=Lamp", headers=city.as_terminal | carried)
    while True:
        path, headers = collector.asked.get(timeout=40)
        if path.startswith("/ngsi-ld"):
            break
    found = headers["traceparent"]
    assert found.split("-")[1] == trace
    assert (
        collector.wait_for("GET", trace).parent_span_id == collector.wait_for("GET /entities", trace).span_id
    )


def test_the_log_names_the_request(traced):
    _, city = traced
    name = f"asked-{secrets.token_hex(6)}"
    city.web.get("/ngsi-ld/v1/types", headers=city.as_terminal | {"x-request-id": name})
    until = time.monotonic() + 20
    while name not in city.said and time.monotonic() < until:
        time.sleep(0.05)
    lines = [json.loads(line) for line in city.said.splitlines() if line.startswith("{")]
    (line,) = [one for one in lines if one.get("request") == name]
    assert (line["method"], line["address"], line["status"]) == ("GET", "/types", 200)
    assert len(line["trace"]) == 32
    assert ONLY_HERE not in city.said


def test_a_nonsense_traceparent_begins_a_trace_of_its_own(traced):
    collector, city = traced
    name = f"asked-{secrets.token_hex(6)}"
    headers = city.as_terminal | {"traceparent": "00-nonsense-1-01", "x-request-id": name}
    assert city.web.get("/ngsi-ld/v1/attributes", headers=headers).status_code == 200
    span = collector.wait_for("GET /attributes")
    assert attributes(span)["cityloom.request"] == name
    assert span.parent_span_id == b""


def test_a_collector_that_is_not_there_keeps_nobody_waiting(tmp_path):
    with Collector() as collector:
        gone = collector.address
    home = tmp_path / "city"
    home.mkdir()
    (home / "city.toml").write_text(f'frameworks = []\n[traces]\nendpoint = "{gone}/v1/traces"\n')
    city = RunningCity(home, "up")
    try:
        for number in range(20):
            assert create(city, number, {}).status_code == 201
    finally:
        assert city.stop() == 0
