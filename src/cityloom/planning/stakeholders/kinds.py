"""Records of stakeholders: what is written down of each, and what everybody may know of it.

How somebody stands (power, interest, levels, what is planned with them) is internal in every kind, and is
never published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
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
    Prose,
    Rows,
    Said,
    Web,
)
from cityloom.planning.records.kinds import RecordKind
from cityloom.planning.stakeholders import words
from cityloom.planning.stakeholders.engagement import MOST

PERMISSION = "stakeholders:edit"
#: What a role, a consultation or a contribution can be about.
PROJECTS = ("Initiative", "Goal")
_STAKEHOLDER = ("Stakeholder",)
_POWER_HINT = Worded("From 1 to 10; 6 and more is high.")


def _until_after_since(values: Mapping[str, Any]) -> None:
    since, until = values.get("since"), values.get("until")
    if since is not None and until is not None and until < since:
        raise BadInput(
            Worded("It ends before it begins"), hint=Worded("Correct one of the days."), where="until"
        )


def _two_ends(values: Mapping[str, Any]) -> None:
    if values.get("source") == values.get("target"):
        raise BadInput(
            Worded("Both ends are the same"), hint=Worded("Choose another stakeholder."), where="target"
        )


def _days_in_order(values: Mapping[str, Any]) -> None:
    opens, closes = values.get("opens"), values.get("closes")
    if opens is not None and closes is not None and closes < opens:
        raise BadInput(
            Worded("It closes before it opens"), hint=Worded("Correct one of the days."), where="closes"
        )


STAKEHOLDER = RecordKind(
    type="Stakeholder",
    path="stakeholders",
    singular=Worded("Stakeholder"),
    plural=Worded("Stakeholders"),
    about=Worded("Who acts on the city's plans, gains by them, or is touched by them."),
    permission=PERMISSION,
    columns=("category", "scale", "sector"),
    fields=(
        Said("name", Worded("Name"), required=True),
        Choice("category", Worded("Category"), choices=words.CATEGORIES, required=True),
        Choice("scale", Worded("Scale"), choices=words.SCALES),
        Choice("sector", Worded("Sector"), choices=words.SECTORS),
        Prose("aims", words.CELL_NAMES["aims"], longest=4000),
        Prose("challenges", words.CELL_NAMES["challenges"], longest=4000),
        Prose("potential", words.CELL_NAMES["potential"], longest=4000),
        Prose("constraints", words.CELL_NAMES["constraints"], longest=4000),
        Prose("contribution", words.CELL_NAMES["contribution"], longest=4000),
        Choices("enabling", Worded("What it enables or drives"), choices=words.ENABLING),
        Choice("unitOf", Worded("Kind of unit"), choices=words.LEVELS_OF_UNITS),
        Prose("duties", Worded("Duties"), hint=Worded("One to a line."), longest=4000),
        Link("partOf", Worded("Part of"), to=_STAKEHOLDER),
        Web("website", Worded("On the web")),
        Line("source", Worded("Where this comes from")),
        Choice("involvement", Worded("Involvement"), choices=words.INVOLVEMENT, internal=True),
        Day("appraisedOn", Worded("First judged on"), internal=True),
        Choice("firstLevel", Worded("Engagement at first"), choices=words.LEVELS, internal=True),
        Number(
            "firstPower",
            Worded("Power at first"),
            hint=_POWER_HINT,
            least=1,
            most=MOST,
            whole=True,
            internal=True,
        ),
        Number(
            "firstInterest",
            Worded("Interest at first"),
            hint=_POWER_HINT,
            least=1,
            most=MOST,
            whole=True,
            internal=True,
        ),
        Choice("targetLevel", Worded("Engagement aimed at"), choices=words.LEVELS, internal=True),
        Prose("strategy", Worded("Strategy"), longest=2000, internal=True),
        Line("nextAction", Worded("Next action"), internal=True),
        Day("nextOn", Worded("To be done by"), internal=True),
        Line("responsible", Worded("Responsible"), hint=Worded("An office or a function."), internal=True),
    ),
)

ROLE = RecordKind(
    type="StakeholderRole",
    path="stakeholder-roles",
    singular=Worded("Role in a project"),
    plural=Worded("Roles in projects"),
    about=Worded("Who is active in a project, gains by it, or is touched by it, and since when."),
    permission=PERMISSION,
    columns=("stakeholder", "project", "role", "since"),
    check=_until_after_since,
    fields=(
        Said("name", Worded("Name"), required=True, longest=500),
        Link("stakeholder", Worded("Stakeholder"), to=_STAKEHOLDER, required=True),
        Link("project", Worded("Project"), to=PROJECTS, required=True),
        Choice("role", Worded("Role"), choices=words.ROLES, required=True),
        Day("since", Worded("Since"), required=True),
        Day("until", Worded("Until")),
        Prose("why", Worded("Why"), longest=2000, internal=True),
    ),
)

RELATION = RecordKind(
    type="StakeholderRelation",
    path="stakeholder-relations",
    singular=Worded("Relation"),
    plural=Worded("Relations between stakeholders"),
    about=Worded("How stakeholders deal with each other."),
    permission=PERMISSION,
    columns=("source", "relation", "target", "strength"),
    check=_two_ends,
    fields=(
        Said("name", Worded("Name"), required=True, longest=500),
        Link("source", Worded("From"), to=_STAKEHOLDER, required=True),
        Link("target", Worded("To"), to=_STAKEHOLDER, required=True),
        Choice("relation", Worded("Relation"), choices=words.RELATIONS, required=True),
        Choice("direction", Worded("Direction"), choices=words.DIRECTIONS),
        Choice("strength", Worded("Strength"), choices=words.STRENGTHS),
        Prose("about", Worded("What it is about"), longest=2000),
    ),
)

CONTACT = RecordKind(
    type="StakeholderContact",
    path="stakeholder-contacts",
    singular=Worded("Contact"),
    plural=Worded("Contacts with stakeholders"),
    about=Worded("What was said, and how somebody stands since."),
    permission=PERMISSION,
    publishable=False,
    columns=("stakeholder", "day", "channel", "level"),
    fields=(
        Said("name", Worded("Name"), required=True, longest=500),
        Link("stakeholder", Worded("Stakeholder"), to=_STAKEHOLDER, required=True, internal=True),
        Day("day", Worded("Day"), required=True, internal=True),
        Choice("channel", Worded("Way"), choices=words.CHANNELS, required=True, internal=True),
        Line("who", Worded("Who spoke with whom"), internal=True),
        Prose("said", Worded("What was said"), internal=True),
        Choice("level", Worded("Engagement since"), choices=words.LEVELS, internal=True),
        Number(
            "power", Worded("Power since"), hint=_POWER_HINT, least=1, most=MOST, whole=True, internal=True
        ),
        Number(
            "interest",
            Worded("Interest since"),
            hint=_POWER_HINT,
            least=1,
            most=MOST,
            whole=True,
            internal=True,
        ),
    ),
)

ACTIVITY = RecordKind(
    type="EngagementActivity",
    path="engagement-activities",
    singular=Worded("Participation process"),
    plural=Worded("Participation processes"),
    about=Worded("Workshops, hearings and surveys: who came, and what they took."),
    permission=PERMISSION,
    columns=("activity", "day", "hours"),
    fields=(
        Said("name", Worded("Name"), required=True),
        Choice("activity", Worded("Kind"), choices=words.ACTIVITIES, required=True),
        Day("day", Worded("Day"), required=True),
        Links("attended", Worded("Stakeholders that came"), to=_STAKEHOLDER),
        Number("citizens", Worded("Citizens that came for themselves"), least=0, most=1_000_000, whole=True),
        Number("hours", Worded("Hours of staff"), least=0, most=1_000_000, unit="HUR"),
        Amount("cost", Worded("Cost")),
        Link("consultation", Worded("Part of the consultation"), to=("Consultation",)),
        Prose("outcome", Worded("What came of it"), longest=4000),
    ),
)

ALLIANCE = RecordKind(
    type="CityAlliance",
    path="city-alliances",
    singular=Worded("Alliance of cities"),
    plural=Worded("Alliances of cities"),
    about=Worded("Which cities this one has joined, what it has committed itself to, and what it reported."),
    permission=PERMISSION,
    columns=("joined", "web"),
    fields=(
        Said("name", Worded("Name"), required=True),
        Prose("members", Worded("Members"), longest=4000),
        Day("joined", Worded("Joined on")),
        Web("web", Worded("On the web")),
        Rows(
            "commitments",
            Worded("Commitments"),
            columns=(
                Line("what", Worded("What"), required=True, longest=500),
                Day("due", Worded("To be reached by")),
                Line("measure", Worded("Measured by")),
                Flag("kept", Worded("Kept")),
            ),
        ),
        Rows(
            "reports",
            Worded("Reports"),
            columns=(
                Day("day", Worded("Day"), required=True),
                Line("what", Worded("What was reported"), required=True, longest=500),
                Web("web", Worded("On the web")),
            ),
        ),
        Links("initiatives", Worded("What carries it out"), to=PROJECTS),
    ),
)

CONSULTATION = RecordKind(
    type="Consultation",
    path="consultations",
    singular=Worded("Consultation"),
    plural=Worded("Consultations"),
    about=Worded("What everybody is asked about, and what came of it."),
    permission=PERMISSION,
    columns=("opens", "closes", "responsible"),
    check=_days_in_order,
    fields=(
        Said("name", Worded("Name"), required=True),
        Said("about", Worded("What it is about"), longest=8000, several_lines=True),
        Links("concerns", Worded("Goals and initiatives it is about"), to=PROJECTS),
        Day("opens", Worded("Opens on")),
        Day("closes", Worded("Closes on"), hint=Worded("The last day on which it is open.")),
        Rows(
            "documents",
            Worded("Documents"),
            columns=(
                Said("title", Worded("Title"), required=True),
                Web("web", Worded("On the web"), required=True),
            ),
            most=50,
        ),
        Rows(
            "questions",
            Worded("Questions"),
            columns=(Said("question", Worded("Question"), required=True, longest=500),),
            most=20,
        ),
        Links("invited", Worded("Stakeholders that are asked"), to=_STAKEHOLDER),
        Said("consensusRule", Worded("How agreement is sought"), longest=2000, several_lines=True),
        Said("grievanceHow", Worded("How a grievance is raised"), longest=2000, several_lines=True),
        Said("grievanceArbiter", Worded("Who looks at grievances"), hint=Worded("An office or a function.")),
        Day("grievanceSince", Worded("Grievances can be raised since")),
        Said("responsible", Worded("Responsible"), hint=Worded("An office or a function.")),
        Number("hours", Worded("Hours of staff"), least=0, most=1_000_000, unit="HUR", internal=True),
        Amount("cost", Worded("Cost"), internal=True),
        Said("outcome", Worded("What came of it"), longest=8000, several_lines=True),
    ),
)

#: The only one of its kind that counts is the one changed last; without one the defaults hold.
RULES = RecordKind(
    type="EngagementRules",
    path="engagement-rules",
    singular=Worded("Rules of participation"),
    plural=Worded("Rules of participation"),
    about=Worded("From where on the city is warned, and how much a consultation takes before it opens."),
    permission=PERMISSION,
    fields=(
        Said("name", Worded("Name"), required=True),
        Number(
            "leastActs",
            Worded("Contributions below which nothing is told"),
            least=1,
            most=100_000,
            whole=True,
        ),
        Number("leastGroups", Worded("Categories below which nothing is told"), least=2, most=12, whole=True),
        Number("oneVoice", Worded("Share of one stakeholder, at most"), least=0, most=100, unit="P1"),
        Number("oneGroup", Worded("Share of one organised group, at most"), least=0, most=100, unit="P1"),
        Number(
            "oneOutcome", Worded("Share of what changed something, at most"), least=0, most=100, unit="P1"
        ),
        Number("hours", Worded("Hours for each who took part, at most"), least=0, most=10_000, unit="HUR"),
        Number("money", Worded("Cost for each who took part, at most"), least=0, most=10_000_000),
        Number("days", Worded("Days until an answer, at most"), least=0, most=10_000, unit="DAY"),
        Number("groupsAbsent", Worded("Share of groups left out, at most"), least=0, most=100, unit="P1"),
        Number(
            "stakeholdersAbsent",
            Worded("Share of stakeholders left out, at most"),
            least=0,
            most=100,
            unit="P1",
        ),
        Number("leastCategories", Worded("Categories a consultation must ask"), least=1, most=12, whole=True),
        Number(
            "leastDays",
            Worded("Days a consultation is public before it opens"),
            least=0,
            most=365,
            whole=True,
            unit="DAY",
        ),
    ),
)

ANALYSIS = RecordKind(
    type="StakeholderAnalysis",
    path="stakeholder-analyses",
    singular=Worded("Finished analysis"),
    plural=Worded("Finished analyses"),
    about=Worded("How all stakeholders stood when a round of the analysis was finished."),
    permission=PERMISSION,
    publishable=False,
    columns=("round", "day"),
    fields=(
        Said("name", Worded("Name"), required=True),
        Number("round", Worded("Round"), least=1, whole=True, required=True, internal=True),
        Day("day", Worded("Day"), required=True, internal=True),
        Prose("findings", Worded("What was found"), internal=True),
        Rows(
            "rows",
            Worded("Stakeholders"),
            internal=True,
            most=1000,
            columns=(
                Line("id", Worded("Id"), longest=500),
                Line("name", Worded("Name"), longest=500),
                Choice("category", Worded("Category"), choices=words.CATEGORIES),
                Line("roles", Worded("Roles")),
                Line("enabling", Worded("What it enables or drives")),
                Line("level", Worded("Engagement")),
                Line("power", Worded("Power")),
                Line("interest", Worded("Interest")),
                Prose("contribution", Worded("Role and contribution"), longest=300),
            ),
        ),
    ),
)

KINDS = (
    STAKEHOLDER,
    ROLE,
    RELATION,
    CONTACT,
    ACTIVITY,
    ALLIANCE,
    CONSULTATION,
    RULES,
    ANALYSIS,
)
