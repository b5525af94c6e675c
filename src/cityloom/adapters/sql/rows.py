"""Changes and states as rows, which are alike in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import msgspec

from cityloom.context.keeping import Kept
from cityloom.context.ports import Folded
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import Change, ChangeKind

_Names = msgspec.json.Decoder(tuple[str, ...])
_encode = msgspec.json.Encoder().encode
_KINDS = {int(kind): kind for kind in ChangeKind}
_CLASSES = {int(known): known for known in InformationClass}


def change_of(row: tuple[Any, ...]) -> Change:
    """The change in a row of the feed."""
    sequence, tenant, entity_id, types, kind, secrecy, document, attributes, at_millis, by, trace, before = (
        row
    )
    return Change(
        sequence=sequence,
        tenant=tenant,
        entity_id=entity_id,
        types=_Names.decode(types),
        kind=_KINDS[kind],
        information_class=_CLASSES[secrecy],
        document=document,
        attributes=_Names.decode(attributes),
        at_millis=at_millis,
        by=by,
        trace=trace,
        before=before,
    )


def state_row(state: Folded) -> tuple[Any, ...]:
    """An Entity as a row of the table of states."""
    return (
        state.created,
        state.tenant,
        state.entity_id,
        _encode(state.types).decode(),
        int(state.information_class),
        state.document,
        state.sequence,
        *(state.bounds or (None, None, None, None)),
        _encode(state.references).decode(),
    )


def state_of(row: tuple[Any, ...], known: dict[str, tuple[str, ...]]) -> Folded:
    """The Entity in a row. `known` has types that were decoded already, by their text: most share theirs."""
    created, tenant, entity_id, types, secrecy, document, sequence, west, south, east, north, reference = row
    names = known.get(types)
    if names is None:
        names = known[types] = _Names.decode(types)
    return Folded(
        created=created,
        tenant=tenant,
        entity_id=entity_id,
        types=names,
        information_class=_CLASSES[secrecy],
        document=Kept(document),
        sequence=sequence,
        bounds=None if west is None else (west, south, east, north),
        references=() if reference == "[]" else _Names.decode(reference),
    )
