from __future__ import annotations

import asyncio

import msgspec
import pytest

from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import entity, prop, value_of
from cityloom.people.notices import Message, Notices

OPEN, INTERNAL, SECURITY = InformationClass

CLOSED = Message(
    title={"en": "Elm Street closed", "da": "Elmegade spærret"},
    body={"en": "A pipe burst."},
    severity="medium",
    place_name="Elm Street 4–18",
    location={"type": "Point", "coordinates": [10.2, 56.15]},
    scope=("/north",),
)


def a_message(**changes) -> Message:
    return msgspec.structs.replace(CLOSED, **changes)


@pytest.fixture
def notices(living_city) -> Notices:
    return Notices(living_city.broker, living_city.clock)


@pytest.fixture
def operator(living_city):
    return living_city.person("operator")


async def test_draft_is_internal_and_says_what_was_written(living_city, notices, operator):
    draft = await notices.draft(operator, CLOSED)
    assert draft == notices.get(operator, draft.id)
    assert draft.status == "draft"
    assert dict(draft.title) == CLOSED.title
    assert (draft.severity, draft.place_name) == ("medium", "Elm Street 4–18")
    assert draft.document["scope"] == ["/north"]
    assert living_city.broker.class_of(operator, draft.id) is INTERNAL
    assert notices.list(ANONYMOUS) == []
    with pytest.raises(NotFound):
        notices.get(ANONYMOUS, draft.id)


async def test_publish_opens_the_notice_to_everybody_under_an_id_of_its_own(living_city, notices, operator):
    draft = await notices.draft(operator, CLOSED)
    living_city.clock.pass_by(minutes=5)
    published = await notices.publish(operator, draft.id, version=draft.version)
    assert published.id != draft.id
    assert published == notices.get(ANONYMOUS, published.id)
    assert (published.status, published.published_at) == ("published", living_city.clock.now())
    assert (dict(published.title), dict(published.body)) == (CLOSED.title, CLOSED.body)
    assert published.location == CLOSED.location
    assert published.document["scope"] == ["/north"]
    assert living_city.broker.class_of(ANONYMOUS, published.id) is OPEN
    assert living_city.broker.find(CITY, draft.id) is None


async def test_publish_leaves_behind_what_was_struck_out_of_the_draft(living_city, notices, operator):
    seen = []

    async def watch(changes):
        seen.extend(change for change in changes if change.information_class is OPEN)

    living_city.broker.follow("open", watch, durable=False)
    draft = await notices.draft(operator, a_message(title={"en": "The mayor's secret"}))
    await notices.edit(operator, draft.id, CLOSED)
    await notices.publish(operator, draft.id)
    await living_city.broker.caught_up()
    assert len(seen) == 1
    assert all(b"secret" not in change.document for change in seen)
    assert all(draft.id.encode() not in change.document for change in seen)


async def test_publish_takes_nothing_along_that_somebody_else_wrote_onto_the_draft(
    living_city, notices, operator
):
    draft = await notices.draft(operator, CLOSED)
    remark = {"remark": prop("ask the mayor first"), "status": prop("draft")}
    await living_city.broker.append(CITY, draft.id, entity("Notice", draft.id, remark))
    published = await notices.publish(operator, draft.id)
    assert value_of(published.document, "remark") is None


async def test_id_of_a_draft_leads_to_what_was_published_of_it(notices, operator):
    draft = await notices.draft(operator, CLOSED)
    published = await notices.publish(operator, draft.id)
    assert notices.get(operator, draft.id) == published
    assert notices.get(ANONYMOUS, draft.id) == published


async def test_publish_at_once_by_two_makes_one_notice(notices, operator):
    draft = await notices.draft(operator, CLOSED)
    outcomes = await asyncio.gather(
        notices.publish(operator, draft.id), notices.publish(operator, draft.id), return_exceptions=True
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    assert len(notices.list(ANONYMOUS)) == 1


async def test_publish_finishes_what_a_crash_interrupted(living_city, notices, operator):
    draft = await notices.draft(operator, CLOSED)
    published = await notices.publish(operator, draft.id)
    left_over = entity("Notice", draft.id, {"status": prop("draft"), "title": prop("x")})
    await living_city.broker.create(CITY, left_over, information_class=INTERNAL)
    assert [notice.id for notice in notices.list(operator)] == [published.id]
    again = await notices.publish(operator, draft.id)
    assert again.id == published.id
    assert living_city.broker.find(CITY, draft.id) is None


async def test_edit_corrects_a_draft_and_a_published_notice_in_place(notices, operator):
    draft = await notices.draft(operator, CLOSED)
    edited = await notices.edit(
        operator, draft.id, a_message(place_name="", location=None), version=draft.version
    )
    assert (edited.place_name, edited.location) == ("", None)
    published = await notices.publish(operator, draft.id, version=edited.version)
    corrected = await notices.edit(operator, published.id, CLOSED, version=published.version)
    assert corrected.id == published.id
    assert notices.get(ANONYMOUS, published.id).place_name == "Elm Street 4–18"


async def test_withdraw_keeps_the_notice_to_be_read_with_the_reason(living_city, notices, operator):
    published = await notices.publish(operator, (await notices.draft(operator, CLOSED)).id)
    living_city.clock.pass_by(hours=1)
    await notices.withdraw(operator, published.id, {"da": "Åben igen"}, version=published.version)
    withdrawn = notices.get(ANONYMOUS, published.id)
    assert (withdrawn.status, dict(withdrawn.withdrawn_because)) == ("withdrawn", {"da": "Åben igen"})
    assert withdrawn.withdrawn_at == living_city.clock.now()
    assert notices.current(ANONYMOUS) == []
    assert len(notices.list(ANONYMOUS)) == 1


async def test_steps_that_make_no_sense_are_refused(notices, operator):
    draft = await notices.draft(operator, CLOSED)
    with pytest.raises(Conflict, match="Only a published"):
        await notices.withdraw(operator, draft.id, {"en": "why"})
    published = await notices.publish(operator, draft.id)
    with pytest.raises(Conflict, match="no draft"):
        await notices.publish(operator, published.id)
    with pytest.raises(Conflict, match="no draft"):
        await notices.discard(operator, published.id)
    with pytest.raises(BadInput):
        await notices.withdraw(operator, published.id, {"en": " "})
    await notices.withdraw(operator, published.id, {"en": "why"})
    with pytest.raises(Conflict, match="Only a published"):
        await notices.withdraw(operator, published.id, {"en": "why"})
    with pytest.raises(Conflict, match="withdrawn notice stays"):
        await notices.edit(operator, published.id, CLOSED)


async def test_a_stale_view_is_refused(notices, operator):
    draft = await notices.draft(operator, CLOSED)
    await notices.edit(operator, draft.id, a_message(severity="high"))
    with pytest.raises(Conflict, match="meanwhile"):
        await notices.edit(operator, draft.id, CLOSED, version=draft.version)
    with pytest.raises(Conflict, match="meanwhile"):
        await notices.publish(operator, draft.id, version=draft.version)
    published = await notices.publish(operator, draft.id)
    await notices.edit(operator, published.id, CLOSED)
    with pytest.raises(Conflict, match="meanwhile"):
        await notices.withdraw(operator, published.id, {"en": "why"}, version=published.version)
    assert notices.get(ANONYMOUS, published.id).status == "published"


async def test_discard_throws_a_draft_away(notices, operator):
    draft = await notices.draft(operator, CLOSED)
    await notices.discard(operator, draft.id)
    assert notices.list(operator) == []
    with pytest.raises(NotFound):
        notices.get(operator, draft.id)


@pytest.mark.parametrize("act", ["draft", "edit", "publish", "withdraw", "discard"])
async def test_writing_needs_the_permission(living_city, notices, operator, act):
    draft = await notices.draft(operator, CLOSED)
    published = await notices.publish(operator, (await notices.draft(operator, CLOSED)).id)
    acts = {
        "draft": lambda who: notices.draft(who, CLOSED),
        "edit": lambda who: notices.edit(who, published.id, a_message(severity="high")),
        "publish": lambda who: notices.publish(who, draft.id),
        "withdraw": lambda who: notices.withdraw(who, published.id, {"en": "why"}),
        "discard": lambda who: notices.discard(who, draft.id),
    }
    for who in (ANONYMOUS, *(living_city.person(role) for role in ("citizen", "engineer", "planner"))):
        with pytest.raises(NotAllowed):
            await acts[act](who)
    assert notices.get(operator, published.id) == published
    assert notices.get(operator, draft.id) == draft


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"title": {}}, "title"),
        ({"title": {"en": "x" * 161}}, "title.en"),
        ({"body": {"da": "x" * 8001}}, "body.da"),
        ({"severity": "huge"}, "severity"),
        ({"place_name": "a\nb"}, "placeName"),
        ({"location": {"type": "Point"}}, "location"),
        ({"location": {"type": "Point", "coordinates": [200, 100]}}, "location"),
    ],
)
async def test_draft_refuses_what_is_wrong_and_names_the_field(notices, operator, changes, where):
    with pytest.raises(BadInput) as caught:
        await notices.draft(operator, a_message(**changes))
    assert caught.value.where == where
    assert notices.list(operator) == []


async def test_draft_refuses_to_end_before_it_begins(living_city, notices, operator):
    now = living_city.clock.now()
    with pytest.raises(BadInput) as caught:
        await notices.draft(operator, a_message(valid_from=now, valid_to=now))
    assert caught.value.where == "validTo"


async def test_notice_points_at_the_alert_it_rests_on(living_city, notices, operator):
    alert = entity("Alert", "urn:ngsi-ld:Alert:1", {"status": prop("open")})
    await living_city.broker.create(CITY, alert, information_class=INTERNAL)
    draft = await notices.draft(operator, a_message(based_on=alert["id"]))
    published = await notices.publish(operator, draft.id)
    assert published.based_on == alert["id"]
    assert living_city.broker.referrers(operator, alert["id"]) == [published.id]


async def test_notice_does_not_point_at_what_is_secret(living_city, notices):
    guard = living_city.person("security_operator", "operator")
    alert = entity("Alert", "urn:ngsi-ld:Alert:1", {"status": prop("open")})
    await living_city.broker.create(CITY, alert, information_class=SECURITY)
    with pytest.raises(BadInput) as caught:
        await notices.draft(guard, a_message(based_on=alert["id"]))
    assert caught.value.where == "basedOn"
    with pytest.raises(NotFound):
        await notices.draft(living_city.person("operator"), a_message(based_on=alert["id"]))


async def test_notice_is_not_published_when_what_it_rests_on_has_become_secret(living_city, notices):
    guard = living_city.person("security_operator", "operator")
    alert = entity("Alert", "urn:ngsi-ld:Alert:1", {"status": prop("open")})
    await living_city.broker.create(CITY, alert, information_class=INTERNAL)
    draft = await notices.draft(guard, a_message(based_on=alert["id"]))
    await living_city.broker.classify(CITY, alert["id"], SECURITY)
    with pytest.raises(BadInput):
        await notices.publish(guard, draft.id)
    assert notices.list(ANONYMOUS) == []


async def test_current_lists_what_holds_now_the_most_severe_first(living_city, notices, operator):
    now = living_city.clock.now()

    async def publish(name: str, **changes) -> None:
        draft = await notices.draft(operator, a_message(title={"en": name}, **changes))
        await notices.publish(operator, draft.id)
        living_city.clock.pass_by(seconds=1)

    hour = 3600
    await publish("always", severity="low")
    await publish("urgent", severity="critical")
    await publish("tomorrow", valid_from=now.replace(day=13))
    await publish("over", valid_to=now.replace(hour=12, second=5))
    await publish("newer", severity="low")
    living_city.clock.pass_by(seconds=10)
    assert [notice.title["en"] for notice in notices.current(ANONYMOUS)] == ["urgent", "newer", "always"]
    coming = [one for one in notices.list(ANONYMOUS) if one.is_coming(living_city.clock.now())]
    assert [notice.title["en"] for notice in coming] == ["tomorrow"]
    living_city.clock.pass_by(seconds=24 * hour)
    assert "tomorrow" in {notice.title["en"] for notice in notices.current(ANONYMOUS)}


async def test_list_shows_the_newest_first_and_by_status(living_city, notices, operator):
    for number in range(3):
        draft = await notices.draft(operator, a_message(title={"en": str(number)}))
        if number < 2:
            await notices.publish(operator, draft.id)
        living_city.clock.pass_by(minutes=1)
    assert [notice.title["en"] for notice in notices.list(ANONYMOUS)] == ["1", "0"]
    assert [notice.title["en"] for notice in notices.list(operator, status="draft")] == ["2"]
    assert len(notices.list(operator)) == 3


async def test_an_entity_that_is_no_notice_is_none(living_city, notices, operator):
    light = await living_city.streetlight(1)
    with pytest.raises(NotFound):
        notices.get(operator, light)
    with pytest.raises(NotFound):
        await notices.edit(operator, light, CLOSED)
    assert value_of(living_city.broker.retrieve(CITY, light), "title") is None


async def test_published_notice_carries_when_it_was_published_and_that_it_was_entered(
    living_city, notices, operator
):
    published = await notices.publish(operator, (await notices.draft(operator, CLOSED)).id)
    assert value_of(published.document, "dateIssued") == format_instant(living_city.clock.now())
    assert value_of(published.document, "dataOrigin") == "entered"
