"""Records of what young firms are asked to solve, who took it up, who helped them, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.records.fields import Amount, Choice, Day, Line, Link, Number, Prose, Said, Web
from cityloom.planning.records.kinds import RecordKind

EDIT = "plan:edit"
_ENDED = ("adopted", "goesOn", "ended")


def _days_in_order(values: Mapping[str, Any]) -> None:
    opens, closes = values.get("opens"), values.get("closes")
    if opens is not None and closes is not None and closes < opens:
        raise BadInput(
            Worded("It closes before it opens"), hint=Worded("Correct one of the days."), where="closes"
        )


def _check_application(values: Mapping[str, Any]) -> None:
    if values.get("stage") in _ENDED and not values.get("outcome"):
        raise BadInput(Worded("Nothing is said of what came of it"), hint=Worded("Say it."), where="outcome")
    if values.get("stage") == "mentored" and not values.get("mentor"):
        raise BadInput(Worded("Nobody helps them yet"), hint=Worded("Say who does."), where="mentor")


CHALLENGE = RecordKind(
    type="InnovationChallenge",
    path="challenges",
    singular=Worded("Challenge for young firms"),
    plural=Worded("Challenges for young firms"),
    about=Worded("What the city wants solved, by when, and what there is to be won by it."),
    permission=EDIT,
    columns=("opens", "closes", "indicator"),
    check=_days_in_order,
    fields=(
        Said("name", Worded("Challenge"), required=True),
        Said("description", Worded("What is to be solved"), several_lines=True, longest=8000),
        Link("indicator", Worded("Indicator that is to move"), to=("KeyPerformanceIndicator",)),
        Link("goal", Worded("Goal that it serves"), to=("Goal",)),
        Day("opens", Worded("Opens on")),
        Day("closes", Worded("Last day to apply"), required=True),
        Amount("prize", Worded("Money to be won")),
        Line("help", Worded("Other help"), hint=Worded("Rooms, data, people, a street to try it in.")),
        Line("responsible", Worded("Responsible"), hint=Worded("An office or a function.")),
        Web("web", Worded("On the web")),
    ),
)

APPLICATION = RecordKind(
    type="StartupApplication",
    path="applications",
    singular=Worded("Application of a young firm"),
    plural=Worded("Applications of young firms"),
    about=Worded("Who took up a challenge, who helps them, and what came of it."),
    permission=EDIT,
    columns=("challenge", "stage", "mentor"),
    check=_check_application,
    fields=(
        Said("name", Worded("Firm"), required=True),
        Link("challenge", Worded("Challenge"), to=(CHALLENGE.type,), required=True),
        Prose("idea", Worded("How they want to solve it"), longest=4000),
        Day("receivedOn", Worded("Applied on"), required=True),
        Choice(
            "stage",
            Worded("How far it is"),
            choices={
                "received": Worded("Applied"),
                "refused": Worded("Not chosen"),
                "chosen": Worded("Chosen"),
                "mentored": Worded("Helped by a mentor"),
                "piloted": Worded("Tried in a pilot"),
                "adopted": Worded("Used by the city"),
                "goesOn": Worded("Goes on without the city"),
                "ended": Worded("Given up"),
            },
            required=True,
        ),
        Line("mentor", Worded("Mentor"), hint=Worded("An office, a firm or a function.")),
        Link("pilot", Worded("Pilot"), to=("Initiative",)),
        Amount("support", Worded("Money given")),
        Prose("outcome", Worded("What came of it"), longest=4000),
        Number("jobs", Worded("People who work there since"), least=0, whole=True),
        Amount("raised", Worded("Money from others since")),
        Prose("remarks", Worded("Remarks"), internal=True),
    ),
)

KINDS = (CHALLENGE, APPLICATION)
