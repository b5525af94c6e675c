from __future__ import annotations

import asyncio
from datetime import timedelta
from zlib import compress, crc32

import msgspec
import orjson
import pytest

from cityloom.access.audit import AuditLog
from cityloom.access.errors import NotSignedIn, TooManyAttempts
from cityloom.access.throttle import Allowance
from cityloom.adapters.memory.accounts import MemoryAuditStore
from cityloom.adapters.memory.reporters import MemoryPhotoStore, MemoryReporterStore
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound, NotReady
from cityloom.ngsild.model import value_of
from cityloom.operations.alerts import AlertQuery, Alerts, Occasion
from cityloom.people.intake import Limits
from cityloom.people.report import NewReport
from cityloom.people.reports import ReportQuery, Reports

OPEN, INTERNAL, SECURITY = InformationClass


def a_png(*chunks: tuple[bytes, bytes]) -> bytes:
    coded = (
        len(content).to_bytes(4, "big") + kind + content + crc32(kind + content).to_bytes(4, "big")
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded)


HEADER = (b"IHDR", bytes.fromhex("00000001000000010802000000"))
PIXEL = (b"IDAT", compress(b"\0\xff\0\0"))
PNG = a_png(HEADER, PIXEL, (b"IEND", b""))

HOLE = NewReport(
    category="road",
    description="A hole as deep\nas my arm",
    location=(10.2, 56.15),
    place_name="Elm Street 4",
    email="anna@example.org",
    phone="+45 12 34 56 78",
)


def a_hole(**changes) -> NewReport:
    return msgspec.structs.replace(HOLE, **changes)


class Desk:
    """The reports' room with what it keeps in reach of a test."""

    def __init__(self, city) -> None:
        self.city = city
        self.reporters = MemoryReporterStore()
        self.photos = MemoryPhotoStore()
        self.audit = AuditLog(MemoryAuditStore())
        self.operator = city.person("operator")
        self.reports = self.open()

    def open(self, **options) -> Reports:
        options = {"bounds": (10.0, 56.0, 10.4, 56.3), **options}
        return Reports(self.city.broker, self.city.clock, self.reporters, self.photos, self.audit, **options)

    async def report(self, **changes):
        """A report that came in, as staff see it, and its code."""
        reports = self.open()
        receipt = await reports.submit(ANONYMOUS, a_hole(**changes))
        return reports.get(self.operator, receipt.report_id), receipt.code


@pytest.fixture
def desk(living_city) -> Desk:
    return Desk(living_city)


# -- taking in


async def test_submit_makes_an_internal_report_and_a_code_for_its_author(living_city, desk):
    receipt = await desk.reports.submit(ANONYMOUS, HOLE)
    report = desk.reports.get(desk.operator, receipt.report_id)
    assert (report.status, report.category, report.channel) == ("received", "road", "web")
    assert dict(report.description) == {"en": "A hole as deep\nas my arm"}
    assert report.location == {"type": "Point", "coordinates": [10.2, 56.15]}
    assert report.place_name == "Elm Street 4"
    assert report.received_at == receipt.received_at == living_city.clock.now()
    assert [(step.by, step.did) for step in report.history] == [("reporter", "received")]
    assert not desk.reports.is_public(desk.operator, report.id)
    with pytest.raises(NotFound):
        desk.reports.get(ANONYMOUS, report.id)
    followed = await desk.reports.following.by_code(receipt.code)
    assert followed.report == report


async def test_submit_keeps_contact_and_code_out_of_every_entity(living_city, desk):
    seen = []

    async def watch(changes):
        seen.extend(changes)

    living_city.broker.follow("watch", watch, durable=False)
    citizen = living_city.person("citizen", name="anna")
    receipt = await desk.reports.submit(citizen, HOLE)
    await living_city.broker.caught_up()
    written = b"".join(change.document for change in seen) + b"".join(change.by.encode() for change in seen)
    for secret in ("anna", "example.org", "12 34 56", receipt.code, citizen.id):
        assert secret.encode() not in written
    assert receipt.code not in repr(desk.reporters.of_report(receipt.report_id))
    assert receipt.code not in repr(receipt)


async def test_codes_differ_and_are_read_however_they_are_typed(desk):
    first = await desk.reports.submit(ANONYMOUS, HOLE)
    second = await desk.reports.submit(ANONYMOUS, HOLE)
    assert first.code != second.code
    typed = f"  {first.code.upper().replace('-', ' ')} "
    assert (await desk.reports.following.by_code(typed)).reporter.report_id == first.report_id


@pytest.mark.parametrize("code", ["", "-", "aaaaa-bbbbb-ccccc-ddddd-eeeee", "x" * 10_000, "\ud800"])
async def test_a_code_that_never_was_opens_nothing(desk, code):
    await desk.reports.submit(ANONYMOUS, HOLE)
    with pytest.raises(NotFound, match="receipt"):
        await desk.reports.following.by_code(code)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"category": "weather"}, "category"),
        ({"description": ""}, "description"),
        ({"description": "x" * 2001}, "description"),
        ({"description": "a\x00b"}, "description"),
        ({"language": "english!"}, "description"),
        ({"location": (9.9, 56.15)}, "location"),
        ({"location": (10.2, 57.0)}, "location"),
        ({"location": (float("nan"), 56.15)}, "location"),
        ({"location": (200.0, 56.15)}, "location"),
        ({"place_name": "a\nb"}, "placeName"),
        ({"email": "anna"}, "email"),
        ({"email": "anna@example.org\nBcc: all@example.org"}, "email"),
        ({"email": "anna@@example.org"}, "email"),
        ({"phone": "call me"}, "phone"),
        ({"photo": b"GIF89a"}, "photo"),
        ({"channel": "pigeon"}, "channel"),
    ],
)
async def test_submit_refuses_what_is_wrong_and_names_the_field(desk, changes, where):
    with pytest.raises(BadInput) as caught:
        await desk.reports.submit(ANONYMOUS, a_hole(**changes))
    assert caught.value.where == where
    assert caught.value.hint
    assert desk.reports.list(desk.operator).total == 0
    assert desk.reporters.with_contact() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "", "phone": "", "place_name": ""},
        {"email": "a.b+c@sub.example.co.uk"},
        {"phone": "(0045) 12.34.56-78"},
        {"description": "ø" * 2000},
        {"location": (10.0, 56.0)},
    ],
)
async def test_submit_takes_what_is_unusual_and_right(desk, changes):
    assert await desk.reports.submit(ANONYMOUS, a_hole(**changes))


async def test_submit_takes_any_place_in_a_city_without_bounds(desk):
    assert await desk.open(bounds=()).submit(ANONYMOUS, a_hole(location=(-70.0, -33.0)))


async def test_submit_is_limited_by_address_and_in_all(desk):
    reports = desk.open()
    for _ in range(10):
        await reports.submit(ANONYMOUS, HOLE, address="192.0.2.1")
    with pytest.raises(TooManyAttempts) as caught:
        await reports.submit(ANONYMOUS, HOLE, address="192.0.2.1")
    assert caught.value.retry_after > 0
    await reports.submit(ANONYMOUS, HOLE, address="192.0.2.2")
    reports = desk.open(limits=Limits(from_all=Allowance(3, 600)))
    for number in range(3):
        await reports.submit(ANONYMOUS, HOLE, address=f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts):
        await reports.submit(ANONYMOUS, HOLE, address="192.0.2.9")


async def test_submit_of_a_wrong_report_costs_nothing_of_the_allowance(desk):
    reports = desk.open()
    for _ in range(20):
        with pytest.raises(BadInput):
            await reports.submit(ANONYMOUS, a_hole(description=""), address="192.0.2.1")
    assert await reports.submit(ANONYMOUS, HOLE, address="192.0.2.1")


async def test_submit_by_telephone_is_for_staff_and_not_limited(desk):
    reports = desk.open()
    with pytest.raises(NotSignedIn):
        await reports.submit(ANONYMOUS, a_hole(channel="phone"))
    for _ in range(15):
        receipt = await reports.submit(desk.operator, a_hole(channel="phone"), address="192.0.2.1")
    report = reports.get(desk.operator, receipt.report_id)
    assert report.channel == "phone"
    assert [(step.by, step.did) for step in report.history] == [("person:operator", "received")]
    assert await reports.following.by_account(desk.operator) == []
    assert (await reports.following.by_code(receipt.code)).report == report


async def test_submit_leaves_no_reporter_behind_when_the_report_could_not_be_stored(desk, monkeypatch):
    async def full(*args, **kwargs):
        raise NotReady("The disk is full", hint="")

    monkeypatch.setattr(desk.city.broker, "create", full)
    with pytest.raises(NotReady):
        await desk.reports.submit(ANONYMOUS, HOLE)
    assert desk.reporters.with_contact() == []


async def test_photo_is_cleaned_and_kept_for_who_may_see_it(desk):
    report, _ = await desk.report(photo=a_png(HEADER, (b"tEXt", b"Author\0Anna"), PIXEL, (b"IEND", b"")))
    assert await desk.reports.photo(desk.operator, report.id) == (PNG, "image/png")
    with pytest.raises(NotFound):
        await desk.reports.photo(ANONYMOUS, report.id)
    without, _ = await desk.report()
    with pytest.raises(NotFound):
        await desk.reports.photo(desk.operator, without.id)


# -- handling


async def test_answer_reaches_the_author(living_city, desk):
    report, code = await desk.report()
    living_city.clock.pass_by(hours=2)
    answered = await desk.reports.answer(
        desk.operator, report.id, "Vi kommer i morgen", language="da", version=report.version
    )
    assert answered.status == "answered"
    followed = await desk.reports.following.by_code(code)
    (answer,) = followed.report.answers
    assert (answer.text, answer.language, answer.at) == ("Vi kommer i morgen", "da", "2026-04-12T14:00:00Z")


async def test_close_needs_a_public_reason_and_keeps_it_among_the_answers(living_city, desk):
    report, _ = await desk.report()
    with pytest.raises(BadInput) as caught:
        await desk.reports.close(desk.operator, report.id, " ", fixed=True)
    assert caught.value.where == "why"
    closed = await desk.reports.close(desk.operator, report.id, "Filled", fixed=True, version=report.version)
    assert (closed.status, closed.fixed_by_body, closed.fixed_by_reporter) == ("closed", True, None)
    assert dict(closed.closed_because) == {"en": "Filled"}
    assert closed.closed_at == living_city.clock.now()
    assert [answer.text for answer in closed.answers] == ["Filled"]
    with pytest.raises(Conflict, match="closed already"):
        await desk.reports.close(desk.operator, report.id, "Again", fixed=True)
    later = await desk.reports.answer(desk.operator, report.id, "One more thing")
    assert later.status == "closed"


async def test_author_confirms_or_opens_again_and_both_voices_are_kept_apart(desk):
    report, code = await desk.report()
    await desk.reports.close(desk.operator, report.id, "Filled", fixed=True)
    following = desk.reports.following
    confirmed = await following.confirm(await following.by_code(code))
    assert (confirmed.report.fixed_by_body, confirmed.report.fixed_by_reporter) == (True, True)
    again = await following.reopen(confirmed, "It broke again", language="en")
    assert (again.report.status, again.report.fixed_by_body) == ("reopened", None)
    assert again.report.fixed_by_reporter is False
    assert again.report.closed_at is None
    assert dict(again.report.closed_because) == {}
    assert [answer.text for answer in again.report.answers] == ["Filled"]
    assert [reply.text for reply in again.replies] == ["It broke again"]
    assert [step.did for step in again.report.history] == ["received", "closed", "confirmed", "reopened"]
    with pytest.raises(Conflict, match="not closed"):
        await following.reopen(again, "And again")
    assert len((await following.by_code(code)).replies) == 1


async def test_author_s_replies_are_never_open_even_when_the_report_is(living_city, desk):
    report, code = await desk.report()
    await desk.reports.publish(desk.operator, report.id, with_photo=False)
    following = desk.reports.following
    followed = await following.by_code(code)
    assert followed.is_public
    followed = await following.reply(followed, "My neighbour Bo did it")
    assert [reply.text for reply in followed.replies] == ["My neighbour Bo did it"]
    assert [reply.text for reply in following.replies_to(desk.operator, report.id)] == [
        "My neighbour Bo did it"
    ]
    assert following.replies_to(ANONYMOUS, report.id) == []
    assert living_city.broker.types(ANONYMOUS) == {"CitizenReport": 1}


async def test_author_s_messages_are_limited(desk):
    _, code = await desk.report()
    following = desk.reports.following
    followed = await following.by_code(code)
    for _ in range(10):
        await following.reply(followed, "Hello?")
    with pytest.raises(TooManyAttempts):
        await following.reply(followed, "Hello?")


async def test_author_with_an_account_finds_the_reports_again(living_city, desk):
    anna, bo = living_city.person("citizen", name="anna"), living_city.person("citizen", name="bo")
    first = await desk.reports.submit(anna, HOLE)
    living_city.clock.pass_by(minutes=1)
    second = await desk.reports.submit(anna, HOLE)
    await desk.reports.submit(bo, HOLE)
    await desk.reports.submit(ANONYMOUS, HOLE)
    own = await desk.reports.following.by_account(anna)
    assert [one.report.id for one in own] == [second.report_id, first.report_id]
    assert await desk.reports.following.by_account(ANONYMOUS) == []


async def test_author_learns_nothing_of_a_report_that_became_a_matter_of_security(living_city, desk):
    report, code = await desk.report()
    following = desk.reports.following
    before = await following.by_code(code)
    await living_city.broker.classify(CITY, report.id, SECURITY)
    followed = await following.by_code(code)
    assert followed.report is None
    for act in (following.reply(before, "x"), following.reopen(before, "x"), following.confirm(before)):
        with pytest.raises((Conflict, NotFound)):
            await act
    with pytest.raises(Conflict):
        await following.reply(followed, "x")
    with pytest.raises(NotFound):
        desk.reports.get(desk.operator, report.id)


async def test_staff_take_a_closing_back_sort_and_link(desk):
    report, _ = await desk.report()
    other, _ = await desk.report()
    await desk.reports.close(desk.operator, report.id, "Filled", fixed=False)
    reopened = await desk.reports.reopen(desk.operator, report.id)
    assert (reopened.status, reopened.fixed_by_body, reopened.fixed_by_reporter) == ("reopened", None, None)
    assert (await desk.reports.sort(desk.operator, report.id, "water")).category == "water"
    with pytest.raises(BadInput):
        await desk.reports.sort(desk.operator, report.id, "weather")
    linked = await desk.reports.mark_duplicate(desk.operator, other.id, report.id)
    assert linked.duplicate_of == report.id
    for wrong_of, wrong_id in ((other.id, other.id), (other.id, report.id)):
        with pytest.raises(BadInput):
            await desk.reports.mark_duplicate(desk.operator, wrong_id, wrong_of)
    assert (await desk.reports.mark_duplicate(desk.operator, other.id, "")).duplicate_of == ""


async def test_link_does_not_point_at_what_is_secret(living_city, desk):
    guard = living_city.person("operator", "security_operator")
    report, _ = await desk.report()
    secret, _ = await desk.report()
    await living_city.broker.classify(CITY, secret.id, SECURITY)
    with pytest.raises(BadInput):
        await desk.reports.mark_duplicate(guard, report.id, secret.id)
    with pytest.raises(NotFound):
        await desk.reports.mark_duplicate(desk.operator, report.id, secret.id)


async def test_publish_opens_report_and_answers_and_the_photo_when_it_is_wished(desk):
    report, _ = await desk.report(photo=PNG)
    await desk.reports.answer(desk.operator, report.id, "Tomorrow")
    published = await desk.reports.publish(desk.operator, report.id, with_photo=False)
    seen = desk.reports.get(ANONYMOUS, report.id)
    assert seen == published
    assert [answer.text for answer in seen.answers] == ["Tomorrow"]
    with pytest.raises(NotFound):
        await desk.reports.photo(ANONYMOUS, report.id)
    assert await desk.reports.photo(desk.operator, report.id) == (PNG, "image/png")
    await desk.reports.publish(desk.operator, report.id, with_photo=True)
    assert await desk.reports.photo(ANONYMOUS, report.id) == (PNG, "image/png")
    await desk.reports.unpublish(desk.operator, report.id)
    with pytest.raises(NotFound):
        desk.reports.get(ANONYMOUS, report.id)
    with pytest.raises(NotFound):
        await desk.reports.photo(ANONYMOUS, report.id)
    with pytest.raises(Conflict, match="not published"):
        await desk.reports.unpublish(desk.operator, report.id)
    told = [step.did for step in desk.reports.get(desk.operator, report.id).history]
    assert told == ["received", "answered", "published", "published", "unpublished"]


async def test_publish_is_refused_for_a_matter_of_security(living_city, desk):
    guard = living_city.person("operator", "security_operator")
    report, _ = await desk.report()
    await living_city.broker.classify(CITY, report.id, SECURITY)
    with pytest.raises(Conflict, match="security class"):
        await desk.reports.publish(guard, report.id, with_photo=False)
    assert desk.reports.list(ANONYMOUS).total == 0


@pytest.mark.parametrize(
    "act", ["answer", "close", "reopen", "sort", "duplicate", "publish", "unpublish", "contact"]
)
async def test_handling_needs_the_permission(living_city, desk, act):
    report, _ = await desk.report()
    report = await desk.reports.publish(desk.operator, report.id, with_photo=False)
    reports = desk.reports
    acts = {
        "answer": lambda who: reports.answer(who, report.id, "words"),
        "close": lambda who: reports.close(who, report.id, "why", fixed=True),
        "reopen": lambda who: reports.reopen(who, report.id),
        "sort": lambda who: reports.sort(who, report.id, "water"),
        "duplicate": lambda who: reports.mark_duplicate(who, report.id, ""),
        "publish": lambda who: reports.publish(who, report.id, with_photo=True),
        "unpublish": lambda who: reports.unpublish(who, report.id),
        "contact": lambda who: reports.contact(who, report.id),
    }
    for who in (ANONYMOUS, *(living_city.person(role) for role in ("citizen", "engineer", "planner"))):
        with pytest.raises(NotAllowed):
            await acts[act](who)
    assert reports.get(ANONYMOUS, report.id) == report


async def test_handling_on_a_stale_view_is_refused(desk):
    report, code = await desk.report()
    await desk.reports.close(desk.operator, report.id, "Filled", fixed=True)
    seen = desk.reports.get(desk.operator, report.id)
    following = desk.reports.following
    await following.reopen(await following.by_code(code), "No")
    for act in (
        desk.reports.answer(desk.operator, report.id, "words", version=seen.version),
        desk.reports.close(desk.operator, report.id, "why", fixed=True, version=seen.version),
        desk.reports.publish(desk.operator, report.id, with_photo=False, version=seen.version),
    ):
        with pytest.raises(Conflict, match="meanwhile"):
            await act
    assert desk.reports.get(desk.operator, report.id).status == "reopened"
    assert not desk.reports.is_public(desk.operator, report.id)


async def test_answers_given_at_once_are_all_kept(desk):
    report, _ = await desk.report()
    await asyncio.gather(*(desk.reports.answer(desk.operator, report.id, f"{n}") for n in range(20)))
    assert len(desk.reports.get(desk.operator, report.id).answers) == 20


async def test_answers_are_bounded(desk):
    report, _ = await desk.report()
    for number in range(100):
        await desk.reports.answer(desk.operator, report.id, str(number))
    with pytest.raises(Conflict, match="100"):
        await desk.reports.answer(desk.operator, report.id, "One more")


async def test_contact_is_shown_to_staff_and_the_look_is_written_down(living_city, desk):
    report, _ = await desk.report()
    contact = await desk.reports.contact(desk.operator, report.id)
    assert (contact.email, contact.phone, contact.language) == ("anna@example.org", "+45 12 34 56 78", "en")
    auditor = living_city.person("auditor")
    (entry,) = await desk.audit.read(auditor)
    assert (entry.action, entry.subject, entry.actor_id) == ("report.contact", report.id, "person:operator")
    assert "example.org" not in orjson.dumps(entry.detail).decode()
    await living_city.broker.classify(CITY, report.id, SECURITY)
    with pytest.raises(NotFound):
        await desk.reports.contact(desk.operator, report.id)


async def test_contact_is_forgotten_on_wish_and_after_a_time(living_city, desk):
    first, code = await desk.report()
    second, _ = await desk.report()
    third, _ = await desk.report()
    following = desk.reports.following
    await following.forget_contact(await following.by_code(code))
    assert (await desk.reports.contact(desk.operator, first.id)).email == ""
    await desk.reports.close(desk.operator, second.id, "Filled", fixed=True)
    closed_at = living_city.clock.now()
    assert await desk.reports.forget_contacts(closed_at) == 0
    assert await desk.reports.forget_contacts(closed_at + timedelta(seconds=1)) == 1
    assert desk.reporters.with_contact() == [third.id]
    await living_city.broker.delete(CITY, third.id)
    assert await desk.reports.forget_contacts(closed_at) == 1
    assert desk.reporters.with_contact() == []


# -- asking


async def test_list_shows_what_waits_for_the_city_first_and_the_newest(living_city, desk):
    ids = []
    for number in range(4):
        report, _ = await desk.report(category=("road", "water")[number % 2])
        ids.append(report.id)
        living_city.clock.pass_by(minutes=1)
    await desk.reports.answer(desk.operator, ids[3], "Tomorrow")
    await desk.reports.close(desk.operator, ids[0], "Filled", fixed=True)
    page = desk.reports.list(desk.operator)
    assert [report.id for report in page.reports] == [ids[2], ids[1], ids[3], ids[0]]
    assert page.total == 4

    def chosen(**conditions) -> list[int]:
        return [
            ids.index(one.id) for one in desk.reports.list(desk.operator, ReportQuery(**conditions)).reports
        ]

    assert chosen(categories=frozenset({"water"})) == [1, 3]
    assert chosen(statuses=frozenset({"closed", "answered"})) == [3, 0]
    assert chosen(within=(10.1, 56.1, 10.3, 56.2)) == [2, 1, 3, 0]
    assert chosen(within=(10.3, 56.1, 10.4, 56.2)) == []
    assert chosen(limit=1, offset=1) == [1]
    assert desk.reports.counts(desk.operator) == {"received": 2, "answered": 1, "closed": 1, "reopened": 0}
    assert desk.reports.list(ANONYMOUS).total == 0
    assert sum(desk.reports.counts(ANONYMOUS).values()) == 0


async def test_nearby_suggests_the_same_kind_close_by_closed_ones_too(desk):
    here, _ = await desk.report(location=(10.2, 56.15))
    near, _ = await desk.report(location=(10.201, 56.15))
    await desk.report(location=(10.21, 56.15))
    await desk.report(location=(10.2, 56.15), category="water")
    await desk.reports.close(desk.operator, near.id, "Filled", fixed=True)
    found = desk.reports.nearby(desk.operator, "road", (10.2, 56.15))
    assert [one.report.id for one in found] == [here.id, near.id]
    assert found[0].metres == 0
    assert 60 < found[1].metres < 64
    assert desk.reports.nearby(ANONYMOUS, "road", (10.2, 56.15)) == []
    await desk.reports.publish(desk.operator, near.id, with_photo=False)
    assert [one.report.id for one in desk.reports.nearby(ANONYMOUS, "road", (10.2, 56.15))] == [near.id]


async def test_alert_can_be_raised_on_a_report(living_city, desk):
    report, _ = await desk.report()
    alerts = Alerts(living_city.broker, living_city.clock)
    occasion = Occasion(
        key=report.id, category="road", severity="medium", description={"en": "Hole"}, about=(report.id,)
    )
    alert = await alerts.raise_(desk.operator, occasion)
    longitude, latitude = report.location["coordinates"]
    here = AlertQuery(within=(longitude - 0.01, latitude - 0.01, longitude + 0.01, latitude + 0.01))
    assert [one.id for one in alerts.list(desk.operator, here).alerts] == [alert.id]
    assert living_city.broker.referrers(desk.operator, report.id) == [alert.id]


async def test_an_entity_that_is_no_report_is_not_handled(living_city, desk):
    light = await living_city.streetlight(1)
    for act in (
        desk.reports.answer(desk.operator, light, "words"),
        desk.reports.close(desk.operator, light, "why", fixed=True),
        desk.reports.publish(desk.operator, light, with_photo=False),
        desk.reports.contact(desk.operator, light),
        desk.reports.photo(desk.operator, light),
    ):
        with pytest.raises((NotFound, Conflict)):
            await act
    assert value_of(living_city.broker.retrieve(CITY, light), "status") is None
