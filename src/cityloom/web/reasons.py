"""What services and indicators note about their reasons, in the reader's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from cityloom.web.languages import noted as n
from cityloom.web.wording import Wording

#: Notes that stand alone, as they are written down.
NOTES: dict[str, str] = {
    text: text for text in (n("as they are now"), n("no receipt"), n("newest in the series"), n("forecast"))
}
#: What tells where a service's parameters come from.
PROVENANCE: dict[str, str] = {
    "source": n("Learned from"),
    "trainedAt": n("Learned at"),
    "since": n("From readings since"),
    "readings": n("Readings used"),
}
SOURCES: dict[str, str] = {text: text for text in (n("this city's history"),)}

_LENGTH = r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$"
_STEPS = re.compile("steps of " + _LENGTH)
_FORECAST = re.compile("urn:ngsi-ld:Dataset:forecast:" + _LENGTH)
_SECONDS = (86_400, 3600, 60, 1)
_UNTIL = re.compile(r"history:(\w+)$")
_PAIRS = re.compile(r"(\w+): (.*)")


def note_words(note: str, wording: Wording) -> str:
    """A note as a page tells it: "every 15 minutes" for "steps of PT15M". An unknown one stays as it is."""
    return "; ".join(_part(part, wording) for part in note.split("; ")) if note else ""


def _part(part: str, wording: Wording) -> str:
    if steps := _STEPS.match(part):
        return wording.every(_seconds(steps))
    if horizon := _FORECAST.match(part):
        ahead = wording.span(timedelta(seconds=_seconds(horizon)))
        return f"{wording.language.gettext(NOTES['forecast'])}, {ahead}"
    if part.startswith("urn:ngsi-ld:Dataset:forecast:"):
        return wording.language.gettext(NOTES["forecast"])
    if until := _UNTIL.match(part):
        return wording.language.gettext("until it is: %(state)s") % {"state": wording.choice(until[1])}
    if part in NOTES:
        return wording.language.gettext(NOTES[part])
    pair = _PAIRS.match(part)
    if pair and pair[1] in PROVENANCE:
        return ": ".join(_provenance(pair[1], pair[2], wording))
    return part


def _seconds(length: re.Match[str]) -> int:
    amounts = (int(amount or 0) for amount in length.groups())
    return sum(a * b for a, b in zip(amounts, _SECONDS, strict=True))


def provenance_rows(provenance: Mapping[str, str], wording: Wording) -> list[tuple[str, str]]:
    """Where a service's parameters come from, line by line."""
    return [_provenance(name, said, wording) for name, said in provenance.items()]


def _provenance(name: str, said: str, wording: Wording) -> tuple[str, str]:
    title = wording.language.gettext(PROVENANCE[name]) if name in PROVENANCE else wording.attribute(name)
    if said in SOURCES:
        return title, wording.language.gettext(SOURCES[said])
    if said.isdecimal():
        return title, wording.number(int(said))
    return title, wording.exact(said) if wording.instant(said) else said
