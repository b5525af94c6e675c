"""At which stage of its life a city stands, told from evidence, and what suits it. Pure.

The three stages, their directions and key policies are those of the Republic of Korea's strategy as the
ITU-D report of 2021 has them (table 1). The report gives no figures by which to tell them apart: the bounds
are ours, are shown with the result, and a city may decide otherwise with a reason.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files

import msgspec

from cityloom.kernel.findings import noted as n
from cityloom.kernel.worded import Worded


class Stage(StrEnum):
    """A stage of a city's life."""

    NEW = "new"
    MATURE = "mature"
    DETERIORATED = "deteriorated"


STAGES: Mapping[str, str] = {
    Stage.NEW: Worded("Newly developed"),
    Stage.MATURE: Worded("Mature"),
    Stage.DETERIORATED: Worded("Deteriorated"),
}


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What tells the stage; None is not known. Shares in percent."""

    #: Of the built-up area: what was built in the last 15 years.
    young: float | None = None
    #: Of the buildings: those older than 40 years that were not renovated.
    old: float | None = None
    #: Change of the population in ten years.
    growth: float | None = None
    #: Of the dwellings: those that stand empty.
    empty: float | None = None


class Sign(msgspec.Struct, frozen=True):
    """A piece of evidence that speaks for a stage."""

    stage: Stage
    #: What it is, with %(value)s and %(bound)s; a text of the catalogs.
    words: str
    value: float
    bound: float


class Judged(msgspec.Struct, frozen=True):
    """What the evidence says. `stage` is None where it says too little or as much for two."""

    stage: Stage | None
    signs: tuple[Sign, ...]


class Advice(msgspec.Struct, frozen=True):
    """What suits a stage. Texts by language."""

    direction: Mapping[str, str]
    policies: tuple[Mapping[str, str], ...]
    provenance: str


#: Stage, the evidence, whether it speaks from the bound up (else down), the bound, and how it is said.
_RULES = (
    (
        Stage.NEW,
        "young",
        True,
        40.0,
        n("%(value)s %% of the built-up area is younger than 15 years (%(bound)s or more)"),
    ),
    (
        Stage.NEW,
        "growth",
        True,
        15.0,
        n("The population grew by %(value)s %% in ten years (%(bound)s or more)"),
    ),
    (
        Stage.DETERIORATED,
        "old",
        True,
        50.0,
        n("%(value)s %% of the buildings are old and not renovated (%(bound)s or more)"),
    ),
    (
        Stage.DETERIORATED,
        "growth",
        False,
        -5.0,
        n("The population changed by %(value)s %% in ten years (%(bound)s or less)"),
    ),
    (
        Stage.DETERIORATED,
        "empty",
        True,
        10.0,
        n("%(value)s %% of the dwellings stand empty (%(bound)s or more)"),
    ),
)
_MATURE = n("%(value)s of the figures known speak for a change of stage (%(bound)s would)")


def judge(evidence: Evidence) -> Judged:
    """The stage for which most speaks; mature where two figures or more are known and none speaks."""
    signs = []
    for stage, name, up, bound, words in _RULES:
        value = getattr(evidence, name)
        if value is not None and (value >= bound if up else value <= bound):
            signs.append(Sign(stage, words, value, bound))
    known = sum(value is not None for value in msgspec.structs.astuple(evidence))
    if not signs:
        if known < 2:
            return Judged(None, ())
        return Judged(Stage.MATURE, (Sign(Stage.MATURE, _MATURE, 0.0, 1.0),))
    counts = {stage: sum(sign.stage is stage for sign in signs) for stage in Stage}
    most = max(counts.values())
    leading = [stage for stage, count in counts.items() if count == most]
    return Judged(leading[0] if len(leading) == 1 else None, tuple(signs))


@cache
def advice() -> Mapping[str, Advice]:
    """What suits each stage."""
    read = tomllib.loads(files(__package__).joinpath("data/stages.toml").read_text(encoding="utf-8"))
    return msgspec.convert(read, dict[str, Advice])
