"""Accounts at the terminal, for whoever lost the way in: of a city that is not running."""

from __future__ import annotations

from cityloom.access.accounts import Accounts
from cityloom.access.audit import AuditLog
from cityloom.access.authority import TERMINAL
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.storage import open_accounts
from cityloom.kernel.errors import BadInput


async def keep_accounts(
    folder: CityFolder, configuration: Configuration, action: str, name: str, roles: list[str]
) -> int:
    """List accounts, create one, or give one a new password. Raises BadInput, Conflict, NotFound."""
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
        if action == "create":
            made = await accounts.create(TERMINAL, name, roles=roles or ["citizen"])
        else:
            made = await accounts.reset_password(TERMINAL, (await accounts.named(TERMINAL, name)).id)
        print(f"{made.name}: password {made.password} (to be changed when signing in)")
    return 0
