"""A small disk of its own for a city: to be filled up, or to refuse writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def why_not() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "amber: a small disk needs Linux and root, to mount one"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True
    )
    return "" if tried.returncode == 0 else "amber: a small disk needs the right to mount one"


@contextmanager
def small_disk(at: Path, size: str = "64m") -> Iterator[None]:
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


def refuse_writes(at: Path, *, refuse: bool = True) -> None:
    subprocess.run(["mount", "-o", f"remount,{'ro' if refuse else 'rw'}", str(at)], check=True)
