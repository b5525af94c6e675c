"""The step of the form that says where the money comes from, and how it is paid back."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from cityloom.planning.action.financing import MEANINGS
from cityloom.planning.action.funding import MECHANISMS
from cityloom.planning.action.model import ARRANGEMENTS, BEARERS, Financing, Risk, Share
from cityloom.planning.model import Initiative, Plan
from cityloom.web.forms import Form
from cityloom.web.pages.action.choosing import options
from cityloom.web.visit import Visit

FIELDS = ("funding", "financing")
RISKS, MOST_RISKS = 4, 20
GRADES = [(str(grade), str(grade)) for grade in range(1, 6)]


def filled(_visit: Visit, initiative: Initiative) -> Mapping[str, object]:
    """What is there."""
    action = initiative.plan.action
    values: dict[str, object] = {
        "arrangement": action.financing.arrangement,
        "rate": action.financing.rate or "",
        "firstYear": action.financing.first_year or "",
        "graceYears": action.financing.grace_years or "",
        "years": action.financing.years or "",
    }
    for share in action.funding:
        values |= {f"share_{share.mechanism}": share.percent, f"note_{share.mechanism}": share.note}
    for row, risk in enumerate(action.financing.risks):
        values |= {
            f"risk_{row}": risk.name,
            f"bearer_{row}": risk.bearer,
            f"likelihood_{row}": risk.likelihood,
            f"effect_{row}": risk.effect,
            f"answer_{row}": risk.answer,
        }
    return values


def offered(visit: Visit, _initiative: Initiative, form: Form) -> Mapping[str, Any]:
    """What can be chosen."""
    typed = max((row + 1 for row in range(MOST_RISKS) if form.value(f"risk_{row}")), default=0)
    return {
        "mechanisms": list(MECHANISMS.values()),
        "arrangements": options(visit, ARRANGEMENTS),
        "meanings": [
            (visit.gettext(ARRANGEMENTS[name]), visit.gettext(words)) for name, words in MEANINGS.items()
        ],
        "bearers": options(visit, BEARERS),
        "grades": GRADES,
        "risk_rows": min(MOST_RISKS, max(RISKS, typed + 2)),
    }


def taken(visit: Visit, form: Form, initiative: Initiative) -> Plan:
    """The plan with what was typed."""
    shares = []
    for name in MECHANISMS:
        percent = form.decimal(f"share_{name}")
        if percent:
            shares.append(Share(name, percent, form.text(f"note_{name}")))
    financing = Financing(
        arrangement=form.choice("arrangement", ARRANGEMENTS) or "none",
        rate=form.decimal("rate") or Decimal(0),
        first_year=_whole(visit, form, "firstYear"),
        grace_years=_whole(visit, form, "graceYears"),
        years=_whole(visit, form, "years"),
        risks=_risks(form),
    )
    action = msgspec.structs.replace(initiative.plan.action, funding=tuple(shares), financing=financing)
    return msgspec.structs.replace(initiative.plan, action=action)


def _whole(visit: Visit, form: Form, name: str) -> int:
    said = form.value(name).strip()
    if said and not (said.isdecimal() and len(said) < 5):
        form.wrong(name, visit.gettext("Enter a whole number."))
        return 0
    return int(said) if said else 0


def _risks(form: Form) -> tuple[Risk, ...]:
    grades = [value for value, _ in GRADES]
    found = []
    for row in range(MOST_RISKS):
        name = form.text(f"risk_{row}")
        if name:
            found.append(
                Risk(
                    name,
                    form.choice(f"bearer_{row}", BEARERS) or "city",
                    int(form.choice(f"likelihood_{row}", grades) or 3),
                    int(form.choice(f"effect_{row}", grades) or 3),
                    form.text(f"answer_{row}", longest=500),
                )
            )
    return tuple(found)
