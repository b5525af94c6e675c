"""Records of the fourth phase: evaluations, what is watched, what is told, what then changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan.kinds.basis import EDIT, INDICATOR
from cityloom.planning.records.fields import (
    Choice,
    Choices,
    Day,
    Line,
    Link,
    Links,
    Number,
    Prose,
    Said,
    Web,
)
from cityloom.planning.records.kinds import RecordKind


def _check_evaluation(values: Mapping[str, Any]) -> None:
    if values.get("level") == "project" and not values.get("initiative"):
        raise BadInput(
            Worded("The initiative is missing"),
            hint=Worded("Say which project was evaluated."),
            where="initiative",
        )


EVALUATION = RecordKind(
    type="PlanEvaluation",
    path="evaluations",
    singular=Worded("Evaluation"),
    plural=Worded("Evaluations"),
    about=Worded("What a project, or the plan as a whole, has brought, and what is learned from it."),
    permission=EDIT,
    fields=(
        Said("name", Worded("What was evaluated"), required=True),
        Choice(
            "level",
            Worded("Level"),
            choices={"project": Worded("A project"), "whole": Worded("The plan as a whole")},
            required=True,
        ),
        Link("initiative", Worded("Initiative"), to=("Initiative",)),
        Day("since", Worded("From")),
        Day("until", Worded("Until"), required=True),
        Line("method", Worded("Method"), longest=500, required=True),
        Line("by", Worded("By whom"), hint=Worded("A function or an office.")),
        Links("indicators", Worded("Indicators that were looked at"), to=(INDICATOR,)),
        Choice(
            "result",
            Worded("Result"),
            choices={
                "kept": Worded("The promise was kept"),
                "partly": Worded("Partly kept"),
                "broken": Worded("Not kept"),
                "unclear": Worded("Cannot be told"),
            },
            required=True,
        ),
        Prose("economic", Worded("Economic results"), longest=4000),
        Prose("social", Worded("Social results"), longest=4000),
        Prose("environmental", Worded("Environmental results"), longest=4000),
        Prose("lessons", Worded("What is learned"), longest=4000),
        Web("document", Worded("The document")),
    ),
    columns=("level", "until", "result"),
    check=_check_evaluation,
)


def _check_factor(values: Mapping[str, Any]) -> None:
    low, high = values.get("low"), values.get("high")
    if low is not None and high is not None and low >= high:
        raise BadInput(
            Worded("The lower bound is above the upper one"), hint=Worded("Exchange them."), where="high"
        )
    if bool(values.get("entity")) != bool(values.get("attribute")):
        raise BadInput(
            Worded("An Entity is measured by one of its attributes"),
            hint=Worded("Give both, or neither."),
            where="attribute",
        )


FACTOR = RecordKind(
    type="OutsideFactor",
    path="watch-list",
    singular=Worded("Outside factor"),
    plural=Worded("Watch list"),
    about=Worded(
        "What the city does not decide and the plan depends on, with bounds out of which somebody must act."
    ),
    permission=EDIT,
    fields=(
        Said("name", Worded("Factor"), required=True),
        Choice(
            "kind",
            Worded("Kind"),
            choices={
                "political": Worded("Political"),
                "economic": Worded("Economic"),
                "social": Worded("Social"),
                "technological": Worded("Technological"),
                "environmental": Worded("Environmental"),
                "legal": Worded("Legal"),
            },
            required=True,
        ),
        Prose("description", Worded("What depends on it")),
        Link("indicator", Worded("Indicator by which it is measured"), to=(INDICATOR,)),
        Line("entity", Worded("Or an Entity of the city, by its id"), longest=500),
        Line("attribute", Worded("The Entity's attribute"), longest=100),
        Number("low", Worded("Somebody must act below")),
        Number("high", Worded("Somebody must act above")),
        Prose("answer", Worded("What is then done"), longest=4000),
        Line("owner", Worded("Who watches it")),
        Day("lookedAt", Worded("Last looked at")),
    ),
    columns=("kind", "owner", "lookedAt"),
    check=_check_factor,
)

AUDIENCES = {
    "everybody": Worded("Everybody"),
    "residents": Worded("Residents of a district"),
    "firms": Worded("Firms"),
    "schools": Worded("Schools and universities"),
    "press": Worded("Press"),
    "staff": Worded("Staff of the city"),
    "council": Worded("Council"),
    "hardToReach": Worded("People who are hard to reach"),
}


def _check_communication(values: Mapping[str, Any]) -> None:
    if values.get("until") is not None and values["until"] < values["on"]:
        raise BadInput(Worded("It ends before it begins"), hint=Worded("Exchange the days."), where="until")


COMMUNICATION = RecordKind(
    type="PlanCommunication",
    path="communication",
    singular=Worded("Occasion"),
    plural=Worded("Communication calendar"),
    about=Worded("What is told when, to whom, by which means, and how many it reached."),
    permission=EDIT,
    fields=(
        Said("name", Worded("What is told"), required=True),
        Day("on", Worded("On"), required=True),
        Day("until", Worded("Until")),
        Choices("audience", Worded("For"), choices=AUDIENCES, required=True),
        Line(
            "means",
            Worded("By which means"),
            hint=Worded("A meeting, a newspaper, the city's pages."),
            required=True,
        ),
        Prose("message", Worded("The message"), longest=4000),
        Line("owner", Worded("Who sees to it")),
        Number("reachWanted", Worded("People it is to reach"), least=0, whole=True),
        Number("reached", Worded("People it reached"), least=0, whole=True),
        Links("about", Worded("About"), to=("Initiative", "Goal")),
    ),
    columns=("on", "audience", "means", "reachWanted", "reached"),
    check=_check_communication,
)

CHANGE = RecordKind(
    type="PlanChange",
    path="changes",
    singular=Worded("Proposed change"),
    plural=Worded("Proposed changes"),
    about=Worded(
        "What an evaluation says should be otherwise in the plan: proposed, accepted or refused, applied."
    ),
    permission=EDIT,
    fields=(
        Said("name", Worded("Change"), required=True),
        Link("because", Worded("Evaluation that it follows from"), to=("PlanEvaluation",), required=True),
        Link(
            "record",
            Worded("What is to change"),
            to=(
                "Goal",
                "CityVision",
                "ServiceProcess",
                "InfrastructureItem",
                "PlanBody",
                "OutsideFactor",
                "PlanCommunication",
                "StrengthOrWeakness",
            ),
            required=True,
        ),
        Line(
            "field",
            Worded("Which of its fields"),
            hint=Worded("Its name as the table for export has it, such as priority."),
            longest=60,
            required=True,
        ),
        Prose(
            "value",
            Worded("What is to stand there"),
            hint=Worded("Written as in a table for import; empty takes it out."),
        ),
        Prose("reason", Worded("Why"), longest=4000, required=True),
        Choice(
            "state",
            Worded("State"),
            choices={
                "proposed": Worded("Proposed"),
                "accepted": Worded("Accepted and applied"),
                "refused": Worded("Refused"),
            },
        ),
        Prose("answer", Worded("Why it was accepted or refused"), longest=4000),
        Link("decision", Worded("Decision"), to=("CommitteeDecision",)),
    ),
    columns=("because", "record", "state"),
)
