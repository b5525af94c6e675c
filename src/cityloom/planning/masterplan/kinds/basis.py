"""Records of the first phase: what the city wants to be, where it stands, what it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.action.areas import DOMAINS
from cityloom.planning.masterplan import infrastructure
from cityloom.planning.masterplan.dimensions import ASPECTS, DIMENSIONS, REGIONS
from cityloom.planning.masterplan.stages import STAGES, Evidence, judge
from cityloom.planning.records.fields import (
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

EDIT = "plan:edit"
INDICATOR = "KeyPerformanceIndicator"


#: Which parts of the city fail together is nobody's business outside.
_MADE_OF = Rows(
    "madeOf",
    Worded("Parts of the live city that it is made of"),
    hint=Worded("The id of an Entity, or the name of a type for all of them. Alerts about them lead here."),
    columns=(Line("part", Worded("Id or type"), required=True, longest=500),),
    most=200,
    internal=True,
)

VISION = RecordKind(
    type="CityVision",
    path="vision",
    singular=Worded("Vision"),
    plural=Worded("Vision and purposes"),
    about=Worded("What the city wants to be, what makes it what it is, and what the plan is for."),
    permission=EDIT,
    fields=(
        Said("name", Worded("The vision in a sentence"), required=True),
        Said("description", Worded("The vision in more words"), several_lines=True, longest=8000),
        Said(
            "identity",
            Worded("The city's identity"),
            hint=Worded("What it is known for and wants to keep."),
            several_lines=True,
            longest=4000,
        ),
        Rows(
            "purposes",
            Worded("Purposes, the most important first"),
            columns=(
                Line("purpose", Worded("Purpose"), required=True),
                Choice("dimension", Worded("Dimension"), choices=DIMENSIONS),
            ),
            most=30,
        ),
        Choices("aspects", Worded("Aspects that come first"), choices=ASPECTS),
        Choice(
            "region",
            Worded("A region to compare with"),
            hint=Worded(
                "Regions put different things first; the page of the vision holds yours against them."
            ),
            choices=REGIONS,
        ),
        Day("until", Worded("To be reached by")),
        Web("source", Worded("Where it was published")),
    ),
    columns=("until",),
)


def evidence_of(values: Mapping[str, Any]) -> Evidence:
    """What a record says by which a city's stage is told."""
    return Evidence(
        young=values.get("young"),
        old=values.get("old"),
        growth=values.get("growth"),
        empty=values.get("empty"),
    )


def _check_stage(values: Mapping[str, Any]) -> None:
    """Who decides otherwise than the evidence speaks says why."""
    judged = judge(evidence_of(values)).stage
    if values.get("stage") != judged and not values.get("reason"):
        raise BadInput(
            Worded("The evidence speaks for another stage, or for none"),
            hint=Worded("Write down why you decide so all the same."),
            where="reason",
        )


STAGE = RecordKind(
    type="CityStage",
    path="stage",
    singular=Worded("Stage of the city"),
    plural=Worded("Stage of the city"),
    about=Worded(
        "Whether the city, or a part of it, is newly developed, mature or deteriorated, told from evidence."
    ),
    permission=EDIT,
    fields=(
        Said("name", Worded("City or part of it"), required=True),
        Number("young", Worded("Built-up area younger than 15 years"), unit="P1", least=0, most=100),
        Number(
            "old",
            Worded("Buildings older than 40 years that were not renovated"),
            unit="P1",
            least=0,
            most=100,
        ),
        Number("growth", Worded("Change of the population in ten years"), unit="P1", least=-100, most=1000),
        Number("empty", Worded("Dwellings that stand empty"), unit="P1", least=0, most=100),
        Line("source", Worded("Where the figures come from"), longest=500),
        Choice("stage", Worded("Stage"), choices=STAGES, required=True),
        Prose("reason", Worded("Why another one than the evidence speaks for"), longest=2000),
    ),
    columns=("stage", "source"),
    check=_check_stage,
)

FINDING = RecordKind(
    type="StrengthOrWeakness",
    path="strengths",
    singular=Worded("Strength or weakness"),
    plural=Worded("Strengths and weaknesses"),
    about=Worded("What the city is good at and what it is not, told by its indicators."),
    permission=EDIT,
    fields=(
        Said("name", Worded("In a sentence"), required=True),
        Choice(
            "kind",
            Worded("Kind"),
            choices={
                "strength": Worded("Strength"),
                "weakness": Worded("Weakness"),
                "opportunity": Worded("Opportunity"),
                "threat": Worded("Threat"),
            },
            required=True,
        ),
        Prose("description", Worded("Description")),
        Choice("dimension", Worded("Dimension"), choices=DIMENSIONS),
        Links("indicators", Worded("Indicators that show it"), to=(INDICATOR,)),
        Number(
            "weight",
            Worded("How much it matters"),
            hint=Worded("1 little, 5 very much"),
            least=1,
            most=5,
            whole=True,
        ),
    ),
    columns=("kind", "dimension", "weight"),
)

PROCESS = RecordKind(
    type="ServiceProcess",
    path="processes",
    singular=Worded("Service of the city"),
    plural=Worded("Catalogue of services"),
    about=Worded("The services that the city runs, step by step, and what each of them depends on."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Service"), required=True),
        Prose("description", Worded("What it does for whom")),
        Choice(
            "domain",
            Worded("Domain"),
            choices=DOMAINS,
        ),
        Line("owner", Worded("Who runs it")),
        Rows(
            "steps",
            Worded("Steps"),
            columns=(
                Line("step", Worded("Step"), required=True),
                Line("by", Worded("By whom")),
                Line("system", Worded("With which system")),
            ),
            most=60,
        ),
        Links("dependsOn", Worded("Depends on"), to=("ServiceProcess", "InfrastructureItem")),
        _MADE_OF,
        Flag("critical", Worded("People come to harm when it stops")),
        Number("outage", Worded("How long it may stop"), unit="HUR", least=0),
    ),
    columns=("domain", "owner", "critical"),
)

INFRASTRUCTURE = RecordKind(
    type="InfrastructureItem",
    path="infrastructure",
    singular=Worded("Item of infrastructure"),
    plural=Worded("State of the infrastructure"),
    about=Worded("What there is of information technology, by ITU's categories: how much, whose, how old."),
    permission=EDIT,
    fields=(
        Said("name", Worded("What it is"), required=True),
        Choice("category", Worded("Category"), choices=infrastructure.CATEGORIES, required=True),
        Number("count", Worded("How many"), least=0),
        Line("owner", Worded("Whose it is")),
        Day("since", Worded("In use since")),
        Number("lifetime", Worded("How long it is meant to last"), unit="ANN", least=0, most=200),
        Choice(
            "condition",
            Worded("Condition"),
            choices={
                "good": Worded("Good"),
                "fair": Worded("Fair"),
                "poor": Worded("Poor"),
                "unknown": Worded("Not known"),
            },
        ),
        Flag("shared", Worded("Others may use it too")),
        Links("dependsOn", Worded("Depends on"), to=("InfrastructureItem",)),
        _MADE_OF,
        Place("location", Worded("Place"), internal=True),
        Prose("description", Worded("Remarks"), internal=True),
        Link("replacedBy", Worded("Replaced by"), to=("Initiative",)),
    ),
    columns=("category", "count", "owner", "since", "condition"),
)
