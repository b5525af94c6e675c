"""What an initiative says of itself as an action: beside its plan, read from the same Entity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import msgspec

from cityloom.kernel.findings import noted as n
from cityloom.planning.money import Money

#: The attributes of an Initiative that its Action is kept in.
ATTRIBUTES = (
    "actionKind",
    "servesGoal",
    "sdgTargets",
    "dimension",
    "adoptionAreas",
    "serviceDomain",
    "initiationModel",
    "planningOrigin",
    "department",
    "sharedWith",
    "dependsOn",
    "answersTo",
    "publicValue",
    "effort",
    "laws",
    "pilot",
    "portfolio",
    "checks",
    "costs",
    "funding",
    "financing",
    "targetGroups",
    "reporting",
    "budgetDecision",
)

KINDS = {"project": n("Project"), "pilot": n("Pilot")}
#: The six dimensions of ITU's indicators for smart sustainable cities.
DIMENSIONS = {
    "ict": n("Information and communication technology"),
    "environment": n("Environmental sustainability"),
    "productivity": n("Productivity"),
    "lifeQuality": n("Quality of life"),
    "equity": n("Equity and social inclusion"),
    "infrastructure": n("Physical infrastructure"),
}
INITIATION_MODELS = {
    "government": n("Government"),
    "partners": n("Government with partners"),
    "private": n("Private companies, backed by the government"),
}
ORIGINS = {
    "topDown": n("From above: the city decided it"),
    "bottomUp": n("From below: people or firms asked for it"),
    "hybrid": n("Both"),
}
#: The five elements of a portfolio, each with what is to be said of it.
PORTFOLIO = {
    "financing": n("Financing model"),
    "integration": n("Integration services"),
    "operation": n("Operational model"),
    "network": n("Broadband network"),
    "security": n("Security"),
}
CHECKS = {
    "emf": n("Electromagnetic fields"),
    "security": n("Information security"),
    "privacy": n("Privacy"),
}
RESULTS = {
    "passed": n("Passed"),
    "conditions": n("Passed with conditions"),
    "failed": n("Failed"),
    "notApplicable": n("Does not apply"),
}
#: Results that let the work begin.
LETS_BEGIN = frozenset({"passed", "conditions", "notApplicable"})
TARGET_GROUPS = {
    "services": n("Services"),
    "indicators": n("Indicators"),
    "architecture": n("Architecture"),
    "infrastructure": n("Infrastructure and platform"),
    "security": n("Data security and electromagnetic fields"),
    "costBenefit": n("Costs and benefits"),
}
COST_KINDS = {"capital": n("Capital"), "operating": n("Operating")}
RHYTHMS = {
    "monthly": n("Each month"),
    "quarterly": n("Each quarter"),
    "halfYearly": n("Twice a year"),
    "yearly": n("Each year"),
    "atMilestones": n("At each milestone"),
}
SCALE_DECISIONS = {
    "open": n("Not decided yet"),
    "scale": n("Scale it up"),
    "repeat": n("Try again, changed"),
    "stop": n("Stop"),
}
ARRANGEMENTS = {
    "none": n("Paid as the costs arise"),
    "deferred": n("Deferred payment"),
    "exportCredit": n("Export credit"),
    "vehicle": n("A company of its own (special purpose vehicle)"),
}
#: Who bears a risk.
BEARERS = {
    "city": n("the city"),
    "partner": n("the partner"),
    "lender": n("the lender"),
    "insurer": n("the insurer"),
    "shared": n("shared"),
}


class Law(msgspec.Struct, frozen=True, gc=False):
    """A law or rule that the initiative touches, and the exemption it has from it ("" for none)."""

    name: str
    exemption: str = ""
    #: Its record in the register of laws, a LawOrRule; "" where it has none.
    record: str = ""


class Pilot(msgspec.Struct, frozen=True, gc=False):
    """What makes a pilot one: it can turn out to be wrong."""

    hypothesis: str = ""
    #: By what it is told whether the hypothesis holds.
    measure: str = ""
    #: When it is stopped before its end.
    stop_rule: str = ""
    #: A key of SCALE_DECISIONS.
    decision: str = "open"
    decided_because: str = ""


class Check(msgspec.Struct, frozen=True, gc=False):
    """One examination: of what (CHECKS), by whom, when, with what result (RESULTS), on what evidence."""

    of: str
    by: str = ""
    on: date | None = None
    result: str = ""
    evidence: str = ""


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What is to be spent in a year, capital or operating (COST_KINDS), by a department ("": the owner's)."""

    year: int
    kind: str
    amount: Money
    department: str = ""


class Share(msgspec.Struct, frozen=True, gc=False):
    """What part of the money comes by a funding mechanism, in percent of the whole."""

    mechanism: str
    percent: Decimal
    note: str = ""


class Risk(msgspec.Struct, frozen=True, gc=False):
    """A risk of the financing. Likelihood and effect from 1 to 5."""

    name: str
    #: A key of BEARERS.
    bearer: str = "city"
    likelihood: int = 3
    effect: int = 3
    answer: str = ""

    @property
    def weight(self) -> int:
        """Likelihood times effect, 1 to 25."""
        return self.likelihood * self.effect


class Financing(msgspec.Struct, frozen=True, gc=False):
    """How the money is paid back over time. Rates are percent a year."""

    #: A key of ARRANGEMENTS.
    arrangement: str = "none"
    rate: Decimal = Decimal(0)
    first_year: int = 0
    #: Years in which nothing is paid off.
    grace_years: int = 0
    #: Years in which it is paid off.
    years: int = 0
    risks: tuple[Risk, ...] = ()


class TargetGroup(msgspec.Struct, frozen=True, gc=False):
    """What is to be reached in one of the six groups (TARGET_GROUPS), and by which day."""

    group: str
    target: str = ""
    due: date | None = None

    @property
    def is_complete(self) -> bool:
        return bool(self.target) and self.due is not None


class Reporting(msgspec.Struct, frozen=True, gc=False):
    """How often (RHYTHMS) and to whom it is told how the initiative is doing."""

    rhythm: str = ""
    to: str = ""


class Action(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An initiative as an action. Empty is what nobody has said yet."""

    #: A key of KINDS.
    kind: str = "project"
    #: Ids of the goals that it serves.
    goals: tuple[str, ...] = ()
    #: Targets of the Sustainable Development Goals: "11.6", "3.d".
    sdg_targets: tuple[str, ...] = ()
    dimension: str = ""
    #: Keys of AREAS: what it works on, as the study of 52 cities parts it.
    areas: tuple[str, ...] = ()
    #: A key of DOMAINS.
    domain: str = ""
    initiation: str = ""
    origin: str = ""
    department: str = ""
    #: Other departments that carry it: a service or a budget line that is shared.
    shared_with: tuple[str, ...] = ()
    #: Ids of initiatives that must have ended before this one begins.
    depends_on: tuple[str, ...] = ()
    #: Ids of citizens' reports and proposals that it answers.
    answers_to: tuple[str, ...] = ()
    #: What it is worth to people, and the work it is for the city; 1 to 5.
    value: int | None = None
    effort: int | None = None
    laws: tuple[Law, ...] = ()
    pilot: Pilot = Pilot()
    #: What is said of each of the five elements, by PORTFOLIO's keys.
    portfolio: Mapping[str, str] = {}
    checks: tuple[Check, ...] = ()
    costs: tuple[Cost, ...] = ()
    funding: tuple[Share, ...] = ()
    financing: Financing = Financing()
    target_groups: tuple[TargetGroup, ...] = ()
    reporting: Reporting = Reporting()
    #: Ids of the committee's decisions that allowed changes of the budget.
    decisions: tuple[str, ...] = ()

    def cost(self, kind: str) -> Money | None:
        """All that is to be spent of one kind; None when nothing is said of it."""
        amounts = [one.amount for one in self.costs if one.kind == kind]
        if not amounts:
            return None
        return Money(sum((one.amount for one in amounts), Decimal(0)), amounts[0].currency)

    @property
    def whole_cost(self) -> Money | None:
        """All cost lines together; None when there are none."""
        if not self.costs:
            return None
        return Money(
            sum((one.amount.amount for one in self.costs), Decimal(0)), self.costs[0].amount.currency
        )

    def check_of(self, subject: str) -> Check | None:
        """The examination of a subject of CHECKS."""
        return next((one for one in self.checks if one.of == subject), None)
