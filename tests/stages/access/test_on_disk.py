"""Accounts over the real stores: what only a file can get wrong."""

from __future__ import annotations

from contextlib import closing

import apsw
import pytest
from argon2 import PasswordHasher

from cityloom.access.accounts import Accounts
from cityloom.access.audit import AuditLog
from cityloom.access.errors import NotSignedIn
from cityloom.access.passwords import Passwords
from cityloom.adapters.sqlite.accounts import SqliteAccountStore
from cityloom.adapters.sqlite.audit import SqliteAuditStore
from cityloom.adapters.sqlite.records import Records
from cityloom.kernel.actor import Actor

AUDITOR = Actor(id="person:9", permissions=frozenset({"audit:read", "accounts:manage"}))
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def open_accounts(records: Records) -> tuple[Accounts, AuditLog]:
    audit = AuditLog(SqliteAuditStore(records))
    return Accounts(SqliteAccountStore(records), audit, passwords=Passwords(CHEAP)), audit


async def test_an_account_s_life_on_disk_through_a_restart(tmp_path):
    with closing(Records(tmp_path / "records.db")) as records:
        accounts, _ = open_accounts(records)
        first = await accounts.first_administrator()
        signed_in = await accounts.authenticate("admin", first.password, address="192.0.2.1")
        actor = await accounts.actor_for_session(signed_in.token)
        changed = await accounts.change_password(actor, first.password, "Seven quiet herons 7")
        actor = await accounts.actor_for_session(changed.token)
        key = await accounts.tokens.create(actor, "export", permissions=["entities:read"])
    with closing(Records(tmp_path / "records.db")) as records:
        accounts, audit = open_accounts(records)
        assert await accounts.first_administrator() is None
        assert (await accounts.actor_for_session(changed.token)).roles == {"administrator"}
        assert await accounts.actor_for_session(signed_in.token) is None
        assert (await accounts.actor_for_token(key.secret)).permissions == {"entities:read"}
        await accounts.sessions.sign_out(changed.token)
        assert await accounts.actor_for_session(changed.token) is None
        assert (await audit.verify(AUDITOR)).sound


async def test_a_change_by_another_process_holds_at_once(tmp_path):
    with (
        closing(Records(tmp_path / "records.db")) as here,
        closing(Records(tmp_path / "records.db")) as there,
    ):
        accounts, audit = open_accounts(here)
        elsewhere, _ = open_accounts(there)
        first = await accounts.first_administrator()
        signed_in = await accounts.authenticate("admin", first.password)
        await elsewhere.reset_password(AUDITOR, first.account_id)
        assert await accounts.actor_for_session(signed_in.token) is None
        with pytest.raises(NotSignedIn):
            await accounts.authenticate("admin", first.password)
        assert (await audit.verify(AUDITOR)).sound


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "a\x00b", "x" * 10_000, "'; DROP TABLE account; --"])
async def test_odd_names_passwords_and_tokens_are_refused_as_any_wrong_ones(tmp_path, odd):
    with closing(Records(tmp_path / "records.db")) as records:
        accounts, _ = open_accounts(records)
        await accounts.first_administrator()
        with pytest.raises(NotSignedIn):
            await accounts.authenticate(odd, odd, address="192.0.2.1", browser=odd)
        assert await accounts.actor_for_session(odd) is None
        assert await accounts.actor_for_token(odd) is None
        assert len(await accounts.all(AUDITOR)) == 1


def test_a_flush_that_fails_ends_the_process_and_is_not_tried_again(tmp_path):
    ended = []
    with closing(Records(tmp_path / "records.db", fail_stop=ended.append)) as records:
        failed = apsw.IOError("disk I/O error")
        with pytest.raises(apsw.IOError), records.write():
            raise failed
        assert ended == [failed]
        # What the disk has nothing to do with ends nothing.
        with pytest.raises(apsw.ConstraintError), records.write() as connection:
            connection.execute("INSERT INTO part VALUES ('twice', 1), ('twice', 1)")
        assert ended == [failed]
