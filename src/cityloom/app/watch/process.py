"""What the system tells of this process: threads, children, open files."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

_TASKS = Path("/proc/self/task")
_OPEN = Path("/proc/self/fd")


def threads() -> int:
    """Threads of the process, those of libraries too where the system tells."""
    try:
        return sum(1 for _ in _TASKS.iterdir())
    except OSError:
        return threading.active_count()


def children() -> int:
    """Processes that this one has started and that live; 0 where the system does not tell."""
    count = 0
    try:
        for task in _TASKS.iterdir():
            count += len((task / "children").read_text(encoding="ascii").split())
    except OSError:
        return count
    return count


def descriptors() -> tuple[int, int]:
    """Open files and connections, and how many there may be; 0 for what the system does not tell."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return sum(1 for _ in _OPEN.iterdir()), most
    except OSError:
        return 0, most


def resident_bytes() -> int:
    """Memory that the process holds now, 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
