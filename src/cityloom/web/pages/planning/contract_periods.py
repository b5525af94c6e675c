"""One period of a contract: its statement with the evidence behind each line, and what is done about it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from starlette.responses import Response

from cityloom.context.publishing import public_id
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.media_types import CSV
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import value_of
from cityloom.planning.contracts.contracts import EXAMINE
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.kept_readings import kept_of
from cityloom.planning.contracts.model import Contract, Settlement
from cityloom.planning.contracts.parties import MANAGE, PROVIDE
from cityloom.planning.contracts.periods import Period
from cityloom.planning.contracts.settlements import OUTCOMES
from cityloom.planning.contracts.statement import Later, Statement, StatementLine
from cityloom.web.addresses import address, entity_path
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of, file_to_keep
from cityloom.web.visit import Visit

#: Fields that hold ids of accounts.
_PEOPLE = frozenset({"by", "confirmed_by", "examiner"})


def add(pages: Pages, here: str) -> None:
    pages.data(f"{here}/{{id}}/{{period}}/readings.csv", kept_readings)
    pages.data(f"{here}/{{id}}/{{period}}.csv", as_csv)
    pages.get(f"{here}/{{id}}/{{period}}", show, pdf=True)
    pages.post(f"{here}/{{id}}/{{period}}", handle)


def contract_path(contract_id: str, *more: str) -> str:
    """The address of a contract, or of a page of it: by its public id, whoever reads it."""
    return address("plan", "contracts", public_id(contract_id), *more)


def day_after(day: datetime) -> datetime:
    """The beginning of the next day by the calendar of its own zone."""
    return (day.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=day.tzinfo)


def last_day(end: str) -> str:
    """The last day of a period that ends before a day."""
    return (date.fromisoformat(end) - timedelta(days=1)).isoformat()


def owed_row(visit: Visit, settlement: Settlement) -> dict[str, Any]:
    """A settlement as it is owed and paid."""
    contract = visit.rooms.contracts.get(visit.actor, settlement.contract)
    return {
        "href": contract_path(contract.id, settlement.statement.first),
        "contract": visit.wording.said(contract.standing.name),
        "period": settlement.statement.first,
        "status": settlement.status,
        "currency": settlement.final.currency,
        "payable": settlement.final.payable,
        "paid": settlement.paid,
        "outstanding": settlement.outstanding,
        "payBy": settlement.pay_by,
    }


async def show(visit: Visit) -> Response:
    """The statement of a period: sealed, or what there is so far."""
    contract, period = _period(visit)
    return await _page(visit, contract, period, Form(visit.language))


def _period(visit: Visit) -> tuple[Contract, Period]:
    rooms = visit.rooms
    contract = rooms.contracts.get(visit.actor, visit.part("id"))
    return contract, rooms.settlements.period(contract, visit.part("period"))


async def _statement(visit: Visit, contract: Contract, period: Period) -> tuple[Statement, Settlement | None]:
    try:
        found = visit.rooms.settlements.get(visit.actor, contract.id, period.key)
    except NotFound:
        return await visit.rooms.settlements.compute(visit.actor, contract.id, period.key), None
    return found.final, found


async def _page(
    visit: Visit, contract: Contract, period: Period, form: Form, *, status: int = 200
) -> Response:
    statement, settlement = await _statement(visit, contract, period)
    rooms, actor = visit.rooms, visit.actor
    later = await rooms.settlements.later(actor, settlement) if settlement else ()
    proof = await rooms.settlements.proof(actor, settlement) if settlement else None
    data = {
        "contract": contract.id,
        "name": visit.wording.said(contract.terms_of(period).name),
        "provider": rooms.contracts.parties.get(contract.standing.provider).name,
        "first": statement.first,
        "end": statement.end,
        "last": last_day(statement.end),
        "origin": visit.origin(value_of(contract.document, "dataOrigin")),
        "isOver": rooms.settlements.is_over(period),
        "statement": for_reader(visit, statement),
        "settlement": None if settlement is None else _settlement(visit, settlement),
        "later": [_later(visit, statement, one) for one in later],
        "proof": proof,
        "isRolledUp": await rooms.settlements.is_rolled_up(actor, contract.id, period.key),
    }
    return visit.render(
        "plan-contract-period.html",
        data,
        status=status,
        form=form,
        file=contract,
        up=contract_path(contract.id),
        href=contract_path(contract.id, period.key),
        lines=[_shown(visit, one) for one in statement.lines],
        keeps=kept_of(statement),
        sealed=settlement,
        acts=_acts(visit, contract, period, settlement),
        today=visit.rooms.clock.now().astimezone(visit.city.zone).date().isoformat(),
        inside=visit.actor.sees(InformationClass.INTERNAL),
    )


def for_reader(visit: Visit, said: Any) -> Any:
    """What is told of a contract, without who of the city's people wrote, examined or signed any of it for
    those outside."""
    return said if visit.actor.sees(InformationClass.INTERNAL) else _without_people(said)


def _without_people(said: Any) -> Any:
    if isinstance(said, tuple):
        return tuple(map(_without_people, said))
    if not isinstance(said, msgspec.Struct):
        return said
    told = {
        name: "" if name in _PEOPLE else _without_people(getattr(said, name))
        for name in said.__struct_fields__
    }
    return msgspec.structs.replace(said, **told)


def _settlement(visit: Visit, one: Settlement) -> dict[str, Any]:
    """What is told of a settlement. Names of the city's people are for the city's people."""
    inside = visit.actor.sees(InformationClass.INTERNAL)
    decision = one.decision
    return {
        "status": one.status,
        "hash": one.hash,
        "isUntouched": one.is_untouched,
        "settledAt": one.settled_at,
        "settledBy": visit.person(one.settled_by) if inside else None,
        "disputeUntil": one.dispute_until,
        "payBy": one.pay_by,
        "paid": one.paid,
        "outstanding": one.outstanding,
        "dispute": {"at": one.dispute.at, "reason": one.dispute.reason} if one.dispute else None,
        "decision": {
            "at": decision.at,
            "outcome": decision.outcome,
            "reasons": decision.reasons,
            "hash": decision.hash,
            "by": visit.person(decision.by) if inside else None,
        }
        if decision
        else None,
        "before": for_reader(visit, one.statement) if decision else None,
        "payments": [
            {"on": pay.on, "amount": pay.amount, "reference": pay.reference} for pay in one.payments
        ],
    }


def _shown(visit: Visit, line: StatementLine) -> dict[str, Any]:
    """A line's links down: to what was read, to its readings, to how it is known."""
    about, evidence = line.evidence.about, line.evidence
    seen = visit.rooms.broker.find(visit.actor, about) is not None
    readings = f"?attribute={evidence.attribute}&since={evidence.since}&until={evidence.until}"
    return {
        "line": line,
        "link": visit.link_to(about),
        "csv": entity_path(about, ".csv") + readings if seen else "",
        "follow": address("follow", about) if seen else "",
    }


def _later(visit: Visit, statement: Statement, later: Later) -> dict[str, Any]:
    line = statement.lines[later.place]
    return {
        **msgspec.to_builtins(later),
        "name": visit.wording.said(line.terms.name),
        "payableThen": line.payable,
    }


def _acts(visit: Visit, contract: Contract, period: Period, settlement: Settlement | None) -> set[str]:
    """What this reader is offered; the room decides."""
    actor, rooms = visit.actor, visit.rooms
    if settlement is None:
        examiner = contract.terms_of(period).examiner == actor.id
        over = rooms.settlements.is_over(period)
        return {"settle"} if over and examiner and contract.versions and actor.may(EXAMINE) else set()
    offered = set()
    in_time = format_instant(rooms.clock.now()) <= settlement.dispute_until
    if (
        settlement.status == "settled"
        and in_time
        and rooms.contracts.parties.speaks_for(actor, contract.standing.provider)
    ):
        offered.add("dispute")
    if settlement.status == "disputed" and actor.may(EXAMINE) and actor.id != settlement.settled_by:
        offered.add("decide")
    if settlement.status != "disputed" and settlement.outstanding > 0 and actor.may(MANAGE):
        offered.add("pay")
    return offered


async def handle(visit: Visit) -> Response:
    """Settle, dispute, decide, write down a payment."""
    form = await visit.form()
    visit.require(MANAGE, EXAMINE, PROVIDE)
    contract, period = _period(visit)
    acts = ["settle", "dispute", "decide", "pay"]
    act = form.choice("act", acts, required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        told = await _do(visit, act, contract, period, form)
    except WrongForm:
        return await _page(visit, contract, period, form, status=400)
    except (BadInput, Conflict) as error:
        fields = ("reason", "reasons", "outcome", "amount", "on", "reference", "since", "until", "decision")
        form.take(error, *fields)
        return await _page(visit, contract, period, form, status=400)
    return visit.redirect(contract_path(contract.id, period.key), told)


async def _do(visit: Visit, act: str, contract: Contract, period: Period, form: Form) -> str:
    settlements, actor = visit.rooms.settlements, visit.actor
    if act == "settle":
        await settlements.settle(actor, contract.id, period.key)
        return visit.gettext("Settled and sealed. The provider may dispute it.")
    if act == "dispute":
        reason = form.text("reason", required=visit.gettext("Say why."), longest=4000)
        form.raise_if_wrong()
        await settlements.dispute(actor, contract.id, period.key, reason)
        return visit.gettext("Your dispute is written down. Somebody who had no part in it will decide.")
    if act == "decide":
        await _decide(visit, contract, period, form)
        return visit.gettext("Decided.")
    amount = form.decimal("amount", required=visit.gettext("Enter an amount."))
    on = form.day("on", visit.city.zone, required=visit.gettext("Enter a day."))
    reference = form.text("reference", required=visit.gettext("Enter the payment's reference."))
    form.raise_if_wrong()
    day = on.date() if on else date.min
    version = form.value("version")
    await settlements.pay(
        actor, contract.id, period.key, amount or Decimal(0), day, reference, version=version
    )
    return visit.gettext("The payment is written down.")


async def _decide(visit: Visit, contract: Contract, period: Period, form: Form) -> None:
    outcome = form.choice("outcome", list(OUTCOMES), required=visit.gettext("Choose one of the list."))
    reasons = form.text("reasons", required=visit.gettext("Say why."), longest=4000)
    since, last = (form.day(name, visit.city.zone) for name in ("since", "until"))
    form.raise_if_wrong()
    more: list[Exclusion] = []
    if since and last:
        end = format_instant(day_after(last))
        more = [Exclusion(format_instant(since), end, reasons, form.text("decision", longest=500))]
    await visit.rooms.settlements.decide(visit.actor, contract.id, period.key, outcome, reasons, more)


async def as_csv(visit: Visit) -> Response:
    """The lines of a statement with the evidence behind each."""
    contract, period = _period(visit)
    statement, _ = await _statement(visit, contract, period)
    rows = [_csv_row(visit, line) for line in statement.lines]
    rows.append(
        {
            "line": visit.gettext("Sum"),
            "score": statement.score,
            **{name: getattr(statement, name) for name in _MONEY},
        }
    )
    return csv_of(visit, f"contract-{period.key}", [*_EVIDENCE, *_MONEY], rows)


async def kept_readings(visit: Visit) -> Response:
    """The readings that a settled line (`line`, from 1) was worked out from, as they were kept."""
    contract, period = _period(visit)
    settlements, line = visit.rooms.settlements, visit.whole("line", 1)
    settlement = settlements.get(visit.actor, contract.id, period.key)
    table = await settlements.kept(visit.actor, settlement, line - 1)
    return file_to_keep(visit, f"contract-{period.key}-readings-{line}", "csv", table, CSV)


_EVIDENCE: tuple[str, ...] = ("line", "about", "attribute", "since", "until", "value", "unitCode", "readings")
_EVIDENCE += ("expected", "missing", "coverage", "digest", "kept", "score")
_MONEY = ("price", "bonus", "malus", "held", "payable")


def _csv_row(visit: Visit, line: StatementLine) -> dict[str, Any]:
    evidence = line.evidence
    return {
        "line": visit.wording.said(line.terms.name),
        "about": evidence.about,
        "attribute": evidence.attribute,
        "since": evidence.since,
        "until": evidence.until,
        "value": evidence.value,
        "unitCode": evidence.unit_code,
        "readings": evidence.count,
        "expected": evidence.expected,
        "missing": evidence.missing,
        "coverage": evidence.coverage,
        "digest": evidence.digest,
        "kept": evidence.kept or "",
        "score": line.score,
        **{name: getattr(line, name) for name in _MONEY},
    }
