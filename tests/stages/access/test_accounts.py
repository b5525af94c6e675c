from __future__ import annotations

import asyncio

import msgspec
import pytest
from argon2 import PasswordHasher

from cityloom.access.accounts import Accounts
from cityloom.access.authority import require
from cityloom.access.errors import NotSignedIn, PasswordChangeDue, TooManyAttempts
from cityloom.access.passwords import Passwords
from cityloom.access.roles import PERMISSIONS, ROLES
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound


async def test_first_administrator_is_made_once_with_a_password_nobody_else_has(room):
    first = await room.accounts.first_administrator()
    assert first.name == "admin"
    assert await room.accounts.first_administrator() is None
    other = await type(room)().accounts.first_administrator()
    assert other.password != first.password
    assert first.password not in repr(first)


async def test_first_administrator_s_password_waits_however_long(room):
    first = await room.accounts.first_administrator()
    room.clock.pass_by(days=400)
    assert (await room.accounts.authenticate("admin", first.password)).must_change_password


async def test_first_password_allows_its_change_and_nothing_else(room):
    first = await room.accounts.first_administrator()
    signed_in = await room.accounts.authenticate("admin", first.password)
    assert signed_in.must_change_password
    actor = await room.accounts.actor_for_session(signed_in.token)
    assert actor.permissions == {"password:change"}
    assert actor.clearance == {InformationClass.OPEN}
    for permission in PERMISSIONS.keys() - {"password:change"}:
        with pytest.raises(PasswordChangeDue):
            require(actor, permission)
    with pytest.raises(PasswordChangeDue):
        await room.accounts.create(actor, "mallory", roles=["administrator"])
    with pytest.raises(PasswordChangeDue):
        await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])


async def test_change_password_opens_everything_the_roles_allow_under_a_new_token(room):
    first = await room.accounts.first_administrator()
    old = await room.accounts.authenticate("admin", first.password)
    actor = await room.accounts.actor_for_session(old.token)
    new = await room.accounts.change_password(actor, first.password, "Seven quiet herons 7")
    assert not new.must_change_password
    assert new.token != old.token
    assert await room.accounts.actor_for_session(old.token) is None
    actor = await room.accounts.actor_for_session(new.token)
    assert actor.permissions == PERMISSIONS.keys()
    assert actor.clearance == frozenset(InformationClass)
    with pytest.raises(NotSignedIn):
        await room.accounts.authenticate("admin", first.password)


async def test_change_password_refuses_a_wrong_current_one_the_same_again_and_a_weak_one(room):
    token = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(token)
    change = room.accounts.change_password
    with pytest.raises(BadInput, match="current password is not right") as caught:
        await change(actor, "Seven quiet herons 8", "Eight loud herons 88")
    assert caught.value.where == "current"
    with pytest.raises(BadInput, match="the password you have"):
        await change(actor, "Seven quiet herons 7", "Seven quiet herons 7")
    with pytest.raises(BadInput, match="fewer than 12"):
        await change(actor, "Seven quiet herons 7", "short")
    assert await room.accounts.actor_for_session(token) is not None


async def test_change_password_slows_down_guessing_at_the_current_one(room):
    token = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(token)
    for _ in range(5):
        with pytest.raises(BadInput):
            await room.accounts.change_password(actor, "wrong", "Eight loud herons 88")
    with pytest.raises(TooManyAttempts):
        await room.accounts.change_password(actor, "wrong", "Eight loud herons 88")


async def test_authenticate_knows_a_name_in_any_case_and_composition(room):
    await room.member("søren", "citizen")
    assert await room.accounts.authenticate(" SØREN ", "Seven quiet herons 7")


async def test_authenticate_refuses_in_the_same_words_whatever_is_wrong(room):
    await room.member("anna", "operator")
    await room.member("gone", "operator")
    gone = await room.accounts.named(room.admin, "gone")
    await room.accounts.disable(room.admin, gone.id)
    words = set()
    for name, password in (
        ("anna", "wrong"),
        ("nobody", "Seven quiet herons 7"),
        ("gone", "Seven quiet herons 7"),
        ("", ""),
        ("x" * 5000, "y" * 100_000),
        ("\ud800", "\ud800"),
    ):
        with pytest.raises(NotSignedIn) as caught:
            await room.accounts.authenticate(name, password)
        words.add(str(caught.value))
    assert len(words) == 1


async def test_authenticate_hashes_as_often_for_nobody_as_for_somebody(room):
    counted = []

    class Counted(PasswordHasher):
        def verify(self, hash, password):
            counted.append(hash.split("$")[3])
            return super().verify(hash, password)

    passwords = Passwords(Counted(time_cost=1, memory_cost=8, parallelism=1))
    accounts = Accounts(room.store, room.audit, room.clock, passwords=passwords)
    await room.member("anna", "operator")
    for name in ("anna", "nobody"):
        with pytest.raises(NotSignedIn):
            await accounts.authenticate(name, "wrong")
    assert len(counted) == 2
    assert counted[0] == counted[1]


async def test_authenticate_is_throttled_and_lets_the_owner_in_from_a_known_address(room):
    await room.member("anna", "operator")
    await room.accounts.authenticate("anna", "Seven quiet herons 7", address="192.0.2.1")
    for number in range(200):
        with pytest.raises((NotSignedIn, TooManyAttempts)):
            await room.accounts.authenticate("anna", "wrong", address=f"198.51.100.{number}")
    with pytest.raises(TooManyAttempts):
        await room.accounts.authenticate("anna", "Seven quiet herons 7", address="203.0.113.9")
    assert await room.accounts.authenticate("anna", "Seven quiet herons 7", address="192.0.2.1")


async def test_authenticate_counts_attempts_that_come_at_once(room):
    await room.member("anna", "operator")
    tries = [room.accounts.authenticate("anna", "wrong", address="192.0.2.1") for _ in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, NotSignedIn) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 15


async def test_authenticate_hashes_again_with_today_s_parameters(room):
    await room.member("anna", "operator")
    before = room.store.account_named("anna").password_hash
    passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    accounts = Accounts(room.store, room.audit, room.clock, passwords=passwords)
    await accounts.authenticate("anna", "Seven quiet herons 7")
    after = room.store.account_named("anna").password_hash
    assert before != after
    assert not passwords.outdated(after)
    assert await accounts.authenticate("anna", "Seven quiet herons 7")


async def test_create_makes_an_account_that_must_change_its_password_within_days(room):
    made = await room.accounts.create(room.admin, "anna", roles=["operator"])
    room.clock.pass_by(days=6, hours=23)
    assert (await room.accounts.authenticate("anna", made.password)).must_change_password
    room.clock.pass_by(hours=1)
    with pytest.raises(NotSignedIn):
        await room.accounts.authenticate("anna", made.password)


@pytest.mark.parametrize("name", ["", "a", "-anna", "an na", "anna<b>", "x" * 65, "an\nna", "../etc"])
async def test_create_refuses_a_name_that_cannot_be_typed(room, name):
    with pytest.raises(BadInput) as caught:
        await room.accounts.create(room.admin, name, roles=["citizen"])
    assert caught.value.where == "name"


async def test_create_refuses_a_display_name_that_pages_cannot_show(room):
    for wrong in ("Anna\x00", "Anna\u202eannA", "\ud800"):
        with pytest.raises(BadInput) as caught:
            await room.accounts.create(room.admin, "anna", display_name=wrong, roles=["citizen"])
        assert caught.value.where == "displayName"


async def test_create_refuses_a_name_that_is_taken_in_any_case(room):
    await room.accounts.create(room.admin, "anna", roles=["citizen"])
    with pytest.raises(Conflict):
        await room.accounts.create(room.admin, "ANNA", roles=["citizen"])
    assert len(await room.accounts.all(room.admin)) == 1


async def test_administration_needs_accounts_manage(room):
    await room.member("anna", "operator")
    account = await room.accounts.named(room.admin, "anna")
    accounts = room.accounts
    everything = PERMISSIONS.keys() - {"accounts:manage"}
    for actor in (ANONYMOUS, Actor(id=account.id, permissions=frozenset(everything))):
        for act in (
            accounts.create(actor, "bo", roles=["administrator"]),
            accounts.change_roles(actor, account.id, ["administrator"]),
            accounts.disable(actor, account.id),
            accounts.reset_password(actor, account.id),
            accounts.erase(actor, account.id),
            accounts.all(actor),
            accounts.named(actor, "anna"),
            accounts.sessions.revoke(actor, "session:1", account_id="person:other"),
            accounts.tokens.revoke(actor, "token:1", account_id="person:other"),
        ):
            with pytest.raises(NotAllowed):
                await act
    assert await accounts.all(room.admin) == [account]


async def test_change_roles_holds_from_the_next_request_on(room):
    token = await room.member("anna", "operator")
    account = await room.accounts.named(room.admin, "anna")
    await room.accounts.change_roles(room.admin, account.id, ["citizen"])
    actor = await room.accounts.actor_for_session(token)
    assert actor.roles == {"citizen"}
    assert actor.permissions == ROLES["citizen"].permissions
    assert actor.clearance == {InformationClass.OPEN}


async def test_disable_ends_sessions_and_tokens_at_once_and_can_be_undone(room):
    token = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(token)
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    await room.accounts.disable(room.admin, actor.id)
    assert await room.accounts.actor_for_session(token) is None
    assert await room.accounts.actor_for_token(key.secret) is None
    await room.accounts.disable(room.admin, actor.id, disabled=False)
    assert await room.accounts.actor_for_session(token) is None
    assert await room.accounts.actor_for_token(key.secret) is not None
    assert await room.accounts.authenticate("anna", "Seven quiet herons 7")


async def test_disabled_account_is_shut_out_even_with_a_session_that_was_opened_meanwhile(room):
    token = await room.member("anna", "operator")
    account = await room.accounts.named(room.admin, "anna")
    room.store.save_account(msgspec.structs.replace(account, disabled=True))
    assert len(room.store.sessions_of(account.id)) == 1
    assert await room.accounts.actor_for_session(token) is None


async def test_reset_password_ends_sessions_rests_tokens_and_must_be_changed(room):
    token = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(token)
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    made = await room.accounts.reset_password(room.admin, actor.id)
    assert await room.accounts.actor_for_session(token) is None
    assert await room.accounts.actor_for_token(key.secret) is None
    with pytest.raises(NotSignedIn):
        await room.accounts.authenticate("anna", "Seven quiet herons 7")
    again = await room.accounts.authenticate("anna", made.password)
    actor = await room.accounts.actor_for_session(again.token)
    await room.accounts.change_password(actor, made.password, "Eight loud herons 88")
    assert await room.accounts.actor_for_token(key.secret) is not None


async def test_the_last_administrator_stays(room):
    await room.member("root", "administrator")
    await room.member("second", "administrator")
    root = await room.accounts.named(room.admin, "root")
    second = await room.accounts.named(room.admin, "second")
    await room.accounts.disable(room.admin, second.id)
    for act in (
        room.accounts.disable(room.admin, root.id),
        room.accounts.erase(room.admin, root.id),
        room.accounts.change_roles(room.admin, root.id, ["citizen"]),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            await act
    await room.accounts.disable(room.admin, second.id, disabled=False)
    await room.accounts.change_roles(room.admin, root.id, ["citizen"])


async def test_two_administrators_cannot_remove_each_other_at_once(room):
    await room.member("root", "administrator")
    await room.member("second", "administrator")
    ids = [account.id for account in await room.accounts.all(room.admin)]
    acts = [room.accounts.change_roles(room.admin, account_id, ["citizen"]) for account_id in ids]
    outcomes = await asyncio.gather(*acts, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1


async def test_erase_leaves_nothing_but_the_audit_log(room):
    token = await room.member("anna", "operator")
    await room.member("root", "administrator")
    actor = await room.accounts.actor_for_session(token)
    await room.accounts.erase(room.admin, actor.id)
    assert room.store.account(actor.id) is None
    assert await room.accounts.actor_for_session(token) is None
    assert room.accounts.display_name(actor.id) == actor.id
    with pytest.raises(NotFound):
        await room.accounts.reset_password(room.admin, actor.id)


async def test_every_act_is_in_the_audit_log_and_no_secret_is(room):
    made = await room.accounts.create(room.admin, "anna", roles=["operator"])
    first = await room.accounts.authenticate("anna", made.password)
    actor = await room.accounts.actor_for_session(first.token)
    session = await room.accounts.change_password(actor, made.password, "Seven quiet herons 7")
    actor = await room.accounts.actor_for_session(session.token)
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    await room.accounts.tokens.revoke(actor, key.token.id)
    with pytest.raises(NotSignedIn):
        await room.accounts.authenticate("my-secret-typed-as-name", "wrong")
    await room.accounts.change_roles(room.admin, actor.id, ["planner"])
    await room.accounts.sessions.sign_out(session.token)
    reset = await room.accounts.reset_password(room.admin, actor.id)
    await room.accounts.disable(room.admin, actor.id)
    await room.accounts.disable(room.admin, actor.id, disabled=False)
    await room.accounts.erase(room.admin, actor.id)
    assert room.actions() == [
        "account.create",
        "session.open",
        "password.change",
        "session.open",
        "token.create",
        "token.revoke",
        "session.refuse",
        "account.roles",
        "session.end",
        "password.reset",
        "account.disable",
        "account.enable",
        "account.erase",
    ]
    written = msgspec.json.encode(room.audit_store.read(0, 1000)).decode()
    secrets = (made.password, reset.password, first.token, session.token, key.secret, "typed-as-name")
    for secret in (*secrets, "herons"):
        assert secret not in written
    assert (await room.audit.verify(room.admin)).sound


async def test_what_cannot_be_recorded_is_not_done(room, monkeypatch):
    await room.member("anna", "operator")
    account = await room.accounts.named(room.admin, "anna")

    def full(make):
        raise OSError("disk full")

    monkeypatch.setattr(room.audit_store, "append", full)
    for act in (
        room.accounts.create(room.admin, "bo", roles=["citizen"]),
        room.accounts.change_roles(room.admin, account.id, ["administrator"]),
        room.accounts.erase(room.admin, account.id),
        room.accounts.authenticate("anna", "Seven quiet herons 7"),
    ):
        with pytest.raises(OSError, match="disk full"):
            await act
    assert await room.accounts.all(room.admin) == [account]


async def test_no_secret_is_kept_as_it_is(room):
    token = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(token)
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    kept = repr((room.store._accounts, room.store._sessions, room.store._tokens))
    for secret in (token, key.secret, "herons"):
        assert secret not in kept
