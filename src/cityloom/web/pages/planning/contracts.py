"""Contracts paid on indicators: for the staff, for the provider, and what everybody sees of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response

from cityloom.context.publishing import public_id
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.time import format_instant
from cityloom.ngsild.errors import ResourceNotFound
from cityloom.ngsild.model import Document, value_of
from cityloom.planning.contracts.contracts import EXAMINE
from cityloom.planning.contracts.gathering import Exclusion
from cityloom.planning.contracts.model import CONTRACT, Contract, ContractStatus, Settlement
from cityloom.planning.contracts.parties import MANAGE, PROVIDE
from cityloom.planning.contracts.periods import Period
from cityloom.planning.contracts.terms import Terms
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.planning import contract_parties, contract_periods
from cityloom.web.pages.planning.contract_form import (
    OFTEN,
    WORDS,
    at_field,
    blank,
    filled,
    form_page,
    terms_of,
)
from cityloom.web.pages.planning.contract_periods import contract_path, for_reader
from cityloom.web.pages.planning.links import link_to
from cityloom.web.pages.routing import Pages
from cityloom.web.taken_along import csv_of
from cityloom.web.visit import Visit

HERE = "/plan/contracts"
_ACTS = ("conclude", "exclude", "confirm", "drop", "discard")
#: Rows of each list on one page; by what names their offsets stand in the address.
PAGE = 50
_LISTS = ("files", "payments", "public")


def add(pages: Pages) -> None:
    pages.data(f"{HERE}.csv", payments_as_csv)
    pages.get(HERE, browse)
    pages.get(f"{HERE}/new", show_new, json=False)
    pages.post(f"{HERE}/new", write_new)
    contract_parties.add(pages, HERE)
    pages.get(f"{HERE}/{{id}}/edit", show_edit, json=False)
    pages.post(f"{HERE}/{{id}}/edit", edit)
    contract_periods.add(pages, HERE)
    pages.get(f"{HERE}/{{id}}", show, pdf=True)
    pages.post(f"{HERE}/{{id}}", handle)


# What everybody sees


async def browse(visit: Visit) -> Response:
    """The contracts: files for those who may read them, for all others what is public."""
    files, public = contracts_seen(visit)
    owed = [one for one in visit.rooms.settlements.payments(visit.actor) if one.outstanding != 0]
    at = {name: visit.whole(name, 0) for name in _LISTS}
    data = {
        "contracts": [file_row(visit, one) for one in _part(files, at["files"])],
        "public": [public_row(visit, one) for one in _part(public, at["public"])],
        "payments": [contract_periods.owed_row(visit, one) for one in _part(owed, at["payments"])],
        "totals": {"contracts": len(files), "public": len(public), "payments": len(owed)},
        "owed": _sums(owed),
    }
    staff = visit.actor.may(MANAGE) or visit.actor.may(EXAMINE)
    others = {
        name: urlencode({other: place for other, place in at.items() if place and other != name})
        for name in _LISTS
    }
    return visit.render("plan-contracts.html", data, staff=staff, at=at, limit=PAGE, others=others)


def contracts_seen(visit: Visit) -> tuple[Sequence[Contract], Sequence[Document]]:
    """Each contract once: the files that the reader may see, and what is public of the others."""
    files = visit.rooms.contracts.list(visit.actor)
    known = {public_id(one.id) for one in files}
    return files, [one for one in visit.rooms.contracts.public.copies(visit.actor) if one["id"] not in known]


_Row = TypeVar("_Row")


def _part(rows: Sequence[_Row], offset: int) -> Sequence[_Row]:
    return rows[offset : offset + PAGE]


def _sums(owed: Sequence[Settlement]) -> dict[str, Decimal]:
    """What is owed by currency: the sum of all rows to the cent."""
    sums: dict[str, Decimal] = {}
    for one in owed:
        currency = one.final.currency
        sums[currency] = sums.get(currency, Decimal(0)) + one.outstanding
    return dict(sorted(sums.items()))


async def payments_as_csv(visit: Visit) -> Response:
    """Every settlement that may be seen, with what was paid and what is owed."""
    visit.require(MANAGE, EXAMINE, PROVIDE)
    found = visit.rooms.settlements.payments(visit.actor)
    rows = await visit.desk.turns.all(contract_periods.owed_row(visit, one) for one in found)
    columns = ["contract", "period", "status", "currency", "payable", "paid", "outstanding", "payBy"]
    return await asyncio.to_thread(csv_of, visit, "contracts", columns, rows)


def contracts_about(visit: Visit, entity_id: str) -> list[dict[str, str]]:
    """Contracts that serve an initiative or pay by an indicator, as far as the reader may know of them."""
    files = visit.rooms.contracts.about(visit.actor, entity_id)
    found = {public_id(one.id): (one.id, visit.wording.said(one.standing.name)) for one in files}
    for document in visit.rooms.contracts.public.serving(visit.actor, entity_id):
        found.setdefault(document["id"], (document["id"], visit.wording.said(value_of(document, "name"))))
    return [{"id": one, "name": name, "href": contract_path(one)} for one, name in found.values()]


def public_row(visit: Visit, document: Document) -> dict[str, Any]:
    """What everybody sees of a contract."""
    paid = value_of(document, "amountPaid") or {}
    return {
        "id": document["id"],
        "href": contract_path(document["id"]),
        "name": visit.wording.said(value_of(document, "name")),
        "status": ContractStatus.CONCLUDED.value,
        "provider": value_of(document, "providerName"),
        "currency": value_of(document, "currency"),
        "startsAt": value_of(document, "startsAt"),
        "endsAt": value_of(document, "endsAt"),
        "lastDay": contract_periods.last_day(str(value_of(document, "endsAt"))),
        "periods": [
            {**one, "last": contract_periods.last_day(one["end"])}
            for one in value_of(document, "periods") or []
        ],
        "paid": paid.get("amount", "0"),
        "origin": visit.origin(value_of(document, "dataOrigin")),
    }


def file_row(visit: Visit, contract: Contract) -> dict[str, Any]:
    """A contract's file as it is listed."""
    terms = contract.standing
    return {
        "id": contract.id,
        "href": contract_path(contract.id),
        "name": visit.wording.said(terms.name),
        "status": contract.status,
        "isChanged": contract.is_changed,
        "provider": visit.rooms.contracts.parties.get(terms.provider).name,
        "currency": terms.currency,
        "startsAt": terms.starts.isoformat(),
        "endsAt": terms.ends.isoformat(),
        "lastDay": contract_periods.last_day(terms.ends.isoformat()),
        "origin": visit.origin(value_of(contract.document, "dataOrigin")),
    }


async def show(visit: Visit) -> Response:
    """A contract: its file, or what is public of it."""
    try:
        contract = visit.rooms.contracts.get(visit.actor, visit.part("id"))
    except ResourceNotFound:
        return _show_public(visit)
    return _page(visit, contract, Form(visit.language))


def _show_public(visit: Visit) -> Response:
    document = visit.rooms.broker.find(visit.actor, visit.part("id"))
    if document is None or CONTRACT not in document["type"] or value_of(document, "periods") is None:
        raise NotFound("There is no such contract", hint="List the contracts.")
    return visit.render("plan-contract-public.html", public_row(visit, document))


def _page(visit: Visit, contract: Contract, form: Form, *, status: int = 200) -> Response:
    settled = visit.rooms.settlements.of(visit.actor, contract.id)
    terms = contract.standing
    data = {
        **file_row(visit, contract),
        "terms": for_reader(visit, terms),
        "versions": for_reader(visit, contract.versions),
        "exclusions": for_reader(visit, contract.exclusions),
        "periods": [_period_row(visit, contract, one, settled) for one in contract.periods()],
        "initiative": terms.initiative,
    }
    rooms, actor = visit.rooms, visit.actor
    return visit.render(
        "plan-contract.html",
        data,
        status=status,
        contract=contract,
        words=words_of(visit, terms),
        form=form,
        may_edit=actor.may(MANAGE),
        may_conclude=(actor.may(MANAGE) or actor.may(EXAMINE)) and actor.id not in contract.authors,
        may_exclude=actor.may(MANAGE) or actor.may(EXAMINE),
        may_confirm=actor.may(EXAMINE),
        history=[(one, visit.person(one.by)) for one in reversed(contract.history)]
        if actor.sees(InformationClass.INTERNAL)
        else [],
        party=rooms.contracts.parties.get(terms.provider),
    )


def words_of(visit: Visit, terms: Terms) -> dict[str, Any]:
    """The terms' choices in words: of the contract, and of each line."""
    say = visit.gettext
    return {
        "every": say(WORDS[terms.every]),
        "initiative": link_to(visit, terms.initiative) if terms.initiative else "",
        "lines": [
            {
                "method": say(WORDS[line.method]),
                "direction": say(WORDS[line.direction]),
                "rule": say(WORDS[line.rule]),
                "without": say(WORDS[line.without_data]),
                "often": say(OFTEN[line.every]) if line.every in OFTEN else line.every,
            }
            for line in terms.lines
        ],
    }


def _period_row(
    visit: Visit, contract: Contract, period: Period, settled: dict[str, Settlement]
) -> dict[str, Any]:
    found = settled.get(period.key)
    if found is not None:
        status = found.status
    elif visit.rooms.settlements.is_over(period):
        status = "due"
    else:
        began = period.begins(visit.city.zone) <= visit.rooms.clock.now()
        status = "running" if began else "planned"
    final = found.final if found else None
    return {
        "href": contract_path(contract.id, period.key),
        "first": period.first.isoformat(),
        "end": period.end.isoformat(),
        "last": contract_periods.last_day(period.end.isoformat()),
        "status": status,
        "score": final.score if final else None,
        "payable": final.payable if final else None,
        "paid": found.paid if found else None,
        "isUntouched": found.is_untouched if found else None,
    }


# Writing


async def show_new(visit: Visit) -> Response:
    """The form for a new contract."""
    visit.require(MANAGE)
    return form_page(visit, blank(visit), None)


async def write_new(visit: Visit) -> Response:
    """Write a new contract."""
    form = await visit.form()
    visit.require(MANAGE)
    try:
        contract = await visit.rooms.contracts.draft(visit.actor, terms_of(visit, form))
    except WrongForm:
        return form_page(visit, form, None, status=400)
    except BadInput as error:
        at_field(form, error)
        return form_page(visit, form, None, status=400)
    told = visit.gettext("The contract is written. It holds once a second person has concluded it.")
    return visit.redirect(contract_path(contract.id), told)


async def show_edit(visit: Visit) -> Response:
    """The form to change a contract's terms."""
    visit.require(MANAGE)
    contract = visit.rooms.contracts.get(visit.actor, visit.part("id"))
    return form_page(visit, filled(visit, contract), contract)


async def edit(visit: Visit) -> Response:
    """Change a contract's terms."""
    form = await visit.form()
    visit.require(MANAGE)
    contracts = visit.rooms.contracts
    before = contracts.get(visit.actor, visit.part("id"))
    try:
        changed = await contracts.edit(
            visit.actor, before.id, terms_of(visit, form), version=form.value("version")
        )
    except WrongForm:
        return form_page(visit, form, before, status=400)
    except (BadInput, Conflict) as error:
        at_field(form, error) if isinstance(error, BadInput) else form.take(error)
        return form_page(visit, form, before, status=400)
    told = visit.gettext("Saved. What was concluded before holds until a second person concludes this.")
    return visit.redirect(contract_path(changed.id), told)


async def handle(visit: Visit) -> Response:
    """Conclude, propose time that does not count, confirm or drop it, throw a draft away."""
    form = await visit.form()
    visit.require(MANAGE, EXAMINE)
    contract = visit.rooms.contracts.get(visit.actor, visit.part("id"))
    act = form.choice("act", list(_ACTS), required=visit.gettext("Choose what to do."))
    try:
        form.raise_if_wrong()
        return await _do(visit, act, contract, form)
    except WrongForm:
        return _page(visit, contract, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, "since", "until", "reason", "decision")
        return _page(visit, contract, form, status=400)


async def _do(visit: Visit, act: str, contract: Contract, form: Form) -> Response:
    contracts, here = visit.rooms.contracts, contract_path(contract.id)
    version = form.value("version")
    if act == "discard":
        await contracts.discard(visit.actor, contract.id)
        return visit.redirect(HERE, visit.gettext("The draft is thrown away."))
    if act == "conclude":
        await contracts.conclude(visit.actor, contract.id, version=version)
        return visit.redirect(
            here, visit.gettext("Concluded: everybody sees now that there is this contract.")
        )
    if act == "drop":
        await contracts.drop_exclusion(visit.actor, contract.id, _place(form), version=version)
        return visit.redirect(here, visit.gettext("Dropped: this time counts."))
    closed = _closed(visit, contract)
    if act == "confirm":
        await contracts.confirm_exclusion(visit.actor, contract.id, _place(form), closed, version=version)
        return visit.redirect(here, visit.gettext("This time does not count."))
    exclusion = exclusion_of(visit, form)
    await contracts.exclude(visit.actor, contract.id, exclusion, closed, version=version)
    return visit.redirect(
        here, visit.gettext("Proposed: this time counts until a second person confirms it.")
    )


def _closed(visit: Visit, contract: Contract) -> list[tuple[str, str]]:
    """From when until before when the periods are that were settled."""
    zone = visit.rooms.contracts.zone
    settled = visit.rooms.settlements.of(visit.actor, contract.id)
    return [
        (format_instant(one.begins(zone)), format_instant(one.finishes(zone)))
        for one in contract.periods()
        if one.key in settled
    ]


def _place(form: Form) -> int:
    """Which of the contract's exclusions is meant; -1 for what is no number."""
    said = form.value("exclusion")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 6 else -1


def exclusion_of(visit: Visit, form: Form) -> Exclusion:
    """Days that are not to count, as they were typed: the last one is one of them. Raises WrongForm."""
    missing = visit.gettext("Enter a day.")
    since = form.day("since", visit.city.zone, required=missing)
    last = form.day("until", visit.city.zone, required=missing)
    reason = form.text("reason", required=visit.gettext("Say why."), longest=4000)
    decision = form.text("decision", required=visit.gettext("Say where it was decided."), longest=500)
    form.raise_if_wrong()
    if since is None or last is None:
        raise WrongForm(form)
    end = contract_periods.day_after(last)
    return Exclusion(format_instant(since), format_instant(end), reason, decision)
