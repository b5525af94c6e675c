"""The records of the master plan, by phase."""

from __future__ import annotations

from cityloom.planning.masterplan.kinds.basis import FINDING, INFRASTRUCTURE, PROCESS, STAGE, VISION
from cityloom.planning.masterplan.kinds.management import CHANGE, COMMUNICATION, EVALUATION, FACTOR
from cityloom.planning.masterplan.kinds.rules import LAW
from cityloom.planning.masterplan.kinds.strategy import BODY, DECISION, GOAL, MINUTES, URBAN_PLAN
from cityloom.planning.records.kinds import RecordKind

BASIS = (VISION, STAGE, FINDING, PROCESS, INFRASTRUCTURE, LAW)
STRATEGY = (GOAL, URBAN_PLAN, BODY, MINUTES, DECISION)
MANAGEMENT = (EVALUATION, FACTOR, COMMUNICATION, CHANGE)
KINDS: tuple[RecordKind, ...] = (*BASIS, *STRATEGY, *MANAGEMENT)
