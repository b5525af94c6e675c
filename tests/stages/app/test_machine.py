"""A busy port and a folder in use: told plainly, or gone round. Memory that is freed goes back."""

import asyncio
import gc
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cityloom.app.machine import (
    GARBAGE_AFTER,
    HomeLock,
    keep_memory_small,
    listening_socket,
    spare_collector,
    take_descriptors,
)
from cityloom.kernel.errors import BadConfig


def test_listening_socket_goes_to_a_neighbour_when_the_usual_port_is_busy():
    first = listening_socket("127.0.0.1", None, 0)
    usual = first.getsockname()[1]
    second = listening_socket("127.0.0.1", None, usual)
    assert second.getsockname()[1] not in (0, usual)
    first.close()
    second.close()


def test_take_descriptors_takes_as_many_as_the_process_may_have():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
    try:
        take_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_listening_socket_refuses_the_busy_port_that_was_asked_for():
    first = listening_socket("127.0.0.1", None, 0)
    port = first.getsockname()[1]
    with pytest.raises(BadConfig, match=f"Port {port} is busy"):
        listening_socket("127.0.0.1", port, 8080)
    with pytest.raises(BadConfig, match="with --port"):
        listening_socket("127.0.0.1", port, 8080)
    with pytest.raises(BadConfig, match="with --mqtt-port"):
        listening_socket("127.0.0.1", port, 1883, option="--mqtt-port")
    first.close()


def test_listening_socket_refuses_a_port_beyond_the_last_one():
    with pytest.raises(BadConfig, match="Check the address"):
        listening_socket("127.0.0.1", 70_000, 8080)


def test_home_lock_keeps_a_second_process_out_and_lets_the_next_one_in(tmp_path):
    with HomeLock(tmp_path), pytest.raises(BadConfig, match="running already"), HomeLock(tmp_path):
        pass
    with HomeLock(tmp_path):
        pass


#: Takes 120 MB in pieces with something small kept after each, frees them, and prints what is still held.
FREEING = """
import sys
from pathlib import Path
from cityloom.app.machine import give_memory_back

if sys.argv[1] == "with":
    give_memory_back()
# A large piece that comes and goes teaches glibc to keep what is freed.
del (bytearray(30_000_000))[:1]
pieces, kept = [], []
for _ in range(120):
    pieces.append(bytearray(1_000_000))
    kept.append([bytes(600)] * 50 + [bytes(700 + n) for n in range(50)])
pieces.clear()
print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_give_memory_back_leaves_little_of_what_was_freed():
    left = {
        how: int(subprocess.run([sys.executable, "-c", FREEING, how], check=True, capture_output=True).stdout)
        for how in ("with", "without")
    }
    assert left["with"] < 70
    assert left["without"] > left["with"] + 50


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc_trim is glibc's")
async def test_keep_memory_small_gives_back_what_is_free_between_what_is_used():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    pieces = [b"x" * (100_000 + n) for n in range(1000)]
    full = resident()
    kept = pieces[::100]
    del pieces
    keeping = asyncio.create_task(keep_memory_small(every=0.01))
    try:
        async with asyncio.timeout(30):
            while resident() > full - 50_000_000:
                await asyncio.sleep(0.01)
    finally:
        keeping.cancel()
    assert len(kept) == 10


def test_spare_collector_leaves_out_what_stays_and_goes_on_looking_for_garbage():
    before = gc.get_threshold()
    stays = [[] for _ in range(100)]
    try:
        spare_collector()
        assert not any(found is stays[0] for found in gc.get_objects())
        assert gc.isenabled()
        assert gc.get_threshold()[0] == GARBAGE_AFTER
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
