"""Names of hosts that strangers chose: those that hang keep no other waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cityloom.adapters.network import names
from cityloom.adapters.network.names import Names, site_of
from cityloom.kernel.outbound import Unreachable


class Looking:
    """Answers at once, but for names that hang until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("hangs"):
            self.go.wait(60)
        if host.startswith("unknown"):
            raise OSError("no such name")
        return ["192.0.2.7"]


@pytest.fixture
def looking():
    made = Looking()
    yield made
    made.go.set()


async def hanging(found: Names, hosts) -> None:
    told = await asyncio.gather(*(found.numbers(host, 80) for host in hosts), return_exceptions=True)
    assert all(isinstance(one, Unreachable) for one in told)


async def test_names_that_hang_keep_no_other_waiting(looking):
    found = Names(looking, deadline=1)
    hosts = [f"hangs.site{number}.example" for number in range(16)]
    hosts = [host.replace(".example", f".e{number}") for number, host in enumerate(hosts)]
    await asyncio.gather(hanging(found, hosts), found.numbers("receiver.example", 80))
    # As they hang for good now, however often they are asked for:
    for _ in range(3):
        await hanging(found, hosts)
    assert await found.numbers("receiver.example", 80) == ["192.0.2.7"]


async def test_a_site_has_few_look_ups_at_once(looking):
    found = Names(looking, deadline=0.2)
    hosts = [f"hangs{number}.evil.example" for number in range(50)]
    await hanging(found, hosts)
    assert len(looking.asked) == names.OF_ONE_SITE
    assert await found.numbers("receiver.other", 80) == ["192.0.2.7"]
    looking.go.set()
    # Names of one site wait for one another, and none is refused.
    fine = [f"fine{number}.evil.example" for number in range(50)]
    assert await asyncio.gather(*(found.numbers(host, 80) for host in fine)) == [["192.0.2.7"]] * 50
    await asyncio.sleep(0)
    assert not found._asking and not found._free


async def test_a_site_that_answers_again_is_trusted_again(looking):
    found = Names(looking, deadline=0.2)
    await hanging(found, ["hangs.slow.example"])
    assert found._hung
    looking.go.set()
    assert await found.numbers("hangs.slow.example", 80) == ["192.0.2.7"]
    assert not found._hung


async def test_who_waited_for_a_thread_has_not_hung(looking, monkeypatch):
    monkeypatch.setattr(names, "THREADS", 1)
    found = Names(looking, deadline=0.2)
    await hanging(found, ["hangs.one.e1", "waits.two.e2"])
    assert list(found._hung) == ["one.e1"]


async def test_a_name_that_nobody_knows_is_unreachable(looking):
    with pytest.raises(Unreachable, match="no such name"):
        await Names(looking).numbers("unknown.example", 80)


@pytest.mark.parametrize("host", ["a.b.Receiver.example", "receiver.example.", "receiver.example"])
def test_the_site_of_a_name(host):
    assert site_of(host) == "receiver.example"
