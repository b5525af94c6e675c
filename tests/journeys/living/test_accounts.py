"""The way of an account: a first password, one's own, a token for a program, and the end of both."""

from __future__ import annotations

import httpx2


def test_first_password_opens_nothing_but_its_change(town):
    first = town.invite("nina", "operator")
    nina = town.stranger()
    page = town.sign_in(nina, "nina", first)
    assert page.path == "/password"
    assert nina.open("/alerts").path == "/password"
    again = town.choose_password(nina, first, "short")
    assert "at least 12 characters" in again.text
    assert town.choose_password(nina, first, "seven quiet lanterns").path == "/"
    assert nina.open("/alerts").path == "/alerts"
    assert "The user name or the password is not right." in town.sign_in(town.stranger(), "nina", first).text


def test_token_lets_a_program_in_until_it_is_revoked(town):
    olga = town.person("olga", "operator")
    page = olga.open("/account").press(
        "Make the token", label="wall screen", permissions=["entities:read"], classes=["open", "internal"]
    )
    secret = page.part("new-token")
    alerts = f"{town.running.address}/alerts.json"
    program = {"authorization": f"Bearer {secret}"}
    assert httpx2.get(alerts, headers=program).status_code == 200
    written = httpx2.post(
        f"{town.running.address}/ngsi-ld/v1/entities",
        json={"id": "urn:ngsi-ld:Thing:1", "type": "Thing"},
        headers=program,
    )
    assert written.status_code == 403
    assert "wall screen" in olga.open("/account").row("wall screen")
    done = olga.open("/account").press("Revoke wall screen")
    assert "opens nothing any more" in done.text
    assert httpx2.get(alerts, headers=program).status_code == 401


def test_closed_account_is_out_at_once(town):
    peter = town.person("peter", "operator")
    assert peter.open("/alerts").status == 200
    town.administrator.open("/accounts").press("Close: peter")
    assert peter.open("/alerts").path in ("/sign-in", "/alerts")
    assert "Sign out" not in peter.open("/").text
    assert "not right" in town.sign_in(town.stranger(), "peter", "seven quiet lanterns").text
    told = town.administrator.open("/system").text
    for act in ("opened an account", "changed their password", "closed an account"):
        assert act in told
