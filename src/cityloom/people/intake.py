"""Taking a report in: every field checked, the photo cleaned, its author kept apart from it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from cityloom.access.authority import may_write, require
from cityloom.access.credentials import new_id, new_spoken_secret
from cityloom.access.throttle import Allowance, network_of
from cityloom.context.broker import Broker
from cityloom.context.reading import language_property
from cityloom.kernel.actor import Actor, InformationClass
from cityloom.kernel.errors import CityError
from cityloom.kernel.texts import check_line
from cityloom.kernel.time import Clock, format_instant
from cityloom.ngsild.model import Document, Instance, entity, json_value, point, prop
from cityloom.people.photo import clean_photo
from cityloom.people.ports import PhotoStore, Reporter, ReporterStore
from cityloom.people.report import (
    LONGEST_DESCRIPTION,
    REPORTER,
    TYPE,
    NewReport,
    Status,
    Step,
    check_category,
    check_channel,
    check_email,
    check_location,
    check_phone,
    check_words,
    code_digest,
)

#: Reports from one network in ten minutes, and from everywhere.
FROM_ONE = 10
FROM_ALL = 300
_WINDOW = 600.0
_STAFF = "reports:answer"


class Receipt(msgspec.Struct, frozen=True):
    """What the author gets at once. The code is shown this once; it opens the report to who has it."""

    report_id: str
    code: str
    received_at: datetime

    def __repr__(self) -> str:
        return f"Receipt(report_id={self.report_id!r})"


class Limits:
    """How many reports come in from one network, and from everywhere."""

    def __init__(self, from_one: Allowance | None = None, from_all: Allowance | None = None) -> None:
        self._from_one = from_one or Allowance(FROM_ONE, _WINDOW)
        self._from_all = from_all or Allowance(FROM_ALL, _WINDOW)

    def take(self, address: str) -> None:
        """Raises TooManyAttempts."""
        self._from_one.take(network_of(address), what="reports")
        self._from_all.take("everywhere", what="reports")


class Intake:
    """Turns what somebody sends in into a report."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        reporters: ReporterStore,
        photos: PhotoStore,
        bounds: tuple[float, ...],
        categories: tuple[str, ...],
        limits: Limits,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._reporters = reporters
        self._photos = photos
        self._bounds = bounds
        self._categories = categories
        self._limits = limits

    async def submit(self, actor: Actor, report: NewReport, *, address: str = "") -> Receipt:
        """Take a report in from anybody; by telephone or on paper from staff (needs reports:answer).

        Raises BadInput naming the field, TooManyAttempts when too many come from one address.
        """
        by_staff = check_channel(report.channel) != "web"
        if by_staff:
            require(actor, _STAFF)
        attributes = self._attributes(report)
        email, phone = check_email(report.email), check_phone(report.phone)
        if not by_staff:
            self._limits.take(address)
        report_id = new_id(f"urn:ngsi-ld:{TYPE}:")
        if report.photo is not None:
            attributes["photo"] = prop(await self._keep_photo(report_id, report.photo))
            attributes["photoIsPublic"] = prop(False)
        now, code = self._clock.now(), new_spoken_secret(5)
        reporter = Reporter(
            report_id=report_id,
            follow_digest=code_digest(code),
            language=report.language,
            submitted_at=now,
            account_id=actor.id if actor.may("password:change") and not by_staff else "",
            email=email,
            phone=phone,
        )
        writer = actor if by_staff else REPORTER
        attributes |= {
            "status": prop(Status.RECEIVED.value),
            "dateIssued": prop(format_instant(now)),
            "channel": prop(report.channel),
            "dataOrigin": prop("entered"),
            "history": json_value([msgspec.to_builtins(Step(format_instant(now), writer.id, "received"))]),
        }
        await self._keep(writer, reporter, entity(TYPE, report_id, attributes))
        return Receipt(report_id, code, now)

    async def _keep(self, writer: Actor, reporter: Reporter, document: Document) -> None:
        await asyncio.to_thread(self._reporters.add, reporter)
        try:
            await self._broker.create(
                may_write(writer, classify=True),
                document,
                information_class=InformationClass.INTERNAL,
                trace="people:report",
            )
        except CityError:
            await asyncio.to_thread(self._reporters.delete, reporter.report_id)
            raise

    async def _keep_photo(self, report_id: str, data: bytes) -> str:
        photo = await asyncio.to_thread(clean_photo, data)
        return await asyncio.to_thread(self._photos.put, photo.data, photo.extension, of=report_id)

    def _attributes(self, report: NewReport) -> dict[str, Instance]:
        tag, said = check_words(
            report.description, report.language, where="description", longest=LONGEST_DESCRIPTION
        )
        place = check_line(report.place_name, where="placeName", longest=200, optional=True)
        attributes = {
            "category": prop(check_category(report.category, self._categories)),
            "description": language_property({tag: said}),
            "location": point(*check_location(report.location, self._bounds)),
        }
        return attributes | ({"placeName": prop(place)} if place else {})
