"""Reads values from JSON-stat 2.0: one dataset, with a place, a time and an indicator as dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import msgspec

from cityloom.indicators.exchange.reported import MOST_BYTES, MOST_ROWS, Reported, once_each
from cityloom.kernel.errors import BadInput, json_fault_of
from cityloom.kernel.numbers import is_number
from cityloom.kernel.worded import Worded

#: Dimensions of a dataset: more of them have no meaning to anybody, and their sizes a product without an end.
MOST_DIMENSIONS = 50
#: What a dimension is by its role, and what it is often called.
_ROLES = {"city": "geo", "period": "time", "indicator": "metric", "place": ""}
_CALLED = {
    "city": ("geo", "city", "cities", "area", "region", "ref_area"),
    "period": ("time", "year", "period", "tid", "time_period"),
    "place": ("place", "district", "neighbourhood"),
    "indicator": ("indicator", "indic_ur", "indic", "kpi", "contentscode", "measure", "metric"),
}


class _Dimension(msgspec.Struct):
    category: dict[str, Any]


class _Dataset(msgspec.Struct):
    id: list[str]
    size: list[int]
    dimension: dict[str, _Dimension]
    value: list[float | None] | dict[str, float | None]
    role: dict[str, list[str]] = {}
    source: str = ""


def read_json_stat(raw: bytes, name: str, columns: Mapping[str, str] | None = None) -> list[Reported]:
    """The values of a dataset. `columns` says which dimension is the city, the indicator, the period.

    Raises BadInput.
    """
    if len(raw) > MOST_BYTES:
        raise BadInput(
            Worded("The file is too large"),
            hint=Worded("%(count)s MB are the most.", count=MOST_BYTES // 2**20),
            where=name,
        )
    try:
        dataset = msgspec.json.decode(raw, type=_Dataset)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = Worded("One dataset of JSON-stat 2.0 is read.")
        fault, place = json_fault_of(error)
        why = f"{fault} ({place})" if place else fault
        raise BadInput(Worded("This is no JSON-stat: %(why)s", why=why), hint=hint, where=name) from None
    if (
        len(dataset.id) != len(dataset.size)
        or len(dataset.id) > MOST_DIMENSIONS
        or any(not 1 <= one <= MOST_ROWS for one in dataset.size)
        or math.prod(dataset.size) > MOST_ROWS
    ):
        raise BadInput(
            Worded("`id` and `size` do not fit"),
            hint=Worded("Up to %(count)s values.", count=MOST_ROWS),
            where=name,
        )
    categories = [
        _categories(dataset, one, size, name) for one, size in zip(dataset.id, dataset.size, strict=True)
    ]
    places = _places(dataset, columns or {}, name)
    return list(once_each(_rows(dataset, categories, places, name)))


def _rows(
    dataset: _Dataset, categories: list[list[str]], places: Mapping[str, int], name: str
) -> Iterator[Reported]:
    others = [at for at, size in enumerate(dataset.size) if at not in places.values() and size > 1]
    if others:
        raise BadInput(
            Worded("The dimension %(name)s has several categories", name=repr(dataset.id[others[0]])),
            hint=Worded(
                "Cut the dataset down to one of them, or say with `columns` which dimension is which."
            ),
            where=name,
        )
    for number, words in enumerate(product(*categories)):
        value = _value(dataset, number)
        if value is None:
            continue
        yield Reported(
            city=words[places["city"]] if "city" in places else "",
            code=words[places["indicator"]],
            period=words[places["period"]],
            value=value,
            source=dataset.source[:500],
            place=f"{name} value {number}",
            district=words[places["place"]] if "place" in places else "",
        )


def _value(dataset: _Dataset, number: int) -> float | None:
    if isinstance(dataset.value, dict):
        return dataset.value.get(str(number))
    return dataset.value[number] if number < len(dataset.value) else None


def _categories(dataset: _Dataset, dimension: str, size: int, name: str) -> list[str]:
    """The codes of a dimension in their order."""
    said = dataset.dimension.get(dimension)
    index = {} if said is None else said.category.get("index", said.category.get("label", {}))
    if not isinstance(index, dict | list):
        raise BadInput(
            Worded("The categories of %(name)s are no list", name=repr(dimension[:60])),
            hint=Worded("Correct the dataset."),
            where=name,
        )
    if isinstance(index, dict) and all(is_number(at) for at in index.values()):
        codes = sorted(index, key=lambda code: index[code])
    else:
        codes = [str(one) for one in index]
    if len(codes) != size:
        raise BadInput(
            Worded(
                "The dimension %(name)s has %(count)s categories and the size %(size)s",
                name=repr(dimension[:60]),
                count=len(codes),
                size=size,
            ),
            hint=Worded("Correct the dataset."),
            where=name,
        )
    return codes


def _places(dataset: _Dataset, wanted: Mapping[str, str], name: str) -> dict[str, int]:
    # What somebody named as one thing is not taken for another.
    lower = ["" if one in wanted.values() else one.lower() for one in dataset.id]
    found: dict[str, int] = {}
    for known, role in _ROLES.items():
        called = [one for one in dataset.role.get(role, []) if one not in wanted.values()]
        called = [wanted[known]] if known in wanted else called
        at = next((dataset.id.index(one) for one in called if one in dataset.id), None)
        if at is None:
            at = next((lower.index(one) for one in _CALLED[known] if one in lower), None)
        if at is not None:
            found[known] = at
    missing = [one for one in ("indicator", "period") if one not in found]
    if missing:
        hint = Worded("Its dimensions are: %(names)s. Say which with `columns`.", names=", ".join(dataset.id))
        raise BadInput(Worded("No dimension is `%(name)s`", name=missing[0]), hint=hint, where=name)
    return found
