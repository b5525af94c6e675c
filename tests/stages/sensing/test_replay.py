"""The clock of a replay, and the replay itself, on a machine clock of the test's own."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from cityloom.kernel.errors import BadInput, NotReady
from cityloom.sensing.replay import FASTEST, Replay, ReplayClock

START = datetime(2014, 9, 15, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Machine:
    def __init__(self):
        self.at = 100.0

    def __call__(self):
        return self.at


class Source:
    name, origin = "test", "replayed"
    start, end = START, START + 5 * HOUR

    def batches(self, since):
        for hour in range(5):
            if (at := START + hour * HOUR) >= since:
                yield at, [{"id": f"urn:{hour}"}]


class Inlet:
    def __init__(self, refusals=0):
        self.heard, self.refusals, self.trouble = [], refusals, []

    async def deliver_documents(self, documents):
        if self.refusals:
            self.refusals -= 1
            raise NotReady("full", hint="")
        self.heard += [document["id"] for document in documents]

    def listening(self, place):
        self.place = place

    def troubled(self, error):
        self.trouble.append(error)


def test_now_runs_at_the_chosen_speed_and_stands_when_paused():
    machine = Machine()
    clock = ReplayClock(START, 60.0, machine)
    clock.limit = START + 9 * HOUR
    machine.at += 60
    assert clock.now() == START + HOUR
    clock.set_speed(120)
    machine.at += 60
    assert clock.now() == START + 3 * HOUR
    clock.pause()
    machine.at += 600
    assert clock.now() == START + 3 * HOUR
    clock.resume()
    machine.at += 30
    assert clock.now() == START + 4 * HOUR


def test_now_never_runs_ahead_of_what_was_delivered_and_never_back():
    machine = Machine()
    clock = ReplayClock(START, 60.0, machine)
    clock.limit = START + HOUR
    machine.at += 3600
    assert clock.now() == START + HOUR
    clock.limit = START
    assert clock.now() == START + HOUR


@pytest.mark.parametrize("speed", [0, 0.5, -1, FASTEST * 2, float("nan"), float("inf")])
def test_set_speed_refuses_a_speed_the_city_cannot_keep(speed):
    clock = ReplayClock(START, 60.0)
    with pytest.raises(BadInput, match="an hour a minute"):
        clock.set_speed(speed)
    assert clock.speed == 60.0


async def play(replay, inlet, until):
    task = asyncio.create_task(replay.run(inlet))
    async with asyncio.timeout(10):
        while not until():
            await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_run_delivers_all_in_order_and_pauses_the_clock_at_the_end():
    replay, inlet = Replay(Source(), ReplayClock(START, FASTEST)), Inlet()
    await play(replay, inlet, lambda: replay.ended)
    assert inlet.heard == [f"urn:{hour}" for hour in range(5)]
    assert replay.clock.paused


async def test_run_waits_for_the_clock():
    machine = Machine()
    replay, inlet = Replay(Source(), ReplayClock(START, 60.0, machine)), Inlet()
    await play(replay, inlet, lambda: inlet.heard)
    assert inlet.heard == ["urn:0"]


async def test_run_tries_a_refused_delivery_again(monkeypatch):
    monkeypatch.setattr("cityloom.sensing.replay._RETRY", 0.001)
    replay, inlet = Replay(Source(), ReplayClock(START, FASTEST)), Inlet(refusals=3)
    await play(replay, inlet, lambda: replay.ended)
    assert inlet.heard == [f"urn:{hour}" for hour in range(5)]
    assert len(inlet.trouble) == 3


async def test_seek_plays_on_from_another_instant_also_after_the_end():
    replay, inlet = Replay(Source(), ReplayClock(START, FASTEST)), Inlet()

    def sought_once():
        if replay.ended and len(inlet.heard) == 5:
            replay.clock.resume()
            replay.seek(START + 3 * HOUR)
        return len(inlet.heard) == 7

    await play(replay, inlet, sought_once)
    assert inlet.heard[5:] == ["urn:3", "urn:4"]


def test_seek_refuses_an_instant_outside_the_source():
    replay = Replay(Source(), ReplayClock(START, 60.0))
    with pytest.raises(BadInput, match="outside the replay"):
        replay.seek(START - HOUR)
