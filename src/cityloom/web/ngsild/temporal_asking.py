"""From parameters and Query bodies to what history is asked (ETSI GS CIM 009, 4.11, 5.2.21, 5.2.44)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from cityloom.history.periods import parse_step
from cityloom.history.queries import check_methods
from cityloom.history.temporal import TemporalQuery
from cityloom.history.temporal_representation import TemporalFormat
from cityloom.kernel.errors import BadInput
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.ordering import OrderBy
from cityloom.ngsild.query import EntityQuery
from cityloom.ngsild.temporal_query import parse_temporal_window
from cityloom.web.ngsild.asking import format_of
from cityloom.web.ngsild.parameters import Parameters

_FORMATS: dict[str, TemporalFormat] = {
    "normalized": "normalized",
    "concise": "concise",
    "temporalValues": "temporalValues",
    "aggregatedValues": "aggregatedValues",
}
#: What history calls otherwise.
_PARAMETERS = {"step": "aggrPeriodDuration", "until": "endTimeAt"}
_TEXTS = {
    "timerel": "timerel",
    "timeAt": "time_at",
    "endTimeAt": "end_time_at",
    "timeproperty": "timeproperty",
    "aggrPeriodDuration": "period",
}


class TemporalAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A temporal query as it was written, from parameters or from a body."""

    timerel: str | None = None
    time_at: str | None = None
    end_time_at: str | None = None
    timeproperty: str | None = None
    last_n: int | None = None
    methods: tuple[str, ...] = ()
    period: str | None = None


class Shown(msgspec.Struct, frozen=True):
    """How the answer is shown."""

    format: TemporalFormat
    sys_attrs: bool


def temporal_asked_by(parameters: Parameters) -> TemporalAsked:
    """From the parameters of a GET."""
    return TemporalAsked(
        timerel=parameters.text("timerel"),
        time_at=parameters.text("timeAt"),
        end_time_at=parameters.text("endTimeAt"),
        timeproperty=parameters.text("timeproperty"),
        last_n=parameters.number("lastN", 0, least=1) or None,
        methods=parameters.listed("aggrMethods"),
        period=parameters.text("aggrPeriodDuration"),
    )


def written_as_parameters(asked: TemporalAsked) -> dict[str, str | None]:
    """The parameters of a GET that asks the same; None where nothing is asked."""
    found: dict[str, str | None] = {name: getattr(asked, field) for name, field in _TEXTS.items()}
    found["lastN"] = None if asked.last_n is None else str(asked.last_n)
    found["aggrMethods"] = ",".join(asked.methods)
    return found


def temporal_asked_in(payload: Any) -> tuple[TemporalAsked, Any]:
    """From the body of a POST, and the rest of that body. Raises BadRequestData naming the member."""
    if not isinstance(payload, dict):
        return TemporalAsked(), payload
    rest = {key: value for key, value in payload.items() if key not in ("temporalQ", "aggrParams")}
    found: dict[str, Any] = {}
    for member in ("temporalQ", "aggrParams"):
        said = payload.get(member, {})
        if not isinstance(said, dict):
            raise BadRequestData(
                f"{member} is an object", hint='Write {"timerel": "after", "timeAt": …}.', where=member
            )
        for name, value in said.items():
            found |= _member(name, value, f"{member}.{name}")
    return TemporalAsked(**found), rest


def _member(name: str, value: Any, where: str) -> dict[str, Any]:
    if name in _TEXTS:
        if not isinstance(value, str) or not value:
            raise BadRequestData(f"{name} is a string", hint="Write it in double quotes.", where=where)
        return {_TEXTS[name]: value}
    if name == "lastN":
        if type(value) is not int or not 0 < value < 10**12:
            raise BadRequestData("lastN is a whole number from 1", hint="Write 10.", where=where)
        return {"last_n": value}
    if name == "aggrMethods":
        listed = value.split(",") if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise BadRequestData("aggrMethods is an array", hint='Write ["avg", "max"].', where=where)
        return {"methods": tuple(one.strip() for one in listed)}
    if name == "type":
        return {}
    raise BadRequestData(f"{name[:60]!a} is no member here", hint="Leave it out.", where=where)


def temporal_query(
    asked: TemporalAsked, parameters: Parameters, entities: EntityQuery, *, most_instances: int, by_body: bool
) -> tuple[TemporalQuery, Shown]:
    """What history is asked, and how the answer is shown. Raises BadRequestData naming the parameter.

    A body that names methods asks for aggregates by that alone.
    """
    form, options = format_of(parameters, _FORMATS, "normalized")
    if by_body and asked.methods:
        form = "aggregatedValues"
    if form == "aggregatedValues" and not asked.methods:
        raise BadRequestData(
            "aggregatedValues needs aggrMethods", hint="Add aggrMethods=avg,min,max.", where="aggrMethods"
        )
    outvoted = "aggregatedValues" in parameters.listed("options")  # by `format`, which takes precedence
    if form != "aggregatedValues" and (asked.methods or asked.period) and not outvoted:
        raise BadRequestData(
            "aggrMethods and aggrPeriodDuration belong to aggregatedValues",
            hint="Add format=aggregatedValues.",
            where="format",
        )
    with named_as_parameters():
        check_methods(asked.methods)
        period = None if asked.period is None else parse_step(asked.period, where="aggrPeriodDuration")
    query = TemporalQuery(
        entities=msgspec.structs.replace(entities, order_by=()),
        window=parse_temporal_window(asked.timerel, asked.time_at, asked.end_time_at, asked.timeproperty),
        last_n=asked.last_n,
        aggregates=asked.methods if form == "aggregatedValues" else (),
        period=period,
        most_instances=most_instances,
        descending=_descending(entities.order_by),
        # By columns no other times are told than observedAt.
        by_columns="sysAttrs" not in options and asked.timeproperty in (None, "observedAt"),
    )
    return query, Shown(form, "sysAttrs" in options)


def _descending(orders: tuple[OrderBy, ...]) -> bool:
    """Entities over time are ordered by id alone (5.7.4.4)."""
    if any(one.path != "id" for one in orders):
        raise BadRequestData(
            "Entities over time are ordered by id alone", hint="Write orderBy=id;desc.", where="orderBy"
        )
    return bool(orders) and orders[0].direction == "desc"


@contextmanager
def named_as_parameters() -> Iterator[None]:
    """Errors of history name the parameter at fault as it is called here."""
    try:
        yield
    except BadInput as error:
        error.where = _PARAMETERS.get(error.where or "", error.where)
        raise
