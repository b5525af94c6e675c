"""From what a sender writes to the internal form (ETSI GS CIM 009, 4.5.1 to 4.5.24 and 5.5.4).

The normalized and the concise representation are read alike. Errors name the member at fault by its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NoReturn

from cityloom.ngsild.contexts import CORE, Context
from cityloom.ngsild.entity_members import CONTENT, CONTENT_MEMBERS, ENTITY_MEMBERS, MEMBERS, SEALED, bad
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.fragment_modes import Mode, Purpose, Reading
from cityloom.ngsild.geometry import check_geometry, is_geometry
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.names import NULL, check_uri
from cityloom.ngsild.plain import plain_instance
from cityloom.ngsild.values import check_value, joined

#: Attribute instances in one entity, those of attributes of attributes included.
MAX_ATTRIBUTES = 1_000
#: How deep attributes may be attributes of attributes.
MAX_NESTING = 8

_KIND_BY_CONTENT = {member: kind for kind, member in reversed(CONTENT_MEMBER.items())}
_WITH_UNIT = frozenset({"Property", "ListProperty"})
_GEO_PROPERTIES = frozenset({"location", "observationSpace", "operationSpace"})
_PROOF = "ngsildproof"
_NAMES_WITH_RULES = _GEO_PROPERTIES | {_PROOF}
_OTHER_NULLS = ([NULL], {"@none": NULL})


def parse_entity(
    payload: Any, context: Context = CORE, *, where: str = "", fragment: bool = False
) -> Document:
    """A whole entity, or with `fragment` one for an update, in the internal form. Raises BadRequestData.

    `payload` is decoded JSON; `where` is put before the paths in errors.
    """
    return _read(payload, context, where, Mode.UPDATE if fragment else Mode.WHOLE)


def parse_entity_fragment(
    payload: Any, context: Context = CORE, *, where: str = "", purpose: Purpose = "update"
) -> Document:
    """Part of an entity: no id or type is asked for. Deletions become instances that `is_deletion` knows."""
    return _read(payload, context, where, Mode[purpose.upper()])


def parse_attribute(
    payload: Any, context: Context = CORE, *, where: str = "", partial: bool = False
) -> Instance:
    """One instance of an attribute, such as a PUT or PATCH of it carries.

    With `partial` (5.6.4) it may lack its type and content, and members may be NGSI-LD Null.
    """
    reader = _Reader(context, Mode.PARTIAL if partial else Mode.UPDATE)
    try:
        if partial and _is_untyped_part(payload):
            return reader.members({}, payload, 0)
        instances = reader.instances(payload, 0)
    except BadRequestData as error:
        error.where = joined(where, error.where) if where else error.where
        raise
    if len(instances) != 1:
        raise BadRequestData("One instance is wanted", hint="Send one object.", where=where or None)
    return instances[0]


def is_deletion(instance: Mapping[str, Any]) -> bool:
    """Whether an instance of a fragment asks for the deletion of that instance."""
    return instance.get("value") == NULL


def _read(payload: Any, context: Context, where: str, mode: Mode) -> Document:
    try:
        return _Reader(context, mode).entity(payload)
    except BadRequestData as error:
        error.where = joined(where, error.where) if where else error.where
        raise


class _Reader(Reading):
    """Reads one payload. Errors travel up and gather their path on the way."""

    __slots__ = ()

    def entity(self, payload: Any) -> Document:
        if type(payload) is not dict:
            raise bad("An entity is a JSON object", 'Send {"id": …, "type": …, …}.')
        attributes: dict[str, list[Instance]] = {}
        document: Document = {}
        for key, raw in payload.items():
            try:
                take = ENTITY_MEMBERS.get(key)
                if take is not None:
                    take(self, document, raw)
                    continue
                name = self.expand(key)
                if name in attributes:
                    raise bad(f"The attribute {name} is given twice", "Keep one of the two spellings.")
                item = plain_instance(raw)
                if item is not None and (name not in _NAMES_WITH_RULES or _may_be(name, item)):
                    self.count += 1
                    if self.count > MAX_ATTRIBUTES:
                        self.refuse_more()
                    attributes[name] = [item]
                elif name in _NAMES_WITH_RULES:
                    attributes[name] = _checked(name, self.named(name, raw, 0))
                else:
                    attributes[name] = self.instances(raw, 0)
            except BadRequestData as error:
                error.where = joined(key, error.where)
                raise
        if not self.mode.fragment and ("id" not in document or "type" not in document):
            missing = "type" if "id" in document else "id"
            raise bad(f"The entity has no {missing}", f'Give it as "{missing}".', missing)
        document["attrs"] = attributes
        return document

    def instances(self, raw: Any, depth: int) -> list[Instance]:
        """The instances of one attribute; `depth` counts the attributes that it is an attribute of."""
        if type(raw) is dict:
            return [self.instance(raw, depth)]
        if type(raw) is list and raw and all(map(_is_instance, raw)):
            return self.several(raw, depth)
        if raw == NULL:
            return [self.deletion(None)]
        self.counted()
        return [{"type": "Property", "value": check_value(raw)}]

    def several(self, raw: list[Any], depth: int) -> list[Instance]:
        found: dict[str | None, Instance] = {}
        for place, item in enumerate(raw):
            try:
                instance = self.instance(item, depth)
                dataset = instance.get("datasetId")
                if dataset in found:
                    raise bad(
                        "Two instances have the same datasetId"
                        if dataset
                        else "Two instances have no datasetId",
                        "Give each instance a datasetId of its own (4.5.5).",
                    )
            except BadRequestData as error:
                error.where = joined(place, error.where)
                raise
            found[dataset] = instance
        return list(found.values())

    def instance(self, raw: dict[str, Any], depth: int) -> Instance:
        kind = raw.get("type")
        if type(kind) is not str or kind not in CONTENT_MEMBER or CONTENT_MEMBER[kind] not in raw:
            kind = self.inferred(raw)
            if kind is None:
                self.counted()
                return _concise(raw)
        return self.members({"type": kind} if kind else {}, raw, depth)

    def members(self, out: Instance, raw: dict[str, Any], depth: int) -> Instance:
        """Read an instance's members into `out`, which holds its type already where that is known."""
        self.counted()
        kind = out.get("type")
        content = CONTENT_MEMBER[kind] if kind else None
        gone = False
        key = ""
        try:
            for key, value in raw.items():
                if key == content:
                    if type(value) is float and kind == "Property" and isfinite(value):
                        # What most readings are needs no more looking at.
                        out[key] = value
                        continue
                    said = out[key] = CONTENT[kind](self, value)
                    gone = said == NULL if type(said) is str else said in _OTHER_NULLS
                elif key != "type":
                    take = MEMBERS.get(key)
                    if take is not None:
                        take(self, out, value)
                    else:
                        self.sub_attribute(out, key, value, depth)
        except BadRequestData as error:
            error.where = joined(key, error.where)
            raise
        if kind not in _WITH_UNIT and kind:
            _check_unitless(out, kind)
        return self.deletion(out.get("datasetId")) if gone else out

    def inferred(self, raw: dict[str, Any]) -> str | None:
        """The type of an instance that does not state it (4.5.2.3).

        None for a plain object, which is a value; "" where part of an attribute says nothing of its type.
        """
        stated = raw.get("type", raw.get("@type"))
        content = _content_of(raw)
        if stated is None:
            return self.inferred_from(raw, content)
        kind = self.context.expand_value(stated) if type(stated) is str else stated
        if type(kind) is not str or kind not in CONTENT_MEMBER:
            if is_geometry(raw):
                return None
            raise bad(
                f"{ascii(stated)[:60]} is not a type of attribute",
                f"Use one of {', '.join(CONTENT_MEMBER)}.",
                "type",
            )
        if CONTENT_MEMBER[kind] not in raw and not self.mode.partial:
            raise bad(f"The {kind} has no {CONTENT_MEMBER[kind]}", f'Give it as "{CONTENT_MEMBER[kind]}".')
        return kind

    def inferred_from(self, raw: dict[str, Any], content: str | None) -> str | None:
        if content == "value":
            return "GeoProperty" if is_geometry(raw["value"]) else "Property"
        if content is not None:
            return _KIND_BY_CONTENT[content]
        if any(member in raw for member in ("observedAt", "unitCode", "datasetId")):
            if self.mode.partial:
                return ""
            raise bad("The attribute has no value", 'Give it as "value", or as "object" for a Relationship.')
        return None

    def sub_attribute(self, out: Instance, key: str, value: Any, depth: int) -> None:
        if depth >= MAX_NESTING:
            raise bad(
                f"Attributes are nested more than {MAX_NESTING} deep", "Use a JsonProperty for deep data."
            )
        name = self.expand(key)
        attributes = out.setdefault("attrs", {})
        if name in attributes:
            raise bad(f"The attribute {name} is given twice", "Keep one of the two spellings.")
        attributes[name] = self.named(name, value, depth + 1)

    def named(self, name: str, raw: Any, depth: int) -> list[Instance]:
        """The instances of the attribute of this name."""
        return [self.proof(raw, depth)] if name == _PROOF else self.instances(raw, depth)

    def proof(self, raw: Any, depth: int) -> Instance:
        """An ngsildproof (4.5.2): a Property with an object, and what it seals."""
        sealed = {key: raw[key] for key in SEALED if key in raw} if type(raw) is dict else {}
        rest = {key: value for key, value in raw.items() if key not in sealed} if sealed else raw
        instances = self.instances(rest, depth)
        item = instances[0]
        if len(instances) != 1 or item.get("type") != "Property" or not isinstance(item["value"], dict):
            raise bad("A proof is a Property with an object", "See the W3C's Data Integrity.")
        if "entityIdSealed" in sealed:
            item["entityIdSealed"] = check_uri(sealed["entityIdSealed"], "entityIdSealed")
        if "entityTypeSealed" in sealed:
            if type(sealed["entityTypeSealed"]) is not str:
                raise bad("A sealed type is the name of a type", "Write a term or a URI.", "entityTypeSealed")
            item["entityTypeSealed"] = self.expand(sealed["entityTypeSealed"])
        return item

    def counted(self) -> None:
        self.count += 1
        if self.count > MAX_ATTRIBUTES:
            self.refuse_more()

    def refuse_more(self) -> NoReturn:
        raise bad(f"The entity has more than {MAX_ATTRIBUTES} attributes", "Split it into several entities.")

    def deletion(self, dataset: str | None) -> Instance:
        if not self.mode.nulls:
            raise bad(f'"{NULL}" deletes, and there is nothing to delete here', "Leave the attribute out.")
        self.counted()
        gone: Instance = {"type": "Property", "value": NULL}
        if dataset is not None:
            gone["datasetId"] = dataset
        return gone


def _may_be(name: str, item: Instance) -> bool:
    """Whether an attribute that is plainly sound is so under a name that has rules of its own."""
    return name != _PROOF and item["type"] == "GeoProperty"


def _checked(name: str, instances: list[Instance]) -> list[Instance]:
    """The instances, when the core's own GeoProperties are GeoProperties (4.7.1)."""
    if name in _GEO_PROPERTIES:
        for item in instances:
            if item.get("type", "GeoProperty") != "GeoProperty" and not is_deletion(item):
                raise bad(f"{name} is a GeoProperty", 'Send {"type": "GeoProperty", "value": …}.')
    return instances


def _check_unitless(item: Instance, kind: str) -> None:
    if "unitCode" in item:
        raise bad(f"A {kind} has no unit", "Leave unitCode out.", "unitCode")
    if kind == "LanguageProperty" and item.get("valueType", "langString") != "langString":
        raise bad("The texts of a LanguageProperty are langStrings", "Leave valueType out.", "valueType")


def _concise(raw: dict[str, Any]) -> Instance:
    """An object that is a value: a geometry, or any other (4.5.2.3, 4.7.3)."""
    if is_geometry(raw):
        return {"type": "GeoProperty", "value": check_geometry(raw)}
    return {"type": "Property", "value": check_value(raw)}


def _is_untyped_part(raw: Any) -> bool:
    """Whether an object gives some members of an attribute, but neither its type nor its content."""
    return type(raw) is dict and "type" not in raw and "@type" not in raw and _content_of(raw) is None


def _content_of(raw: Mapping[str, Any]) -> str | None:
    return next((member for member in raw if member in CONTENT_MEMBERS), None)


def _is_instance(item: Any) -> bool:
    if type(item) is not dict:
        return False
    kind = item.get("type")
    return (type(kind) is str and kind in CONTENT_MEMBER) or _content_of(item) is not None
