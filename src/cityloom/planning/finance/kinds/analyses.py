"""Records of what plans cost and bring: cost-benefit analyses, and scenarios of adoption."""

from __future__ import annotations

from cityloom.kernel.worded import Worded
from cityloom.planning.finance.adoption import Form
from cityloom.planning.finance.cash_flows import Shape
from cityloom.planning.finance.cost_benefit import KINDS as ITEM_KINDS
from cityloom.planning.finance.discounting import OWN, TITLES, Basis, Timing
from cityloom.planning.records.fields import Amount, Choice, Line, Link, Number, Rows, Said, Year
from cityloom.planning.records.kinds import RecordKind

EDIT = "plan:edit"
INDICATOR = "KeyPerformanceIndicator"
FIRST_YEAR = Year("baseYear", Worded("Base year"), required=True)
LAST_YEAR = Year("until", Worded("Last year"), required=True)
SUMMARY = Said("description", Worded("What it is about"), several_lines=True, longest=8000)
INITIATIVE = Link("initiative", Worded("Initiative"), to=("Initiative",))
_SINCE = Year("since", Worded("From year"))
_UNTIL = Year("until", Worded("To year"))
_GROWTH = Number("growth", Worded("Growth a year"), unit="P1", least=-99, most=1000)
_GROUP = Line("group", Worded("Who bears or gains it"), required=True, longest=80)

CONVENTIONS = {**TITLES, OWN: Worded("A rate of the city's own")}
TIMINGS = {
    Timing.YEAR_ZERO.value: Worded("the base year in full"),
    Timing.MID_YEAR.value: Worded("in the middle of each year"),
    Timing.YEAR_END.value: Worded("at the end of each year"),
}
PRICES = {
    Basis.REAL.value: Worded("of the base year (real)"),
    Basis.NOMINAL.value: Worded("of each year (nominal)"),
}
SHAPES = {
    Shape.UNIFORM.value: Worded("all alike between low and high"),
    Shape.TRIANGULAR.value: Worded("triangle"),
    Shape.PERT.value: Worded("PERT: a smooth triangle"),
    Shape.NORMAL.value: Worded("normal"),
    Shape.LOGNORMAL.value: Worded("lognormal"),
}

COST_BENEFIT = RecordKind(
    type="CostBenefitAnalysis",
    path="cost-benefit",
    singular=Worded("Cost-benefit analysis"),
    plural=Worded("Cost-benefit analyses"),
    about=Worded("Whether a plan is worth its money, for whom, how sure that is, and what came of it."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Name"), required=True),
        SUMMARY,
        INITIATIVE,
        FIRST_YEAR,
        LAST_YEAR,
        Choice("convention", Worded("Discounting"), choices=CONVENTIONS, required=True),
        Number("rate", Worded("The city's own rate a year"), unit="P1", least=-50, most=100),
        Choice("timing", Worded("When a year's flows count"), choices=TIMINGS),
        Choice("prices", Worded("Prices"), choices=PRICES),
        Number(
            "inflation",
            Worded("Prices rise a year by"),
            hint=Worded("Needed where amounts are nominal and rates real, or the other way."),
            unit="P1",
            least=-50,
            most=100,
        ),
        Rows(
            "items",
            Worded("Costs and gains"),
            hint=Worded(
                "An amount a year, from a year to a year. Rows of the same name, kind and group are one item."
            ),
            columns=(
                Line("item", Worded("Item"), required=True, longest=120),
                Choice(
                    "kind",
                    Worded("Kind"),
                    choices={kind.value: words for kind, words in ITEM_KINDS.items()},
                    required=True,
                ),
                _GROUP,
                Amount("amount", Worded("Amount a year"), required=True),
                _SINCE,
                _UNTIL,
                _GROWTH,
            ),
        ),
        Rows(
            "benefits",
            Worded("Benefits that an indicator measures"),
            hint=Worded(
                "What one unit of change is worth in a year, times the change that is promised. It is held "
                "against what the indicator does."
            ),
            columns=(
                Line("item", Worded("Item"), required=True, longest=120),
                _GROUP,
                Link("indicator", Worded("Indicator"), to=(INDICATOR,)),
                Amount("unitValue", Worded("Worth of one unit a year"), required=True),
                Number("baseline", Worded("Value before")),
                Number("change", Worded("Change that is promised"), required=True),
                _SINCE,
                _UNTIL,
                _GROWTH,
            ),
            most=50,
        ),
        Rows(
            "uncertainty",
            Worded("How uncertain items are"),
            hint=Worded("As percent of the amount: 80 and 130 is a fifth less to three tenths more."),
            columns=(
                Line("item", Worded("Item"), required=True, longest=120),
                Choice("shape", Worded("Spread"), choices=SHAPES, required=True),
                Number("low", Worded("Low"), unit="P1", least=0, most=10_000),
                Number("likely", Worded("Most likely"), unit="P1", least=0, most=10_000),
                Number("high", Worded("High"), unit="P1", least=0, most=10_000),
                Number("deviation", Worded("Standard deviation"), unit="P1", least=0, most=1000),
            ),
            most=100,
        ),
        # More of them are run by `cityloom cba`: whoever reads the record has them run again here.
        Number("runs", Worded("Runs of the simulation"), whole=True, least=0, most=10_000),
        Number(
            "seed",
            Worded("Seed of the simulation"),
            hint=Worded("The same seed gives the same runs."),
            whole=True,
            least=0,
            most=2**31,
        ),
        Number("swing", Worded("Inputs are moved by"), unit="P1", least=1, most=99),
        Line(
            "carrier",
            Worded("Whose costs the budget is for"),
            hint=Worded("A group as it stands above; left empty, everybody's."),
            longest=80,
        ),
    ),
    columns=("initiative", "baseYear", "until"),
)

_FORMS = {Form.BASS.value: Worded("Bass"), Form.LOGISTIC.value: Worded("logistic")}
_OPTION = Line("option", Worded("Option (code)"), longest=40)

ADOPTION = RecordKind(
    type="AdoptionScenario",
    path="adoption",
    singular=Worded("Adoption of technologies"),
    plural=Worded("Adoption of technologies"),
    about=Worded("How technologies spread with and without policy, and what that takes and brings."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Name"), required=True),
        SUMMARY,
        INITIATIVE,
        Line(
            "scenario",
            Worded("The scenario that its budget is for"),
            hint=Worded("As it stands below; left empty, the one without levers."),
            longest=80,
        ),
        FIRST_YEAR,
        LAST_YEAR,
        Choice("convention", Worded("Discounting"), choices=CONVENTIONS, required=True),
        Number("rate", Worded("The city's own rate a year"), unit="P1", least=-50, most=100),
        Rows(
            "options",
            Worded("Technologies"),
            hint=Worded(
                "Bass takes innovation p and imitation q, the logistic a growth a year and the years until "
                "half; where five counts or more stand below, the curve is fitted to them instead."
            ),
            columns=(
                Line("code", Worded("Code"), required=True, longest=40),
                Line("title", Worded("Name"), required=True, longest=120),
                Line("sector", Worded("Service sector"), required=True, longest=80),
                Choice("form", Worded("Curve"), choices=_FORMS, required=True),
                Year("launch", Worded("Launched in"), required=True),
                Number("potential", Worded("Could ever adopt it"), least=0),
                Number("innovation", Worded("Innovation p"), least=0, most=1),
                Number("imitation", Worded("Imitation q"), least=0, most=5),
                Number("growth", Worded("Growth a year"), least=0, most=20),
                Number("middle", Worded("Years until half")),
                Amount("fixed", Worded("Once, at the launch")),
                Amount("capital", Worded("Once for each adopter")),
                Amount("operating", Worded("Cost of each a year")),
                Amount("gain", Worded("Gain of each a year")),
                Number(
                    "publicShare", Worded("The city pays of the investment"), unit="P1", least=0, most=100
                ),
            ),
            most=20,
        ),
        Rows(
            "counts",
            Worded("Adopters that were counted"),
            columns=(
                _OPTION,
                Year("year", Worded("At the end of"), required=True),
                Number("adopters", Worded("Adopters so far"), required=True, least=0),
            ),
            most=200,
        ),
        Rows(
            "levers",
            Worded("Policy levers"),
            hint=Worded("Levers of the same scenario act together. 1.2 is a fifth more, empty is as it is."),
            columns=(
                Line("scenario", Worded("Scenario"), required=True, longest=80),
                Line("lever", Worded("Lever"), required=True, longest=120),
                _OPTION,
                Number("potential", Worded("Potential times"), least=0, most=100),
                Number("innovation", Worded("Innovation times"), least=0, most=100),
                Number("imitation", Worded("Imitation times"), least=0, most=100),
                Number("capital", Worded("Cost for each times"), least=0, most=100),
                Amount("cost", Worded("Cost a year")),
                _SINCE,
                _UNTIL,
            ),
            most=50,
        ),
        Rows(
            "industries",
            Worded("Industries of the city's input-output table"),
            columns=(
                Line("industry", Worded("Industry"), required=True, longest=80),
                Number("output", Worded("Output"), required=True, least=0),
                Number("valueAdded", Worded("Value added"), least=0),
                Number("jobs", Worded("Jobs"), least=0),
            ),
            most=60,
        ),
        Rows(
            "sales",
            Worded("Sales between industries"),
            columns=(
                Line("seller", Worded("Seller"), required=True, longest=80),
                Line("buyer", Worded("Buyer"), required=True, longest=80),
                Number("amount", Worded("Amount"), required=True, least=0),
            ),
            most=600,
        ),
        Rows(
            "spending",
            Worded("Where a sector's investment goes"),
            columns=(
                Line("sector", Worded("Service sector"), required=True, longest=80),
                Line("industry", Worded("Industry"), required=True, longest=80),
                Number("share", Worded("Share"), unit="P1", required=True, least=0, most=100),
            ),
            most=200,
        ),
        Number("tableUnit", Worded("One unit of the table is so much money"), least=0.01),
    ),
    columns=("initiative", "baseYear", "until"),
)
