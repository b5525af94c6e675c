"""Example contracts and answered questionnaires of a demo city, kept as data in `agreements.toml`.

They go through the rooms that check, work out and seal them, so they are handed over as they are said here.
Months count from the one in which the city opens: -2 is the month before the last.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from cityloom.sdk import BadInput

_ZONE = ZoneInfo("Europe/Copenhagen")


class ExampleContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contract: who delivers, from which month until before which, its terms as its room has them."""

    provider: str
    #: The initiative of the same city that it serves.
    initiative: str
    from_month: int
    until_month: int
    terms: dict[str, Any]
    #: How many of its periods that are over are settled, and how many of those are paid.
    settled: int = 0
    paid: int = 0


class ExampleAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers to a questionnaire about the city, by question: a value, or value and evidence."""

    questionnaire: str
    answers: dict[str, str | float]
    published: bool = True


class Agreements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole `agreements.toml`."""

    contract: tuple[ExampleContract, ...] = ()
    answers: tuple[ExampleAnswers, ...] = ()


def read_agreements(path: Path, city: str, opens: datetime) -> dict[str, Any]:
    """What `DemoCity.agreements` holds. Raises BadInput naming the file and the key."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Agreements)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"The examples are not right: {error}",
            hint="Correct them; cities/example_agreements.py says how.",
            where=str(path),
        ) from None
    contracts = [
        {
            "provider": one.provider,
            "settled": one.settled,
            "paid": one.paid,
            "terms": {
                **one.terms,
                "initiative": f"urn:ngsi-ld:Initiative:{city}-{one.initiative}",
                "starts": _month(opens, one.from_month),
                "ends": _month(opens, one.until_month),
            },
        }
        for one in found.contract
    ]
    return {"contracts": contracts, "answers": msgspec.to_builtins(list(found.answers))}


def _month(opens: datetime, months: int) -> str:
    local = opens.astimezone(_ZONE)
    years, month = divmod(local.month - 1 + months, 12)
    return f"{local.year + years:04}-{month + 1:02}-01"
