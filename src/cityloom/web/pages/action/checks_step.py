"""The step of the form for the examinations, the five elements of a portfolio and the six target groups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from cityloom.planning.action.model import CHECKS, PORTFOLIO, RESULTS, TARGET_GROUPS, Check, TargetGroup
from cityloom.planning.model import Initiative, Plan
from cityloom.web.forms import Form
from cityloom.web.pages.action.choosing import options
from cityloom.web.visit import Visit

FIELDS = ("checks", "portfolio", "targetGroups")
LONGEST = 2000


def filled(_visit: Visit, initiative: Initiative) -> Mapping[str, object]:
    """What is there."""
    action = initiative.plan.action
    values: dict[str, object] = {f"portfolio_{name}": text for name, text in action.portfolio.items()}
    for check in action.checks:
        values |= {
            f"by_{check.of}": check.by,
            f"on_{check.of}": check.on,
            f"result_{check.of}": check.result,
            f"evidence_{check.of}": check.evidence,
        }
    for group in action.target_groups:
        values |= {f"target_{group.group}": group.target, f"due_{group.group}": group.due}
    return values


def offered(visit: Visit, _initiative: Initiative, _form: Form) -> Mapping[str, Any]:
    """What can be chosen."""
    return {
        "subjects": options(visit, CHECKS),
        "results": options(visit, RESULTS),
        "elements": options(visit, PORTFOLIO),
        "groups": options(visit, TARGET_GROUPS),
    }


def taken(visit: Visit, form: Form, initiative: Initiative) -> Plan:
    """The plan with what was typed."""
    action = msgspec.structs.replace(
        initiative.plan.action,
        portfolio={name: form.text(f"portfolio_{name}", longest=LONGEST) for name in PORTFOLIO},
        checks=tuple(
            Check(
                name,
                form.text(f"by_{name}"),
                _day(visit, form, f"on_{name}"),
                form.choice(f"result_{name}", RESULTS),
                form.text(f"evidence_{name}", longest=LONGEST),
            )
            for name in CHECKS
        ),
        target_groups=tuple(
            TargetGroup(name, form.text(f"target_{name}", longest=LONGEST), _day(visit, form, f"due_{name}"))
            for name in TARGET_GROUPS
        ),
    )
    return msgspec.structs.replace(initiative.plan, action=action)


def _day(visit: Visit, form: Form, name: str) -> date | None:
    at = form.day(name, visit.city.zone)
    return at.date() if at else None
