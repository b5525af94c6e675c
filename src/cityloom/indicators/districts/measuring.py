"""Works a measure out in each district: of the Entities that lie there. Blocking; called in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    (type_name,) = measure.types()
    among = inside(districts, view.of_type(type_name))
    for district in districts:
        if district.area is None:
            continue
        own = msgspec.structs.replace(view, among=among[district.id])
        found = work_out(measure, own) if among[district.id] else own.found()
        if measure.sees != "open" and found.entities < FEWEST_INTERNAL:
            found = own.found()
        yield district, found
