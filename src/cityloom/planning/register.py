"""All kinds of records that planning keeps."""

from __future__ import annotations

from cityloom.planning.finance.kinds import KINDS as FINANCE
from cityloom.planning.innovation.kinds import KINDS as INNOVATION
from cityloom.planning.masterplan.kinds import KINDS as MASTER_PLAN
from cityloom.planning.procurement.kinds import KINDS as PROCUREMENT
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.stakeholders.kinds import KINDS as STAKEHOLDERS

#: In the order in which the workspace lists them.
KINDS: tuple[RecordKind, ...] = (*MASTER_PLAN, *FINANCE, *INNOVATION, *PROCUREMENT, *STAKEHOLDERS)
