"""The tenant that a request names (ETSI GS CIM 009, 4.14)."""

from __future__ import annotations

import re
from collections.abc import Callable

from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.errors import BadRequestData, NonexistentTenant

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")


def tenant_named(name: str, is_there: Callable[[str], bool], *, may_be_new: bool = False) -> str:
    """The tenant behind the header NGSILD-Tenant, which is "" for the default one.

    `is_there` tells whether the asker finds anything in a tenant. Raises BadRequestData for what is no name,
    NonexistentTenant for one that is not there.
    """
    if name and not _TENANT.fullmatch(name):
        raise BadRequestData(
            f"{name[:70]!a} is not the name of a tenant",
            hint="Use up to 64 letters, digits, hyphens and underscores.",
            where="NGSILD-Tenant",
        )
    if name and not may_be_new and not is_there(name):
        raise NonexistentTenant(
            f"There is no tenant {name}",
            hint="Creating an entity in it makes it.",
            where="NGSILD-Tenant",
        )
    return name or DEFAULT_TENANT
