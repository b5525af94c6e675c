"""A large city's plan, made up: initiatives, goals, stakeholders, consultations, contracts, versions.

    made = await planned(house, Size())

What is written is what the rooms write: their own functions make the attributes of a plan, a record, terms, a
statement. It goes into the city in batches, as bringing in a table would.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from cityloom.access.accounts import SET_UP
from cityloom.app.house import House
from cityloom.context.reading import language_property
from cityloom.indicators.framework import point_id
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, entity, json_value, prop, rel
from cityloom.planning.action.model import (
    CHECKS,
    DIMENSIONS,
    INITIATION_MODELS,
    ORIGINS,
    TARGET_GROUPS,
    Action,
    Check,
    Cost,
    Reporting,
    Share,
    TargetGroup,
)
from cityloom.planning.assessments.evaluating import Answer
from cityloom.planning.contracts.model import CONTRACT, PARTY, SETTLEMENT, Concluded
from cityloom.planning.contracts.periods import periods_of
from cityloom.planning.contracts.statement import digest_of, statement_of
from cityloom.planning.contracts.terms import Every, Line, Terms
from cityloom.planning.masterplan.dimensions import DIMENSIONS as PLAN_DIMENSIONS
from cityloom.planning.model import Milestone, Phase, Plan, Step, Target
from cityloom.planning.money import Money
from cityloom.planning.records.writing import checked, instances, public_values
from cityloom.planning.sdg import TITLES
from cityloom.planning.stakeholders import words
from cityloom.planning.writing import attributes_of
from cityloom_catalogue.cities.example_records import MONEY, read_records
from cityloom_catalogue.cities.plan_examples import plan_examples

AT_ONCE = 250
PHASES = (Phase.RUNNING,) * 3 + (Phase.PLANNED,) * 4 + (Phase.IDEA,) + (Phase.DONE,) * 2
DEPARTMENTS = [f"Department {number}" for number in range(40)]
PEOPLE = {"planner": ["planner"], "committee": ["committee"], "citizen": ["citizen"]}
SENTENCE = "What is done here is told in a few lines, so that whoever reads it knows what to expect of it. "


class Size(msgspec.Struct, frozen=True):
    """How large the city is."""

    initiatives: int = 5_000
    values: int = 50_000
    stakeholders: int = 500
    contacts: int = 2_000
    contracts: int = 500
    goals: int = 1_000
    consultations: int = 300
    contributions: int = 20_000
    versions: int = 20
    #: Of every other kind of record, what the examples of so many cities hold.
    examples: int = 5


class Made(msgspec.Struct):
    """What the city has, for addresses; `tokens` are of sessions, by role."""

    tokens: dict[str, str]
    firsts: dict[str, str]


async def planned(house: House, size: Size) -> Made:
    """Write it all. The indicators must be there."""
    random.seed(2)
    today = datetime.now(UTC).date()
    indicators = [
        point_id(one.id, point.code, point.key)
        for one in house.indicators.frameworks()
        for _, point in one.points()
    ][:400]
    writing = _Writing(house, size, today, indicators)
    made = Made({}, {})
    for name, roles in PEOPLE.items():
        made.tokens[name] = await _session(house, name, roles)
    for kind_class, documents in writing.everything():
        await _bring(house, documents, kind_class)
    made.firsts = writing.firsts
    planner = await _actor(house, made.tokens["planner"])
    await house.assessments.answer(planner, "city_category", {"leader": Answer("it_company")})
    made.firsts["assessment"] = house.assessments.list(planner)[0].id
    await house.plan.baselines.freeze(planner, {"en": "Before"})
    await _versions(house, size.versions, made.firsts["PlanBody"])
    return made


async def _session(house: House, name: str, roles: list[str]) -> str:
    made = await house.accounts.create(SET_UP, name, roles=roles)
    opened = await house.accounts.authenticate(name, made.password)
    actor = await house.accounts.actor_for_session(opened.token)
    assert actor is not None
    wanted = f"harbour lantern {name[::-1]} seven"
    await house.accounts.change_password(actor, made.password, wanted)
    return (await house.accounts.authenticate(name, wanted)).token


async def _actor(house: House, token: str) -> Actor:
    actor = await house.accounts.actor_for_session(token)
    assert actor is not None
    return actor


async def _bring(house: House, documents: Iterable[Document], kept_as: InformationClass) -> None:
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if len(batch) == AT_ONCE:
            await _create(house, batch, kept_as)
            batch = []
    await _create(house, batch, kept_as)


async def _create(house: House, batch: list[Document], kept_as: InformationClass) -> None:
    if batch:
        outcome = await house.broker.create_many(CITY, batch, information_class=kept_as)
        assert not outcome.errors, outcome.errors[0]


async def _versions(house: House, count: int, body: str) -> None:
    """So many versions, each with a change in a goal since the one before."""
    council = Actor(
        id="person:council",
        name="Council",
        permissions=frozenset({"plan:adopt", "plan:edit", "entities:read"}),
        clearance=frozenset({InformationClass.OPEN, InformationClass.INTERNAL}),
    )
    for number in range(count):
        on = datetime.now(UTC).date() - timedelta(days=(count - number) * 30)
        values = {"name": {"en": f"Adoption {number + 1}"}, "kind": "adoption", "decidedOn": on, "body": body}
        decision = await house.records.draft(council, "CommitteeDecision", values)
        await house.records.publish(council, decision.id)
        goal = f"urn:ngsi-ld:Goal:{number}"
        await house.records.change(council, goal, {"owner": f"Office {number}"})
        await house.records.publish(council, goal)
        await house.plan.versions.adopt(council, decision.id)


class _Writing:
    """Makes the documents; `firsts` are ids by what stands in an address."""

    def __init__(self, house: House, size: Size, today: date, indicators: list[str]) -> None:
        self._house = house
        self._size = size
        self._today = today
        self._indicators = indicators
        self.firsts: dict[str, str] = {}

    def everything(self) -> Iterator[tuple[InformationClass, Iterable[Document]]]:
        """Documents with the class they are kept in."""
        inside, outside = InformationClass.INTERNAL, InformationClass.OPEN
        yield outside, (self._initiative(number) for number in range(self._open_initiatives))
        yield (
            inside,
            (self._initiative(n) for n in range(self._open_initiatives, self._size.initiatives)),
        )
        opens = datetime.now(UTC) - timedelta(days=200)
        for number in range(self._size.examples):
            found = [
                *plan_examples(f"city{number}", opens, self._house.zone),
                *read_records(MONEY, f"city{number}", opens),
            ]
            found = [one for one in found if one["type"][0] in self._house.records.kinds]
            for document in found:
                self.firsts.setdefault(document["type"][0], document["id"].replace(":draft-", ":"))
            yield inside, [one for one in found if ":draft-" in one["id"]]
            yield outside, [one for one in found if ":draft-" not in one["id"]]
        for type_name, each in self._records().items():
            documents = [self._record(type_name, *one) for one in each]
            yield inside, (one for one, _ in documents)
            yield outside, (one for _, one in documents if one is not None)
            self.firsts[type_name] = f"urn:ngsi-ld:{type_name}:1"
        yield inside, (self._contribution(number) for number in range(self._size.contributions))
        self.firsts["contribution"] = "urn:ngsi-ld:ConsultationContribution:1"
        agreements = [self._agreement(number) for number in range(self._size.contracts)]
        yield inside, (one for several, _ in agreements for one in several)
        yield outside, (one for _, one in agreements)

    @property
    def _open_initiatives(self) -> int:
        return self._size.initiatives * 9 // 10

    # Initiatives

    def _initiative(self, number: int) -> Document:
        is_draft = number >= self._open_initiatives
        phase = Phase.IDEA if is_draft else PHASES[number % len(PHASES)]
        plan = self._plan(number, is_draft=is_draft)
        attributes = {name: item for name, item in attributes_of(plan).items() if item is not None}
        steps = [Step(self._instant(-400 + day), "person:planner", "edited") for day in range(0, 300, 60)]
        attributes |= {
            "phase": prop(phase.value),
            "status": prop("draft" if is_draft else "adopted"),
            "dataOrigin": prop("entered"),
            "history": json_value(msgspec.to_builtins(steps)),
        }
        if not is_draft:
            attributes["dateIssued"] = prop(self._instant(-400))
        entity_id = self._initiative_id(number)
        self.firsts.setdefault("draft" if is_draft else "initiative", entity_id)
        return entity("Initiative", entity_id, attributes)

    def _initiative_id(self, number: int) -> str:
        return f"urn:ngsi-ld:Initiative:{'draft-' if number >= self._open_initiatives else ''}{number}"

    def _plan(self, number: int, *, is_draft: bool) -> Plan:
        starts = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
            days=number * 7 % 1200 - 300
        )
        length = 200 + number * 13 % 900
        department = DEPARTMENTS[number % len(DEPARTMENTS)]
        currency = "DKK" if number % 10 else "EUR"
        costs = tuple(
            Cost(starts.year + year, kind, Money(Decimal(100_000 + number * 17 + year), currency), department)
            for year in range(4)
            for kind in ("capital", "operating")
        )
        return Plan(
            name=_said(f"Initiative {number} for better streets", f"Initiativ {number} for bedre gader"),
            description=_said(SENTENCE * 4, SENTENCE * 4),
            owner=f"Office {number % 60}",
            budget=Money(sum((one.amount.amount for one in costs), Decimal(0)), currency),
            spent=Money(Decimal(number * 31 % 400_000), currency),
            starts_at=starts,
            ends_at=starts + timedelta(days=length),
            milestones=tuple(
                Milestone(
                    f"Step {step}",
                    (starts + timedelta(days=step * length // 6)).date(),
                    starts.date() if step < 3 and number % 3 else None,
                )
                for step in range(1, 6)
            ),
            targets=tuple(
                Target(
                    self._indicators[(number * 3 + k) % len(self._indicators)], 10.0, 80.0, date(2035, 1, 1)
                )
                for k in range(2)
            ),
            location={"type": "Point", "coordinates": [10.1 + number % 100 / 500, 56.1 + number % 70 / 500]},
            action=self._action(number, costs, department, is_draft=is_draft),
        )

    def _action(self, number: int, costs: tuple[Cost, ...], department: str, *, is_draft: bool) -> Action:
        goals = self._size.goals
        on = self._today - timedelta(days=100)
        after = [number - back for back in (1, 7) if number % 12 >= back]
        return Action(
            goals=(f"urn:ngsi-ld:Goal:{number % goals}", f"urn:ngsi-ld:Goal:{number * 7 % goals}"),
            sdg_targets=tuple(list(TITLES)[number % 160 : number % 160 + 2]),
            dimension=list(DIMENSIONS)[number % len(DIMENSIONS)],
            initiation=list(INITIATION_MODELS)[number % len(INITIATION_MODELS)],
            origin=list(ORIGINS)[number % len(ORIGINS)],
            department=department,
            depends_on=tuple(self._initiative_id(one).replace(":draft-", ":") for one in after),
            value=1 + number % 5,
            effort=1 + number * 3 % 5,
            checks=tuple(Check(of, "Office of checks", on, "passed", "Report 12") for of in CHECKS),
            costs=costs if not (is_draft and number % 2) else (),
            funding=(Share("taxes", Decimal(60)), Share("loans", Decimal(40))) if number % 4 else (),
            target_groups=tuple(
                TargetGroup(group, SENTENCE, date(2031, 1, 1)) for group in list(TARGET_GROUPS)[: number % 7]
            ),
            reporting=Reporting("quarterly", "The council"),
        )

    # Records

    def _record(
        self, type_name: str, number: int, values: Mapping[str, Any], published: bool
    ) -> tuple[Document, Document | None]:
        kind = self._house.records.kinds[type_name]
        normal = checked(kind, values)
        said = {name: item for name, item in instances(kind, normal).items() if item is not None}
        step = {"at": self._instant(-30), "by": "person:planner", "did": "published"}
        said |= {"dataOrigin": prop("entered")}
        working = said | {"status": prop("draft"), "history": json_value([step])}
        draft = entity(type_name, f"urn:ngsi-ld:{type_name}:draft-{number}", working)
        if not published or not kind.publishable:
            return draft, None
        open_values = public_values(kind, normal)
        shown = {name: item for name, item in instances(kind, open_values).items() if item is not None}
        shown |= {
            "dataOrigin": prop("entered"),
            "status": prop("published"),
            "dateIssued": prop(self._instant(-30)),
        }
        return draft, entity(type_name, f"urn:ngsi-ld:{type_name}:{number}", shown)

    def _records(self) -> dict[str, Iterator[tuple[int, dict[str, Any], bool]]]:
        size = self._size
        return {
            "Goal": ((n, self._goal(n), n % 10 != 9) for n in range(size.goals)),
            "Stakeholder": ((n, self._stakeholder(n), n % 5 != 4) for n in range(size.stakeholders)),
            "StakeholderContact": ((n, self._contact(n), False) for n in range(size.contacts)),
            "StakeholderRole": ((n, self._role(n), n % 2 == 0) for n in range(size.stakeholders * 2)),
            "StakeholderRelation": ((n, self._relation(n), n % 2 == 0) for n in range(size.stakeholders * 2)),
            "EngagementActivity": ((n, self._activity(n), True) for n in range(size.stakeholders // 5)),
            "Consultation": ((n, self._consultation(n), True) for n in range(size.consultations)),
        }

    def _goal(self, number: int) -> dict[str, Any]:
        goals = self._size.goals
        values = {
            "name": _said(f"Goal {number}", f"Mål {number}"),
            "description": _said(SENTENCE * 3, SENTENCE * 3),
            "priority": 1 + number % 9,
            "horizon": "medium",
            "dimensions": tuple(list(PLAN_DIMENSIONS)[number % 5 : number % 5 + 2]),
            "sdgTargets": tuple(list(TITLES)[number % 160 : number % 160 + 3]),
            "indicators": tuple(self._indicators[(number + k) % len(self._indicators)] for k in range(2)),
            "owner": f"Office {number % 60}",
        }
        if number >= 10:
            values["parent"] = f"urn:ngsi-ld:Goal:{(number - 10) % max(1, goals // 10)}"
        return values

    def _stakeholder(self, number: int) -> dict[str, Any]:
        return {
            "name": _said(f"Stakeholder {number}", f"Interessent {number}"),
            "category": list(words.CATEGORIES)[number % len(words.CATEGORIES)],
            "scale": list(words.SCALES)[number % len(words.SCALES)],
            "sector": list(words.SECTORS)[number % len(words.SECTORS)],
            **dict.fromkeys(("aims", "challenges", "potential", "constraints", "contribution"), SENTENCE),
            "appraisedOn": self._today - timedelta(days=500),
            "firstLevel": list(words.LEVELS)[number % len(words.LEVELS)],
            "firstPower": 1 + number % 10,
            "firstInterest": 1 + number * 7 % 10,
            "targetLevel": list(words.LEVELS)[(number + 1) % len(words.LEVELS)],
            "nextAction": "Speak with them",
            "nextOn": self._today + timedelta(days=number % 90 - 30),
        }

    def _contact(self, number: int) -> dict[str, Any]:
        return {
            "name": _said(f"Contact {number}", f"Kontakt {number}"),
            "stakeholder": f"urn:ngsi-ld:Stakeholder:{number % self._size.stakeholders}",
            "day": self._today - timedelta(days=number % 400),
            "channel": "meeting",
            "said": SENTENCE * 2,
            "level": list(words.LEVELS)[number % len(words.LEVELS)],
            "power": 1 + number % 10,
            "interest": 1 + number * 7 % 10,
        }

    def _role(self, number: int) -> dict[str, Any]:
        return {
            "name": _said(f"Role {number}", f"Rolle {number}"),
            "stakeholder": f"urn:ngsi-ld:Stakeholder:{number % self._size.stakeholders}",
            "project": f"urn:ngsi-ld:Initiative:{number % self._open_initiatives}",
            "role": list(words.ROLES)[number % len(words.ROLES)],
            "since": self._today - timedelta(days=300),
        }

    def _relation(self, number: int) -> dict[str, Any]:
        several = self._size.stakeholders
        return {
            "name": _said(f"Relation {number}", f"Relation {number}"),
            "source": f"urn:ngsi-ld:Stakeholder:{number % several}",
            "target": f"urn:ngsi-ld:Stakeholder:{(number * 11 + 1 + number // several) % several}",
            "relation": list(words.RELATIONS)[number % len(words.RELATIONS)],
            "strength": list(words.STRENGTHS)[number % len(words.STRENGTHS)],
        }

    def _activity(self, number: int) -> dict[str, Any]:
        several = self._size.stakeholders
        return {
            "name": _said(f"Hearing {number}", f"Høring {number}"),
            "activity": next(iter(words.ACTIVITIES)),
            "day": self._today - timedelta(days=number % 300),
            "attended": tuple(f"urn:ngsi-ld:Stakeholder:{(number * 13 + k) % several}" for k in range(20)),
            "citizens": number % 200,
            "hours": 12,
            "cost": Money(Decimal(20_000), "DKK"),
        }

    def _consultation(self, number: int) -> dict[str, Any]:
        several = self._size.stakeholders
        return {
            "name": _said(f"Consultation {number}", f"Høring {number}"),
            "about": _said(SENTENCE * 5, SENTENCE * 5),
            "concerns": (f"urn:ngsi-ld:Goal:{number % self._size.goals}", f"urn:ngsi-ld:Initiative:{number}"),
            "opens": self._today - timedelta(days=1 + number * 5),
            "closes": self._today + timedelta(days=20 - number * 5 + 30),
            "documents": ({"title": "Draft", "web": "https://city.example/draft"},),
            "questions": ({"question": "What do you think?"}, {"question": "What is missing?"}),
            "invited": tuple(f"urn:ngsi-ld:Stakeholder:{(number * 3 + k) % several}" for k in range(12)),
            "consensusRule": SENTENCE,
            "grievanceHow": SENTENCE,
            "grievanceArbiter": "The ombudsman",
            "grievanceSince": self._today - timedelta(days=2 + number * 5),
            "responsible": "Office of consultations",
            "hours": 40,
            "cost": Money(Decimal(15_000), "DKK"),
        }

    def _contribution(self, number: int) -> Document:
        # A third of all go to one consultation that moves everybody.
        consultation = 0 if number % 3 == 0 else number % self._size.consultations
        attributes = {
            "consultation": rel(f"urn:ngsi-ld:Consultation:{consultation}"),
            "kind": prop("contribution"),
            "text": language_property({"en": SENTENCE * 3}),
            "question": prop(number % 3),
            "speaksFor": prop(list(words.CATEGORIES)[number % len(words.CATEGORIES)]),
            "channel": prop("web"),
            "age": prop("25_44"),
            "status": prop("answered" if number % 4 else "received"),
            "dateIssued": prop(self._instant(-number % 300 - 300)),
            "dataOrigin": prop("entered"),
            "history": json_value([{"at": self._instant(-10), "by": "reporter", "did": "received"}]),
        }
        if number % 4:
            what = f"urn:ngsi-ld:Initiative:{number % self._open_initiatives}"
            changed = number % 8 == 1
            response = {
                "at": self._instant(-5),
                "by": "person:planner",
                "language": "en",
                "text": SENTENCE,
                "changed": changed,
                "what": [what] if changed else [],
            }
            attributes["responses"] = json_value([response])
            if changed:
                attributes["changedWhat"] = rel([what])
                attributes["publicText"] = language_property({"en": SENTENCE})
        return entity(
            "ConsultationContribution", f"urn:ngsi-ld:ConsultationContribution:{number}", attributes
        )

    # Contracts

    def _agreement(self, number: int) -> tuple[list[Document], Document]:
        """A contract's file with its party and settlements; and what everybody sees of it."""
        party = f"urn:ngsi-ld:{PARTY}:{number % 60}"
        terms = self._terms(number, party)
        since = self._instant(-700)
        concluded = Concluded(terms.starts, terms, digest_of(terms), "person:council", since)
        file_id = f"urn:ngsi-ld:{CONTRACT}:draft-{number}"
        step = {"at": since, "by": "person:planner", "did": "concluded"}
        file = entity(
            CONTRACT,
            file_id,
            {
                "name": language_property(terms.name),
                "terms": json_value(msgspec.to_builtins(terms)),
                "versions": json_value(msgspec.to_builtins([concluded])),
                "provider": rel(party),
                "measures": rel(list(dict.fromkeys(line.about for line in terms.lines))),
                "initiative": rel(terms.initiative),
                "status": prop("concluded"),
                "dataOrigin": prop("entered"),
                "authors": json_value([]),
                "everyAuthor": json_value(["person:planner"]),
                "history": json_value([step]),
            },
        )
        settled = [self._settlement(file_id, terms, place) for place in range(6)]
        rows = [
            {"first": str(one.first), "end": str(one.end), "status": "settled", "score": None, "payable": "0"}
            | {"paid": "0"}
            for one in periods_of(terms)[:6]
        ]
        shown = {
            "name": language_property(terms.name),
            "providerName": prop(f"Provider {number % 60}"),
            "currency": prop(terms.currency),
            "startsAt": prop(terms.starts.isoformat()),
            "endsAt": prop(terms.ends.isoformat()),
            "periods": json_value(rows),
            "amountPaid": prop({"amount": "0", "currency": terms.currency}),
            "dataOrigin": prop("entered"),
            "initiative": rel(terms.initiative),
        }
        own = [entity(PARTY, party, {"name": prop(f"Provider {number}")})] if number < 60 else []
        self.firsts["contract"], self.firsts["period"] = file_id, terms.starts.isoformat()
        return [file, *own, *settled], entity(CONTRACT, f"urn:ngsi-ld:{CONTRACT}:{number}", shown)

    def _terms(self, number: int, party: str) -> Terms:
        lines = tuple(
            Line(
                name=_said(f"Line {k}", f"Linje {k}"),
                about=self._indicators[(number + k) % len(self._indicators)],
                target=80.0,
                price=Decimal(10_000),
                bonus=Decimal(1_000),
                malus=Decimal(1_000),
            )
            for k in range(3)
        )
        begins = date(self._today.year - 2, 1, 1)
        return Terms(
            name=_said(f"Contract {number}", f"Aftale {number}"),
            conditions=_said(SENTENCE * 3, SENTENCE * 3),
            provider=party,
            initiative=f"urn:ngsi-ld:Initiative:{number}",
            examiner="person:auditor",
            currency="DKK",
            starts=begins,
            ends=begins.replace(year=begins.year + 4),
            every=Every.QUARTER,
            lines=lines,
        )

    def _settlement(self, file_id: str, terms: Terms, place: int) -> Document:
        period = periods_of(terms)[place]
        at = self._instant(-500 + place * 90)
        statement = statement_of(file_id, terms, period, {}, (), zone=self._house.zone, computed_at=at)
        attributes = {
            "name": prop(f"{terms.name['en']} {statement.first}"),
            "contract": rel(file_id),
            "status": prop("settled"),
            "statement": json_value(msgspec.to_builtins(statement)),
            "hash": prop(digest_of(statement)),
            "settledBy": prop("person:auditor"),
            "settledAt": prop(at),
            "disputeUntil": prop(at),
            "payBy": prop(at),
            "dataOrigin": prop("entered"),
            "history": json_value([{"at": at, "by": "person:auditor", "did": "settled"}]),
        }
        name = file_id.rsplit("draft-", 1)[-1]
        return entity(SETTLEMENT, f"urn:ngsi-ld:{SETTLEMENT}:{name}:{period.key}", attributes)

    def _instant(self, days: int) -> str:
        return format_instant(datetime.now(UTC) + timedelta(days=days))


def _said(english: str, danish: str) -> dict[str, str]:
    return {"en": english, "da": danish}
