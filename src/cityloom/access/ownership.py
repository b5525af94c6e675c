"""What belongs to somebody: to the rooms of the city, or to whoever had it kept; who else may write it.

The permission `entities:write` is for facts about the world. An alert's status, a verified indicator or the
evidence of a decision are not facts about the world but acts of the city: they are written by the room that
checks them, or over NGSI-LD by somebody who has that room's permission as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cityloom.kernel.actor import AS_A_ROOM, AS_THE_PLATFORM, Actor
from cityloom.kernel.errors import NotAllowed

#: By type: all the permissions that writing such Entities takes, beside `entities:write`.
OWNED_TYPES: Mapping[str, tuple[str, ...]] = {
    "Alert": ("alerts:handle",),
    "WarningDelivery": ("alerts:handle",),
    "WarningRecipient": ("alerts:handle",),
    "Notice": ("notices:publish",),
    "CitizenReport": ("reports:answer",),
    "CitizenReply": ("reports:answer",),
    "Initiative": ("initiatives:edit",),
    # What is written down in planning.
    "CityVision": ("plan:edit",),
    "CityStage": ("plan:edit",),
    "StrengthOrWeakness": ("plan:edit",),
    "ServiceProcess": ("plan:edit",),
    "InfrastructureItem": ("plan:edit",),
    "LawOrRule": ("plan:edit",),
    "Goal": ("plan:edit",),
    "UrbanPlanItem": ("plan:edit",),
    "PlanBody": ("plan:edit",),
    "PlanMinutes": ("plan:adopt",),
    "CommitteeDecision": ("plan:adopt",),
    "PlanEvaluation": ("plan:edit",),
    "OutsideFactor": ("plan:edit",),
    "PlanCommunication": ("plan:edit",),
    "PlanChange": ("plan:edit",),
    "MasterPlan": ("plan:edit",),
    "PlanBaseline": ("plan:edit",),
    "PlanVersion": ("plan:adopt",),
    # What it costs and brings, and who pays.
    "CostBenefitAnalysis": ("plan:edit",),
    "AdoptionScenario": ("plan:edit",),
    "NetworkBusinessModel": ("plan:edit",),
    "PublicPrivatePartnership": ("plan:edit",),
    "CostSharing": ("plan:edit",),
    "DistrictInvestment": ("plan:edit",),
    "ServiceTariff": ("plan:edit",),
    "FeeRule": ("plan:edit",),
    "InnovationChallenge": ("plan:edit",),
    "StartupApplication": ("plan:edit",),
    "Tender": ("contracts:manage",),
    "TenderBid": ("contracts:manage",),
    "SharedSystems": ("plan:edit",),
    "SharedRoutes": ("plan:edit",),
    "IdentityFinancing": ("plan:edit",),
    "Stakeholder": ("stakeholders:edit",),
    "StakeholderRole": ("stakeholders:edit",),
    "StakeholderRelation": ("stakeholders:edit",),
    "StakeholderContact": ("stakeholders:edit",),
    "StakeholderAnalysis": ("stakeholders:edit",),
    "EngagementActivity": ("stakeholders:edit",),
    "EngagementRules": ("stakeholders:edit",),
    "CityAlliance": ("stakeholders:edit",),
    "Consultation": ("stakeholders:edit",),
    "ConsultationContribution": ("stakeholders:edit",),
    # To enter a value and to verify it are two people's work: who writes it whole must be let do both.
    "KeyPerformanceIndicator": ("indicators:enter", "indicators:verify"),
    "DistrictIndicator": ("indicators:enter", "indicators:verify"),
    "BenchmarkProfile": ("plan:edit",),
    "ComparedCity": ("indicators:enter",),
    "IndicatorReport": ("indicators:verify",),
    # Whoever could write these whole would write, examine and settle alone.
    "Assessment": ("plan:edit",),
    "ContractParty": ("contracts:manage", "contracts:examine"),
    "ServiceContract": ("contracts:manage", "contracts:examine"),
    "ContractSettlement": ("contracts:manage", "contracts:examine"),
    "Device": ("devices:admit",),
    "Command": ("connectors:manage",),
    "EdgeNode": ("connectors:manage",),
    "EdgeConflict": ("connectors:manage",),
    "EdgeDeletion": ("connectors:manage",),
}

#: Types whose rooms have acts that one permission does not give: a second person, a decision, a gate, who did
#: what and why, what can be brought back. Such Entities are written by their room alone, whoever asks: over
#: NGSI-LD they are read. What is brought in many goes by the import of their page.
BY_THEIR_ROOM_ALONE: frozenset[str] = frozenset(
    name
    for name, permissions in OWNED_TYPES.items()
    if {"initiatives:edit", "plan:edit", "plan:adopt", "stakeholders:edit", "contracts:manage"}
    & {*permissions}
) | {"IndicatorReport"}

#: Says how a value came about; given when an Entity is created, and the platform's from then on.
ORIGIN = "dataOrigin"
#: What a decision or a number rests on: the platform's alone.
EVIDENCE = frozenset({"because", "outcomeBecause"})
#: All of that.
PROVENANCE = EVIDENCE | {ORIGIN}
#: Datasets that only the platform fills: what its services estimate, and why.
PLATFORM_DATASETS = ("urn:ngsi-ld:Dataset:forecast:", "urn:ngsi-ld:Dataset:service:")

#: What the broker keeps for somebody, by kind: who made it changes and ends it, and who has this permission.
KEPT_FOR_SOMEBODY: Mapping[str, str] = {
    "subscription": "accounts:manage",
    "registration": "accounts:manage",
    "subscription to registrations": "accounts:manage",
    "@context": "accounts:manage",
    "snapshot": "accounts:manage",
    "entity map": "accounts:manage",
}

_Document = Mapping[str, Any]
_ON_THEIR_PAGES = (
    "They are written on their pages alone, where what they must fulfil is asked: see /plan and /initiatives."
)


def tends(actor: Actor, kind: str, owner: str) -> bool:
    """Whether somebody may change and end a document that is kept for `owner`, an `Actor.id`.

    "" owns what was made before owners were kept: that is for who may administer.
    """
    return actor.id == owner or actor.may(KEPT_FOR_SOMEBODY[kind])


def check_tends(actor: Actor, kind: str, owner: str) -> None:
    """Raise NotAllowed when somebody may not change or end a document that is kept for `owner`."""
    if not tends(actor, kind, owner):
        raise NotAllowed(
            f"This {kind} is somebody else's",
            hint=f"Ask who made it, or an administrator: it takes {KEPT_FOR_SOMEBODY[kind]}.",
            where="id",
        )


def check_write(actor: Actor, old: _Document | None, new: _Document | None) -> None:
    """Raise NotAllowed when an Entity may not become `new` by this actor's hand.

    `old` is None for one that is created, `new` for one that is deleted.
    """
    if not actor.may(AS_A_ROOM):
        for document in (old, new):
            if document is not None:
                _check_types(actor, document["type"])
        if old is None and new is not None:
            # Rooms make ids that can be guessed, of a number or a day: nobody else takes one before them.
            _check_types(actor, _named_in(new.get("id", "")))
    if new is not None and not actor.may(AS_THE_PLATFORM):
        _check_provenance(actor, old, new)


def as_the_room_of(type_name: str) -> str:
    """What lets write a type of `BY_THEIR_ROOM_ALONE` who is no room: an edge that was granted it."""
    return f"{AS_A_ROOM}:{type_name}"


def _named_in(entity_id: str) -> tuple[str, ...]:
    """The type that an id names: urn:ngsi-ld:<type>:…"""
    parts = entity_id.split(":", 3)
    return (parts[2],) if len(parts) == 4 and parts[:2] == ["urn", "ngsi-ld"] else ()


def _check_types(actor: Actor, types: Iterable[str]) -> None:
    for name in types:
        needed = (as_the_room_of(name),) if name in BY_THEIR_ROOM_ALONE else OWNED_TYPES.get(name, ())
        for permission in needed:
            if not actor.may(permission):
                raise NotAllowed(
                    f"{actor.name or actor.id} may not write entities of the type {name}",
                    hint=_ON_THEIR_PAGES
                    if name in BY_THEIR_ROOM_ALONE
                    else f"They belong to a room of the city; it takes the permission {permission}.",
                    where="type",
                )


def _check_provenance(actor: Actor, old: _Document | None, new: _Document) -> None:
    before: Mapping[str, Any] = {} if old is None else old["attrs"]
    after: Mapping[str, Any] = new["attrs"]
    if old is not None and _said(before.get(ORIGIN, ())) != _said(after.get(ORIGIN, ())):
        raise _refusal(actor, ORIGIN, "an entity keeps the origin that it was created with")
    for name in EVIDENCE:
        if _said(before.get(name, ())) != _said(after.get(name, ())):
            raise _refusal(actor, name, "evidence is written by whoever decided")
    standing, said = _kept(before), _kept(after)
    for kept in standing:
        if kept not in said:
            raise _refusal(actor, kept[0], "what the platform has estimated or marked stays so")
    for kept in said:
        # A new value may come with a badge of its own; it may not come as the platform's.
        if kept[2] is not None and kept not in standing:
            raise _refusal(actor, kept[0], "only the platform writes this dataset")


def _kept(attributes: Mapping[str, Any]) -> list[tuple[str, str | None, Any, Any]]:
    """What others must leave: name, dataset, the platform's whole instance or None, and its badge."""
    found = []
    for name, items in attributes.items():
        for item in items:
            dataset = item.get("datasetId")
            ours = dataset is not None and str(dataset).startswith(PLATFORM_DATASETS)
            badge = item["attrs"].get(ORIGIN) if "attrs" in item else None
            if ours or badge:
                found.append((name, dataset, _said(item) if ours else None, _said(badge)))
    return found


def _said(part: Any) -> Any:
    """A part of a document without the system's times."""
    if isinstance(part, Mapping):
        return {name: _said(one) for name, one in part.items() if name not in ("createdAt", "modifiedAt")}
    return [_said(one) for one in part] if isinstance(part, list | tuple) else part


def _refusal(actor: Actor, name: str, reason: str) -> NotAllowed:
    return NotAllowed(
        f"{actor.name or actor.id} may not write {name} here: {reason}",
        hint="Leave it as it stands; the platform keeps where things come from.",
        where=name,
    )
