"""A busy port and a folder in use: told plainly, or gone round."""

import pytest

from cityloom.app.machine import HomeLock, listening_socket
from cityloom.kernel.errors import BadConfig


def test_listening_socket_goes_to_a_neighbour_when_the_usual_port_is_busy():
    first = listening_socket("127.0.0.1", None, 0)
    usual = first.getsockname()[1]
    second = listening_socket("127.0.0.1", None, usual)
    assert second.getsockname()[1] not in (0, usual)
    first.close()
    second.close()


def test_listening_socket_refuses_the_busy_port_that_was_asked_for():
    first = listening_socket("127.0.0.1", None, 0)
    port = first.getsockname()[1]
    with pytest.raises(BadConfig, match=f"Port {port} is busy"):
        listening_socket("127.0.0.1", port, 8080)
    first.close()


def test_listening_socket_refuses_a_port_beyond_the_last_one():
    with pytest.raises(BadConfig, match="Check the address"):
        listening_socket("127.0.0.1", 70_000, 8080)


def test_home_lock_keeps_a_second_process_out_and_lets_the_next_one_in(tmp_path):
    with HomeLock(tmp_path), pytest.raises(BadConfig, match="running already"), HomeLock(tmp_path):
        pass
    with HomeLock(tmp_path):
        pass
