"""A framework's composite index of this city: its own, else means of the shares of its targets. Pure.

What a framework says of itself is in its index.toml. Where it says nothing, each data point counts by the
share of its target that is reached, members of a group count alike, and less than half of a group says
nothing of it. That index is CityLoom's and says so. The city may give weights of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from cityloom.indicators import scoring
from cityloom.indicators.composite.computing import Note, Observations, Result, compute
from cityloom.indicators.composite.definition import Branch, Definition, Leaf, Steps
from cityloom.indicators.composite.normalisation import Scale
from cityloom.indicators.composite.weighting import Weights
from cityloom.indicators.framework import Framework
from cityloom.indicators.model import DataPoint, Texts

#: Scales on which a city can stand alone: the others say how it stands among others.
_OF_ONE_CITY = frozenset({Scale.GOALPOSTS, Scale.DISTANCE_TO_TARGET})
_ROOT = "index"
#: Share of a group that must be there, where the framework says nothing of it.
LEAST_OF_A_GROUP = 0.5
_HERE = "here"

_Value = float | bool
#: What a data point says, None for nothing.
Told = Callable[[DataPoint], _Value | None]


class Part(msgspec.Struct, frozen=True):
    """The index, a group or an indicator of it."""

    code: str
    name: Texts
    #: 0 for the index itself.
    depth: int
    is_group: bool
    #: 0 to 100, None where it cannot be told.
    score: float | None
    #: The score in the points of the framework; None where it counts to 100.
    points: float | None
    out_of: float
    #: Its share in its group, 0 to 1.
    share: float
    #: What the city gave it, 1 where it gave nothing.
    weight: float
    #: Of a group: the share of its members that is there.
    available: float | None
    value: float | None


class IndexTold(msgspec.Struct, frozen=True):
    """An index of the city, part by part, the index first and each group before its members."""

    framework: str
    definition: str
    version: str
    title: Texts
    caution: Texts
    #: Whether the framework brings the index along; else it is CityLoom's.
    is_own: bool
    #: Share of a group's members that must be there.
    minimum_availability: float
    parts: tuple[Part, ...]
    notes: tuple[Note, ...]

    @property
    def score(self) -> float | None:
        """The score of the index itself."""
        return self.parts[0].score


def definition_of(framework: Framework, year: int) -> Definition | None:
    """The index of a framework in a year, with the city's weights; None where nothing can be put together."""
    own = framework.index_of(year)
    if own is not None:
        alone = all(own.scale_of(leaf) in _OF_ONE_CITY for leaf in own.indicators)
        return weighed(own, framework.weights) if alone else None
    made = _by_targets(framework)
    return None if made is None else weighed(made, framework.weights)


def weighed(definition: Definition, weights: Mapping[str, float]) -> Definition:
    """The definition with other weights: a group of which a member got one goes by given weights."""
    if not weights:
        return definition
    every: list[Branch | Leaf] = [*definition.groups, *definition.indicators]
    touched = {one.inside for one in every if one.code in weights and one.inside}

    def weight(code: str, before: float, inside: str) -> float:
        if code in weights:
            return weights[code]
        given = _way(definition, inside) is Weights.GIVEN
        return before if given or inside not in touched else 1.0

    groups = tuple(
        msgspec.structs.replace(
            one,
            weight=weight(one.code, one.weight, one.inside),
            weights=Weights.GIVEN if one.code in touched else one.weights,
        )
        for one in definition.groups
    )
    leaves = tuple(
        msgspec.structs.replace(one, weight=weight(one.code, one.weight, one.inside))
        for one in definition.indicators
    )
    return msgspec.structs.replace(definition, groups=groups, indicators=leaves)


def _way(definition: Definition, inside: str) -> Weights:
    group = next((one for one in definition.groups if one.code == inside), None)
    return definition.steps.weights if group is None or group.weights is None else group.weights


def _by_targets(framework: Framework) -> Definition | None:
    """Means of the shares of the targets, up the framework's groups; None where it has no target."""
    leaves = [
        Leaf(
            code=leaf_code(point),
            inside="/".join((_ROOT, *indicator.path)),
            name=dict(indicator.name),
            target=100.0,
            worst=0.0,
        )
        for indicator, point in framework.points()
        if point.benchmark is not None
    ]
    if not leaves:
        return None
    paths = {
        path[:depth]: None
        for path in (tuple(one.inside.split("/"))[1:] for one in leaves)
        for depth in range(1, len(path) + 1)
    }
    groups = [
        Branch(
            code="/".join((_ROOT, *path)),
            inside="/".join((_ROOT, *path[:-1])),
            name=dict(framework.groups[path].name) if path in framework.groups else {"en": path[-1]},
        )
        for path in paths
    ]
    return Definition(
        id=f"{framework.id}-targets",
        version=framework.manifest.profile.id,
        title={
            "en": "Mean share of the targets, CityLoom's and not the framework's own",
            "da": "Middel af andelen af målene, CityLooms og ikke rammens egen",
        },
        groups=(Branch(code=_ROOT, name=dict(framework.manifest.title)), *groups),
        indicators=tuple(leaves),
        ranks=False,
        steps=Steps(scale=Scale.GOALPOSTS, minimum_availability=LEAST_OF_A_GROUP),
    )


def leaf_code(point: DataPoint) -> str:
    """What a data point is called in an index."""
    return f"{point.code}.{point.key}" if point.key else point.code


def index_told(framework: Framework, told: Told, year: int) -> IndexTold | None:
    """The index of this city by what its data points say; None where the framework has none."""
    definition = definition_of(framework, year)
    if definition is None:
        return None
    is_own = framework.index_of(year) is not None
    columns = {}
    for _, point in framework.points():
        value = told(point)
        if value is not None and not is_own:
            value = None if point.benchmark is None else scoring.percent_of_target(value, point.benchmark)
        columns[leaf_code(point)] = np.array([np.nan if value is None else float(value)])
    result = compute(definition, Observations(str(year), (_HERE,), columns))
    return IndexTold(
        framework=framework.id,
        definition=definition.id,
        version=definition.version,
        title=definition.title,
        caution=definition.caution,
        is_own=is_own,
        minimum_availability=definition.steps.minimum_availability,
        parts=tuple(_parts(framework, result)),
        notes=result.notes,
    )


def _parts(framework: Framework, result: Result) -> Sequence[Part]:
    definition, found = result.definition, []
    names = {leaf_code(point): indicator.name for indicator, point in framework.points()}
    shares = {code: share for members in result.weights.values() for code, share in members.items()}

    def walk(one: Branch | Leaf, depth: int) -> None:
        group = result.groups.get(one.code)
        score = _number(result.scores_of(one.code)[0])
        found.append(
            Part(
                code=one.code,
                name=one.name or names.get(one.code, {"en": one.code}),
                depth=depth,
                is_group=group is not None,
                score=score,
                points=None if one.out_of == 100.0 or score is None else score * one.out_of / 100,
                out_of=one.out_of,
                share=shares.get(one.code, 1.0),
                weight=framework.weights.get(one.code, 1.0),
                available=None if group is None else float(group.available[0]),
                value=None if group is not None else _number(result.indicators[one.code].treated[0]),
            )
        )
        if group is not None:
            for member in definition.members(one.code):
                walk(member, depth + 1)

    walk(definition.root, 0)
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
