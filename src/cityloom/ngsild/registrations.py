"""Context Source Registrations (ETSI GS CIM 009, 5.2.8 to 5.2.11, 5.2.34): patched, compiled, shown.

A registration is kept as plain JSON with its names expanded, as an Entity is:

    {"id": URI, "endpoint": URI, "information": [{"entities": [{"type": [name, …], "id": URI,
     "idPattern": pattern}], "propertyNames": [name, …], "relationshipNames": [name, …]}], …,
     "properties": {name: JSON, …}, "createdAt": instant, "modifiedAt": instant}

`properties` holds the Context Source Properties: whatever else the registrant says of the source.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec

from cityloom.ngsild.contexts import Context
from cityloom.ngsild.durations import duration_seconds
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.operation_names import AUXILIARY_NAMES, operations_of

Mode = Literal["inclusive", "exclusive", "redirect", "auxiliary"]
#: A registration as it is kept.
RegistrationDocument = dict[str, Any]

TYPE = "ContextSourceRegistration"


class EntityInfo(msgspec.Struct, frozen=True):
    """Entities that a source may know of. No types: of any type."""

    types: tuple[str, ...] = ()
    id: str | None = None
    id_pattern: str | None = None


class RegistrationInfo(msgspec.Struct, frozen=True):
    """Entities, and attributes of them, that a source may know of. Nothing of a kind: all of it."""

    entities: tuple[EntityInfo, ...] = ()
    attributes: frozenset[str] = frozenset()


class Management(msgspec.Struct, frozen=True):
    """How a source wants to be asked. Times in seconds."""

    timeout: float | None = None
    cooldown: float | None = None
    cache_duration: float | None = None
    local_only: bool = False


class Registration(msgspec.Struct, frozen=True):
    """A registration ready to be matched and asked."""

    id: str
    endpoint: str
    information: tuple[RegistrationInfo, ...]
    mode: Mode
    #: The operations that the source offers (4.20).
    operations: frozenset[str]
    management: Management
    alias: str | None
    tenant: str | None
    dataset_ids: frozenset[str]
    expires_at: str | None
    #: Keys and values to be conveyed to the source (4.3.6.5).
    info: tuple[tuple[str, str], ...]
    document: RegistrationDocument

    @property
    def proxied(self) -> bool:
        """Whether what is registered is held by the source alone (4.3.6.3)."""
        return self.mode in ("exclusive", "redirect")

    @property
    def is_timed(self) -> bool:
        """Whether it names the time of which its source tells: that is not of now (5.9.1)."""
        return "observationInterval" in self.document or "managementInterval" in self.document

    @property
    def to_stay(self) -> bool:
        """Whether the source shall tell of what it holds itself alone (4.3.6.4)."""
        return self.management.local_only or bool(self.document.get("localOnly"))

    def told(self, key: str) -> str | None:
        """The value of a key of contextSourceInfo, None where it is not there."""
        return next((value for name, value in self.info if name.lower() == key.lower()), None)


def patched(document: RegistrationDocument, fragment: RegistrationDocument) -> RegistrationDocument:
    """A registration with a fragment written over it: members are replaced, null takes them away (5.5.8)."""
    merged = {**document, **{name: value for name, value in fragment.items() if name != "properties"}}
    merged["properties"] = {**document.get("properties", {}), **fragment.get("properties", {})}
    merged["properties"] = {name: said for name, said in merged["properties"].items() if said is not None}
    return {name: value for name, value in merged.items() if value is not None}


def compile_registration(document: RegistrationDocument) -> Registration:
    """The registration ready for use. Raises BadRequestData where its members contradict its mode."""
    mode = cast(Mode, document.get("mode", "inclusive"))
    information = tuple(map(_info, document["information"]))
    management = document.get("management", {})
    _check_mode(mode, information, document.get("operations", ()))
    return Registration(
        id=document["id"],
        endpoint=document["endpoint"].rstrip("/").removesuffix("/ngsi-ld/v1"),
        information=information,
        mode=mode,
        operations=operations_of(document.get("operations", ())),
        management=Management(
            timeout=_milliseconds(management.get("timeout")),
            cooldown=_milliseconds(management.get("cooldown")),
            cache_duration=duration_seconds(management["cacheDuration"])
            if "cacheDuration" in management
            else None,
            local_only=management.get("localOnly", False),
        ),
        alias=document.get("contextSourceAlias"),
        tenant=document.get("tenant"),
        dataset_ids=frozenset(document.get("datasetId", ())),
        expires_at=document.get("expiresAt"),
        info=tuple((one["key"], one["value"]) for one in document.get("contextSourceInfo", ())),
        document=document,
    )


def represent_registration(
    document: RegistrationDocument,
    context: Context,
    *,
    information: tuple[int, ...] | None = None,
    sys_attrs: bool = False,
    secrets: bool = True,
    types_listed: bool = False,
) -> dict[str, Any]:
    """A registration for a reader: names compacted, of its information those places alone that are given;
    with `types_listed` a single type stands in an array too.

    Without `secrets` contextSourceInfo is left out: it may hold what opens the source.
    """
    out: dict[str, Any] = {"id": document["id"], "type": TYPE}
    for name, value in document.items():
        if name in ("id", "properties") or (name == "contextSourceInfo" and not secrets):
            continue
        if name in ("createdAt", "modifiedAt") and not sys_attrs:
            continue
        if name == "information":
            chosen = value if information is None else [value[place] for place in information]
            out[name] = [_shown_info(one, context, types_listed) for one in chosen]
        else:
            out[name] = value[0] if name == "scope" and len(value) == 1 else value
    for name, value in document.get("properties", {}).items():
        out[context.compact(name)] = value
    return out


def _check_mode(mode: Mode, information: tuple[RegistrationInfo, ...], names: list[str]) -> None:
    """4.3.6.3, 5.9.2.4."""
    if mode == "exclusive":
        for info in information:
            ids = [one.id for one in info.entities]
            if not info.attributes or not ids or None in ids:
                raise _bad(
                    "An exclusive registration names one Entity by its id, and attributes of it",
                    "Give entities with an id, and propertyNames or relationshipNames (4.3.6.3).",
                    "information",
                )
    if mode == "auxiliary" and not AUXILIARY_NAMES.issuperset(names):
        raise _bad(
            "An auxiliary source is read alone",
            f"Its operations are among {', '.join(sorted(AUXILIARY_NAMES))}.",
            "operations",
        )


def _info(item: dict[str, Any]) -> RegistrationInfo:
    return RegistrationInfo(
        entities=tuple(
            EntityInfo(tuple(one.get("type", ())), one.get("id"), one.get("idPattern"))
            for one in item.get("entities", ())
        ),
        attributes=frozenset(
            name
            for member in ("propertyNames", "relationshipNames", "attributeNames")
            for name in item.get(member, ())
        ),
    )


def _shown_info(item: dict[str, Any], context: Context, types_listed: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for member, value in item.items():
        if member == "entities":
            out[member] = [_shown_entity(one, context, types_listed) for one in value]
        else:
            out[member] = [context.compact(name) for name in value]
    return out


def _shown_entity(item: dict[str, Any], context: Context, types_listed: bool) -> dict[str, Any]:
    if "type" not in item:
        return item
    types = [context.compact(name) for name in item["type"]]
    return {**item, "type": types[0] if len(types) == 1 and not types_listed else types}


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else value / 1000


def _bad(message: str, hint: str, where: str | None = None) -> BadRequestData:
    return BadRequestData(message, hint=hint, where=where)
