"""Where data do not fit their declared shape."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest

from cityloom.kernel.errors import fault_of


class Owner(msgspec.Struct):
    name: str


class Door(msgspec.Struct, forbid_unknown_fields=True):
    width: int = 1
    kind: Literal["in", "out"] = "in"
    number: Annotated[int, msgspec.Meta(ge=1)] = 1


class House(msgspec.Struct):
    doors: list[Door] = []
    built: datetime | None = None
    owner: Owner | None = None


@pytest.mark.parametrize(
    ("said", "message", "place"),
    [
        ({"doors": [{"width": "wide"}]}, "This is to be a whole number, and is a text", "doors[0].width"),
        ({"doors": 3}, "This is to be a list, and is a whole number", "doors"),
        (3, "This is to be a table, and is a whole number", ""),
        ({"doors": [{"widht": 3}]}, "There is no field `widht` here", "doors[0]"),
        ({"doors": [{"kind": "q"}]}, "There is no such choice as 'q'", "doors[0].kind"),
        ({"doors": [{"number": 0}]}, "This is to be a whole number >= 1", "doors[0].number"),
        ({"built": "long ago"}, "This is to be an instant such as 2026-01-31T10:00:00Z", "built"),
        ({"owner": {}}, "The field `name` is missing", "owner"),
    ],
)
def test_fault_of_names_the_place(said, message, place):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(said, House)
    assert fault_of(caught.value) == (message, place)
