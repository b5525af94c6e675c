"""One measured quantity under several frameworks: a value answers what is the same in another. Pure.

The value is kept once, where it was entered or worked out, with its evidence and its verification. The table
same_as.csv of a framework says which of its data points are the same quantity as one of another framework.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cityloom.indicators.framework import Framework, Same, point_id
from cityloom.indicators.model import VALUE, DataPoint
from cityloom.indicators.writing import VERIFICATION, WITH_A_VALUE, judged
from cityloom.kernel.numbers import is_number
from cityloom.ngsild.model import Document, Instance, value_of

#: What the other framework makes of the value.
_OWN = frozenset({"currentStanding", "points", "percentOfTarget", "benchmarkProfile", "provisionalValue"})


class Answer(msgspec.Struct, frozen=True):
    """What a data point says: by itself, or by the same quantity elsewhere."""

    document: Document | None
    #: Where the value comes from, when it is from another framework.
    same: Same | None = None


def answer(framework: Framework, point: DataPoint, documents: Mapping[str, Document]) -> Answer:
    """The document of a data point; one without a value speaks through the same quantity elsewhere."""
    own = documents.get(point.id)
    if own is not None and VALUE in own["attrs"]:
        return Answer(own)
    for same in framework.same_as.get((point.code, point.key), ()):
        other = documents.get(point_id(same.framework, same.code, same.point))
        value = None if other is None else value_of(other, VALUE)
        if other is not None and (isinstance(value, bool) or is_number(value)):
            return Answer(_spoken_for(framework, point, own, other, same), same)
    return Answer(own)


def _spoken_for(
    framework: Framework, point: DataPoint, own: Document | None, other: Document, same: Same
) -> Document:
    kept = {*WITH_A_VALUE, *VERIFICATION, "reportingState"} - _OWN
    attrs: dict[str, list[Instance]] = {} if own is None else dict(own["attrs"])
    attrs |= {name: said for name, said in other["attrs"].items() if name in kept}
    value = value_of(other, VALUE)
    if not isinstance(value, bool):
        value = value * same.factor
        shown = {**other["attrs"][VALUE][0], "value": value}
        shown.pop("unitCode", None)
        attrs[VALUE] = [shown | ({"unitCode": point.unit_code} if point.unit_code else {})]
    said = judged(framework, point, value, comparable=True)
    attrs |= {name: [item] for name, item in said.items() if item is not None}
    return {"id": point.id, "type": other["type"], "attrs": attrs}
