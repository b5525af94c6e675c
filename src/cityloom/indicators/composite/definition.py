"""The definition of a composite index: a tree of groups, its indicators and the steps, read from TOML.

id = "green"                            [steps]
version = "2026.1"                      scale = "goalposts"
title = { en = "Green city index" }     mean = "geometric"

[[groups]]                              [[indicators]]
code = "index"                          code = "trees"
name = { en = "Index" }                 in = "index"
                                        target = 30.0
                                        worst = 0.0
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cityloom.indicators.composite.aggregation import POWERS, Mean
from cityloom.indicators.composite.normalisation import Scale
from cityloom.indicators.composite.treatment import Imputation
from cityloom.indicators.composite.weighting import Weights
from cityloom.kernel.errors import BadInput, fault_of

#: The definition that a framework brings along, in its folder.
INDEX_FILE = "index.toml"
#: What a definition may have at most: it may come from anybody.
LARGEST = 2 * 1024 * 1024
MOST_INDICATORS = 2000


class Steps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done, in this order. Groups and indicators may say otherwise for themselves."""

    impute: Imputation = Imputation.NONE
    #: Column of the table of cities by which group means are taken.
    impute_by: str = ""
    #: Whether outliers are drawn in, where skewness and kurtosis are beyond their bounds.
    treat: bool = False
    winsorise_at_most: int = 5
    scale: Scale = Scale.MIN_MAX
    #: The city that the others are held against, for `distance_to_reference`.
    reference: str = ""
    weights: Weights = Weights.EQUAL
    mean: Mean = Mean.ARITHMETIC
    #: For the generalised mean.
    power: float = 1.0
    #: Share of a group's members that must be there, 0 to 1.
    minimum_availability: float = 0.0
    #: Scores below it count as this much, where a mean cannot do with 0.
    floor: float | None = None


class Branch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"inside": "in"}):
    """A group of indicators or of groups. The one that is in no other is the index itself."""

    code: str
    inside: str = ""
    name: dict[str, str] = {}
    weight: float = 1.0
    weights: Weights | None = None
    #: How much more each member counts than each other, in their order; for `ahp`.
    judgements: tuple[tuple[float, ...], ...] = ()
    mean: Mean | None = None
    power: float | None = None
    minimum_availability: float | None = None
    #: Points that a score of 100 is worth.
    out_of: float = 100.0
    provenance: str = ""


class Leaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"inside": "in"}):
    """An indicator, as it stands in the values."""

    code: str
    inside: str = msgspec.field(name="in")
    name: dict[str, str] = {}
    unit: str = ""
    #: Whether more is better; left out, it is as target and worst value say, and yes without them.
    higher: bool | None = None
    weight: float = 1.0
    scale: Scale | None = None
    target: float | None = None
    worst: float | None = None
    #: Code of the values that it is divided by.
    denominator: str = ""
    out_of: float = 100.0
    provenance: str = ""

    @property
    def more_is_better(self) -> bool:
        """The direction, on whatever scale."""
        if self.higher is not None:
            return self.higher
        return self.target is None or self.worst is None or self.target > self.worst


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole index. What `version` says once stays as it is, so that the past can be worked out again."""

    id: str
    version: str
    title: dict[str, str]
    groups: tuple[Branch, ...]
    indicators: tuple[Leaf, ...]
    source: str = ""
    #: False where those who made the framework say that it does not rank: then no ranks are written.
    ranks: bool = True
    #: What is said with every result.
    caution: dict[str, str] = {}
    steps: Steps = Steps()

    @property
    def root(self) -> Branch:
        """The index itself."""
        return next(group for group in self.groups if not group.inside)

    def members(self, code: str) -> list[Branch | Leaf]:
        """What is directly in a group, groups first."""
        both: list[Branch | Leaf] = [*self.groups, *self.indicators]
        return [one for one in both if one.inside == code]

    def upwards(self) -> list[Branch]:
        """The groups, each after all that are in it."""
        ordered: list[Branch] = []
        waiting = [self.root]
        while waiting:
            ordered.append(group := waiting.pop())
            waiting += [one for one in self.groups if one.inside == group.code]
        return ordered[::-1]

    def scale_of(self, leaf: Leaf) -> Scale:
        """How an indicator is brought to the common scale."""
        return leaf.scale or self.steps.scale

    def power_of(self, group: Branch) -> float:
        """The power of a group's mean."""
        mean = group.mean or self.steps.mean
        own = self.steps.power if group.power is None else group.power
        return POWERS.get(mean, own)


def read_definition(path: Path) -> Definition:
    """The definition in a file. Raises BadInput with the line at fault."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"The definition cannot be read: {error.strerror}", hint="Check its path.", where=str(path)
        ) from None
    if len(raw) > LARGEST:
        raise BadInput("The definition is too long", hint="2 MB are the most.", where=str(path))
    return parse_definition(raw, path.name)


def parse_definition(raw: bytes, name: str = "definition") -> Definition:
    """The definition in a text. Raises BadInput with line and column, or the line, at fault."""
    try:
        text = raw.decode("utf-8-sig")
        definition = msgspec.convert(tomllib.loads(text), Definition)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"The definition is not UTF-8: {error}", hint="Save it as UTF-8.", where=name
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"This is no TOML: {error}", hint="Correct it there.", where=name) from None
    except msgspec.ValidationError as error:
        said, path = fault_of(error)
        raise BadInput(
            said, hint="Look at docs/guides/compute_an_index.md.", where=_place(text, f".{path}", name)
        ) from None
    for fault, path in _faults(definition):
        raise BadInput(fault, hint="Correct the definition.", where=_place(text, path, name))
    return definition


def _faults(definition: Definition) -> Iterator[tuple[str, str]]:
    """What is wrong, with its path in the document. The first one is told."""
    yield from _tree_faults(definition)
    for place, leaf in enumerate(definition.indicators):
        for fault, key in _leaf_faults(definition, leaf):
            yield fault, f".indicators[{place}].{key}"
    for place, group in enumerate(definition.groups):
        for fault, key in _group_faults(definition, group):
            yield fault, f".groups[{place}].{key}"
    yield from _step_faults(definition.steps)


def _tree_faults(definition: Definition) -> Iterator[tuple[str, str]]:
    if len(definition.indicators) > MOST_INDICATORS:
        yield f"There are more than {MOST_INDICATORS} indicators", ".indicators[0]"
    roots = [place for place, one in enumerate(definition.groups) if not one.inside]
    if len(roots) != 1:
        yield (
            f"{len(roots)} groups are in no other one: exactly one is the index",
            f".groups[{roots[1] if roots else 0}]",
        )
        return
    groups = {one.code for one in definition.groups}
    seen: set[str] = set()
    every: list[tuple[str, Branch | Leaf]] = [
        *((f".groups[{place}]", group) for place, group in enumerate(definition.groups)),
        *((f".indicators[{place}]", leaf) for place, leaf in enumerate(definition.indicators)),
    ]
    for path, one in every:
        if one.code in seen:
            yield f"The code {one.code!r} stands twice", f"{path}.code"
        if one.inside and one.inside not in groups:
            yield f"There is no group {one.inside!r}", f"{path}.in"
        seen.add(one.code)
    reached = {one.code for one in definition.upwards()}
    for place, group in enumerate(definition.groups):
        if group.code not in reached:
            yield f"The group {group.code!r} is inside itself", f".groups[{place}].in"


def _leaf_faults(definition: Definition, leaf: Leaf) -> Iterator[tuple[str, str]]:
    scale = definition.scale_of(leaf)
    if leaf.weight < 0:
        yield "A weight is not below 0", "weight"
    if scale is Scale.GOALPOSTS:
        if None in (leaf.target, leaf.worst):
            yield f"{leaf.code!r} needs a target and a worst value for goalposts", "code"
        elif leaf.target == leaf.worst:
            yield f"Target and worst value of {leaf.code!r} are the same", "target"
    yield from _direction_faults(leaf)
    if scale is Scale.DISTANCE_TO_TARGET and leaf.target is None:
        yield f"{leaf.code!r} needs a target", "code"
    if scale is Scale.DISTANCE_TO_REFERENCE and not definition.steps.reference:
        yield "The steps name no city as the reference", "code"


def _direction_faults(leaf: Leaf) -> Iterator[tuple[str, str]]:
    if leaf.target is None or leaf.worst is None or leaf.higher is None or leaf.target == leaf.worst:
        return
    if leaf.higher != (leaf.target > leaf.worst):
        yield f"`higher` of {leaf.code!r} contradicts its target and worst value", "higher"


def _group_faults(definition: Definition, group: Branch) -> Iterator[tuple[str, str]]:
    members = definition.members(group.code)
    if not members:
        yield f"Nothing is in the group {group.code!r}", "code"
    if group.weight < 0:
        yield "A weight is not below 0", "weight"
    share = group.minimum_availability
    if share is not None and not 0 <= share <= 1:
        yield "A share lies between 0 and 1", "minimum_availability"
    if (group.weights or definition.steps.weights) is Weights.AHP:
        yield from _judgement_faults(group, len(members))


def _judgement_faults(group: Branch, members: int) -> Iterator[tuple[str, str]]:
    rows = group.judgements
    if len(rows) != members or any(len(row) != members for row in rows):
        yield f"Judgements of {group.code!r} need {members} rows of {members} numbers", "judgements"
        return
    for one in range(members):
        for other in range(members):
            there, back = rows[one][other], rows[other][one]
            if there <= 0 or abs(there * back - 1) > 0.01:
                yield f"Judgement {one + 1}, {other + 1} is not 1 over its opposite", "judgements"
                return


def _step_faults(steps: Steps) -> Iterator[tuple[str, str]]:
    if not 0 <= steps.minimum_availability <= 1:
        yield "A share lies between 0 and 1", ".steps.minimum_availability"
    if not 0 <= steps.winsorise_at_most <= 1000:
        yield "Between 0 and 1000 values are drawn in", ".steps.winsorise_at_most"
    if steps.impute in (Imputation.GROUP_MEAN, Imputation.GROUP_MEDIAN) and not steps.impute_by:
        yield "Say by which column of the cities' table: impute_by", ".steps.impute"


def _place(text: str, path: str, name: str) -> str:
    """Where something stands in the document: ".indicators[2].target" as a line and a column."""
    found = re.match(r"\.(\w+)(?:\[(\d+)\])?(?:\.(\w+))?", path)
    if found is None:
        return name
    table, number, key = found[1], int(found[2] or 0), found[3] or ""
    lines = text.splitlines()
    heads = [at for at, line in enumerate(lines) if re.match(rf"\s*\[+\s*{table}\s*\]", line)]
    if number >= len(heads):
        return f"{name}{path}"
    for at in range(heads[number] + 1, len(lines)):
        if lines[at].lstrip().startswith("["):
            break
        if key and (there := re.match(rf"\s*{key}\s*=", lines[at])):
            return f"{name} line {at + 1}, column {there.end() + 2}"
    return f"{name} line {heads[number] + 1}, column 1"
