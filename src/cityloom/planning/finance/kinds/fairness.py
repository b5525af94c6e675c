"""Records of who pays and who gets: shared costs, investment by district, tariffs, what could be shared."""

from __future__ import annotations

from cityloom.kernel.worded import Worded
from cityloom.planning.finance.kinds.analyses import EDIT, INITIATIVE, SUMMARY
from cityloom.planning.finance.shared_blocks import BLOCKS
from cityloom.planning.records.fields import Amount, Choice, Line, Number, Rows, Said
from cityloom.planning.records.kinds import RecordKind

_NAME = Said("name", Worded("Name"), required=True)

COST_SHARING = RecordKind(
    type="CostSharing",
    path="cost-sharing",
    singular=Worded("Service shared by towns"),
    plural=Worded("Services shared by towns"),
    about=Worded("What each town pays for a service that none could have alone: by keys, and fairly."),
    permission=EDIT,
    fields=(
        _NAME,
        SUMMARY,
        INITIATIVE,
        Amount("fixed", Worded("Fixed cost a year"), required=True),
        Amount("perUse", Worded("Cost of a unit of use")),
        Rows(
            "towns",
            Worded("Towns"),
            columns=(
                Line("town", Worded("Town"), required=True, longest=80),
                Number("population", Worded("Inhabitants"), least=0),
                Number("use", Worded("Units of use a year"), least=0),
                Amount("alone", Worded("Cost a year if it did it alone")),
                Amount("worth", Worded("What it is worth to it a year")),
            ),
            most=100,
        ),
        Number("byPopulation", Worded("Weight of population in the mixed key"), least=0, most=1000),
        Number("byUse", Worded("Weight of use in the mixed key"), least=0, most=1000),
        Number("equally", Worded("Weight of equal parts in the mixed key"), least=0, most=1000),
    ),
    columns=("fixed",),
)

DISTRICT_INVESTMENT = RecordKind(
    type="DistrictInvestment",
    path="district-investment",
    singular=Worded("Investment by district"),
    plural=Worded("Investment by district"),
    about=Worded("Whether investment goes where it is needed, or widens the gaps between districts."),
    permission=EDIT,
    fields=(
        _NAME,
        SUMMARY,
        Rows(
            "districts",
            Worded("Districts"),
            columns=(
                Line("district", Worded("District"), required=True, longest=80),
                Amount("invested", Worded("Invested"), required=True),
                Number("people", Worded("People"), required=True, least=0),
                Number("need", Worded("Need a person (1 is the usual)"), least=0, most=1000),
            ),
            most=300,
        ),
        Number("threshold", Worded("Warn above a Gini index of"), least=0, most=1),
    ),
    columns=("threshold",),
)

TARIFF = RecordKind(
    type="ServiceTariff",
    path="tariffs",
    singular=Worded("Tariff"),
    plural=Worded("Tariffs"),
    about=Worded("What a service really costs, line by line, and what its customers pay of it."),
    permission=EDIT,
    fields=(
        _NAME,
        SUMMARY,
        Line(
            "unit",
            Worded("What is sold"),
            hint=Worded("A trip, a cubic metre, an hour."),
            required=True,
            longest=60,
        ),
        Number("interest", Worded("Interest on capital a year"), unit="P1", least=0, most=100),
        Rows(
            "costs",
            Worded("Costs"),
            columns=(
                Line("cost", Worded("Cost"), required=True, longest=120),
                Amount("amount", Worded("Amount a year, or capital"), required=True),
                Number("life", Worded("Years that capital lasts"), whole=True, least=0, most=200),
                Number("part", Worded("Part of this service"), unit="P1", least=0, most=100),
            ),
            most=60,
        ),
        Rows(
            "tariffs",
            Worded("Who pays what"),
            columns=(
                Line("customers", Worded("Customers"), required=True, longest=120),
                Amount("price", Worded("Price of a unit"), required=True),
                Number("units", Worded("Units a year"), required=True, least=0),
            ),
            most=60,
        ),
    ),
    columns=("unit",),
)

FEE_RULE = RecordKind(
    type="FeeRule",
    path="fees",
    singular=Worded("Fee that changes behaviour"),
    plural=Worded("Fees that change behaviour"),
    about=Worded("What people do and pay when a fee depends on how much they use and who they are."),
    permission=EDIT,
    fields=(
        _NAME,
        SUMMARY,
        INITIATIVE,
        Line(
            "unit",
            Worded("What is paid for"),
            hint=Worded("A bag of waste, a drive into the centre, a cubic metre."),
            required=True,
            longest=60,
        ),
        Amount("priceNow", Worded("Price of a unit now"), required=True),
        Rows(
            "bands",
            Worded("Price of a unit under the rule"),
            hint=Worded("Up to so many units a person and year; the last row has no end."),
            columns=(
                Number("upTo", Worded("Up to units"), least=0),
                Amount("price", Worded("Price of a unit"), required=True),
            ),
            most=20,
        ),
        Rows(
            "groups",
            Worded("Who pays"),
            hint=Worded("Income and use are those of a person in a year."),
            columns=(
                Line("group", Worded("Group"), required=True, longest=120),
                Number("people", Worded("People"), required=True, least=0),
                Amount("income", Worded("Income"), required=True),
                Number("use", Worded("Units used now"), required=True, least=0),
                Number(
                    "elasticity",
                    Worded("Elasticity: percent of change when the price rises by one percent"),
                    required=True,
                    least=-10,
                    most=0,
                ),
                Number("reduction", Worded("Taken off the fee"), unit="P1", least=0, most=100),
            ),
            most=60,
        ),
        Number("aim", Worded("Use is to fall by"), unit="P1", least=0, most=100),
        Number("bearable", Worded("Warn where more of an income is paid than"), unit="P1", least=0, most=100),
    ),
    columns=("unit", "priceNow"),
)

SHARED_SYSTEMS = RecordKind(
    type="SharedSystems",
    path="shared-systems",
    singular=Worded("Systems that could be shared"),
    plural=Worded("Systems that could be shared"),
    about=Worded("Systems of several sectors that do the same, and what one for all of them would save."),
    permission=EDIT,
    fields=(
        _NAME,
        SUMMARY,
        Rows(
            "systems",
            Worded("Systems"),
            columns=(
                Line("system", Worded("System"), required=True, longest=120),
                Line("sector", Worded("Sector"), required=True, longest=80),
                Choice("block", Worded("What it is"), choices=BLOCKS, required=True),
                Amount("cost", Worded("Cost a year"), required=True),
            ),
            most=300,
        ),
        Rows(
            "shared",
            Worded("One for all, where its cost is known"),
            columns=(
                Choice("block", Worded("What it is"), choices=BLOCKS, required=True),
                Amount("cost", Worded("Cost a year"), required=True),
                Amount("move", Worded("Cost of the move")),
            ),
            most=30,
        ),
        Number("extra", Worded("Otherwise: more for each further system"), unit="P1", least=0, most=500),
    ),
)

_ROUTE = Line(
    "route",
    Worded("Route"),
    hint=Worded("Latitude and longitude in degrees: 56.15 10.20; 56.16 10.21"),
    required=True,
    longest=8000,
)
SHARED_ROUTES = RecordKind(
    type="SharedRoutes",
    path="shared-routes",
    singular=Worded("Routes that could be shared"),
    plural=Worded("Routes that could be shared"),
    about=Worded("Where what is planned runs along pipes and ducts that are there, and what sharing saves."),
    permission=EDIT,
    fields=(
        _NAME,
        SUMMARY,
        INITIATIVE,
        Amount("trench", Worded("Cost of a metre on its own"), required=True),
        Number("within", Worded("In common within"), unit="MTR", least=1, most=500),
        Rows(
            "planned",
            Worded("Planned"),
            columns=(Line("what", Worded("What"), required=True, longest=120), _ROUTE),
            most=100,
        ),
        Rows(
            "existing",
            Worded("There already"),
            columns=(
                Line("what", Worded("What"), required=True, longest=120),
                _ROUTE,
                Amount("cost", Worded("Cost of a metre inside it")),
            ),
            most=300,
        ),
    ),
    columns=("trench",),
)
