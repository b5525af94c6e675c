"""Records of procurement: tenders and bids.

Until the last day for bids is over, one is read by who wrote it down alone; from then on by those who manage
and examine contracts. Of an award everybody sees who bid how much, and why it is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.records.fields import (
    Amount,
    Choice,
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

MANAGE = "contracts:manage"
EXAMINE = "contracts:examine"
WHOLE = 100
PRICE = "price"
_MEASURES = {PRICE: Worded("by the price"), "quality": Worded("by points from 0 to 100")}


def _check_tender(values: Mapping[str, Any]) -> None:
    announced, closes, awarded = (values.get(name) for name in ("announcedOn", "closes", "awardedOn"))
    if announced is not None and closes is not None and closes < announced:
        raise BadInput(
            Worded("It closes before it is announced"),
            hint=Worded("Correct one of the days."),
            where="closes",
        )
    if awarded is not None and closes is not None and awarded <= closes:
        raise BadInput(
            Worded("It is awarded while bids may still come"),
            hint=Worded("Award it after the last day for bids."),
            where="awardedOn",
        )
    criteria = values.get("criteria", ())
    # By their shortest texts: 33.3, 33.3 and 33.4 are a hundred.
    if criteria and sum(Decimal(repr(float(one["weight"]))) for one in criteria) != WHOLE:
        raise BadInput(
            Worded("The weights do not add up to 100"), hint=Worded("Correct them."), where="criteria"
        )
    names = [one["criterion"] for one in criteria]
    if len(set(names)) < len(names) or sum(one["measure"] == PRICE for one in criteria) > 1:
        raise BadInput(
            Worded("Something is weighed twice"),
            hint=Worded("Name each criterion once, and the price in one of them."),
            where="criteria",
        )


TENDER = RecordKind(
    type="Tender",
    path="tenders",
    singular=Worded("Tender"),
    plural=Worded("Tenders"),
    about=Worded("What the city wants to buy, how bids are weighed, who got it and why."),
    permission=MANAGE,
    columns=("procedure", "closes", "awardedOn"),
    by_room=("result", "awardedOn", "reason"),
    check=_check_tender,
    fields=(
        Said("name", Worded("What is bought"), required=True),
        Said("description", Worded("What it is about"), several_lines=True, longest=8000),
        Link("initiative", Worded("Initiative"), to=("Initiative",)),
        Choice(
            "procedure",
            Worded("Procedure"),
            choices={
                "open": Worded("Open: everybody may bid"),
                "restricted": Worded("Restricted: whoever is chosen may bid"),
                "negotiated": Worded("Negotiated"),
                "direct": Worded("Direct award"),
            },
            required=True,
        ),
        Links("indicators", Worded("Indicators by which it is to be paid"), to=("KeyPerformanceIndicator",)),
        Amount("estimate", Worded("What it is thought to cost"), internal=True),
        Day("announcedOn", Worded("Announced on")),
        Day("closes", Worded("Last day for bids"), required=True),
        Rows(
            "criteria",
            Worded("How bids are weighed"),
            hint=Worded("The weights add up to 100. The lowest price has 100 points, twice as much has 50."),
            columns=(
                Line("criterion", Worded("Criterion"), required=True, longest=120),
                Choice("measure", Worded("Measured"), choices=_MEASURES, required=True),
                Number("weight", Worded("Weight"), unit="P1", required=True, least=0, most=WHOLE),
            ),
            most=30,
        ),
        Rows(
            "documents",
            Worded("Documents"),
            columns=(
                Line("title", Worded("Title"), required=True),
                Web("web", Worded("On the web"), required=True),
            ),
            most=50,
        ),
        Rows(
            "result",
            Worded("Result"),
            hint=Worded("Written when it is awarded."),
            columns=(
                Line("bidder", Worded("Bidder"), required=True),
                Amount("price", Worded("Price"), required=True),
                Number("points", Worded("Points")),
                Flag("won", Worded("Got it")),
                Line("leftOut", Worded("Left out because"), longest=500),
            ),
            most=200,
        ),
        Day("awardedOn", Worded("Awarded on")),
        Prose("reason", Worded("Why it was awarded so"), longest=4000),
        Link("contract", Worded("The contract"), to=("ServiceContract",)),
    ),
)

BID = RecordKind(
    type="TenderBid",
    path="bids",
    singular=Worded("Bid"),
    plural=Worded("Bids"),
    about=Worded("What was offered, and the points that it was given."),
    permission=MANAGE,
    publishable=False,
    columns=("tender", "receivedOn", "price"),
    secrecy=InformationClass.SECURITY,
    readers=(EXAMINE,),
    sealed_through=("tender", "closes"),
    fixed=("name", "tender", "receivedOn", "price"),
    fields=(
        Said("name", Worded("Bidder"), required=True),
        Link("tender", Worded("Tender"), to=(TENDER.type,), required=True, internal=True),
        Day("receivedOn", Worded("Came on"), required=True, internal=True),
        Amount("price", Worded("Price"), required=True, internal=True),
        Rows(
            "points",
            Worded("Points"),
            columns=(
                Line("criterion", Worded("Criterion"), required=True, longest=120),
                Number("points", Worded("Points, 0 to 100"), required=True, least=0, most=WHOLE),
                Line("why", Worded("Why"), longest=500),
            ),
            most=30,
            internal=True,
        ),
        Line("leftOut", Worded("Left out because"), longest=500, internal=True),
    ),
)

KINDS = (TENDER, BID)
