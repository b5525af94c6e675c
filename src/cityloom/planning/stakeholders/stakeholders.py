"""The register of stakeholders: records of several kinds, read together.

What a reader sees of it is what records show them: without clearance for what is internal there is no
standing, no contact, and only what was published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from cityloom.access.authority import require
from cityloom.context.reading import instant_in
from cityloom.kernel.actor import ANONYMOUS, CITY, Actor
from cityloom.kernel.errors import BadInput, Conflict
from cityloom.kernel.worded import Worded
from cityloom.planning.records.model import Record
from cityloom.planning.records.records import Records
from cityloom.planning.stakeholders import analysis, words
from cityloom.planning.stakeholders.defaults import CELLS, Category, Unit, categories, lines, source, units
from cityloom.planning.stakeholders.engagement import MOST, Appraisal, Standing, standing
from cityloom.planning.stakeholders.interaction import Relation
from cityloom.planning.stakeholders.kinds import (
    ACTIVITY,
    ANALYSIS,
    CONSULTATION,
    CONTACT,
    PERMISSION,
    RELATION,
    ROLE,
    RULES,
    STAKEHOLDER,
)
from cityloom.planning.stakeholders.model import RoleHeld, Stakeholder, in_turn
from cityloom.planning.stakeholders.participation import CITIZENS, Act, Effort, Register, Thresholds
from cityloom.planning.stakeholders.principles import Invited, Prepared, Requirements

#: What can be loaded by one act.
DEFAULTS = ("categories", "municipal", "national")


class Stakeholders:
    """Reads and fills the register."""

    def __init__(self, records: Records) -> None:
        self._records = records
        register = (STAKEHOLDER.type, CONTACT.type, ROLE.type, RELATION.type)
        self._all = records.derived(register, self._read_all)
        self._invited = records.derived((STAKEHOLDER.type,), self._read_invited)
        self._rules = records.derived((RULES.type,), self._read_rules)

    # -- reading -------------------------------------------------------------------------------------------

    def all(self, actor: Actor) -> Sequence[Stakeholder]:
        """All stakeholders that the actor may see, by name."""
        return self._all.of(actor)

    def _read_all(self, actor: Actor) -> Sequence[Stakeholder]:
        appraisals: dict[str, list[Appraisal]] = {}
        for one in self._records.list(actor, CONTACT.type):
            appraisals.setdefault(one.get("stakeholder", ""), []).append(_judged(one))
        roles: dict[str, list[RoleHeld]] = {}
        for one in self._records.list(actor, ROLE.type):
            roles.setdefault(one.get("stakeholder", ""), []).append(_role(one))
        degree = Counter(end for one in self.relations(actor) for end in {one.source, one.target})
        return [
            _stakeholder(one, appraisals.get(one.id, []), roles.get(one.id, []), degree[one.id])
            for one in self._records.list(actor, STAKEHOLDER.type)
        ]

    def one(self, actor: Actor, stakeholder_id: str) -> Stakeholder:
        """One stakeholder. Raises ResourceNotFound."""
        record = self._records.get(actor, stakeholder_id)
        pointing = self._records.pointing_at(actor, record.id)
        return _stakeholder(
            record,
            [_judged(one) for one in pointing if one.kind is CONTACT],
            [_role(one) for one in pointing if one.kind is ROLE],
            sum(one.kind is RELATION for one in pointing),
        )

    def contacts(self, actor: Actor, stakeholder_id: str) -> Sequence[Record]:
        """What was said with one, the last first."""
        pointing = self._records.pointing_at(actor, stakeholder_id)
        found = [one for one in pointing if one.kind is CONTACT]
        return sorted(found, key=lambda one: one.get("day", date.min), reverse=True)

    def relations(self, actor: Actor) -> Sequence[Relation]:
        """How they deal with each other."""
        return [
            Relation(
                one.get("source", ""),
                one.get("target", ""),
                one.get("relation", ""),
                one.get("direction") == "both",
                int(_known(one, "strength", words.STRENGTHS) or "2"),
            )
            for one in self._records.list(actor, RELATION.type)
            if _known(one, "relation", words.RELATIONS)
        ]

    # -- writing: each needs stakeholders:edit ---------------------------------------------------------------

    async def load(self, actor: Actor, what: str, language: str) -> int:
        """Load the twelve categories, the municipal units or those of the state as records to be edited;
        returns how many are new. What was loaded before and stands there is left as it is.
        """
        require(actor, PERMISSION)
        if what not in DEFAULTS:
            hint = Worded("Choose one of: %(choices)s.", choices=", ".join(DEFAULTS))
            raise BadInput(Worded("There is nothing of the kind to load"), hint=hint, where="what")
        known = {one.get("source", "") for one in self._records.list(actor, STAKEHOLDER.type)}
        wanted = [values for values in _defaults(what, language) if values["source"] not in known]
        for values in wanted:
            await self._records.draft(actor, STAKEHOLDER.type, values)
        return len(wanted)

    async def note_contact(self, actor: Actor, values: Mapping[str, Any]) -> Record:
        """Write down a contact; its name is made of the stakeholder and the day. Raises BadInput."""
        named = self._named(actor, values, "day")
        return await self._records.draft(actor, CONTACT.type, named)

    async def give_role(self, actor: Actor, values: Mapping[str, Any]) -> Record:
        """Give a role in a project from a day on; the one before ends with it. Raises BadInput."""
        named = self._named(actor, values, "since")
        return await self._records.draft(actor, ROLE.type, named)

    def _named(self, actor: Actor, values: Mapping[str, Any], day: str) -> dict[str, Any]:
        require(actor, PERMISSION)
        found = self._records.get(actor, str(values.get("stakeholder", "")))
        on = values.get(day)
        said = f", {on.isoformat()}" if isinstance(on, date) else ""
        return {**values, "name": {code: text[:400] + said for code, text in found.name.items()}}

    # -- rounds of the analysis --------------------------------------------------------------------------

    def rounds(self, actor: Actor) -> Sequence[Record]:
        """The rounds that were finished, the last first."""
        found = self._records.list(actor, ANALYSIS.type)
        return sorted(found, key=lambda one: one.get("round", 0), reverse=True)

    async def finish_round(self, actor: Actor, today: date, findings: str) -> Record:
        """Keep how all stand today as the result of the next round. Raises Conflict when there is nobody."""
        require(actor, PERMISSION)
        found = self.all(actor)
        if not found:
            raise Conflict(
                Worded("There are no stakeholders yet"),
                hint=Worded("Begin with the first step."),
                where="rows",
            )
        before = self.rounds(actor)
        number = int(before[0].get("round", 0)) + 1 if before else 1
        rows = [
            {key: said for key, said in msgspec.to_builtins(analysis.row(one)).items() if said}
            for one in found
        ]
        values = {
            "name": {"en": f"Round {number}", "da": f"Runde {number}"},
            "round": number,
            "day": today,
            "findings": findings,
            "rows": rows,
        }
        return await self._records.draft(actor, ANALYSIS.type, values)

    # -- rules and consultations ---------------------------------------------------------------------------

    def rules(self) -> tuple[Thresholds, Requirements]:
        """What the city has set itself, or the defaults. The record that was changed last counts."""
        return self._rules.of(CITY)

    def _read_rules(self, actor: Actor) -> tuple[Thresholds, Requirements]:
        found = self._records.list(actor, RULES.type)
        if not found:
            return Thresholds(), Requirements()
        values = max(found, key=lambda one: one.history[-1].at if one.history else "").values
        shares = ("oneVoice", "oneGroup", "oneOutcome", "groupsAbsent", "stakeholdersAbsent")
        given = {
            _snake(name): value / 100 if name in shares else value
            for name, value in values.items()
            if name != "name"
        }
        return _set(Thresholds(), given), _set(Requirements(), given)

    def prepared(self, record: Record) -> Prepared:
        """What a consultation has been prepared with: as it is public, and before that as it is planned."""
        working = self._records.find(CITY, record.id) or record
        shown = self._records.find(ANONYMOUS, record.id)
        said = (shown or working).values
        known = self._invited.of(CITY)
        return Prepared(
            opens=said.get("opens"),
            closes=said.get("closes"),
            public_since=_public_since(working) if shown is not None else None,
            documents=len(said.get("documents", ())),
            questions=len(said.get("questions", ())),
            invited=[known[one] for one in working.get("invited", ()) if one in known],
            rule=said.get("consensusRule", {}),
            grievance=said.get("grievanceHow", {}),
            arbiter=said.get("grievanceArbiter", {}),
            grievance_since=said.get("grievanceSince"),
            responsible=said.get("responsible", {}),
        )

    def _read_invited(self, actor: Actor) -> Mapping[str, Invited]:
        # Who was thrown away since has been asked all the same.
        gone = self._records.list(actor, STAKEHOLDER.type, discarded=True)
        found = (*self._records.list(actor, STAKEHOLDER.type), *gone)
        return {one.id: Invited(one.get("category", ""), one.get("scale", "")) for one in found}

    # -- who took part -------------------------------------------------------------------------------------

    def register(self, actor: Actor) -> Register:
        """Who could have taken part."""
        found = self._records.list(actor, STAKEHOLDER.type)
        return Register({one.id: one.get("category", "") for one in found})

    def attendance(self, actor: Actor) -> Sequence[Act]:
        """Who came to processes: each stakeholder once a process, and citizens for themselves."""
        groups = self.register(actor).groups
        acts: list[Act] = []
        for one in self._records.list(actor, ACTIVITY.type):
            acts += [Act(name, groups.get(name, "")) for name in one.get("attended", ())]
            if citizens := int(one.get("citizens", 0)):
                acts.append(Act("", CITIZENS, count=citizens))
        return acts

    def efforts(self, actor: Actor, contributions: Mapping[str, int]) -> Sequence[Effort]:
        """What processes took; `contributions` are counted by consultation."""
        found = [
            Effort(
                one.get("hours"),
                one.get("cost"),
                len(one.get("attended", ())) + int(one.get("citizens", 0)),
            )
            for one in self._records.list(actor, ACTIVITY.type)
        ]
        return [
            *found,
            *(
                Effort(one.get("hours"), one.get("cost"), contributions.get(one.id, 0))
                for one in self._records.list(actor, CONSULTATION.type)
            ),
        ]


def _public_since(working: Record) -> date | None:
    """The day of the first publication after which it was not withdrawn."""
    since: datetime | None = None
    for step in working.history:
        if step.did == "published":
            since = since or instant_in(step.at)
        elif step.did in ("withdrawn", "discarded"):
            since = None
    return since.date() if since is not None else None


def _known(record: Record, name: str, choices: Mapping[str, str]) -> str:
    """A choice, "" for what is none: programs may have written it."""
    value = record.get(name, "")
    return value if value in choices else ""


def _points(record: Record, name: str) -> float | None:
    """Power or interest, within its bounds."""
    value = record.get(name)
    return None if value is None else float(min(MOST, max(1.0, value)))


def _stakeholder(
    record: Record, contacts: list[Appraisal], roles: list[RoleHeld], relations: int
) -> Stakeholder:
    first = Appraisal(
        record.get("appraisedOn", date.min),
        _known(record, "firstLevel", words.LEVELS),
        _points(record, "firstPower"),
        _points(record, "firstInterest"),
    )
    found: Standing = standing([first, *contacts])
    return Stakeholder(
        id=record.id,
        name=record.name,
        category=record.get("category", ""),
        scale=record.get("scale", ""),
        sector=record.get("sector", ""),
        enabling=tuple(one for one in record.get("enabling", ()) if one in words.ENABLING),
        involvement=_known(record, "involvement", words.INVOLVEMENT),
        cells={cell: record.get(cell, "") for cell in CELLS},
        duties=record.get("duties", ""),
        standing=found,
        target=_known(record, "targetLevel", words.LEVELS),
        strategy=record.get("strategy", ""),
        next_action=record.get("nextAction", ""),
        next_on=record.get("nextOn"),
        responsible=record.get("responsible", ""),
        roles=in_turn(roles),
        relations=relations,
    )


def _judged(contact: Record) -> Appraisal:
    return Appraisal(
        contact.get("day", date.min),
        _known(contact, "level", words.LEVELS),
        _points(contact, "power"),
        _points(contact, "interest"),
        contact.id,
    )


def _role(record: Record) -> RoleHeld:
    return RoleHeld(
        record.get("project", ""),
        _known(record, "role", words.ROLES),
        record.get("since", date.min),
        record.get("until"),
        record.get("why", ""),
    )


def _defaults(what: str, language: str) -> list[dict[str, Any]]:
    if what == "categories":
        return [_of_category(one, language) for one in categories().values()]
    return [_of_unit(one, language) for one in units().values() if one.level == what]


def _of_category(one: Category, language: str) -> dict[str, Any]:
    values: dict[str, Any] = {cell: lines(getattr(one, cell), language) for cell in CELLS}
    return values | {
        "name": dict(one.name),
        "category": one.id,
        "scale": one.scale,
        "sector": one.sector,
        "enabling": one.enabling,
        "source": f"{source()}, {one.clause}, {one.id}",
    }


def _of_unit(one: Unit, language: str) -> dict[str, Any]:
    municipal = one.level == "municipal"
    return {
        "name": dict(one.name),
        "category": one.category,
        "scale": "local" if municipal else "supralocal",
        "sector": "public",
        "unitOf": one.level,
        "duties": lines(one.duties, language),
        "source": f"{source()}, {one.clause}, {one.id}",
    }


def _set(defaults: Any, given: Mapping[str, Any]) -> Any:
    known = {name for name in type(defaults).__struct_fields__ if name in given}
    whole = {name: getattr(defaults, name).__class__(given[name]) for name in known}
    return msgspec.structs.replace(defaults, **whole)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
