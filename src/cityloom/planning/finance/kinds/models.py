"""Records of who owns and who pays: network models, partnerships, the financing of digital identity."""

from __future__ import annotations

from cityloom.kernel.worded import Worded
from cityloom.planning.finance.identity_financing import NAMES as PAYERS
from cityloom.planning.finance.kinds.analyses import EDIT, INITIATIVE, SUMMARY
from cityloom.planning.finance.network_models import NAMES as MODELS
from cityloom.planning.records.fields import Amount, Choice, Flag, Line, Number, Rows, Said, Year
from cityloom.planning.records.kinds import RecordKind

RATE = Number("rate", Worded("Discount rate a year"), unit="P1", least=0, most=100)

NETWORK_MODEL = RecordKind(
    type="NetworkBusinessModel",
    path="network-models",
    singular=Worded("Business model of a network"),
    plural=Worded("Business models of networks"),
    about=Worded("Who owns the layers of a network, and who keeps what of what users pay."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Name"), required=True),
        SUMMARY,
        INITIATIVE,
        Choice(
            "model",
            Worded("Model"),
            choices={one.value: words for one, words in MODELS.items()},
            required=True,
        ),
        Number("lines", Worded("Lines"), required=True, whole=True, least=0, most=100_000_000),
        Amount("retail", Worded("Users pay for a line a month"), required=True),
        Amount("wholesale", Worded("Service providers pay for access, a line a month"), required=True),
        Amount("lease", Worded("Network operators pay for infrastructure, a line a month"), required=True),
        Amount("passiveCost", Worded("Cost a year of the passive infrastructure")),
        Amount("activeCost", Worded("Cost a year of the active network")),
        Amount("serviceCost", Worded("Cost a year of the services")),
        Amount("passiveCapital", Worded("Capital in the passive infrastructure")),
        Amount("activeCapital", Worded("Capital in the active network")),
        Amount("serviceCapital", Worded("Capital in the services")),
    ),
    columns=("model", "lines"),
)

PARTNERSHIP = RecordKind(
    type="PublicPrivatePartnership",
    path="partnerships",
    singular=Worded("Public-private partnership"),
    plural=Worded("Public-private partnerships"),
    about=Worded("Shares of the partners, who bears which risk, and what is paid for what is delivered."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Name"), required=True),
        SUMMARY,
        INITIATIVE,
        Amount("capital", Worded("Capital brought in"), required=True),
        RATE,
        Rows(
            "partners",
            Worded("Partners"),
            columns=(
                Line("partner", Worded("Partner"), required=True, longest=120),
                Number("share", Worded("Share"), unit="P1", required=True, least=0, most=100),
                Flag("public", Worded("Is public")),
            ),
            most=20,
        ),
        Rows(
            "risks",
            Worded("Risks"),
            columns=(
                Line("risk", Worded("Risk"), required=True),
                Line("owner", Worded("Who bears it"), required=True, longest=120),
                Number("likelihood", Worded("Likelihood"), unit="P1", required=True, least=0, most=100),
                Amount("cost", Worded("Cost if it happens"), required=True),
                Line("mitigation", Worded("What is done about it")),
            ),
            most=60,
        ),
        Amount("availabilityPayment", Worded("Payment a year for being available")),
        Number("agreed", Worded("Availability that is agreed"), unit="P1", least=0, most=100),
        Number(
            "deduction",
            Worded("Deducted for each percentage point below"),
            unit="P1",
            least=0,
            most=100,
        ),
        Number("indexation", Worded("Payments rise a year by"), unit="P1", least=-50, most=100),
        Rows(
            "bands",
            Worded("Price of a use"),
            hint=Worded("Uses a year up to a number, at a price; the last band has no end."),
            columns=(
                Number("upTo", Worded("Up to so many uses"), least=0),
                Amount("price", Worded("Price of a use"), required=True),
            ),
            most=10,
        ),
        Rows(
            "years",
            Worded("Years"),
            columns=(
                Year("year", Worded("Year"), required=True),
                Number("available", Worded("Available"), unit="P1", required=True, least=0, most=100),
                Number("uses", Worded("Uses"), least=0),
            ),
            most=60,
        ),
        Amount("byItself", Worded("Present value of doing it without partners")),
    ),
    columns=("capital",),
)

IDENTITY = RecordKind(
    type="IdentityFinancing",
    path="identity-financing",
    singular=Worded("Financing of digital identity"),
    plural=Worded("Financing of digital identity"),
    about=Worded("What a digital identity costs, and who pays: the public sector, the private one, or both."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Name"), required=True),
        SUMMARY,
        INITIATIVE,
        Choice(
            "payer",
            Worded("Who pays"),
            choices={one.value: words for one, words in PAYERS.items()},
            required=True,
        ),
        Number(
            "privateShare", Worded("The private sector bears, where both pay"), unit="P1", least=0, most=100
        ),
        Number("years", Worded("Years looked at"), required=True, whole=True, least=1, most=60),
        RATE,
        Number(
            "people", Worded("People to be enrolled"), required=True, whole=True, least=0, most=2_000_000_000
        ),
        Number("enrolmentYears", Worded("Enrolled within years"), whole=True, least=1, most=60),
        Amount("setUp", Worded("Cost of setting it up"), required=True),
        Amount("aYear", Worded("Cost a year"), required=True),
        Amount("perPerson", Worded("Cost of enrolling a person")),
        Number("perCheck", Worded("Cost of a check, in the currency above"), least=0, most=1000),
        Number("publicChecks", Worded("Checks by public bodies, a person a year"), least=0, most=10_000),
        Number("privateChecks", Worded("Checks by private firms, a person a year"), least=0, most=10_000),
    ),
    columns=("payer", "years"),
)
