"""What holds for every request, whatever it asks for."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from cityloom.kernel.actor import ANONYMOUS, CITY
from cityloom.ngsild.model import entity, point
from cityloom.web.errors import error_headers, told
from cityloom.web.headers import SecureHeaders, content_security_policy
from cityloom.web.identity import Identify
from cityloom.web.limits import BodyLimits, LimitBodies, TooLarge, TooMuchAtOnce, TooSlow, Uploads
from cityloom.web.ngsild.routes import OPERATIONS


async def test_every_answer_tells_the_browser_what_to_refuse(visitor):
    for path in ("/", "/nowhere", "/map.json", "/static/city.css", "/ngsi-ld/v1/types", "/healthz"):
        headers = (await visitor.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


def test_content_security_policy_lets_in_the_one_tile_server_that_is_named():
    policy = content_security_policy("https://tiles.city.test/{z}/{x}/{y}.png")
    assert "img-src 'self' data: blob: https://tiles.city.test;" in policy
    assert "https:" not in content_security_policy("")


async def test_what_has_expired_is_shown_nowhere(city, visitor):
    expiring = entity("Streetlight", "urn:ngsi-ld:Streetlight:99", {"location": point(8.95, 56.05)})
    expiring["expiresAt"] = "2026-04-10T11:00:00Z"
    await city.broker.create(CITY, expiring)
    places = (
        "/ngsi-ld/v1/entities?type=Streetlight",
        "/ngsi-ld/v1/entities/urn:ngsi-ld:Streetlight:99",
        "/map.json",
        "/entities?type=Streetlight",
    )
    for path in places:
        assert "Streetlight:99" in (await visitor.get(path)).text, path
    for path in places:
        city.clock.pass_by(hours=2)
        answer = await visitor.get(path)
        assert answer.status_code == 404 or "Streetlight:99" not in answer.text, path
        city.clock.pass_by(hours=-2)
        await city.broker.create(CITY, expiring)


async def test_request_id_is_kept_when_it_is_one_and_made_otherwise(visitor):
    kept = await visitor.get("/", **{"x-request-id": "caller-0042"})
    assert kept.headers["x-request-id"] == "caller-0042"
    made = await visitor.get("/", **{"x-request-id": "no id\tat all"})
    assert made.headers["x-request-id"] not in ("", "no id\tat all")


async def test_every_request_goes_by_a_name_of_its_own(visitor):
    answers = [
        await visitor.get(path) for path in ("/", "/ngsi-ld/v1/types", "/ngsi-ld/v1/nothing", "/healthz")
    ]
    names = {answer.headers["x-request-id"] for answer in answers}
    assert len(names) == len(answers) and all(len(name) >= 8 for name in names)


async def test_what_an_application_says_itself_is_said_once():
    async def app(scope, receive, send):
        own = [(b"referrer-policy", b"no-referrer"), (b"x-request-id", b"made-up-by-it")]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b""})

    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=SecureHeaders(app)), base_url="http://city.test"
    )
    headers = (await client.get("/", headers={"x-request-id": "caller-0042"})).headers
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert headers.get_list("x-request-id") == ["caller-0042"]


async def test_large_answers_are_packed_and_the_api_stands_behind_the_same_gate(visitor):
    packed = await visitor.get("/ngsi-ld/v1/entities?type=TrafficFlowObserved", **{"accept-encoding": "gzip"})
    assert packed.headers.get("content-encoding") == ("gzip" if len(packed.content) >= 1000 else None)
    for foreign in ({"origin": "https://elsewhere.test"}, {"sec-fetch-site": "cross-site"}):
        refused = await visitor.client.patch(
            "/ngsi-ld/v1/entities/urn:a/attrs",
            content=b"{}",
            headers={**foreign, "content-type": "application/json"},
        )
        assert refused.status_code == 403
        assert refused.headers["content-security-policy"].startswith("default-src 'none'")


async def test_strict_transport_is_asked_for_over_https_alone():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    for scheme, asked in (("http", False), ("https", True)):
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=SecureHeaders(app)), base_url=f"{scheme}://city.test"
        )
        assert ("strict-transport-security" in (await client.get("/")).headers) is asked


async def _read(scope, receive, send):
    """An application that reads the whole body and says its size."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def _http(path: str, *headers: tuple[bytes, bytes]) -> dict:
    return {"type": "http", "path": path, "method": "POST", "headers": list(headers)}


async def test_a_question_is_at_most_a_megabyte_and_nothing_of_the_api_more_than_a_batch(visitor):
    path, form = "/ngsi-ld/v1/entityOperations/query", {"content-type": "application/json"}
    question = {"type": "Query", "entities": [{"type": "Streetlight"}]}
    large = json.dumps(question).encode() + b" " * 1_000_000
    refused = await visitor.client.post(path, content=large, headers=form)
    assert refused.status_code == 413 and "1 MB" in refused.text
    assert (await visitor.client.post(path, json=question, headers=form)).status_code == 200
    most = max(one.largest_body for one in OPERATIONS)
    assert most == BodyLimits().largest_below("/ngsi-ld/v1/") == BodyLimits().largest("/ngsi-ld/ex/v1/")


async def test_limit_bodies_refuses_what_is_announced_too_large_before_reading_it():
    async def receive():
        raise AssertionError("nothing was to be read")

    app = LimitBodies(_read, BodyLimits(bytes_by_path={"": 10}))
    with pytest.raises(TooLarge) as refused:
        await app(_http("/x", (b"content-length", b"11")), receive, None)
    assert "0.00001 MB" in refused.value.message or "1e-05 MB" in refused.value.message


async def test_limit_bodies_counts_what_was_not_announced():
    pieces = iter([b"12345", b"67890", b"1"])

    async def receive():
        return {"type": "http.request", "body": next(pieces), "more_body": True}

    app = LimitBodies(_read, BodyLimits(bytes_by_path={"": 10}))
    with pytest.raises(TooLarge):
        await app(_http("/x"), receive, None)


async def test_limit_bodies_takes_the_longest_beginning_of_the_path():
    limits = BodyLimits(bytes_by_path={"": 10, "/big": 100, "/big/small": 5})
    assert [limits.largest(path) for path in ("/x", "/big", "/big/small/y")] == [10, 100, 5]


async def test_limit_bodies_gives_up_on_a_body_that_does_not_come():
    async def receive():
        await asyncio.Event().wait()

    app = LimitBodies(_read, BodyLimits(bytes_by_path={"": 10}, pause_seconds=0.01))
    with pytest.raises(TooSlow):
        await app(_http("/x"), receive, None)


async def test_limit_bodies_gives_up_on_a_body_that_drips_on_and_on():
    pieces = iter([True] * 2000 + [False])

    async def receive():
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x", "more_body": next(pieces)}

    limits = BodyLimits(bytes_by_path={"": 10**6}, first_seconds=0.05, bytes_per_second=10**6)
    with pytest.raises(TooSlow):
        await LimitBodies(_read, limits)(_http("/x"), receive, _nobody)


async def test_limit_bodies_takes_a_body_that_flows_for_longer_than_the_first_seconds():
    pieces = iter([True] * 120 + [False])

    async def receive():
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": next(pieces)}

    limits = BodyLimits(bytes_by_path={"": 10**6}, first_seconds=0.5, bytes_per_second=100)
    await LimitBodies(_read, limits)(_http("/x"), receive, _nobody)


async def _nobody(message):
    """Takes the answer."""


async def test_limit_bodies_lets_a_disconnect_be_waited_for_after_the_body():
    heard = []

    async def waits(scope, receive, send):
        heard.append(await receive())
        heard.append(await receive())

    messages = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])

    async def receive():
        # The body is there at once; the reader goes long after the time that a body may take.
        if heard:
            await asyncio.sleep(0.1)
        return next(messages)

    await LimitBodies(waits, BodyLimits(pause_seconds=1.0, whole_seconds=0.05))(_http("/x"), receive, None)
    assert heard[-1]["type"] == "http.disconnect"


async def test_too_large_a_form_is_told_on_a_page_with_what_to_do(visitor):
    answer = await visitor.client.post("/language", data={"language": "x" * 1_100_000})
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.text and "Send less at once" in answer.text


async def test_identify_refuses_a_request_set_off_by_another_site(reader_of):
    operator = await reader_of("operator")
    fields = {"act": "pause"}
    for headers in (
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        answer = await operator.client.post("/pace", data=fields, headers=headers)
        assert answer.status_code == 403, headers
    assert not operator.city.clock.paused


async def test_identify_lets_the_city_s_own_pages_pass(reader_of):
    operator = await reader_of("operator")
    operator.client.headers["origin"] = "http://city.test"
    await operator.done("/pace", {"act": "pause"})
    assert operator.city.clock.paused


async def test_identify_tells_a_dead_token_that_it_is_dead(visitor):
    answer = await visitor.get("/alerts.json", authorization="Bearer cityloom_dead")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "opens nothing" in answer.json()["detail"]


async def test_identify_makes_a_visitor_of_a_cookie_that_opens_nothing(city):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope["state"])

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [(b"cookie", b"cityloom_session=gone")]}
    await Identify(app, city.rooms.access)(scope, None, None)
    assert seen["actor"] is ANONYMOUS and seen["refusal"] is None


async def test_healthz_says_alive_and_readyz_says_what_is_missing(visitor):
    assert (await visitor.get("/healthz")).json() == {"status": "alive"}
    assert (await visitor.get("/readyz")).json() == {"status": "ready", "troubles": []}
    visitor.city.health.said = ["The past is being loaded"]
    waiting = await visitor.get("/readyz")
    assert waiting.status_code == 503 and waiting.json()["troubles"] == ["The past is being loaded"]


async def test_a_page_that_is_not_there_says_so_in_the_reader_s_language(visitor):
    visitor.client.headers["accept-language"] = "da"
    answer = await visitor.get("/nowhere")
    assert answer.status_code == 404 and "Siden findes ikke" in answer.text


async def test_static_files_are_kept_by_digest_and_packed(visitor):
    page = await visitor.text("/")
    style = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await visitor.get(style)
    assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    again = await visitor.get(style, **{"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    plain = await visitor.get("/static/city.css")
    assert plain.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/../site.py", "/static/..%2fsite.py", "/static/nothing.js"])
async def test_static_files_serve_what_lies_in_their_folder_alone(visitor, path):
    assert (await visitor.get(path)).status_code == 404


class Sender:
    """Sends a body in pieces, as far as it is let."""

    def __init__(self, app, *pieces, client=None):
        self.pieces = asyncio.Queue()
        self.read = asyncio.Event()
        scope = _http("/x") | ({"client": (client, 4711)} if client else {})
        self.answered = asyncio.create_task(app(scope, self._receive, _nobody))
        for piece in pieces:
            self.pieces.put_nowait((piece, True))

    async def _receive(self):
        if self.pieces.empty():
            self.read.set()
        body, more = await self.pieces.get()
        return {"type": "http.request", "body": body, "more_body": more}

    async def end(self):
        self.pieces.put_nowait((b"", False))
        await self.answered


async def test_bodies_of_all_requests_together_are_bounded_and_who_is_too_many_comes_back():
    limits = BodyLimits(bytes_by_path={"": 100}, bytes_at_once=150)
    uploads = Uploads(limits)
    app = LimitBodies(_read, limits, uploads)
    first, second = Sender(app, b"1" * 100), Sender(app, b"2" * 40)
    await first.read.wait()
    await second.read.wait()
    assert uploads.held == 140
    third = Sender(app, b"3" * 11)
    with pytest.raises(TooMuchAtOnce) as refused:
        await third.answered
    assert told(refused.value).status == 503
    assert b"retry-after" in dict(error_headers(refused.value))
    # What others have sent already is not lost by it, and what is answered makes room.
    await first.end()
    assert uploads.held == 40
    await Sender(app, b"3" * 11).end()
    await second.end()
    assert uploads.held == 0


async def test_one_address_does_not_keep_all_others_out():
    limits = BodyLimits(bytes_by_path={"": 100}, bytes_at_once=200, bytes_of_one=100)
    uploads = Uploads(limits)
    app = LimitBodies(_read, limits, uploads)
    greedy = Sender(app, b"1" * 90, client="192.0.2.7")
    await greedy.read.wait()
    with pytest.raises(TooMuchAtOnce):
        await Sender(app, b"2" * 11, client="192.0.2.7").answered
    other = Sender(app, b"3" * 90, client="192.0.2.8")
    await other.read.wait()
    await other.end()
    await greedy.end()
    await Sender(app, b"2" * 11, client="192.0.2.7").end()
    # Who comes from this machine may be a proxy, which speaks for many.
    near = [Sender(app, b"4" * 60, client="127.0.0.1") for _ in range(2)]
    for one in near:
        await one.read.wait()
        await one.end()
    assert uploads.held == 0


async def test_a_request_that_fails_or_is_left_holds_nothing():
    limits = BodyLimits(bytes_by_path={"": 100})
    uploads = Uploads(limits)
    too_large = Sender(LimitBodies(_read, limits, uploads), b"1" * 60, b"2" * 60)
    with pytest.raises(TooLarge):
        await too_large.answered
    left = Sender(LimitBodies(_read, limits, uploads), b"1" * 60)
    await left.read.wait()
    assert uploads.held == 60
    left.answered.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left.answered
    assert uploads.held == 0
