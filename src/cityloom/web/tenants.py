"""The tenant that a request names (ETSI GS CIM 009, 4.14)."""

from __future__ import annotations

import re

from cityloom.context.broker import Broker
from cityloom.kernel.actor import Actor
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild.errors import BadRequestData, NonexistentTenant

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")


def tenant_named(name: str, broker: Broker, actor: Actor, *, may_be_new: bool = False) -> str:
    """The tenant behind the header NGSILD-Tenant, which is "" for the default one.

    Raises BadRequestData for what is no name, NonexistentTenant for one in which the actor sees nothing.
    """
    if name and not _TENANT.fullmatch(name):
        raise BadRequestData(
            f"{name[:70]!a} is not the name of a tenant",
            hint="Use up to 64 letters, digits, hyphens and underscores.",
            where="NGSILD-Tenant",
        )
    if name and not may_be_new and name not in broker.tenants(actor):
        raise NonexistentTenant(
            f"There is no tenant {name}",
            hint="Creating an entity in it makes it.",
            where="NGSILD-Tenant",
        )
    return name or DEFAULT_TENANT
