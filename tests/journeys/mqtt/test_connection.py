"""A connection whose other end behaves oddly, with a transport made for the test."""

from __future__ import annotations

import pytest

from cityloom.adapters.mqtt.connection import DeviceLink
from cityloom.sensing.model import Device
from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.connection import Connection, Limits
from cityloom.sensing.mqtt.encoding import encode
from cityloom.sensing.mqtt.packets import PacketReader, Publish
from cityloom.sensing.mqtt.properties import Reason
from cityloom.sensing.mqtt.session import Session
from cityloom.sensing.mqtt.token_bucket import TokenBucket


class Loop:
    """A loop whose time is moved by hand."""

    def __init__(self):
        self.now, self.later = 0.0, []

    def time(self):
        return self.now

    def call_later(self, wait, call, *arguments):
        self.later.append((wait, call, arguments))


class Transport:
    def __init__(self):
        self.reading, self.closing, self.aborted, self.written = True, False, False, b""

    def get_extra_info(self, name):
        return ("192.0.2.7", 4711) if name == "peername" else None

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True

    def write(self, data):
        assert not self.closing
        self.written += data

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = self.aborted = True


class Desk:
    """Lets everybody in and keeps what arrives."""

    def __init__(self, limits):
        self.limits, self.messages, self.ends, self.room = limits, [], [], True

    def connection(self):
        return Connection(self.limits, 0.0)

    def opened(self, link):
        return True

    def closed(self, link):
        self.ends.append("closed")

    def introduced(self, link, event):
        link.device, link.session = Device("d"), Session("d", "c")
        link.talk.accept(session_present=False)

    def arrived(self, link, messages):
        self.messages += messages
        return self.room

    def asked(self, link, event):
        self.ends.append(event)

    def ended(self, link, event):
        self.ends.append(event.reason)


@pytest.fixture
def opened():
    loop, desk, transport = Loop(), Desk(Limits(receive_maximum=4, finish_within=60)), Transport()
    link = DeviceLink(desk, loop)
    link.connection_made(transport)
    link.data_received(encode(mqtt.Connect("c", keep_alive=100), 5))
    return link, desk, transport, loop


def publish(*numbers):
    return b"".join(encode(Publish("t", b"{}", 1, packet_id=number), 5) for number in numbers)


def test_client_that_takes_no_answers_is_not_read_from_and_closed_in_the_end(opened):
    link, desk, transport, loop = opened
    link.pause_writing()
    assert not transport.reading
    loop.now = 59
    link.check(59)
    assert not transport.closing
    link.check(61)
    assert transport.closing
    assert desk.ends == [Reason.KEEP_ALIVE_TIMEOUT]
    # What it still has to take does not keep the connection open for ever.
    link.check(62)
    assert transport.aborted


def test_client_that_takes_its_answers_again_is_read_from_again(opened):
    link, desk, transport, loop = opened
    link.pause_writing()
    loop.now = 149
    link.resume_writing()
    assert transport.reading
    link.check(151)
    assert desk.ends == []


def test_client_that_was_not_read_from_is_not_called_silent(opened):
    link, desk, _, loop = opened
    link.hold(2)
    link.check(1000)
    loop.now = 1000
    link.release(2)
    link.check(1001)
    assert desk.ends == []
    link.check(1151)
    assert desk.ends == [Reason.KEEP_ALIVE_TIMEOUT]


def test_reading_stops_for_several_reasons_and_goes_on_when_none_is_left(opened):
    link, _, transport, _ = opened
    link.hold(1)
    link.hold(2)
    link.release(1)
    assert not transport.reading
    link.release(2)
    link.release(2)
    assert transport.reading


def test_messages_in_one_read_over_the_maximum_stop_the_reading_until_half_are_decided(opened):
    link, desk, transport, _ = opened
    link.undecided = 2
    link.data_received(publish(1, 2, 3))
    assert not transport.reading
    link.decided(2)
    assert not transport.reading
    link.decided(1)
    assert transport.reading
    desk.room = False
    link.data_received(publish(4))
    assert not transport.reading
    link.decided(1)
    assert transport.reading


def test_device_over_its_rate_waits_as_long_as_it_owes(opened):
    link, _, transport, loop = opened
    link.bucket = TokenBucket(rate=10, burst=1, now=0)
    link.data_received(publish(1, 2, 3))
    assert not transport.reading
    ((wait, call, arguments),) = loop.later
    assert wait == pytest.approx(0.2)
    call(*arguments)
    assert transport.reading


def test_token_bucket_fills_up_to_its_burst_and_no_further():
    bucket = TokenBucket(rate=10, burst=5, now=0)
    assert bucket.spend(5, 100) == 0
    assert bucket.spend(1, 100) == pytest.approx(0.1)
    assert bucket.spend(1, 100.2) == 0


def test_nothing_is_written_to_a_connection_that_closes(opened):
    link, _, transport, _ = opened
    before = transport.written
    transport.closing = True
    link.talk.acknowledge(1)
    link.write()
    assert transport.written == before


def test_what_was_said_before_a_fault_is_handed_in_before_it(opened):
    link, desk, transport, _ = opened
    link.data_received(publish(1, 2) + b"\x00\x00" + publish(3))
    assert [message.packet_id for message in desk.messages] == [1, 2]
    assert desk.ends == [Reason.MALFORMED_PACKET]
    *_, last = PacketReader(version=5).feed(transport.written)
    assert last.reason == Reason.MALFORMED_PACKET
    link.connection_lost(None)
    assert desk.ends == [Reason.MALFORMED_PACKET, "closed"]
