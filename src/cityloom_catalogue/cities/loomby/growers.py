"""When the people of the farms confirm a warning of frost, and on which evenings they do not.

A model, no observation. Most look at their page in time; some are out, and others are told instead.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cityloom_catalogue.cities.loomby import chance, town
from cityloom_catalogue.cities.loomby.feeds import entity_id

#: One warning in so many stays without a receipt.
_UNHEARD = 0.2
#: Minutes until the others confirm.
_SOONEST, _LATEST = 3.0, 38.0

_NUMBERS = {entity_id("WarningRecipient", farm.key): number for number, farm in enumerate(town.farms())}


def confirms_after(recipient: str, sent_at: datetime) -> timedelta | None:
    """After how long the people of a farm confirm a warning sent on a day; None: they do not."""
    number = _NUMBERS.get(recipient)
    day = sent_at.toordinal()
    if number is None or float(chance.uniform("growers-unheard", number, day)) < _UNHEARD:
        return None
    share = float(chance.uniform("growers-confirm", number, day))
    return timedelta(minutes=_SOONEST + (_LATEST - _SOONEST) * share)
