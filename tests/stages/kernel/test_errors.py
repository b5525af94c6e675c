"""Where data do not fit their declared shape."""

import zlib
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest
from starlette.requests import Request

from cityloom.access.authority import TERMINAL
from cityloom.edge.packing import unpack
from cityloom.indicators.exchange.json_stat import read_json_stat
from cityloom.kernel.errors import BadInput, fault_of
from cityloom.web import loads, persons
from cityloom.web.bodies import whole_body


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


@pytest.mark.parametrize("text", [b"{", b'{"id": "a}', b"\xff"])
async def test_whoever_sends_no_json_is_told_that_alone(text):
    for said in (
        await _told(lambda: loads.act(None, TERMINAL, "begin", text)),
        await _told(lambda: persons.act(None, TERMINAL, "look", text)),
        await _told(lambda: unpack(zlib.compress(text))),
    ):
        assert (said.message, said.where) == ("This is no JSON", "body")
    said = await _told(lambda: read_json_stat(text, "x.json"))
    assert said.message == "This is no JSON-stat: This is no JSON"


async def test_a_dataset_of_another_shape_is_told_with_its_place():
    said = await _told(lambda: read_json_stat(b'{"id": ["a", 3]}', "x.json"))
    assert said.message == "This is no JSON-stat: This is to be a text, and is a whole number (id[1])"


async def _told(do):
    with pytest.raises(BadInput) as error:
        found = do()
        if found is not None and hasattr(found, "__await__"):
            await found
    return error.value


async def test_who_hangs_up_amid_a_body_breaks_nothing():
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(parts)

    with pytest.raises(BadInput, match="line was cut"):
        await whole_body(Request({"type": "http", "method": "POST", "headers": []}, receive))
