"""The kinds of records about money."""

from __future__ import annotations

from cityloom.planning.finance.kinds.analyses import ADOPTION, COST_BENEFIT
from cityloom.planning.finance.kinds.fairness import (
    COST_SHARING,
    DISTRICT_INVESTMENT,
    FEE_RULE,
    SHARED_ROUTES,
    SHARED_SYSTEMS,
    TARIFF,
)
from cityloom.planning.finance.kinds.models import IDENTITY, NETWORK_MODEL, PARTNERSHIP

#: In the order in which they are listed.
KINDS = (
    COST_BENEFIT,
    ADOPTION,
    NETWORK_MODEL,
    PARTNERSHIP,
    COST_SHARING,
    DISTRICT_INVESTMENT,
    TARIFF,
    FEE_RULE,
    SHARED_SYSTEMS,
    SHARED_ROUTES,
    IDENTITY,
)
