"""How the disk fills up: samples of its free room, kept over restarts, and what they let one foretell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

import msgspec

from cityloom.kernel.measures import Growth

HOUR_S = 3600.0
DAY_S = 86_400.0
#: Seconds between two samples, and for how long they are kept.
SAMPLED_EVERY_S = HOUR_S
KEPT_S = 30 * DAY_S
#: Less tells too little: a city does not write alike at day and at night.
LEAST_WATCHED_S = DAY_S
LEAST_SAMPLES = 12
#: Samples that are compared, each with each.
COMPARED = 80
#: Slower growth than this would take centuries: nothing is foretold of it. Bytes a day.
STILL = 1_000_000.0
_LONGEST_S = 100 * 365 * DAY_S


class Sample(msgspec.Struct, frozen=True):
    """The disk at one time."""

    #: Seconds since 1970.
    at: float
    free_bytes: int


def grown(samples: Sequence[Sample]) -> Growth:
    """What the samples, in the order of time, let one foretell.

    The rate is the median of those between any two samples (Theil and Sen): a big file that came and went
    changes it little.
    """
    if not samples:
        return Growth(0.0, None, None)
    watched = samples[-1].at - samples[0].at
    if watched < LEAST_WATCHED_S or len(samples) < LEAST_SAMPLES:
        return Growth(max(watched, 0.0), None, None)
    step = -(-len(samples) // COMPARED)
    taken = samples[::-1][::step]
    rates = [
        (earlier.free_bytes - later.free_bytes) / (later.at - earlier.at)
        for later, earlier in combinations(taken, 2)
        if later.at > earlier.at
    ]
    if not rates:
        return Growth(watched, None, None)
    rate = median(rates)
    full_in = samples[-1].free_bytes / rate if rate * DAY_S > STILL else None
    if full_in is not None and full_in > _LONGEST_S:
        full_in = None
    return Growth(watched, rate * DAY_S, full_in)


def with_sample(samples: Sequence[Sample], new: Sample) -> list[Sample]:
    """The samples and one more. What lies in its future (a clock was wrong) and what is too old go."""
    kept = [one for one in samples if new.at - KEPT_S <= one.at < new.at]
    if kept and new.at - kept[-1].at < SAMPLED_EVERY_S / 2:
        return kept
    return [*kept, new]


def read_samples(path: Path) -> list[Sample]:
    """The samples kept in a file; none where it is not there or cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Sample])
    except (OSError, msgspec.MsgspecError):
        return []


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Keep the samples. A file that is lost costs some days of foresight, so nothing is flushed for it."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(samples))
    fresh.replace(path)
