"""A way to a PostgreSQL server that is cut at a chosen word, before the server hears it or after."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Literal

NAME = ".s.PGSQL.5432"

Cut = Literal["before", "after", "late"]


class CutLine:
    """Listens in `folder`, and passes on to the server whose socket lies in `target`."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder = folder
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / NAME))
        self._listener.listen(16)
        self._word: bytes | None = None
        self._cut: Cut = "before"
        #: What the server did not hear yet, with the way to it.
        self._late: list[tuple[socket.socket, bytes]] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, word: bytes, when: Cut) -> None:
        """Cut the next connection that says `word`: before the server hears it; after it has answered; or
        before, and let it hear when `arrive` is called."""
        self._word, self._cut = word, when

    @property
    def was_cut(self) -> bool:
        return self._word is None

    def arrive(self) -> None:
        """Let the server hear what was late, where it still listens, and wait until it has done with it."""
        ((server, said),) = self._late
        with contextlib.suppress(OSError):
            server.settimeout(10)
            server.sendall(said)
            server.shutdown(socket.SHUT_WR)
            while server.recv(65536):
                pass

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._open += [client, server]
                try:
                    server.connect(str(self._target / NAME))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := client.recv(1 << 20):
                if self._word is None or self._word not in said:
                    server.sendall(said)
                    continue
                self._word = None
                if self._cut == "after":
                    # From here on the client hears nothing any more; the server is asked to do its work.
                    client.shutdown(socket.SHUT_WR)
                    server.sendall(said)
                    server.shutdown(socket.SHUT_WR)
                elif self._cut == "late":
                    self._late.append((server, said))
                    client.shutdown(socket.SHUT_RDWR)
                else:
                    client.shutdown(socket.SHUT_RDWR)
                    server.shutdown(socket.SHUT_RDWR)
                return

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not any(server is late for late, _ in self._late):
                heard = server.recv(1 << 20)
                if not heard:
                    break
                client.sendall(heard)
