"""When a standby's turn has come, and what it answers until then."""

from __future__ import annotations

import httpx2
import pytest

from cityloom.adapters.postgres.lease import Held
from cityloom.app.standing_by import GRACE_S, Turn
from cityloom.web.standing_by import LONGEST_FROM_MEMORY_S, Standby, WhileHeld, may_speak

RUNS = Held(name="a:1", given_up=False, run_out=False, connected=True)
GIVEN_UP = Held(name="a:1", given_up=True, run_out=False, connected=True)
RUN_OUT = Held(name="a:1", given_up=False, run_out=True, connected=True)
GONE = Held(name="a:1", given_up=False, run_out=False, connected=False)


def test_while_the_holder_renews_nobody_takes_the_city():
    turn = Turn()
    assert not any(turn.has_come(RUNS, now) for now in range(1000))


def test_a_city_that_was_given_up_or_never_ran_is_taken_at_once():
    assert Turn().has_come(GIVEN_UP, 0)
    assert Turn().has_come(None, 0)


@pytest.mark.parametrize("held", [RUN_OUT, GONE])
def test_a_holder_that_is_away_is_waited_for_as_long_as_a_restart_of_the_database_needs(held):
    turn = Turn()
    assert not turn.has_come(held, 0)
    assert not turn.has_come(held, GRACE_S - 0.1)
    assert turn.has_come(held, GRACE_S)


@pytest.mark.parametrize("held", [RUN_OUT, GONE])
def test_after_the_database_was_away_waiting_begins_anew(held):
    turn = Turn()
    turn.has_come(held, 0)
    turn.begin_anew()
    assert not turn.has_come(held, GRACE_S + 1)
    assert turn.has_come(held, 2 * GRACE_S + 1)


def test_a_holder_that_came_back_is_not_gone():
    turn = Turn()
    turn.has_come(GONE, 0)
    turn.has_come(RUNS, 1)
    assert not turn.has_come(GONE, GRACE_S)


async def asked(app, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://city.example") as web:
        return await web.get(path)


async def test_a_standby_answers_for_itself_alone():
    app = Standby(lambda: ["It stands by."], lambda _: (b"cityloom_standing_by 1.0\n", "text/plain"))
    assert (await asked(app, "/healthz")).status_code == 200
    ready = await asked(app, "/readyz")
    assert (ready.status_code, ready.json()) == (
        503,
        {"status": "standing by", "troubles": ["It stands by."]},
    )
    assert (await asked(app, "/metrics")).text == "cityloom_standing_by 1.0\n"
    for path in ("/", "/ngsi-ld/v1/entities", "/system.json"):
        answer = await asked(app, path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "It stands by. Nothing of this request was done." in answer.json()["detail"]


async def test_without_a_lease_nothing_is_told_out_of_memory():
    held = [True]

    async def city(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"17 degrees"})

    app = WhileHeld(city, lambda: held[0])
    assert (await asked(app, "/ngsi-ld/v1/entities")).text == "17 degrees"
    held[0] = False
    refused = await asked(app, "/ngsi-ld/v1/entities")
    assert refused.status_code == 503 and "17" not in refused.text
    assert (await asked(app, "/readyz")).json()["status"] == "waiting"
    assert (await asked(app, "/healthz")).text == "17 degrees"


def test_a_process_that_is_cut_off_tells_what_it_remembers_for_a_while_and_beside_another_not_at_all():
    assert may_speak(0, alone=True) and may_speak(0, alone=False)
    assert may_speak(LONGEST_FROM_MEMORY_S - 1, alone=True)
    assert not may_speak(LONGEST_FROM_MEMORY_S, alone=True)
    assert not may_speak(0.1, alone=False)
