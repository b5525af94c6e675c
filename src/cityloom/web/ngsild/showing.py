"""How answers are shown: from parameters to a View (ETSI GS CIM 009, 4.21, 6.3.7, 6.3.11, 6.3.15)."""

from __future__ import annotations

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.languages import parse_languages
from cityloom.ngsild.projection import Projection
from cityloom.ngsild.representation import AS_IT_IS, View, projected
from cityloom.web.ngsild.asking import (
    FORMATS,
    IDENTITY,
    Asked,
    datasets,
    format_of,
    join_of,
    names,
    projection,
)
from cityloom.web.ngsild.parameters import Parameters

_NOTHING_ASKED = Asked()


def view_of(asked: Asked, context: Context, parameters: Parameters) -> View:
    """How the answer is shown (6.3.7, 6.3.11). Raises BadRequestData naming the parameter."""
    if parameters.are_none and asked == _NOTHING_ASKED:
        return AS_IT_IS
    form, options = format_of(parameters, FORMATS, "normalized")
    if asked.lang is not None:
        parse_languages(asked.lang)
    _check_projection(asked)
    pick, omit = _projections(asked, context)
    if asked.attrs:
        pick = Projection(IDENTITY | frozenset(names("attrs", asked.attrs, context)))
    base = View(
        format=form,
        sys_attrs="sysAttrs" in options,
        lang=asked.lang,
        dataset_id=frozenset(datasets(asked.dataset_id)),
    )
    return projected(base, pick, omit)


def _projections(asked: Asked, context: Context) -> tuple[Projection, Projection]:
    """pick and omit. Raises BadRequestData where they reach further than linked entities are asked for."""
    join = join_of(asked)
    levels = 0 if join is None else join.levels
    found: list[Projection] = []
    for parameter, terms in (("pick", asked.pick), ("omit", asked.omit)):
        one = Projection() if not terms else projection(parameter, terms, context)
        if one.depth > levels:
            raise BadRequestData(
                f"{parameter} reaches {one.depth} levels into linked entities, and {levels} are asked for",
                hint="Name attributes of the entity itself, or ask with join and a joinLevel as deep.",
                where=parameter,
            )
        found.append(one)
    return found[0], found[1]


def geometry_property(parameters: Parameters, context: Context, *, geojson: bool) -> str:
    """The GeoProperty that becomes the geometry of a Feature (6.3.15)."""
    name = parameters.text("geometryProperty")
    if name is None:
        return "location"
    if not geojson:
        raise BadRequestData(
            "geometryProperty belongs to GeoJSON",
            hint="Ask with Accept: application/geo+json.",
            where="geometryProperty",
        )
    return names("geometryProperty", [name], context)[0]


def _check_projection(asked: Asked) -> None:
    """Raises BadRequestData where pick, omit and attrs contradict each other (4.21)."""
    if asked.attrs and (asked.pick or asked.omit):
        raise BadRequestData(
            "attrs stands for pick, and cannot stand beside pick or omit",
            hint="Leave attrs out.",
            where="attrs",
        )
    both = set(asked.pick) & set(asked.omit)
    if both:
        raise BadRequestData(
            f"{min(both)[:60]!a} is picked and omitted", hint="Leave it out of one of them.", where="omit"
        )
