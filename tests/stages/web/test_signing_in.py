"""Signing in and out, choosing a password, tokens, accounts."""

from __future__ import annotations

import re

import msgspec
import pytest

from cityloom.access.accounts import SET_UP


async def test_sign_in_leads_back_to_the_page_that_asked_for_it(city, visitor):
    password = await city.person("kim", "operator")
    answer = await visitor.send("/sign-in?back=/alerts/new", {"name": "Kim", "password": password})
    assert answer.status_code == 303 and answer.headers["location"] == "/alerts/new"
    assert "Raise an alert" in await visitor.text("/alerts/new")
    assert "Kim" in await visitor.text("/")


@pytest.mark.parametrize("back", ["//evil.test", "https://evil.test/", "/\\evil.test"])
async def test_sign_in_leads_to_no_other_site(city, visitor, back):
    password = await city.person("kim", "operator")
    answer = await visitor.send(f"/sign-in?back={back}", {"name": "kim", "password": password})
    assert answer.headers["location"] == "/"


async def test_sign_in_says_the_same_whatever_was_wrong(city, visitor):
    await city.person("kim", "operator")
    wrong = [
        await visitor.refused("/sign-in", {"name": name, "password": "no such password"}, status=401)
        for name in ("kim", "nobody")
    ]
    assert wrong[0] == wrong[1] and "The user name or the password is not right." in wrong[0]
    assert "Enter your password." in await visitor.refused("/sign-in", {"name": "kim", "password": ""})


async def test_sign_in_makes_a_guesser_wait(city, visitor):
    await city.person("kim", "operator")
    for _ in range(5):
        await visitor.refused("/sign-in", {"name": "kim", "password": "guess"}, status=401)
    answer = await visitor.send("/sign-in", {"name": "kim", "password": "guess"})
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0


async def test_the_session_cookie_is_out_of_reach_and_ends_with_the_session(city, visitor):
    password = await city.person("kim", "operator")
    answer = await visitor.send("/sign-in", {"name": "kim", "password": password})
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("cityloom_session"))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=5" in cookie


async def test_a_session_that_was_planted_is_not_taken_over_and_an_old_one_ends(city, visitor, reader_class):
    password = await city.person("kim", "operator")
    planted = "a-token-that-somebody-else-knows"
    visitor.client.cookies.set("cityloom_session", planted, domain="city.test")
    first = await _signed_in(visitor, "kim", password)
    again = await _signed_in(visitor, "kim", password)
    assert len({planted, first, again}) == 3
    for known, opens in ((planted, False), (first, True), (again, True)):
        assert await _opens(city, reader_class, known) is opens
    wanted = "nine loud harbours 9"
    answer = await visitor.send("/password", {"current": password, "password": wanted, "again": wanted})
    assert answer.status_code == 303
    (now,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("cityloom_session=")]
    for known in (planted, first, again):
        assert not await _opens(city, reader_class, known)
    assert await _opens(city, reader_class, now.partition("=")[2].partition(";")[0])


async def _signed_in(visitor, name: str, password: str) -> str:
    """The new session's token."""
    answer = await visitor.send("/sign-in", {"name": name, "password": password})
    assert answer.status_code == 303
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("cityloom_session=")]
    return cookie.partition("=")[2].partition(";")[0]


async def _opens(city, reader_class, token: str) -> bool:
    reader = reader_class(city)
    reader.client.cookies.set("cityloom_session", token, domain="city.test")
    return (await reader.get("/account.json")).status_code == 200


async def test_over_https_every_cookie_stays_on_https(city, reader_class):
    password = await city.person("kim", "operator")
    reader = reader_class(city)
    reader.client.base_url = "https://city.test"
    answer = await reader.send("/sign-in", {"name": "kim", "password": password})
    cookies = answer.headers.get_list("set-cookie")
    assert any(one.startswith("cityloom_session=") for one in cookies)
    assert all("Secure" in one and "HttpOnly" in one and "SameSite=lax" in one for one in cookies)
    assert answer.headers["strict-transport-security"]


async def test_a_log_that_was_tampered_with_is_found_on_the_page(city, reader_of):
    auditor = await reader_of("auditor")
    assert "The audit log is whole" in await auditor.done("/system/verify", {})
    entries = city.audit._store._entries
    entries[1] = msgspec.structs.replace(entries[1], actor_name="Somebody else")
    assert "The audit log is broken at entry 2" in await auditor.done("/system/verify", {})


async def test_a_first_password_opens_nothing_but_its_change(city, visitor):
    made = await city.accounts.create(SET_UP, "kim", roles=["operator"])
    answer = await visitor.send("/sign-in", {"name": "kim", "password": made.password})
    assert answer.headers["location"] == "/password"
    for path in ("/", "/alerts", "/alerts.json", "/map"):
        assert (await visitor.get(path)).headers["location"] == "/password"
    assert "made for you" in await visitor.text("/password")
    seen = "/password"
    said = await visitor.refused(
        "/password", {"current": made.password, "password": "short", "again": "x"}, seen=seen
    )
    assert "at least 12 characters" in said and "not the same" in said
    chosen = "lantern harbour seven"
    said = await visitor.refused(
        "/password", {"current": "wrong", "password": chosen, "again": chosen}, seen=seen
    )
    assert "current password is not right" in said
    await visitor.done(
        "/password", {"current": made.password, "password": chosen, "again": chosen}, seen=seen
    )
    assert "What happens now" in await visitor.text("/")


async def test_sign_out_ends_the_session(city, reader_of):
    operator = await reader_of("operator")
    token = operator.client.cookies["cityloom_session"]
    await operator.done("/sign-out", {})
    assert await city.accounts.actor_for_session(token) is None
    assert "Sign in" in await operator.text("/")


async def test_a_form_of_another_browser_changes_nothing(city, reader_of, reader_class):
    operator, other = await reader_of("operator"), reader_class(city)
    stolen = re.search(r'name="form_token" value="([^"]+)"', (await other.get("/")).text)[1]
    answer = await operator.client.post("/pace", data={"form_token": stolen, "act": "pause"})
    assert answer.status_code == 403 and "opened too long ago" in answer.text
    assert not city.clock.paused


async def test_a_token_is_shown_once_and_opens_what_was_chosen(city, reader_of, reader_class):
    engineer = await reader_of("engineer")
    answer = await engineer.send(
        "/account/tokens",
        {"label": "export", "permissions": "entities:read", "classes": ["open", "internal"], "days": "30"},
    )
    token = re.search(r'id="new-token">(cityloom_[^<]+)<', answer.text)[1]
    assert token not in await engineer.text("/account")
    program = reader_class(city)
    bearer = {"authorization": f"Bearer {token}"}
    assert (await program.get("/entities.json", **bearer)).status_code == 200
    assert (await program.get("/devices.json", **bearer)).status_code == 403
    known = (await engineer.data("/account.json"))["tokens"][0]
    assert known["classes"] == ["open", "internal"] and "digest" not in known
    await engineer.done("/account/revoke", {"token": known["id"]})
    assert (await program.get("/entities.json", **bearer)).status_code == 401


async def test_a_token_has_no_more_than_its_owner(reader_of):
    citizen = await reader_of("citizen")
    fields = {"label": "x", "permissions": "accounts:manage", "days": "30"}
    assert "accounts:manage" in await citizen.refused("/account/tokens", fields)
    said = await citizen.refused("/account/tokens", {"label": "", "days": "400"})
    assert "what the token is for" in said and "1 to 366" in said and "what the token may do" in said


async def test_accounts_are_made_changed_closed_and_opened_again(city, reader_of):
    admin = await reader_of("administrator")
    said = await admin.refused("/accounts", {"name": ""})
    assert "user name" in said and "at least one role" in said
    answer = await admin.send("/accounts", {"name": "kim", "displayName": "Kim", "roles": ["operator"]})
    password = re.search(r'id="first-password">([^<]+)<', answer.text)[1]
    assert password not in await admin.text("/accounts")
    kim = next(one for one in (await admin.data("/accounts.json"))["accounts"] if one["name"] == "kim")
    assert kim["mustChangePassword"] and "password_hash" not in kim
    path = f"/accounts/{kim['id']}"
    await admin.done(path, {"act": "roles", "roles": ["operator", "planner"]})
    text = await admin.done(path, {"act": "disable"})
    assert "The account is closed." in text and "Undo" in text
    await admin.done(path, {"act": "enable"})
    answer = await admin.send(path, {"act": "reset"})
    assert re.search(r'id="first-password">([^<]+)<', answer.text)[1] != password
    kim = next(one for one in (await admin.data("/accounts.json"))["accounts"] if one["name"] == "kim")
    assert kim["roles"] == ["operator", "planner"] and not kim["disabled"]


async def test_the_last_administrator_stays(reader_of):
    admin = await reader_of("administrator")
    own = next(iter((await admin.data("/accounts.json"))["accounts"]))
    said = await admin.refused(f"/accounts/{own['id']}", {"act": "disable"}, status=409)
    assert "last administrator" in said


async def test_pace_is_set_by_those_who_may_and_written_down(city, reader_of, visitor):
    operator = await reader_of("operator")
    text = await operator.done("/pace", {"act": "speed", "speed": "300"})
    assert city.clock.speed == 300 and "5 hours in a minute" in text
    await operator.done("/pace", {"act": "pause"})
    assert "paused" in await visitor.text("/")
    await operator.done("/pace", {"act": "resume"})
    assert "cannot keep that speed" in await operator.refused("/pace", {"act": "speed", "speed": "9999"})
    assert "Enter a number" in await operator.refused("/pace", {"act": "speed", "speed": "fast"})
    assert (await visitor.send("/pace", {"act": "pause"})).status_code in (401, 403)
    assert not city.clock.paused
    auditor = await reader_of("auditor")
    page = await auditor.text("/system")
    assert "turned the city's clock" in page and "clock.set" not in page
    assert "The audit log is whole" in await auditor.done("/system/verify", {})
