"""Records of the second phase: goals, who leads, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan.dimensions import ASPECTS, DIMENSIONS
from cityloom.planning.masterplan.kinds.basis import EDIT, INDICATOR
from cityloom.planning.records.fields import (
    Amount,
    Choice,
    Choices,
    Day,
    Flag,
    Line,
    Link,
    Links,
    Number,
    Place,
    Prose,
    Rows,
    Said,
    Web,
)
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.sdg import TITLES

ADOPT = "plan:adopt"

GOAL = RecordKind(
    type="Goal",
    path="goals",
    singular=Worded("Goal"),
    plural=Worded("Goals"),
    about=Worded(
        "What is to be reached: a tree of goals, tied to the urban plan, the SDGs and the indicators."
    ),
    permission=EDIT,
    fields=(
        Said("name", Worded("Name"), required=True),
        Said("description", Worded("Description"), several_lines=True, longest=8000),
        Link("parent", Worded("Part of"), to=("Goal",)),
        Number("priority", Worded("Priority"), hint=Worded("1 comes first"), least=1, most=9, whole=True),
        Choice(
            "horizon",
            Worded("Horizon"),
            choices={
                "short": Worded("Short: up to two years"),
                "medium": Worded("Medium: three to five years"),
                "long": Worded("Long: more than five years"),
            },
        ),
        Choices("dimensions", Worded("Dimensions"), choices=DIMENSIONS),
        Choices("aspects", Worded("Aspects"), choices=ASPECTS),
        Links("urbanPlan", Worded("Items of the urban plan that it serves"), to=("UrbanPlanItem",)),
        Choices("sdgTargets", Worded("Targets of the Sustainable Development Goals"), choices=TITLES),
        Links("indicators", Worded("Indicators that show it"), to=(INDICATOR,)),
        Links("answers", Worded("Strengths and weaknesses that it answers"), to=("StrengthOrWeakness",)),
        Line("owner", Worded("Who answers for it")),
    ),
    columns=("priority", "horizon", "dimensions", "owner"),
)

URBAN_PLAN = RecordKind(
    type="UrbanPlanItem",
    path="urban-plan",
    singular=Worded("Item of the urban plan"),
    plural=Worded("Items of the urban plan"),
    about=Worded(
        "What the city has decided about land, streets and buildings, so that goals can be tied to it."
    ),
    permission=EDIT,
    fields=(
        Said("name", Worded("What it is about"), required=True),
        Line("reference", Worded("Number or section"), longest=100),
        Choice(
            "kind",
            Worded("Kind"),
            choices={
                "landUse": Worded("Land use"),
                "mobility": Worded("Mobility"),
                "housing": Worded("Housing"),
                "green": Worded("Green and water"),
                "utilities": Worded("Utilities"),
                "heritage": Worded("Heritage"),
                "other": Worded("Something else"),
            },
        ),
        Prose("description", Worded("Description")),
        Day("adoptedOn", Worded("Adopted on")),
        Web("document", Worded("The document")),
        Place("location", Worded("Place")),
    ),
    columns=("reference", "kind", "adoptedOn"),
)

BODY = RecordKind(
    type="PlanBody",
    path="bodies",
    singular=Worded("Body"),
    plural=Worded("Leadership and bodies"),
    about=Worded(
        "Who leads the plan: council, governance committee, cross-sectorial body, with mandate and members."
    ),
    permission=EDIT,
    fields=(
        Said("name", Worded("Body"), required=True),
        Choice(
            "kind",
            Worded("Kind"),
            choices={
                "council": Worded("Council"),
                "governance": Worded("Governance committee"),
                "crossSector": Worded("Cross-sectorial body"),
                "advisory": Worded("Advisory body"),
                "department": Worded("Department"),
            },
            required=True,
        ),
        Prose("mandate", Worded("Mandate"), hint=Worded("What it may decide, and what it is to see to.")),
        Flag("leads", Worded("It leads the plan")),
        Flag("budgetControl", Worded("It decides on changes of budgets")),
        Rows(
            "members",
            Worded("Members by function"),
            columns=(
                Line("function", Worded("Function"), required=True),
                Line("unit", Worded("Department or organisation")),
                Flag("worked", Worded("Worked on the plan")),
                Flag("chairs", Worded("Chairs it")),
            ),
            most=100,
        ),
        Line("meets", Worded("How often it meets")),
    ),
    columns=("kind", "leads", "budgetControl"),
)

MINUTES = RecordKind(
    type="PlanMinutes",
    path="minutes",
    singular=Worded("Minutes"),
    plural=Worded("Minutes"),
    about=Worded("What a body spoke about, meeting by meeting."),
    permission=ADOPT,
    fields=(
        Said("name", Worded("Meeting"), required=True),
        Link("body", Worded("Body"), to=("PlanBody",), required=True),
        Day("heldOn", Worded("Held on"), required=True),
        Prose("present", Worded("Present, by function"), longest=2000),
        Prose("text", Worded("Minutes"), longest=40_000, required=True),
        Web("document", Worded("The document")),
    ),
    columns=("body", "heldOn"),
)


def _check_decision(values: Mapping[str, Any]) -> None:
    """A decision on a budget says whose, and what it becomes."""
    if values.get("kind") != "budget":
        return
    if not values.get("initiative"):
        raise BadInput(
            Worded("The initiative is missing"), hint=Worded("Say whose budget changes."), where="initiative"
        )
    before, after = values.get("budgetBefore"), values.get("budgetAfter")
    if before == after:
        raise BadInput(
            Worded("The budget does not change"),
            hint=Worded("Enter the budget before and after."),
            where="budgetAfter",
        )
    if before is not None and after is not None and before.currency != after.currency:
        raise BadInput(
            Worded("The budget changes its currency"),
            hint=Worded("Enter both in the same currency."),
            where="budgetAfter",
        )


DECISION = RecordKind(
    type="CommitteeDecision",
    path="decisions",
    singular=Worded("Decision"),
    plural=Worded("Decisions"),
    about=Worded("What a body decided: adoptions, changes of budgets and of the plan."),
    permission=ADOPT,
    fields=(
        Said("name", Worded("What was decided"), required=True),
        Link("body", Worded("Body"), to=("PlanBody",), required=True),
        Day("decidedOn", Worded("Decided on"), required=True),
        Choice(
            "kind",
            Worded("Kind"),
            choices={
                "adoption": Worded("The plan is adopted"),
                "budget": Worded("A budget changes"),
                "change": Worded("The plan changes"),
                "initiative": Worded("On an initiative"),
                "other": Worded("Something else"),
            },
            required=True,
        ),
        Prose("text", Worded("Decision and reasons")),
        Line("votes", Worded("Votes"), hint=Worded("Such as: 21 for, 8 against, 2 abstained.")),
        Link("minutes", Worded("Minutes"), to=("PlanMinutes",)),
        Link("initiative", Worded("Initiative"), to=("Initiative",)),
        Amount("budgetBefore", Worded("Budget before")),
        Amount("budgetAfter", Worded("Budget after")),
        Link("becauseOf", Worded("Evaluation that it follows from"), to=("PlanEvaluation",)),
    ),
    columns=("kind", "body", "decidedOn"),
    check=_check_decision,
)
