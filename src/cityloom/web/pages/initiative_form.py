"""The form of an initiative: texts by language, money, milestones and targets as rows."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import msgspec
from starlette.responses import Response

from cityloom.ngsild.model import Document, value_of
from cityloom.planning.action.model import Action
from cityloom.planning.model import Initiative, Milestone, Plan, Target
from cityloom.planning.money import CURRENCIES, Money
from cityloom.web.forms import Form
from cityloom.web.looks import name_of
from cityloom.web.pages.action.choosing import decisions
from cityloom.web.pages.action.costs_step import with_decision
from cityloom.web.pages.action.steps import STEPS, checklist, step_path
from cityloom.web.visit import Visit

#: Rows of milestones and of targets that the form has; empty ones are left out, and folded up but for one.
MILESTONES, TARGETS = 6, 3
#: Rows of either that are read.
_MOST_ROWS = 50
LONGEST = 4000
INDICATOR_TYPE = "KeyPerformanceIndicator"


def filled(visit: Visit, initiative: Initiative) -> Form:
    """The form of what is there."""
    plan = initiative.plan
    values: dict[str, object] = {
        "owner": plan.owner,
        "budget": plan.budget.amount if plan.budget else "",
        "spent": plan.spent.amount if plan.spent else "",
        "currency": plan.budget.currency if plan.budget else "",
        "startsAt": _day(visit, plan.starts_at),
        "endsAt": _day(visit, plan.ends_at),
        "version": initiative.version,
        **{f"name_{code}": text for code, text in plan.name.items()},
        **{f"description_{code}": text for code, text in plan.description.items()},
    }
    for row, milestone in enumerate(plan.milestones):
        values |= {
            f"milestone_{row}_name": milestone.name,
            f"milestone_{row}_due": milestone.due,
            f"milestone_{row}_done": milestone.done,
        }
    for row, target in enumerate(plan.targets):
        values |= {
            f"target_{row}_indicator": target.indicator,
            f"target_{row}_baseline": target.baseline,
            f"target_{row}_target": target.target,
            f"target_{row}_due": target.due,
        }
    return Form.filled(visit.language, values)


def _day(visit: Visit, at: datetime | None) -> str:
    return at.astimezone(visit.city.zone).date().isoformat() if at else ""


def form_page(
    visit: Visit, form: Form, initiative: Initiative | None = None, *, status: int = 200
) -> Response:
    """The form's page: of a new initiative, or of one that is there."""
    indicators = [
        (one["id"], _told(visit, one)) for one in visit.rooms.broker.of_type(visit.actor, INDICATOR_TYPE)
    ]
    return visit.render(
        "initiative-form.html",
        status=status,
        form=form,
        initiative_id=initiative.id if initiative else "",
        steps=STEPS,
        step_path=step_path,
        **checklist(initiative),
        has_costs=bool(initiative and initiative.plan.action.costs),
        decisions=decisions(visit) if initiative and not initiative.is_draft else None,
        languages=visit.desk.languages,
        indicators=sorted(indicators, key=lambda pair: pair[1]),
        currencies=[(one, one) for one in sorted(CURRENCIES)],
        milestones=_Group.of(form, "milestone", "name", MILESTONES, spare=2),
        targets=_Group.of(form, "target", "indicator", TARGETS, spare=1),
    )


def _told(visit: Visit, indicator: Document) -> str:
    """An indicator among the choices: its name, its code where frameworks share names, and the unit in which
    its baseline and target are entered."""
    code, unit = value_of(indicator, "code"), value_of(indicator, "unit")
    more = [code if isinstance(code, str) else "", visit.wording.unit(unit) if isinstance(unit, str) else ""]
    name = name_of(indicator, visit.wording)
    return f"{name} ({', '.join(one for one in more if one)})" if any(more) else name


class _Group(msgspec.Struct, frozen=True):
    """The rows of a group of fields: those shown at once, the first empty one with them, and all."""

    shown: int
    rows: int

    @classmethod
    def of(cls, form: Form, kind: str, field: str, least: int, *, spare: int) -> _Group:
        """As many as are filled in, and some to spare; a row with a mistake is shown."""
        filled = [
            row for row in range(_MOST_ROWS) if form.value(f"{kind}_{row}_{field}") or _wrong(form, kind, row)
        ]
        used = filled[-1] + 1 if filled else 0
        return cls(used + 1, max(least, used + spare))


def _wrong(form: Form, kind: str, row: int) -> bool:
    return any(name.startswith(f"{kind}_{row}_") for name in form.errors)


def plan_of(visit: Visit, form: Form, before: Initiative | None = None) -> Plan:
    """What was typed. Raises WrongForm."""
    codes = visit.desk.languages
    name = {code: text for code in codes if (text := form.text(f"name_{code}"))}
    description = {
        code: text for code in codes if (text := form.text(f"description_{code}", longest=LONGEST))
    }
    if not name:
        form.wrong(f"name_{codes[0]}", visit.gettext("Give it a name."))
    if not description:
        form.wrong(f"description_{codes[0]}", visit.gettext("Say what it is to achieve."))
    budget, spent = form.decimal("budget"), form.decimal("spent")
    currency = form.value("currency")
    if (budget is not None or spent is not None) and currency not in CURRENCIES:
        form.wrong("currency", visit.gettext("Choose a currency."))
    starts, ends = form.day("startsAt", visit.city.zone), form.day("endsAt", visit.city.zone)
    milestones, targets = _milestones(visit, form, before), _targets(visit, form)
    form.raise_if_wrong()
    action = with_decision(form, before.plan.action) if before else Action()
    return Plan(
        name=name,
        description=description,
        owner=form.text("owner"),
        # Cost lines make the budget, where there are any.
        budget=None if action.costs else _money(budget, currency),
        spent=_money(spent, currency),
        starts_at=starts,
        ends_at=ends,
        milestones=milestones,
        targets=targets,
        location=before.plan.location if before else None,
        action=action,
    )


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount, currency)


def _milestones(visit: Visit, form: Form, before: Initiative | None) -> tuple[Milestone, ...]:
    """The rows that have a name. A name that stays as it was keeps what it is called elsewhere."""
    names = {one.name: one.names for one in before.plan.milestones} if before else {}
    found = []
    for row in range(_MOST_ROWS):
        name = form.text(f"milestone_{row}_name")
        if not name:
            continue
        due = form.day(f"milestone_{row}_due", visit.city.zone, required=visit.gettext("Say by which day."))
        done = form.day(f"milestone_{row}_done", visit.city.zone)
        if due is not None:
            reached = done.date() if done else None
            found.append(Milestone(name, due.date(), reached, names.get(name, {})))
    return tuple(found)


def _targets(visit: Visit, form: Form) -> tuple[Target, ...]:
    found = []
    missing = visit.gettext("Enter a number.")
    for row in range(_MOST_ROWS):
        indicator = form.value(f"target_{row}_indicator")
        if not indicator:
            continue
        baseline = form.number(f"target_{row}_baseline", required=missing)
        target = form.number(f"target_{row}_target", required=missing)
        due = form.day(f"target_{row}_due", visit.city.zone, required=visit.gettext("Say by which day."))
        if baseline is not None and target is not None and due is not None:
            found.append(Target(indicator, baseline, target, _date(due)))
    return tuple(found)


def _date(at: datetime) -> date:
    return at.date()
