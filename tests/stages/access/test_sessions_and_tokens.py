from __future__ import annotations

import pytest

from cityloom.access.accounts import Accounts
from cityloom.access.authority import OPEN_ACCESS, TERMINAL
from cityloom.access.entrance import Access
from cityloom.access.errors import NotSignedIn
from cityloom.kernel.actor import ANONYMOUS, InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound, StorageFull

OPEN, INTERNAL, SECURITY = InformationClass


async def test_session_ends_by_rest_and_being_used_keeps_it(room):
    token = await room.member("anna", "operator")
    for _ in range(5):
        room.clock.pass_by(hours=1, minutes=59)
        assert await room.accounts.actor_for_session(token) is not None
    room.clock.pass_by(hours=2)
    assert await room.accounts.actor_for_session(token) is None


async def test_session_ends_by_age_however_much_it_is_used(room):
    token = await room.member("anna", "operator")
    for _ in range(15):
        room.clock.pass_by(hours=1)
        assert await room.accounts.actor_for_session(token) is not None
    room.clock.pass_by(hours=1)
    assert await room.accounts.actor_for_session(token) is None


async def test_session_s_use_is_written_down_once_a_minute(room, monkeypatch):
    token = await room.member("anna", "operator")
    written = []
    touch = room.store.touch_session
    monkeypatch.setattr(room.store, "touch_session", lambda *args: (written.append(args), touch(*args)))
    for _ in range(10):
        room.clock.pass_by(seconds=15)
        await room.accounts.actor_for_session(token)
    assert len(written) == 2


async def test_sign_out_ends_the_session_at_once_and_no_other(room):
    first = await room.member("anna", "operator")
    second = (await room.accounts.authenticate("anna", "Seven quiet herons 7")).token
    await room.accounts.sessions.sign_out(first)
    assert await room.accounts.actor_for_session(first) is None
    assert await room.accounts.actor_for_session(second) is not None
    await room.accounts.sessions.sign_out(first)


async def test_revoke_ends_one_s_own_session_and_not_another_s(room):
    anna = await room.member("anna", "operator")
    bo = await room.member("bo", "operator")
    actor = await room.accounts.actor_for_session(anna)
    (own,) = await room.accounts.sessions.own(actor)
    others = room.store.sessions_of((await room.accounts.actor_for_session(bo)).id)
    with pytest.raises(NotFound):
        await room.accounts.sessions.revoke(actor, others[0].id)
    with pytest.raises(NotAllowed):
        await room.accounts.sessions.revoke(actor, others[0].id, account_id=others[0].account_id)
    assert await room.accounts.actor_for_session(bo) is not None
    await room.accounts.sessions.revoke(actor, own.id)
    assert await room.accounts.actor_for_session(anna) is None
    await room.accounts.sessions.revoke(room.admin, others[0].id, account_id=others[0].account_id)
    assert await room.accounts.actor_for_session(bo) is None


async def test_sessions_of_one_account_are_bounded_and_the_oldest_goes(room):
    first = await room.member("anna", "operator")
    for _ in range(20):
        room.clock.pass_by(seconds=1)
        last = (await room.accounts.authenticate("anna", "Seven quiet herons 7")).token
    assert await room.accounts.actor_for_session(first) is None
    actor = await room.accounts.actor_for_session(last)
    assert len(await room.accounts.sessions.own(actor)) == 20


@pytest.mark.parametrize("token", ["", "x", "x" * 129, "\ud800", "\x00"])
async def test_session_token_that_never_was_opens_nothing(room, token):
    assert await room.accounts.actor_for_session(token) is None


async def test_session_token_is_not_told_by_what_is_printed(room):
    await room.member("anna", "operator")
    one = await room.accounts.authenticate("anna", "Seven quiet herons 7")
    assert one.token not in repr(one)


async def test_api_token_has_a_part_of_its_owner_s_rights(room):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    key = await room.accounts.tokens.create(
        actor, "wallboard", permissions=["alerts:handle"], clearance=[OPEN, INTERNAL]
    )
    holder = await room.accounts.actor_for_token(key.secret)
    assert holder.id == actor.id
    assert holder.name == "anna (wallboard)"
    assert holder.permissions == {"alerts:handle"}
    assert holder.clearance == {OPEN, INTERNAL}
    assert key.secret not in repr(key)


async def test_api_token_sees_what_is_open_unless_more_was_asked_for(room):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    key = await room.accounts.tokens.create(actor, "export", permissions=["entities:read"])
    assert (await room.accounts.actor_for_token(key.secret)).clearance == {OPEN}


async def test_api_token_loses_what_its_owner_loses(room):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator", "engineer"))
    key = await room.accounts.tokens.create(
        actor, "gateway", permissions=["entities:write", "alerts:handle"], clearance=[OPEN, INTERNAL]
    )
    await room.accounts.change_roles(room.admin, actor.id, ["operator"])
    assert (await room.accounts.actor_for_token(key.secret)).permissions == {"alerts:handle"}
    await room.accounts.change_roles(room.admin, actor.id, ["citizen"])
    holder = await room.accounts.actor_for_token(key.secret)
    assert holder.permissions == frozenset()
    assert holder.clearance == {OPEN}


async def test_api_token_cannot_have_more_than_its_owner(room):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    make = room.accounts.tokens.create
    with pytest.raises(NotAllowed, match="accounts:manage"):
        await make(actor, "key", permissions=["accounts:manage"])
    with pytest.raises(NotAllowed, match="security"):
        await make(actor, "key", permissions=["alerts:handle"], clearance=[SECURITY])
    for wrong in ("password:change", "tokens:own", "wizardry"):
        with pytest.raises(BadInput, match=wrong) as caught:
            await make(actor, "key", permissions=[wrong])
        assert "alerts:handle" in caught.value.hint
    assert await room.accounts.tokens.own(actor) == []


async def test_api_token_makes_no_tokens_and_changes_no_password(room):
    actor = await room.accounts.actor_for_session(await room.member("root", "administrator"))
    key = await room.accounts.tokens.create(actor, "all", permissions=actor.permissions - SESSION_BOUND)
    holder = await room.accounts.actor_for_token(key.secret)
    with pytest.raises(NotAllowed):
        await room.accounts.tokens.create(holder, "more", permissions=["entities:read"])
    with pytest.raises(NotAllowed):
        await room.accounts.change_password(holder, "Seven quiet herons 7", "Eight loud herons 88")


SESSION_BOUND = {"password:change", "tokens:own"}


@pytest.mark.parametrize(
    ("label", "days", "where"),
    [("", 90, "label"), ("x" * 81, 90, "label"), ("a\nb", 90, "label"), ("a", 0, "days"), ("a", 367, "days")],
)
async def test_api_token_needs_a_label_and_an_end(room, label, days, where):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    with pytest.raises(BadInput) as caught:
        await room.accounts.tokens.create(actor, label, permissions=["entities:read"], days=days)
    assert caught.value.where == where


async def test_api_token_expires_and_can_be_revoked_by_its_owner_alone(room):
    anna = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    bo = await room.accounts.actor_for_session(await room.member("bo", "operator"))
    key = await room.accounts.tokens.create(anna, "key", permissions=["entities:read"], days=2)
    with pytest.raises(NotFound):
        await room.accounts.tokens.revoke(bo, key.token.id)
    with pytest.raises(NotAllowed):
        await room.accounts.tokens.revoke(bo, key.token.id, account_id=anna.id)
    room.clock.pass_by(days=1, hours=23)
    assert await room.accounts.actor_for_token(key.secret) is not None
    await room.accounts.tokens.revoke(anna, key.token.id)
    assert await room.accounts.actor_for_token(key.secret) is None
    other = await room.accounts.tokens.create(anna, "key", permissions=["entities:read"], days=2)
    room.clock.pass_by(days=2)
    assert await room.accounts.actor_for_token(other.secret) is None


async def test_api_token_s_last_use_is_shown(room):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    assert (await room.accounts.tokens.own(actor))[0].last_used_at is None
    room.clock.pass_by(minutes=5)
    await room.accounts.actor_for_token(key.secret)
    assert (await room.accounts.tokens.own(actor))[0].last_used_at == room.clock.now()


async def test_api_tokens_of_one_account_are_bounded(room):
    actor = await room.accounts.actor_for_session(await room.member("anna", "operator"))
    for number in range(50):
        await room.accounts.tokens.create(actor, f"key {number}", permissions=["entities:read"])
    with pytest.raises(Conflict):
        await room.accounts.tokens.create(actor, "one more", permissions=["entities:read"])


async def test_api_token_belongs_to_an_account(room):
    with pytest.raises(NotAllowed, match="account"):
        await room.accounts.tokens.create(OPEN_ACCESS, "key", permissions=["entities:read"])


@pytest.mark.parametrize(
    "secret", ["", "cityloom_", "cityloom_x", "x" * 43, "cityloom_" + "x" * 200, "\ud800"]
)
async def test_api_token_that_never_was_opens_nothing(room, secret):
    assert await room.accounts.actor_for_token(secret) is None


async def test_session_token_is_no_api_token_and_the_other_way_round(room):
    session = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(session)
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    assert await room.accounts.actor_for_token(session) is None
    assert await room.accounts.actor_for_session(key.secret) is None


async def test_access_makes_a_visitor_of_who_shows_nothing_or_a_dead_session(room):
    access = Access(room.accounts)
    assert await access.actor_for() == ANONYMOUS
    assert await access.actor_for(session="gone") == ANONYMOUS


async def test_access_refuses_a_dead_token_rather_than_making_a_visitor(room):
    access = Access(room.accounts, open_access=True)
    for bearer in ("gone", ""):
        with pytest.raises(NotSignedIn):
            await access.actor_for(bearer=bearer)


async def test_access_takes_the_token_before_the_session(room):
    session = await room.member("anna", "operator")
    actor = await room.accounts.actor_for_session(session)
    key = await room.accounts.tokens.create(actor, "key", permissions=["entities:read"])
    access = Access(room.accounts)
    assert (await access.actor_for(session=session)).roles == {"operator"}
    assert (await access.actor_for(session=session, bearer=key.secret)).permissions == {"entities:read"}


async def test_open_access_makes_everybody_almighty_but_who_is_signed_in(room):
    session = await room.member("anna", "operator")
    access = Access(room.accounts, open_access=True)
    assert await access.actor_for() == OPEN_ACCESS
    assert (await access.actor_for(session=session)).roles == {"operator"}


async def test_local_key_lets_the_owner_of_the_folder_in_and_nobody_without_it(room):
    access = Access(room.accounts, local_key="key-in-the-folder")
    assert await access.actor_for(bearer="key-in-the-folder") == TERMINAL
    for wrong in ("", "key-in-the-folder ", "KEY-in-the-folder"):
        with pytest.raises(NotSignedIn):
            await access.actor_for(bearer=wrong)
    assert await access.actor_for(session="key-in-the-folder") == ANONYMOUS
    with pytest.raises(NotSignedIn):
        await Access(room.accounts).actor_for(bearer="")


def test_accounts_tell_time_by_the_wall_clock_unless_told_otherwise(room):
    from cityloom.kernel.time import WallClock

    assert isinstance(Accounts(room.store, room.audit)._clock, WallClock)


async def test_full_disk_keeps_nobody_from_reading(room, monkeypatch):
    session = await room.member("anna", "operator")
    anna = await room.accounts.actor_for_session(session)
    secret = (await room.accounts.tokens.create(anna, "probe", permissions=["entities:read"])).secret

    def full(*_):
        raise StorageFull("The disk is full", hint="Make room.")

    monkeypatch.setattr(room.store, "touch_session", full)
    monkeypatch.setattr(room.store, "touch_token", full)
    room.clock.pass_by(minutes=5)
    assert await room.accounts.actor_for_session(session) is not None
    assert await room.accounts.tokens.find(secret) is not None


async def test_program_s_token_delivers_reads_nothing_and_ends_its_first_password(room):
    made = await room.accounts.create(room.admin, "ship", roles=["edge"])
    key = await room.accounts.token_of_a_program(room.admin, "ship", "line", days=30)
    actor = await room.accounts.actor_for_token(key.secret)
    assert actor.permissions == {"edge:bring"} and actor.clearance == {OPEN, INTERNAL}
    with pytest.raises(NotSignedIn):
        await room.accounts.authenticate("ship", made.password)
    await room.accounts.disable(room.admin, made.account_id)
    with pytest.raises(NotAllowed, match="closed"):
        await room.accounts.token_of_a_program(room.admin, "ship", "line", days=30)
    await room.member("bo", "operator")
    with pytest.raises(BadInput, match="person's account"):
        await room.accounts.token_of_a_program(room.admin, "bo", "line", days=30)
    with pytest.raises(NotAllowed):
        await room.accounts.token_of_a_program(ANONYMOUS, "ship", "line", days=30)
