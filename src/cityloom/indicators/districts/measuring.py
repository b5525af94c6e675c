"""Works a measure out in each district: of the Entities that lie there. Blocking; called in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from cityloom.indicators import measures as verbs
from cityloom.indicators.districts.places import District, inside
from cityloom.indicators.measuring import work_out
from cityloom.indicators.model import Measured
from cityloom.indicators.view import View

#: These are worked out of Entities that lie somewhere. Others divide by a figure of the whole city, or follow
#: an Entity to another one.
_OF_PLACES = (
    verbs.Mean,
    verbs.AgainstReference,
    verbs.ShareOfTime,
    verbs.DaysAbove,
    verbs.ShareOfEntities,
    verbs.Arrived,
    verbs.MedianDuration,
)
#: Of what is internal, such as people's reports, nothing is told of a district that has fewer.
FEWEST_INTERNAL = 5


def has_places(measure: verbs.Measure) -> bool:
    """Whether a measure can be worked out by district."""
    return isinstance(measure, _OF_PLACES)


def by_district(
    measure: verbs.Measure, view: View, districts: Sequence[District]
) -> Iterator[tuple[District, Measured]]:
    """What the measure finds in each district that has a place. Raises BadInput for units that do not fit."""
    found = _each(measure, view, districts)
    return found if measure.sees == "open" else _without_few(found, view.found())


def _each(
    measure: verbs.Measure, view: View, districts: Sequence[District]
) -> Iterator[tuple[District, Measured]]:
    (type_name,) = measure.types()
    among = inside(districts, view.of_type(type_name))
    for district in districts:
        if district.area is None:
            continue
        own = msgspec.structs.replace(view, among=among[district.id])
        yield district, work_out(measure, own) if among[district.id] else own.found()


def _without_few(
    found: Iterable[tuple[District, Measured]], nothing: Measured
) -> Iterator[tuple[District, Measured]]:
    """Without the districts that have too few.

    Where those have too few together as well, the next smallest goes with them: the city's value is known,
    and what the others leave of it would tell of these few.
    """
    every = list(found)
    hidden: set[str] = set()
    few = 0
    for district, one in sorted(every, key=lambda pair: pair[1].entities):
        if one.entities >= FEWEST_INTERNAL and not 0 < few < FEWEST_INTERNAL:
            break
        hidden.add(district.id)
        few += one.entities
    for district, one in every:
        yield district, nothing if district.id in hidden else one
