"""The register of laws and rules that the plan touches, and of where exemptions from them may be tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.masterplan.kinds.basis import EDIT
from cityloom.planning.records.fields import Choice, Day, Flag, Line, Prose, Said, Web
from cityloom.planning.records.kinds import RecordKind


def _check_law(values: Mapping[str, Any]) -> None:
    """A law does not end before it holds; a sandbox says on which terms one is exempted in it."""
    since, until = values.get("inForceSince"), values.get("inForceUntil")
    if since and until and until < since:
        raise BadInput(
            Worded("It ends before it begins"), hint=Worded("Correct one of the days."), where="inForceUntil"
        )
    if values.get("sandbox") and not values.get("terms"):
        raise BadInput(
            Worded("The terms of the sandbox are missing"),
            hint=Worded("Say who may be exempted from what, for how long, and who grants it."),
            where="terms",
        )


LAW = RecordKind(
    type="LawOrRule",
    path="laws",
    singular=Worded("Law or rule"),
    plural=Worded("Laws and rules"),
    about=Worded("Laws, regulations and standards that the plan touches, and exemptions that are tried."),
    permission=EDIT,
    fields=(
        Said("name", Worded("Law or rule"), required=True),
        Line("reference", Worded("Number or section"), longest=100),
        Choice(
            "kind",
            Worded("Kind"),
            choices={
                "law": Worded("Law"),
                "regulation": Worded("Regulation"),
                "standard": Worded("Standard or code"),
                "bylaw": Worded("The city's own rule"),
                "agreement": Worded("Agreement"),
            },
            required=True,
        ),
        Choice(
            "level",
            Worded("Whose it is"),
            choices={
                "international": Worded("International"),
                "national": Worded("National"),
                "regional": Worded("Regional"),
                "local": Worded("The city's"),
            },
        ),
        Prose("description", Worded("What it asks for"), longest=4000),
        Day("inForceSince", Worded("In force since")),
        Day("inForceUntil", Worded("In force until")),
        Flag("sandbox", Worded("Exemptions may be tried (regulatory sandbox)")),
        Prose(
            "terms",
            Worded("Terms of the sandbox"),
            hint=Worded("Who may be exempted from what, for how long, and who grants it."),
            longest=2000,
        ),
        Line("authority", Worded("Who sees to it")),
        Web("document", Worded("The document")),
    ),
    columns=("reference", "kind", "level", "sandbox"),
    check=_check_law,
)
