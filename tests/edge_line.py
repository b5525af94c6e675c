"""Two cities and the line between them: it drops, half-sends, delays and repeats what goes over it."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Literal

from running_city import RunningCity, ask

EDGE = "ship"

#: What becomes of a request: it arrives; nothing of it does; half of it does; all of it does, and no answer
#: comes back; it arrives twice.
Fate = Literal["whole", "none", "half", "unanswered", "twice"]


class BrokenLine:
    """Listens on a port of its own, and passes on to a city. `fates` are those of the next requests; then
    each arrives, unless the line is cut."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.fates: list[Fate] = []
        self.is_cut = False
        #: Requests that came, whatever became of them.
        self.came = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def leads_to(self, city: RunningCity) -> None:
        host, _, port = city.address.removeprefix("http://").rpartition(":")
        self.target = (host, int(port))

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """One request a connection: the edge makes a new one for the next."""
        with client, contextlib.suppress(OSError):
            request = _request(client)
            if not request:
                return
            self.came += 1
            fate: Fate = self.fates.pop(0) if self.fates else "whole"
            if self.is_cut or self.target is None or fate == "none":
                return
            if fate == "half":
                self._send(request[: len(request) // 2])
                return
            answer = self._send(request)
            if fate == "twice":
                answer = self._send(request)
            if fate != "unanswered" and answer:
                client.sendall(answer)

    def _send(self, request: bytes) -> bytes:
        assert self.target is not None
        with socket.create_connection(self.target, timeout=60) as server:
            server.sendall(request)
            if not _is_whole(request):
                return b""
            answer = b""
            while said := server.recv(1 << 16):
                answer += said
                if _is_whole(answer):
                    break
            return answer


def _request(client: socket.socket) -> bytes:
    request = b""
    client.settimeout(60)
    while said := client.recv(1 << 16):
        request += said
        if _is_whole(request):
            return request
    return b""


def _is_whole(message: bytes) -> bool:
    head, end, body = message.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def make_centre(home: Path, more: str = "", *, granted: str = "") -> str:
    """A city that takes what the edge brings; the edge's token for it."""
    ask("init", "--home", home, "--name", "Harbour")
    with (home / "city.toml").open("a") as file:
        file.write(f"\n[edges.{EDGE}]\n{granted}\n{more}\n")
    ask("account", "create", EDGE, "--role", "edge", "--home", home)
    return ask("account", "token", EDGE, "--home", home).splitlines()[0]


def make_edge(home: Path, line: str, token: str, more: str = "") -> None:
    """A city that brings what it knows over this line."""
    ask("init", "--home", home, "--name", "Ship")
    with (home / "city.toml").open("a") as file:
        file.write(f'\n[edge]\ncentre = "{line}"\n{more}\n')
    (home / "edge.token").write_text(token + "\n")
