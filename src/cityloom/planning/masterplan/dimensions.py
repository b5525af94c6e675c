"""The four dimensions of a smart sustainable city, its six aspects, and what regions put first. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import msgspec

from cityloom.kernel.worded import Worded

#: ITU FG-SSC, master plan, section 2.
DIMENSIONS: Mapping[str, str] = {
    "societal": Worded("Society"),
    "economic": Worded("Economy"),
    "environmental": Worded("Environment"),
    "governmental": Worded("Government"),
}
#: The aspects of smartness that definitions name most often (the same section).
ASPECTS: Mapping[str, str] = {
    "economy": Worded("Smart economy"),
    "people": Worded("Smart people"),
    "governance": Worded("Smart governance"),
    "mobility": Worded("Smart mobility"),
    "living": Worded("Smart living"),
    "environment": Worded("Smart environment"),
}
REGIONS: Mapping[str, str] = {
    "latinAmerica": Worded("Latin America: security, local government, mobility"),
    "asia": Worded("Asia: infrastructure and services as the city grows"),
    "europe": Worded("Europe: public services that serve people's well-being"),
}
#: The aspects that a region's emphases fall under (section 3; the placing under aspects is ours).
EMPHASES: Mapping[str, tuple[str, ...]] = {
    "latinAmerica": ("living", "governance", "mobility"),
    "asia": ("mobility", "living", "environment"),
    "europe": ("governance", "living"),
}


class Coverage(msgspec.Struct, frozen=True):
    """What there is in a dimension or under an aspect: counts."""

    key: str
    title: str
    goals: int
    initiatives: int
    #: Indicators that have a value.
    indicators: int

    @property
    def is_covered(self) -> bool:
        """Whether somebody works on it and can tell how it goes."""
        return bool((self.goals or self.initiatives) and self.indicators)


def dimension_of(framework: str, path: Sequence[str]) -> str:
    """The dimension of an indicator by its groups, from the widest; "" where it is not placed."""
    placed = _placed().get(framework, {})
    for length in range(len(path), 0, -1):
        if (found := placed.get("/".join(path[:length]))) is not None:
            return found
    return ""


def coverage(
    goals: Iterable[Iterable[str]], initiatives: Iterable[Iterable[str]], indicators: Iterable[str]
) -> list[Coverage]:
    """How much there is in each dimension, by the dimensions of each goal, initiative and indicator."""
    by_goal = [set(one) for one in goals]
    by_initiative = [set(one) for one in initiatives]
    measured = list(indicators)
    return [
        Coverage(
            key,
            title,
            sum(key in one for one in by_goal),
            sum(key in one for one in by_initiative),
            measured.count(key),
        )
        for key, title in DIMENSIONS.items()
    ]


def shares(aspects: Iterable[Iterable[str]]) -> dict[str, float]:
    """For each aspect the share of all mentions, 0 to 1; 0 everywhere where there are none."""
    said = [one for several in aspects for one in several]
    return {key: said.count(key) / len(said) if said else 0.0 for key in ASPECTS}


@cache
def _placed() -> Mapping[str, Mapping[str, str]]:
    text = files(__package__).joinpath("data/dimensions.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, dict[str, str]])
