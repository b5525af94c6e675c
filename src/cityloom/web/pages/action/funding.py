"""The ten ways to fund, a calculator for a mix of them, and the mix of the whole plan."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from cityloom.kernel.errors import BadInput
from cityloom.planning.action.financing import profile_of
from cityloom.planning.action.funding import (
    CRITERIA,
    MECHANISMS,
    PAYERS,
    SOURCE,
    criteria_of,
    joined,
    parted,
)
from cityloom.planning.action.model import ARRANGEMENTS, Financing, Share
from cityloom.planning.money import CURRENCIES, Money, check_money
from cityloom.web.forms import Form
from cityloom.web.pages.action.choosing import options
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/plan/action/funding", show, pdf=True)


async def show(visit: Visit) -> Response:
    """The mechanisms, the plan's mix, and what a mix that is typed comes to."""
    form = Form(visit.language, FormData(dict(list(visit.request.query_params.items())[:50])))
    asked = "amount" in visit.request.query_params
    reckoned = _reckoned(visit, form) if asked else None
    found = visit.rooms.initiatives.list(visit.actor)
    whole = joined((one.plan.budget, one.plan.action.funding) for one in found if one.plan.budget)
    if not asked:
        form.fill(currency=visit.city.currency, arrangement="none")
    data = {
        "mechanisms": list(MECHANISMS.values()),
        "source": SOURCE,
        "plan": {
            currency: {"mix": mix, "criteria": criteria_of(mix)} for currency, mix in whole.items() if mix
        },
        "calculator": reckoned,
    }
    return visit.render(
        "plan-funding.html",
        data,
        status=400 if form.errors else 200,
        form=form,
        asked=asked,
        criteria_words=CRITERIA,
        payers=PAYERS,
        currencies=[(one, one) for one in sorted(CURRENCIES)],
        arrangements=options(visit, ARRANGEMENTS),
        by_id=MECHANISMS,
    )


def _reckoned(visit: Visit, form: Form) -> dict[str, Any] | None:
    """What the typed mix gives; None where something is wrong, which the form then says."""
    amount = form.decimal("amount", required=visit.gettext("Enter an amount."))
    currency = form.choice("currency", sorted(CURRENCIES), required=visit.gettext("Choose a currency."))
    mix = []
    for name in MECHANISMS:
        percent = form.decimal(f"share_{name}")
        if percent is not None and not 0 <= percent <= 100:
            form.wrong(f"share_{name}", visit.gettext("Enter 0 to 100 percent."))
        elif percent:
            mix.append(Share(name, percent))
    whole = sum((one.percent for one in mix), Decimal(0))
    if mix and whole != 100:
        told = visit.gettext("The shares come to %(whole)s percent; let them come to 100.", whole=whole)
        form.wrong("funding", told)
    financing = _financing(visit, form)
    if form.errors or amount is None:
        return None
    try:
        money = check_money(Money(amount, currency), where="amount")
        return {
            "amount": money,
            "parts": parted(money, mix),
            "criteria": criteria_of(mix),
            "profile": profile_of(money, financing),
        }
    except (BadInput, InvalidOperation) as error:
        words = form.words_of(error) if isinstance(error, BadInput) else visit.gettext("Enter an amount.")
        form.wrong("amount", words)
        return None


def _financing(visit: Visit, form: Form) -> Financing:
    rate = form.number("rate", least=0, most=100)
    years = {name: form.number(name, least=0, most=60) for name in ("graceYears", "years")}
    first = form.number("firstYear", least=1990, most=2150)
    return Financing(
        arrangement=form.choice("arrangement", ARRANGEMENTS) or "none",
        rate=Decimal(str(rate or 0)),
        first_year=int(first or visit.rooms.clock.now().year),
        grace_years=int(years["graceYears"] or 0),
        years=int(years["years"] or 0),
    )
