"""Values by district: kept beside the city's, each an Entity of its own with its history and its rights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import may_write, require
from cityloom.context.broker import Broker
from cityloom.context.editing import Editing, check_version, version_of
from cityloom.context.reading import items, truth, word
from cityloom.indicators import writing
from cityloom.indicators.checks import findings
from cityloom.indicators.districts.places import DISTRICT, District, read_districts
from cityloom.indicators.entries import check_period, checked_source, checked_value
from cityloom.indicators.framework import Framework
from cityloom.indicators.model import VALUE, DataPoint, Entry, Evidence, Indicator, Measured, Quality
from cityloom.indicators.reading import count_in, number_in, period_in, quality_in, unit_in, value_in
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import Clock
from cityloom.kernel.worded import Worded
from cityloom.ngsild.model import Document, prop, rel, text, value_of

#: The type of Entity that a value of a district is.
TYPE = "DistrictIndicator"
_ENTER, _VERIFY = "indicators:enter", "indicators:verify"
#: What a decision about a value rests on.
_DECIDED_ON = (VALUE, "numerator", "denominator", "calculationPeriod", "source", "evidence", "verified")

Known = Callable[[str], tuple[Framework, Indicator, DataPoint]]


class DistrictValue(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an indicator in one district."""

    #: The Entity that it stands on; it may not be there yet.
    id: str
    district: District
    value: float | bool | None = None
    #: What there is so far, where it is too little to be reported.
    provisional: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    parts_unit: str = ""
    since: datetime | None = None
    until: datetime | None = None
    rows: int | None = None
    entities: int | None = None
    coverage: float | None = None
    quality: Quality | None = None
    origin: str = ""
    #: automatic or manual; "" without a value.
    method: str = ""
    source: str = ""
    remark: str = ""
    entered_by: str = ""
    evidence: tuple[Evidence, ...] = ()
    verified: bool = False
    verified_by: str = ""
    percent_of_target: float | None = None
    because: tuple[Because, ...] = ()
    version: str = ""

    @property
    def is_reported(self) -> bool:
        return self.value is not None


class DistrictValues:
    """Values of indicators by district. `known` finds a data point by its id, or raises NotFound."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        editing: Editing,
        known: Known,
        audit: AuditLog | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._editing = editing
        self._known = known
        self._audit = audit

    def districts(self, actor: Actor) -> list[District]:
        """The districts that an actor sees, by their names."""
        return read_districts(self._broker.of_type(actor, DISTRICT))

    def of(self, actor: Actor, point_id: str) -> list[DistrictValue]:
        """What is known of a data point in each district; those without a value too. Raises NotFound."""
        self._known(point_id)
        return [self._value(actor, point_id, one) for one in self.districts(actor)]

    def entered_until(
        self, actor: Actor, point_ids: Sequence[str], districts: Sequence[District]
    ) -> dict[str, datetime]:
        """Until when the values tell that were entered for districts, by the id of their Entity."""
        found = {}
        for name in (value_id(point, one) for one in districts for point in point_ids):
            document = self._broker.find(actor, name)
            if document is None or value_of(document, "calculationMethod") != "manual":
                continue
            if (until := period_in(document)[1]) is not None:
                found[name] = until
        return found

    def history_ids(self, actor: Actor, point_id: str) -> dict[str, str]:
        """The Entities of which history tells the values: by district, those that there are."""
        every = {one.id: value_id(point_id, one) for one in self.districts(actor)}
        return {one: name for one, name in every.items() if self._broker.find(actor, name) is not None}

    def check(
        self, actor: Actor, point_id: str, district_id: str, entry: Entry
    ) -> tuple[District, float | bool]:
        """The district and the value of an entry that may be made. Raises BadInput, NotFound."""
        framework, _, point = self._known(point_id)
        district = self._district(actor, district_id)
        value = checked_value(point, entry)
        check_period(entry, self._clock.now())
        _check_alone(framework, point, value)
        return district, value

    # Commands

    async def enter(
        self,
        actor: Actor,
        point_id: str,
        district_id: str,
        entry: Entry,
        evidence: Sequence[Evidence] = (),
        *,
        version: str = "",
    ) -> DistrictValue:
        """Enter a value of a district, with evidence that is kept.

        Needs indicators:enter. Raises BadInput naming the field, NotFound, Conflict.
        """
        require(actor, _ENTER)
        framework, indicator, point = self._known(point_id)
        district, value = self.check(actor, point_id, district_id, entry)
        attributes = writing.entered(
            framework,
            point,
            checked_source(entry),
            value,
            evidence=evidence,
            by=actor.id,
            now=self._clock.now(),
        )
        await self._make(framework, indicator, point, district)
        return await self._edit(actor, point, district, attributes, version, "enter")

    async def verify(
        self, actor: Actor, point_id: str, district_id: str, *, version: str = ""
    ) -> DistrictValue:
        """Verify what stands. Needs indicators:verify, and that somebody else entered it."""
        require(actor, _VERIFY)
        _, _, point = self._known(point_id)
        district = self._district(actor, district_id)
        document = self._reported(actor, point, district)
        if value_of(document, "enteredBy") == actor.id:
            raise NotAllowed(
                Worded("Who entered a value does not verify it"),
                hint=Worded("Ask a second person with the permission indicators:verify."),
            )
        attributes = writing.verified(actor.id, self._clock.now())
        return await self._edit(
            actor, point, district, attributes, version or version_of(document, _DECIDED_ON), "verify"
        )

    async def withdraw(
        self, actor: Actor, point_id: str, district_id: str, *, version: str = ""
    ) -> DistrictValue:
        """Take an entered value back. Needs indicators:enter."""
        require(actor, _ENTER)
        _, _, point = self._known(point_id)
        district = self._district(actor, district_id)
        if value_of(self._reported(actor, point, district), "calculationMethod") != "manual":
            raise Conflict(
                Worded("This value was worked out from the city's data"),
                hint=Worded("Enter another one with its evidence if it is wrong."),
            )
        return await self._edit(actor, point, district, writing.unreported(), version, "withdraw")

    async def say(
        self, point_id: str, district: District, found: Measured, *, reported: bool, comparable: bool
    ) -> None:
        """Write what a measure found in a district. A value that a person entered stands."""
        framework, indicator, point = self._known(point_id)
        known = self._broker.find(CITY, value_id(point_id, district))
        if known is None and found.value is None:
            return
        attributes = writing.computed(
            framework, point, found, reported=reported, comparable=comparable, now=self._clock.now()
        )
        await self._make(framework, indicator, point, district)
        said = static(framework, indicator, point, district) | attributes
        decide = partial(writing.worked_out, attributes=said)
        await self._editing.edit(CITY, value_id(point_id, district), decide, trace="indicators:computed")

    async def rejudge(self, framework: Framework) -> None:
        """Hold the values of all districts against the targets that stand."""
        points = {point.id: point for _, point in framework.points()}
        for document in self._broker.of_type(CITY, TYPE):
            point = points.get(word(document, "refIndicator"))
            if point is not None and VALUE in document["attrs"]:
                decide = partial(writing.rejudged, framework, point=point)
                await self._editing.edit(CITY, document["id"], decide, trace="indicators:targets")

    async def _make(
        self, framework: Framework, indicator: Indicator, point: DataPoint, district: District
    ) -> None:
        """Make the Entity of a value; as secret as its indicator and its district are."""
        entity_id = value_id(point.id, district)
        if self._broker.find(CITY, entity_id) is not None:
            return
        attributes = writing.unreported() | static(framework, indicator, point, district)
        secrecy = max(self._broker.class_of(CITY, one) for one in (point.id, district.id))
        document: Document = {
            "id": entity_id,
            "type": [TYPE],
            "attrs": {name: [item] for name, item in attributes.items() if item is not None},
        }
        await self._broker.create(CITY, document, information_class=secrecy, trace="indicators:districts")

    async def _edit(
        self,
        actor: Actor,
        point: DataPoint,
        district: District,
        attributes: writing.Attributes,
        version: str,
        did: str,
    ) -> DistrictValue:
        entity_id = value_id(point.id, district)

        def edits(document: Document) -> writing.Attributes:
            check_version(version, document, _DECIDED_ON)
            return writing.edits(document, attributes)

        edits(self._broker.retrieve(actor, entity_id))  # what will be refused is not written down as done
        if self._audit is not None:
            await self._audit.record(actor, f"indicator.{did}", entity_id)
        await self._editing.edit(may_write(actor), entity_id, edits, trace=f"indicators:{did}")
        return self._value(actor, point.id, district)

    def _reported(self, actor: Actor, point: DataPoint, district: District) -> Document:
        document = self._broker.find(actor, value_id(point.id, district))
        if document is None or VALUE not in document["attrs"]:
            raise Conflict(Worded("There is no value"), hint=Worded("Enter one first."), where="value")
        return document

    def _district(self, actor: Actor, district_id: str) -> District:
        found = next((one for one in self.districts(actor) if one.id == district_id), None)
        if found is None:
            raise NotFound(Worded("There is no such district"), hint=Worded("Look at the list of districts."))
        return found

    def _value(self, actor: Actor, point_id: str, district: District) -> DistrictValue:
        entity_id = value_id(point_id, district)
        document = self._broker.find(actor, entity_id)
        if document is None:
            return DistrictValue(id=entity_id, district=district)
        since, until = period_in(document)
        return DistrictValue(
            id=entity_id,
            district=district,
            value=value_in(document),
            provisional=number_in(document, "provisionalValue"),
            numerator=number_in(document, "numerator"),
            denominator=number_in(document, "denominator"),
            parts_unit=unit_in(document, "numerator"),
            since=since,
            until=until,
            rows=count_in(document, "rowsUsed"),
            entities=count_in(document, "entitiesUsed"),
            coverage=number_in(document, "coverage"),
            quality=quality_in(document),
            origin=word(document, "dataOrigin"),
            method=word(document, "calculationMethod"),
            source=word(document, "source"),
            remark=word(document, "remark"),
            entered_by=word(document, "enteredBy"),
            evidence=items(document, "evidence", Evidence),
            verified=truth(document, "verified") is True,
            verified_by=word(document, "verifiedBy"),
            percent_of_target=number_in(document, "percentOfTarget"),
            because=items(document, "because", Because),
            version=version_of(document, _DECIDED_ON),
        )


def value_id(point_id: str, district: District) -> str:
    """The id of the Entity of a value of a district."""
    return point_id.replace(":KeyPerformanceIndicator:", f":{TYPE}:", 1) + f":{district.key}"


def static(
    framework: Framework, indicator: Indicator, point: DataPoint, district: District
) -> writing.Attributes:
    """What does not change with the value: whose it is, and where."""
    any_name = next(iter(district.name.values()))
    names = {
        language: f"{name}: {district.name.get(language, any_name)}"
        for language, name in writing.full_name(indicator, point).items()
    }
    return {
        "name": text(**names),
        "framework": prop(framework.id),
        "code": prop(point.code),
        "dataPoint": prop(point.key) if point.key else None,
        "unit": prop(point.unit) if point.unit else None,
        "refIndicator": rel(point.id),
        "refDistrict": rel(district.id),
    }


def _check_alone(framework: Framework, point: DataPoint, value: float | bool) -> None:
    """Refuse what cannot be by itself; how values go together is looked at for the whole city."""
    for finding in findings(framework, {(point.code, point.key): value}):
        if finding.check.severity == "error":
            raise BadInput(
                finding.check.message.get("en", finding.check.id),
                hint=Worded("Check the number and its unit."),
                where="value",
            )
