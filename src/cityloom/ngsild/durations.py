"""Durations as ISO 8601 writes them (ETSI GS CIM 009, 5.2.9, 5.2.34)."""

from __future__ import annotations

import re

from cityloom.ngsild.errors import BadRequestData

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,5})W|(?:(?P<years>\d{1,3})Y)?(?:(?P<months>\d{1,4})M)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,10}(?:\.\d{1,6})?)S)?)?)",
    re.ASCII,
)
#: Seconds; years and months count as long as they are on average.
_SECONDS = {
    "weeks": 604_800.0,
    "years": 31_556_952.0,
    "months": 2_629_746.0,
    "days": 86_400.0,
    "hours": 3_600.0,
    "minutes": 60.0,
    "seconds": 1.0,
}


def duration_seconds(text: object) -> float:
    """The seconds of a duration such as PT5M. Raises BadRequestData."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    parts = {} if found is None else {name: part for name, part in found.groupdict().items() if part}
    if not parts:
        raise BadRequestData(
            f"{ascii(text)[:40]} is not a duration", hint="Write it as ISO 8601 does, such as PT5M or P1D."
        )
    return sum(float(part) * _SECONDS[name] for name, part in parts.items())
