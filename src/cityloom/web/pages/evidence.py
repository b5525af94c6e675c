"""Reasons: what was looked at before something was decided or computed."""

from __future__ import annotations

import msgspec

from cityloom.kernel.change import Because
from cityloom.ngsild.model import Document, value_of


def reasons_of(document: Document) -> list[Because]:
    """The reasons an Entity carries; what is not written as such is left out."""
    said = value_of(document, "because")
    reasons = []
    for one in said if isinstance(said, list) else []:
        try:
            reasons.append(msgspec.convert(one, Because))
        except msgspec.ValidationError:
            continue
    return reasons
