"""What a record's page shows below what is written down: computed results, diagrams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from markupsafe import Markup

from cityloom.planning.finance.reckoning import RECKONERS
from cityloom.planning.records.model import Record
from cityloom.web.pages.planning import (
    adoption_budget,
    plan_panels,
    reckoned,
    stakeholder_panels,
    tenders,
    voices,
)
from cityloom.web.visit import Visit

Panel: TypeAlias = Callable[[Visit, Record], Awaitable[Markup | None]]

#: By the type of the record's Entity.
PANELS: Mapping[str, Panel] = {
    **dict.fromkeys(RECKONERS, reckoned.panel),
    "AdoptionScenario": adoption_budget.panel,
    "CityStage": plan_panels.stage,
    "CityVision": plan_panels.vision,
    "LawOrRule": plan_panels.law,
    "ServiceProcess": plan_panels.service,
    "InfrastructureItem": plan_panels.service,
    "OutsideFactor": plan_panels.factor,
    "PlanChange": plan_panels.change,
    "CommitteeDecision": plan_panels.decision,
    "Tender": tenders.panel,
    "Goal": voices.panel,
    "Stakeholder": stakeholder_panels.stakeholder,
    "Consultation": stakeholder_panels.consultation,
}
