from __future__ import annotations

import asyncio

import msgspec
import pytest

from cityloom.access.audit import AuditLog
from cityloom.access.errors import NotSignedIn
from cityloom.adapters.memory.accounts import MemoryAuditStore
from cityloom.kernel.actor import ANONYMOUS, CITY, InformationClass
from cityloom.kernel.change import Because
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import entity, instance_of, prop, rel, value_of
from cityloom.operations.alerts import UNCLEARED, AlertQuery, Alerts, Occasion
from cityloom.operations.model import SEVERITIES

OPEN, INTERNAL, SECURITY = InformationClass

LEAK = Occasion(
    key="leak-7",
    category="water",
    sub_category="waterLeak",
    severity="high",
    description={"en": "Water runs down Elm Street", "da": "Vand løber ned ad Elmegade"},
)


@pytest.fixture
def alerts(living_city) -> Alerts:
    return Alerts(living_city.broker, living_city.clock)


@pytest.fixture
def operator(living_city):
    return living_city.person("operator")


def a_leak(**changes) -> Occasion:
    return msgspec.structs.replace(LEAK, **changes)


async def test_raise_makes_an_open_internal_alert_that_says_who_and_when(living_city, alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    assert alert == alerts.get(operator, alert.id)
    assert (alert.status, alert.severity, alert.category) == ("open", "high", "water")
    assert (alert.sub_category, alert.origin, alert.key) == ("waterLeak", "entered", "leak-7")
    assert alert.description["da"] == "Vand løber ned ad Elmegade"
    assert alert.issued_at == living_city.clock.now()
    assert [(item.did, item.by) for item in alert.history] == [("raised", "person:operator")]
    assert living_city.broker.class_of(operator, alert.id) is INTERNAL
    assert alerts.list(ANONYMOUS).total == 0


async def test_each_step_is_written_to_the_audit_log_and_a_refused_one_is_not(living_city, operator):
    audit = AuditLog(MemoryAuditStore(), living_city.clock)
    alerts = Alerts(living_city.broker, living_city.clock, audit)
    alert = await alerts.raise_(operator, LEAK)
    await alerts.acknowledge(operator, alert.id)
    with pytest.raises(Conflict):
        await alerts.acknowledge(operator, alert.id)
    await alerts.assign(operator, alert.id, "the water works")
    await alerts.comment(operator, alert.id, "They are on their way.")
    await alerts.clear(operator, alert.id, "It is closed.")
    await alerts.reopen(operator, alert.id, "It is not.")
    told = await audit.read(living_city.person("auditor"))
    acts = ("raise", "acknowledge", "assign", "comment", "clear", "reopen")
    assert [(one.action, one.actor_id, one.subject) for one in told] == [
        (f"alert.{act}", "person:operator", alert.id) for act in acts
    ]


async def test_status_of_an_alert_is_of_the_city_s_time(living_city, alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    stored = living_city.broker.retrieve(operator, alert.id)
    assert instance_of(stored, "status")["observedAt"] == format_instant(living_city.clock.now())
    await alerts.acknowledge(operator, alert.id)
    stored = living_city.broker.retrieve(operator, alert.id)
    assert instance_of(stored, "status")["observedAt"] == format_instant(living_city.clock.now())


async def test_raise_again_brings_the_same_alert_up_to_date_and_keeps_its_handling(alerts, operator):
    first = await alerts.raise_(operator, LEAK)
    await alerts.acknowledge(operator, first.id)
    again = await alerts.raise_(operator, a_leak(severity="critical", description={"en": "Worse"}))
    assert again.id == first.id
    assert (again.status, again.severity) == ("acknowledged", "critical")
    assert dict(again.description) == {"en": "Worse"}
    assert alerts.list(operator).total == 1


async def test_raise_at_the_same_moment_twice_makes_one_alert(alerts, operator):
    one, other = await asyncio.gather(alerts.raise_(operator, LEAK), alerts.raise_(operator, LEAK))
    assert one.id == other.id
    assert alerts.list(operator).total == 1


async def test_raise_after_it_was_cleared_makes_a_new_alert(alerts, operator):
    first = await alerts.raise_(operator, LEAK)
    await alerts.clear(operator, first.id, "Mended")
    second = await alerts.raise_(operator, LEAK)
    assert second.id != first.id
    assert alerts.get(operator, first.id).status == "cleared"


async def test_raise_is_as_secret_as_what_it_is_about_and_what_it_rests_on(living_city, alerts):
    guard = living_city.person("security_operator")
    light = await living_city.streetlight(1)
    secret = await living_city.streetlight(2, SECURITY)
    class_of = living_city.broker.class_of
    about_open = await alerts.raise_(guard, a_leak(key="a", about=(light,)), information_class=OPEN)
    assert class_of(guard, about_open.id) is OPEN
    about_secret = await alerts.raise_(guard, a_leak(key="b", about=(light, secret)), information_class=OPEN)
    assert class_of(guard, about_secret.id) is SECURITY
    rests = Because(about=secret, attribute="powerState")
    resting = await alerts.raise_(guard, a_leak(key="c", because=(rests,)), information_class=OPEN)
    assert class_of(guard, resting.id) is SECURITY


async def test_raise_again_about_something_more_secret_makes_the_alert_more_secret(living_city, alerts):
    guard = living_city.person("security_operator")
    secret = await living_city.streetlight(2, SECURITY)
    alert = await alerts.raise_(guard, LEAK)
    await alerts.raise_(guard, a_leak(about=(secret,)))
    assert living_city.broker.class_of(guard, alert.id) is SECURITY
    await alerts.raise_(guard, LEAK)
    assert living_city.broker.class_of(guard, alert.id) is SECURITY


async def test_raise_about_something_one_may_not_see_is_as_if_it_were_not_there(
    living_city, alerts, operator
):
    secret = await living_city.streetlight(2, SECURITY)
    words = set()
    for about in (secret, "urn:ngsi-ld:Streetlight:9"):
        with pytest.raises(NotFound) as caught:
            await alerts.raise_(operator, a_leak(about=(about,)))
        words.add(str(caught.value).replace(about, ""))
    assert len(words) == 1
    assert alerts.list(operator).total == 0


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"key": ""}, "key"),
        ({"key": "a\nb"}, "key"),
        ({"severity": "huge"}, "severity"),
        ({"category": ""}, "category"),
        ({"category": "water leak"}, "category"),
        ({"sub_category": "<b>"}, "subCategory"),
        ({"description": {}}, "description"),
        ({"description": {"en": "  "}}, "description"),
        ({"description": {"english!": "Water"}}, "description"),
        ({"description": {"en": "x" * 2001}}, "description.en"),
        ({"description": {"en": "a\x00b"}}, "description.en"),
    ],
)
async def test_raise_refuses_what_is_wrong_and_names_the_field(alerts, operator, changes, where):
    with pytest.raises(BadInput) as caught:
        await alerts.raise_(operator, a_leak(**changes))
    assert caught.value.where == where
    assert caught.value.hint
    assert alerts.list(operator).total == 0


async def test_handling_goes_from_open_to_cleared_and_keeps_who_when_and_why(living_city, alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    living_city.clock.pass_by(minutes=1)
    alert = await alerts.acknowledge(operator, alert.id, version=alert.version)
    assert alert.status == "acknowledged"
    alert = await alerts.assign(
        operator, alert.id, "Water works", note="They are near", version=alert.version
    )
    assert (alert.status, alert.assigned_to) == ("assigned", "Water works")
    alert = await alerts.comment(operator, alert.id, "Valve 12 is shut", version=alert.version)
    assert [item.text for item in alert.comments] == ["Valve 12 is shut"]
    living_city.clock.pass_by(hours=1)
    alert = await alerts.clear(operator, alert.id, "Rør skiftet", language="da", version=alert.version)
    assert alert.status == "cleared"
    assert alert.ended_at == living_city.clock.now()
    assert value_of(alert.document, "outcome") == {"da": "Rør skiftet"}
    told = [(item.at, item.did, item.note, item.to) for item in alert.history]
    assert told == [
        ("2026-04-12T12:00:00Z", "raised", "", ""),
        ("2026-04-12T12:01:00Z", "acknowledged", "", ""),
        ("2026-04-12T12:01:00Z", "assigned", "They are near", "Water works"),
        ("2026-04-12T13:01:00Z", "cleared", "Rør skiftet", ""),
    ]


@pytest.mark.parametrize("act", ["acknowledge", "assign", "comment", "clear", "reopen", "undo", "raise"])
async def test_handling_needs_the_permission(living_city, alerts, operator, act):
    alert = await alerts.raise_(operator, LEAK)
    acts = {
        "acknowledge": lambda who: alerts.acknowledge(who, alert.id),
        "assign": lambda who: alerts.assign(who, alert.id, "me"),
        "comment": lambda who: alerts.comment(who, alert.id, "words"),
        "clear": lambda who: alerts.clear(who, alert.id, "why"),
        "reopen": lambda who: alerts.reopen(who, alert.id, "why"),
        "undo": lambda who: alerts.undo(who, alert.id),
        "raise": lambda who: alerts.raise_(who, a_leak(key="other")),
    }
    with pytest.raises(NotSignedIn):
        await acts[act](ANONYMOUS)
    for role in ("citizen", "device", "engineer", "planner", "auditor"):
        with pytest.raises(NotAllowed, match="Operator"):
            await acts[act](living_city.person(role))
    assert alerts.get(operator, alert.id) == alert


async def test_handling_a_secret_alert_takes_the_clearance_too(living_city, alerts, operator):
    guard = living_city.person("security_operator")
    alert = await alerts.raise_(guard, LEAK, information_class=SECURITY)
    with pytest.raises(NotFound):
        await alerts.acknowledge(operator, alert.id)
    with pytest.raises(NotFound):
        alerts.get(operator, alert.id)
    assert alerts.list(operator).total == 0
    assert sum(alerts.counts(operator)["open"].values()) == 0
    assert (await alerts.acknowledge(guard, alert.id)).status == "acknowledged"


async def test_handling_on_a_stale_view_is_refused_and_changes_nothing(alerts, operator):
    seen = await alerts.raise_(operator, LEAK)
    now = await alerts.acknowledge(operator, seen.id)
    for act in (
        alerts.assign(operator, seen.id, "me", version=seen.version),
        alerts.comment(operator, seen.id, "words", version=seen.version),
        alerts.clear(operator, seen.id, "why", version=seen.version),
        alerts.undo(operator, seen.id, version=seen.version),
    ):
        with pytest.raises(Conflict, match="meanwhile"):
            await act
    assert alerts.get(operator, seen.id) == now


async def test_version_changes_with_what_is_decided_on_alone(living_city, alerts, operator):
    seen = await alerts.raise_(operator, LEAK)
    fragment = entity(
        "Alert", seen.id, {"description": {"type": "LanguageProperty", "languageMap": {"en": "x"}}}
    )
    await living_city.broker.append(CITY, seen.id, fragment)
    assert alerts.get(operator, seen.id).version == seen.version
    await living_city.broker.append(CITY, seen.id, entity("Alert", seen.id, {"severity": prop("critical")}))
    assert alerts.get(operator, seen.id).version != seen.version


async def test_of_two_who_take_an_alert_on_at_once_one_does(living_city, alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    other = living_city.person("operator", name="other")
    outcomes = await asyncio.gather(
        alerts.acknowledge(operator, alert.id, version=alert.version),
        alerts.acknowledge(other, alert.id, version=alert.version),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    assert [item.did for item in alerts.get(operator, alert.id).history] == ["raised", "acknowledged"]


async def test_comments_written_at_once_are_all_kept(alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    await asyncio.gather(*(alerts.comment(operator, alert.id, f"Comment {n}") for n in range(20)))
    texts = {item.text for item in alerts.get(operator, alert.id).comments}
    assert texts == {f"Comment {n}" for n in range(20)}


async def test_comments_are_bounded(alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    for number in range(200):
        await alerts.comment(operator, alert.id, f"Comment {number}")
    with pytest.raises(Conflict, match="200"):
        await alerts.comment(operator, alert.id, "One more")


async def test_acknowledge_and_clear_are_refused_where_they_make_no_sense(alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    await alerts.acknowledge(operator, alert.id)
    with pytest.raises(Conflict, match="acknowledged now"):
        await alerts.acknowledge(operator, alert.id)
    with pytest.raises(Conflict, match="Only a cleared"):
        await alerts.reopen(operator, alert.id, "why")
    await alerts.clear(operator, alert.id, "Mended")
    with pytest.raises(Conflict, match="cleared already"):
        await alerts.clear(operator, alert.id, "Mended")
    with pytest.raises(Conflict, match="nobody"):
        await alerts.assign(operator, alert.id, "me")


async def test_clear_and_reopen_need_a_reason(alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    with pytest.raises(BadInput):
        await alerts.clear(operator, alert.id, " ")
    await alerts.clear(operator, alert.id, "Mended")
    with pytest.raises(BadInput):
        await alerts.reopen(operator, alert.id, "")


async def test_undo_takes_decisions_back_one_after_the_other(alerts, operator):
    raised = await alerts.raise_(operator, LEAK)
    await alerts.acknowledge(operator, raised.id)
    await alerts.assign(operator, raised.id, "Water works")
    await alerts.assign(operator, raised.id, "Roads")
    await alerts.clear(operator, raised.id, "Mended")
    states = []
    for _ in range(4):
        alert = await alerts.undo(operator, raised.id)
        states.append((alert.status, alert.assigned_to))
    assert states == [
        ("assigned", "Roads"),
        ("assigned", "Water works"),
        ("acknowledged", ""),
        ("open", ""),
    ]
    assert alert.ended_at is None
    assert value_of(alert.document, "outcome") is None
    with pytest.raises(Conflict, match="no decision"):
        await alerts.undo(operator, raised.id)
    assert [item.did for item in alert.history].count("undone") == 4
    assert (await alerts.acknowledge(operator, raised.id)).status == "acknowledged"
    assert (await alerts.undo(operator, raised.id)).status == "open"


async def test_undo_is_refused_when_something_else_has_moved_the_alert_on(living_city, alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    await alerts.acknowledge(operator, alert.id)
    await living_city.broker.append(CITY, alert.id, entity("Alert", alert.id, {"status": prop("cleared")}))
    with pytest.raises(Conflict, match="gone on"):
        await alerts.undo(operator, alert.id)


async def test_reopen_opens_what_a_service_has_cleared(living_city, alerts, operator):
    alert = await alerts.raise_(operator, LEAK)
    await alerts.assign(operator, alert.id, "Water works")
    ended = {"status": prop("cleared"), "endedAt": prop("2026-04-12T12:30:00Z")}
    await living_city.broker.append(CITY, alert.id, entity("Alert", alert.id, ended))
    alert = await alerts.reopen(operator, alert.id, "It still runs")
    assert (alert.status, alert.assigned_to, alert.ended_at) == ("assigned", "Water works", None)
    assert alert.history[-1].note == "It still runs"
    with pytest.raises(Conflict, match="no decision"):
        await alerts.undo(operator, alert.id)


async def test_list_shows_what_is_to_be_handled_first_the_most_severe_and_newest(
    living_city, alerts, operator
):
    for number, severity in enumerate(("low", "critical", "high", "critical", "informational")):
        await alerts.raise_(operator, a_leak(key=f"{number}", severity=severity))
        living_city.clock.pass_by(minutes=1)
    cleared = await alerts.raise_(operator, a_leak(key="5", severity="critical"))
    await alerts.clear(operator, cleared.id, "Mended")
    page = alerts.list(operator)
    assert [alert.key for alert in page.alerts] == ["3", "1", "2", "0", "4", "5"]
    assert page.total == 6
    part = alerts.list(operator, AlertQuery(limit=2, offset=1))
    assert [alert.key for alert in part.alerts] == ["1", "2"]
    assert part.total == 6
    assert alerts.list(operator, AlertQuery(limit=-1, offset=-5)).alerts == ()


async def test_list_filters_by_each_condition_and_by_all(living_city, alerts, operator):
    here = await living_city.streetlight(1, at=(10.2, 56.15))
    there = await living_city.streetlight(2, at=(10.3, 56.20))
    nowhere = await living_city.streetlight(3, at=None)
    await alerts.raise_(operator, a_leak(key="here", about=(here,), severity="low"))
    await alerts.raise_(operator, a_leak(key="there", about=(there,), category="traffic"))
    await alerts.raise_(operator, a_leak(key="nowhere", about=(nowhere,), severity="critical"))
    taken = alerts.list(operator, AlertQuery(about=there)).alerts[0]
    await alerts.assign(operator, taken.id, "Roads")

    def keys(**conditions) -> set[str]:
        return {alert.key for alert in alerts.list(operator, AlertQuery(**conditions)).alerts}

    assert keys() == {"here", "there", "nowhere"}
    assert keys(about=there) == {"there"}
    assert keys(least_severity="high") == {"there", "nowhere"}
    assert keys(categories=frozenset({"traffic"})) == {"there"}
    assert keys(statuses=frozenset({"open"})) == {"here", "nowhere"}
    assert keys(statuses=UNCLEARED) == {"here", "there", "nowhere"}
    assert keys(assigned_to="Roads") == {"there"}
    assert keys(within=(10.1, 56.1, 10.25, 56.16)) == {"here"}
    assert keys(within=(10.0, 56.0, 11.0, 57.0)) == {"here", "there"}
    assert keys(within=(10.0, 56.0, 11.0, 57.0), least_severity="medium") == {"there"}
    with pytest.raises(BadInput):
        keys(least_severity="huge")


async def test_counts_tell_every_status_and_severity(alerts, operator):
    await alerts.raise_(operator, a_leak(key="a"))
    await alerts.raise_(operator, a_leak(key="b"))
    third = await alerts.raise_(operator, a_leak(key="c", severity="low"))
    await alerts.acknowledge(operator, third.id)
    counts = alerts.counts(operator)
    assert set(counts) == {"open", "acknowledged", "assigned", "cleared"}
    assert all(tuple(by_severity) == SEVERITIES for by_severity in counts.values())
    assert counts["open"]["high"] == 2
    assert counts["acknowledged"]["low"] == 1
    assert sum(sum(by_severity.values()) for by_severity in counts.values()) == 3


async def test_alerts_that_another_writer_wrote_oddly_are_still_shown_and_handled(
    living_city, alerts, operator
):
    odd = {
        "severity": prop("apocalyptic"),
        "category": prop(7),
        "description": prop("Only a string"),
        "alertSource": rel(["urn:a", "urn:b"]),
        "dateIssued": prop("yesterday"),
        "history": prop("none"),
        "comments": prop({"a": 1}),
    }
    await living_city.broker.create(CITY, entity("Alert", "urn:ngsi-ld:Alert:odd", odd))
    await alerts.raise_(operator, a_leak(severity="critical"))
    shown = alerts.list(operator).alerts[0]
    assert shown.id == "urn:ngsi-ld:Alert:odd"
    assert (shown.status, shown.category, shown.issued_at) == ("open", "", None)
    assert dict(shown.description) == {"en": "Only a string"}
    assert shown.about == ("urn:a", "urn:b")
    handled = await alerts.acknowledge(operator, shown.id, version=shown.version)
    assert [item.did for item in handled.history] == ["acknowledged"]


async def test_an_entity_that_is_no_alert_is_not_handled(living_city, alerts, operator):
    light = await living_city.streetlight(1)
    with pytest.raises(NotFound):
        alerts.get(operator, light)
    with pytest.raises(NotFound):
        await alerts.acknowledge(operator, light)
    assert value_of(living_city.broker.retrieve(operator, light), "status") is None
