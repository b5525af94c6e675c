"""From what a record says to what follows from it. Pure; BadInput says what is still missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache

import msgspec

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.planning.finance.cost_benefit import cost_benefit
from cityloom.planning.finance.cost_sharing import Service, Town, cost_sharing
from cityloom.planning.finance.discounting import own_rate
from cityloom.planning.finance.fees import Band as FeeBand
from cityloom.planning.finance.fees import Group, Rule, fee_simulation
from cityloom.planning.finance.identity_financing import Payer, Scheme, identity_financing
from cityloom.planning.finance.kinds.analyses import ADOPTION, COST_BENEFIT
from cityloom.planning.finance.kinds.fairness import (
    COST_SHARING,
    DISTRICT_INVESTMENT,
    FEE_RULE,
    SHARED_ROUTES,
    SHARED_SYSTEMS,
    TARIFF,
)
from cityloom.planning.finance.kinds.models import IDENTITY, NETWORK_MODEL, PARTNERSHIP
from cityloom.planning.finance.network_models import Model, Network, network_model
from cityloom.planning.finance.outcome import Outcome
from cityloom.planning.finance.partnership import (
    Band,
    Partner,
    Partnership,
    Period,
    Risk,
    partnership_outcome,
)
from cityloom.planning.finance.polarisation import USUAL_THRESHOLD, District, polarisation
from cityloom.planning.finance.recorded import Values, amount, currency_of, number, rows, share
from cityloom.planning.finance.recorded_adoption import adoption_of
from cityloom.planning.finance.recorded_analysis import analysis_of
from cityloom.planning.finance.shared_blocks import USUAL_EXTRA, Shared, System, shared_blocks
from cityloom.planning.finance.shared_routes import Route, parse_route, shared_routes
from cityloom.planning.finance.tariffs import CostLine, Priced, Tariff, tariff_build_up

_USUAL_RATE = 3.0
#: Results that are kept in memory, some hundred kilobytes each at most.
KEPT = 64


def _cost_benefit(values: Values) -> Outcome:
    return cost_benefit(analysis_of(values))


def _network(values: Values) -> Outcome:
    return network_model(
        Network(
            model=Model(values["model"]),
            currency=currency_of(values),
            lines=int(values["lines"]),
            retail=amount(values, "retail"),
            wholesale=amount(values, "wholesale"),
            lease=amount(values, "lease"),
            costs=_layers(values, "Cost"),
            capital=_layers(values, "Capital"),
        )
    )


def _layers(values: Values, what: str) -> tuple[Decimal, Decimal, Decimal]:
    return amount(values, f"passive{what}"), amount(values, f"active{what}"), amount(values, f"service{what}")


def _partnership(values: Values) -> Outcome:
    return partnership_outcome(
        Partnership(
            currency=currency_of(values),
            capital=amount(values, "capital"),
            partners=tuple(
                Partner(name=one["partner"], share=number(one, "share"), public=one.get("public", False))
                for one in rows(values, "partners")
            ),
            convention=own_rate(share(values, "rate", _USUAL_RATE)),
            periods=tuple(
                Period(int(one["year"]), share(one, "available"), number(one, "uses"))
                for one in sorted(rows(values, "years"), key=lambda one: one["year"])
            ),
            risks=tuple(
                Risk(
                    name=one["risk"],
                    owner=one["owner"],
                    likelihood=share(one, "likelihood"),
                    cost=amount(one, "cost"),
                    mitigation=one.get("mitigation", ""),
                )
                for one in rows(values, "risks", needed=False)
            ),
            availability_payment=amount(values, "availabilityPayment"),
            agreed=share(values, "agreed", 100.0),
            deduction=share(values, "deduction", 2.0),
            bands=tuple(
                Band(number(one, "upTo") if "upTo" in one else None, amount(one, "price"))
                for one in rows(values, "bands", needed=False)
            ),
            indexation=share(values, "indexation"),
            by_itself=amount(values, "byItself") if "byItself" in values else None,
        )
    )


def _identity(values: Values) -> Outcome:
    return identity_financing(
        Scheme(
            payer=Payer(values["payer"]),
            currency=currency_of(values),
            years=int(values["years"]),
            convention=own_rate(share(values, "rate", _USUAL_RATE)),
            set_up=amount(values, "setUp"),
            a_year=amount(values, "aYear"),
            people=int(values["people"]),
            per_person=amount(values, "perPerson"),
            enrolment_years=int(values.get("enrolmentYears", 1)),
            public_checks=number(values, "publicChecks"),
            private_checks=number(values, "privateChecks"),
            per_check=number(values, "perCheck"),
            private_share=share(values, "privateShare", 50.0),
        )
    )


def _cost_sharing(values: Values) -> Outcome:
    return cost_sharing(
        Service(
            towns=tuple(
                Town(
                    name=one["town"],
                    population=number(one, "population"),
                    use=number(one, "use"),
                    alone=amount(one, "alone") if "alone" in one else None,
                    worth=amount(one, "worth") if "worth" in one else None,
                )
                for one in rows(values, "towns")
            ),
            currency=currency_of(values),
            fixed=amount(values, "fixed"),
            per_use=amount(values, "perUse"),
            by_population=number(values, "byPopulation", 1.0),
            by_use=number(values, "byUse", 1.0),
            equally=number(values, "equally", 1.0),
        )
    )


def _districts(values: Values) -> Outcome:
    districts = [
        District(
            name=one["district"],
            invested=amount(one, "invested"),
            people=one["people"],
            need=one.get("need", 1.0),
        )
        for one in rows(values, "districts")
    ]
    return polarisation(districts, currency_of(values), values.get("threshold", USUAL_THRESHOLD))


def _tariff(values: Values) -> Outcome:
    return tariff_build_up(
        Priced(
            currency=currency_of(values),
            unit=values["unit"],
            costs=tuple(
                CostLine(
                    name=one["cost"],
                    amount=amount(one, "amount"),
                    part=share(one, "part", 100.0),
                    life=int(one.get("life", 0)),
                )
                for one in rows(values, "costs")
            ),
            tariffs=tuple(
                Tariff(name=one["customers"], price=amount(one, "price"), units=number(one, "units"))
                for one in rows(values, "tariffs", needed=False)
            ),
            interest=share(values, "interest"),
        )
    )


def _fees(values: Values) -> Outcome:
    return fee_simulation(
        Rule(
            currency=currency_of(values),
            unit=values["unit"],
            price_now=amount(values, "priceNow"),
            bands=tuple(
                FeeBand(number(one, "upTo") if "upTo" in one else None, amount(one, "price"))
                for one in rows(values, "bands")
            ),
            groups=tuple(
                Group(
                    name=one["group"],
                    people=number(one, "people"),
                    income=amount(one, "income"),
                    use=number(one, "use"),
                    elasticity=float(one["elasticity"]),
                    reduction=share(one, "reduction"),
                )
                for one in rows(values, "groups")
            ),
            aim=share(values, "aim") if "aim" in values else None,
            bearable=share(values, "bearable") if "bearable" in values else None,
        )
    )


def _systems(values: Values) -> Outcome:
    systems = [
        System(name=one["system"], sector=one["sector"], block=one["block"], cost=amount(one, "cost"))
        for one in rows(values, "systems")
    ]
    shared = [
        Shared(block=one["block"], cost=amount(one, "cost"), move=amount(one, "move"))
        for one in rows(values, "shared", needed=False)
    ]
    return shared_blocks(
        systems, shared, currency_of(values), share(values, "extra", float(USUAL_EXTRA) * 100)
    )


def _routes(values: Values) -> Outcome:
    return shared_routes(
        list(_route_rows(values, "planned")),
        list(_route_rows(values, "existing")),
        within=values.get("within", 10.0),
        trench=amount(values, "trench"),
        currency=currency_of(values),
    )


def _route_rows(values: Values, name: str) -> Iterator[Route]:
    for place, one in enumerate(rows(values, name)):
        places = parse_route(one["route"], f"{name}.{place}.route")
        yield Route(name=one["what"], places=places, cost=amount(one, "cost"))


#: By the type of the record's Entity.
RECKONERS: Mapping[str, Callable[[Values], Outcome]] = {
    COST_BENEFIT.type: _cost_benefit,
    ADOPTION.type: adoption_of,
    NETWORK_MODEL.type: _network,
    PARTNERSHIP.type: _partnership,
    COST_SHARING.type: _cost_sharing,
    DISTRICT_INVESTMENT.type: _districts,
    TARIFF.type: _tariff,
    FEE_RULE.type: _fees,
    SHARED_SYSTEMS.type: _systems,
    SHARED_ROUTES.type: _routes,
    IDENTITY.type: _identity,
}


class _Said:
    """What a record of a type says, equal to any other that says the same."""

    def __init__(self, type_name: str, values: Values) -> None:
        self.type_name, self.values = type_name, values
        self._key = (type_name, msgspec.json.encode(values, order="deterministic"))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Said) and self._key == other._key


@lru_cache(maxsize=KEPT)
def _reckoned(said: _Said) -> Outcome:
    return RECKONERS[said.type_name](said.values)


def reckon(type_name: str, values: Values) -> Outcome:
    """What follows from a record of a type. Raises BadInput where something is missing or cannot be.

    The newest results are kept: a page, its tables and its workbook are of one reckoning.
    """
    try:
        return _reckoned(_Said(type_name, values))
    except KeyError as error:
        # Others may have written the Entity, and left a field out.
        raise BadInput(
            Worded("Something is still missing"), hint=Worded("Fill it in."), where=str(error.args[0])
        ) from None
    except (ValueError, TypeError, ArithmeticError) as error:
        # What is written by form is none of these: a choice that there is not, a number beyond all bounds.
        raise BadInput(
            Worded("Something here cannot be reckoned with"), hint=Worded("Correct what is written down.")
        ) from error
