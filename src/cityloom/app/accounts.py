"""Accounts at the terminal, for whoever lost the way in: of a city that is not running."""

from __future__ import annotations

import sys

from cityloom.access.accounts import Accounts
from cityloom.access.audit import AuditLog
from cityloom.access.authority import TERMINAL
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.storage import open_accounts
from cityloom.kernel.errors import BadInput


async def keep_accounts(
    folder: CityFolder, configuration: Configuration, action: str, name: str, roles: list[str], days: int
) -> int:
    """List accounts, create one, give one a new password, or a program's one a token.

    Raises BadInput, Conflict, NotFound, NotAllowed.
    """
    with open_accounts(folder, configuration) as (store, audit):
        accounts = Accounts(store, AuditLog(audit))
        if action == "list":
            for one in await accounts.all(TERMINAL):
                print(
                    f"{one.name:24s} {', '.join(sorted(one.roles))}{'  (disabled)' if one.disabled else ''}"
                )
            return 0
        if not name:
            raise BadInput("Whose account?", hint=f"Write cityloom account {action} NAME.", where="name")
        if action == "token":
            key = await accounts.token_of_a_program(TERMINAL, name, "made at the terminal", days=days)
            print(f"{name}: counts until {key.token.expires_at:%Y-%m-%d}, shown this once", file=sys.stderr)
            print(key.secret)
            return 0
        if action == "create":
            made = await accounts.create(TERMINAL, name, roles=roles or ["citizen"])
        else:
            made = await accounts.reset_password(TERMINAL, (await accounts.named(TERMINAL, name)).id)
        print(f"{made.name}: password {made.password} (to be changed when signing in)")
    return 0
