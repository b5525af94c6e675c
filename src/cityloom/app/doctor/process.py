"""Looks at the process of a city: whether it runs, answers, and could be started."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from cityloom.app.folder import CityFolder, read_json
from cityloom.app.machine import USUAL_MQTT_PORT, USUAL_PORT
from cityloom.kernel.findings import Finding, found


def is_running(folder: CityFolder) -> bool:
    """Whether a process holds the folder."""
    try:
        descriptor = os.open(folder.home / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def host_of(folder: CityFolder) -> str:
    """The address that the running city listens on; loopback where it does not tell."""
    running = read_json(folder.running) or {}
    return urlsplit(str(running.get("address", ""))).hostname or "127.0.0.1"


def stopped_findings(
    folder: CityFolder, *, host: str, port: int | None, mqtt_port: int | None, mqtt_host: str
) -> Iterator[Finding]:
    """Of a city that does not run: how it ended, and whether its ports are free."""
    if folder.running.exists():
        yield found("was-killed", "The city did not stop by itself the last time", str(folder.running))
    for address, asked, usual, option in (
        (host, port, USUAL_PORT, "--port"),
        (mqtt_host or host, mqtt_port, USUAL_MQTT_PORT, "--mqtt-port"),
    ):
        number = usual if asked is None else asked
        if number and not _is_free(address, number):
            yield found(
                "port-taken", f"Port {number} of {address} is taken ({option})", f"{address}:{number}"
            )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
