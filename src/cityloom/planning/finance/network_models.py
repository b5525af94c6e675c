"""The four ways to own a city's network, and what each layer and each party keeps of what people pay. Pure.

A network has a passive layer (ducts, fibre, masts), an active one (what lights it up) and services. The
models are those of a study of smart cities by a maker of networks (Fig. 2 to 4, Table 5), in own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.outcome import (
    Bars,
    Cell,
    Chain,
    Column,
    Figure,
    Layer,
    Outcome,
    Payment,
    Series,
    Table,
    Unit,
)
from cityloom.planning.finance.sums import rounded

_MONTHS = 12


class Model(StrEnum):
    """Who owns what."""

    VERTICALISED = "verticalised"
    PASSIVE_SHARED = "passiveShared"
    ACTIVE_SHARED = "activeShared"
    SEPARATED = "separated"


class Tier(StrEnum):
    """A layer of a network, from below."""

    PASSIVE = "passive"
    ACTIVE = "active"
    SERVICE = "service"


TIERS = {
    Tier.SERVICE: Worded("Services"),
    Tier.ACTIVE: Worded("Active network"),
    Tier.PASSIVE: Worded("Passive infrastructure"),
}
NAMES = {
    Model.VERTICALISED: Worded("Verticalised"),
    Model.PASSIVE_SHARED: Worded("Passive shared"),
    Model.ACTIVE_SHARED: Worded("Active shared"),
    Model.SEPARATED: Worded("Separated"),
}
_OPERATOR = Worded("Operator")
_INFRASTRUCTURE = Worded("Infrastructure owner")
_NETWORK = Worded("Network operator")
_PROVIDER = Worded("Service providers")
USERS = Worded("Users")
#: Owners of the passive layer, the active one, and services.
OWNERS: dict[Model, tuple[Worded, Worded, Worded]] = {
    Model.VERTICALISED: (_OPERATOR, _OPERATOR, _OPERATOR),
    Model.PASSIVE_SHARED: (_INFRASTRUCTURE, _OPERATOR, _OPERATOR),
    Model.ACTIVE_SHARED: (_INFRASTRUCTURE, _INFRASTRUCTURE, _PROVIDER),
    Model.SEPARATED: (_INFRASTRUCTURE, _NETWORK, _PROVIDER),
}
ABOUT = {
    Model.VERTICALISED: Worded(
        "One operator has all three layers. Whoever wants to compete builds a network of their own."
    ),
    Model.PASSIVE_SHARED: Worded(
        "One party builds and keeps the passive infrastructure and lets it to operators, who bring the "
        "active network and the services."
    ),
    Model.ACTIVE_SHARED: Worded(
        "One party has the passive and the active network and sells access to service providers, who compete "
        "for the users."
    ),
    Model.SEPARATED: Worded(
        "Each layer has an owner of its own: infrastructure is let to network operators, who sell access to "
        "service providers."
    ),
}
PROS: dict[Model, tuple[str, ...]] = {
    Model.VERTICALISED: (Worded("The whole chain and all of the income are in one hand."),),
    Model.PASSIVE_SHARED: (
        Worded("Simple to run for whoever owns the infrastructure."),
        Worded("About half of the possible income is still there to be had."),
    ),
    Model.ACTIVE_SHARED: (
        Worded("A second margin for little more investment."),
        Worded("People can choose among any number of service providers."),
    ),
    Model.SEPARATED: (
        Worded("Work and responsibility are clearly divided among the layers."),
        Worded("Each layer earns a margin for little more investment."),
        Worded("People can choose among any number of service providers."),
    ),
}
CONS: dict[Model, tuple[str, ...]] = {
    Model.VERTICALISED: (
        Worded("Much to run at once, and a high risk of failing at it."),
        Worded("People have few service providers to choose from."),
    ),
    Model.PASSIVE_SHARED: (
        Worded("No direct hold on income and on how services are sold."),
        Worded("People have few service providers to choose from."),
    ),
    Model.ACTIVE_SHARED: (
        Worded("Small operators find it hard: access is bought under terms that no standard settles."),
    ),
    Model.SEPARATED: (
        Worded("It takes technical standing, and yet room for others."),
        Worded("Small operators find it hard: access is bought under terms that no standard settles."),
    ),
}


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed: prices for a line a month, costs a year for each layer, capital where it is known."""

    model: Model
    currency: str
    lines: int
    #: What users pay, what service providers pay for access, what network operators pay for infrastructure.
    retail: Decimal
    wholesale: Decimal
    lease: Decimal
    #: By layer, passive first.
    costs: tuple[Decimal, Decimal, Decimal] = (Decimal(), Decimal(), Decimal())
    capital: tuple[Decimal, Decimal, Decimal] = (Decimal(), Decimal(), Decimal())


class Income(msgspec.Struct, frozen=True, kw_only=True):
    """A party's year under one model. What it gets less what it pays to others is what it keeps."""

    party: str
    tiers: tuple[Tier, ...]
    gets: Decimal
    pays: Decimal
    costs: Decimal
    capital: Decimal

    @property
    def keeps(self) -> Decimal:
        return self.gets - self.pays

    @property
    def margin(self) -> Decimal:
        return self.keeps - self.costs


def kept_by_layer(network: Network) -> tuple[Decimal, Decimal, Decimal]:
    """Of what users pay in a year, what stays with the passive layer, the active one, and services."""
    retail, wholesale, lease = (
        _a_year(network, one) for one in (network.retail, network.wholesale, network.lease)
    )
    return lease, wholesale - lease, retail - wholesale


def incomes(network: Network, model: Model) -> tuple[Income, ...]:
    """Each party's year, from the one below."""
    retail, wholesale, lease = (
        _a_year(network, one) for one in (network.retail, network.wholesale, network.lease)
    )
    owners, tiers = OWNERS[model], tuple(Tier)
    income_of, price_below = (lease, wholesale, retail), (Decimal(), lease, wholesale)
    found = []
    for party in dict.fromkeys(owners):
        own = [place for place, owner in enumerate(owners) if owner == party]
        found.append(
            Income(
                party=party,
                tiers=tuple(tiers[place] for place in own),
                gets=income_of[own[-1]],
                pays=price_below[own[0]],
                costs=sum((network.costs[place] for place in own), Decimal()),
                capital=sum((network.capital[place] for place in own), Decimal()),
            )
        )
    return tuple(found)


def network_model(network: Network) -> Outcome:
    """The chosen model in full, and all four side by side."""
    _check(network)
    paid = _a_year(network, network.retail)
    return Outcome(
        currency=network.currency,
        figures=(
            Figure("paid", Worded("Users pay a year"), paid),
            Figure("costs", Worded("Costs a year of all layers"), sum(network.costs, Decimal())),
            Figure("margin", Worded("Left over a year"), paid - sum(network.costs, Decimal())),
        ),
        tables=(
            _layers_table(network),
            _parties_table(network),
            _models_table(network),
            _judgement_table(network.model),
        ),
        drawings=(_chain(network), _split(network)),
        notes=(
            ABOUT[network.model],
            Worded("What the layers keep adds up to what the users pay, to the coin."),
            Worded(
                "Under every model the parties' margins together are the same; only who has them differs."
            ),
        ),
        warnings=tuple(
            Worded("%(party)s loses money each year under this model.", party=str(one.party))
            for one in incomes(network, network.model)
            if one.margin < 0
        ),
    )


def _layers_table(network: Network) -> Table:
    paid = _a_year(network, network.retail)
    columns = (
        Column("layer", Worded("Layer")),
        Column("owner", Worded("Owner")),
        Column("keeps", Worded("Keeps a year"), Unit.MONEY),
        Column("share", Worded("Of what users pay"), Unit.SHARE),
        Column("costs", Worded("Costs"), Unit.MONEY),
        Column("margin", Worded("Margin"), Unit.MONEY),
    )
    rows = tuple(
        (
            TIERS[tier],
            owner,
            kept,
            round(float(kept / paid), 6) if paid else None,
            cost,
            kept - cost,
        )
        for tier, owner, kept, cost in zip(
            Tier, OWNERS[network.model], kept_by_layer(network), network.costs, strict=True
        )
    )
    costs = sum(network.costs, Decimal())
    foot = (Worded("Sum"), None, paid, 1.0 if paid else None, costs, paid - costs)
    return Table("layers", Worded("Revenue by layer"), columns, rows, foot)


def _parties_table(network: Network) -> Table:
    columns = (
        Column("party", Worded("Party")),
        Column("layers", Worded("Layers")),
        Column("gets", Worded("Gets"), Unit.MONEY),
        Column("pays", Worded("Pays on"), Unit.MONEY),
        Column("keeps", Worded("Keeps"), Unit.MONEY),
        Column("costs", Worded("Costs"), Unit.MONEY),
        Column("margin", Worded("Margin"), Unit.MONEY),
        Column("return", Worded("Margin over capital"), Unit.SHARE),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            one.party,
            listed([TIERS[tier] for tier in one.tiers]),
            one.gets,
            one.pays,
            one.keeps,
            one.costs,
            one.margin,
            round(float(one.margin / one.capital), 6) if one.capital else None,
        )
        for one in incomes(network, network.model)
    )
    paid, costs = _a_year(network, network.retail), sum(network.costs, Decimal())
    foot = (Worded("Sum"), None, None, None, paid, costs, paid - costs, None)
    return Table("parties", Worded("Value chain: who gets and who pays"), columns, rows, foot)


def listed(words: Sequence[str]) -> str:
    """Words with commas between them, each of which can be said in other languages."""
    names = {f"word{place}": one for place, one in enumerate(words)}
    template = ", ".join(f"%({name})s" for name in names)
    return Worded(template, **names)


def _models_table(network: Network) -> Table:
    columns = (
        Column("model", Worded("Model")),
        Column("party", Worded("Party")),
        Column("keeps", Worded("Keeps"), Unit.MONEY),
        Column("costs", Worded("Costs"), Unit.MONEY),
        Column("margin", Worded("Margin"), Unit.MONEY),
    )
    rows = tuple(
        (NAMES[model], one.party, one.keeps, one.costs, one.margin)
        for model in Model
        for one in incomes(network, model)
    )
    return Table("models", Worded("The four models side by side"), columns, rows)


def _judgement_table(model: Model) -> Table:
    columns = (Column("side", Worded("Side")), Column("words", Worded("What speaks for it and against it")))
    rows = tuple((Worded("For"), one) for one in PROS[model])
    rows += tuple((Worded("Against"), one) for one in CONS[model])
    return Table("judgement", Worded("For and against"), columns, rows)


def _chain(network: Network) -> Chain:
    found = incomes(network, network.model)
    parties = (USERS, *(one.party for one in reversed(found)))
    payments = tuple(
        Payment(place, place + 1, words, one.gets)
        for place, (one, words) in enumerate(zip(reversed(found), _words(network.model), strict=True))
    )
    layers = tuple(
        Layer(TIERS[tier], owner)
        for tier, owner in reversed(list(zip(Tier, OWNERS[network.model], strict=True)))
    )
    return Chain(
        title=Worded("Who owns which layer, and who pays whom"),
        table="parties",
        layers=layers,
        parties=parties,
        payments=payments,
    )


def _words(model: Model) -> tuple[str, ...]:
    """What is paid for, from the users down."""
    first, access, lease = Worded("for services"), Worded("for access"), Worded("for infrastructure")
    return {
        Model.VERTICALISED: (first,),
        Model.PASSIVE_SHARED: (first, lease),
        Model.ACTIVE_SHARED: (first, access),
        Model.SEPARATED: (first, access, lease),
    }[model]


def _split(network: Network) -> Bars:
    return Bars(
        title=Worded("What each layer keeps and what it costs"),
        table="layers",
        categories=tuple(TIERS[tier] for tier in Tier),
        series=(
            Series(Worded("Keeps a year"), tuple(map(float, kept_by_layer(network)))),
            Series(Worded("Costs"), tuple(map(float, network.costs))),
        ),
    )


def _a_year(network: Network, price: Decimal) -> Decimal:
    return rounded(price * network.lines * _MONTHS, network.currency)


def _check(network: Network) -> None:
    if not 0 <= network.lease <= network.wholesale <= network.retail:
        raise BadInput(
            Worded("These prices cannot be"),
            hint=Worded("Infrastructure costs at most what access costs, and that at most what users pay."),
            where="wholesale",
        )
    if network.lines < 0 or min(*network.costs, *network.capital) < 0:
        raise BadInput(Worded("This is below 0"), hint=Worded("Enter 0 or more."), where="lines")
