"""Where data do not fit their declared shape."""

import msgspec
import pytest

from cityloom.kernel.errors import fault_of


class Door(msgspec.Struct):
    width: int = 1


class House(msgspec.Struct):
    doors: list[Door] = []


@pytest.mark.parametrize(
    ("said", "message", "place"),
    [
        ({"doors": [{"width": "wide"}]}, "Expected `int`, got `str`", "doors[0].width"),
        ({"doors": 3}, "Expected `array`, got `int`", "doors"),
        (3, "Expected `object`, got `int`", ""),
    ],
)
def test_fault_of_names_the_place(said, message, place):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(said, House)
    assert fault_of(caught.value) == (message, place)
