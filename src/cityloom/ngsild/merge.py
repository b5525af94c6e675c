"""How a change alters an entity (ETSI GS CIM 009, 5.5.8, 5.5.12 and 5.6.1 to 5.6.19). Pure.

Each operation takes the old document and a fragment in the internal form and gives the new document and the
names that were written or removed ("type", "scope" and "expiresAt" among them). Neither input is altered; the
results share unchanged parts with them. `now` is an RFC 3339 instant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from cityloom.ngsild.entity_members import MAX_TYPES
from cityloom.ngsild.errors import BadRequestData, ResourceNotFound
from cityloom.ngsild.model import CONTENT_MEMBER, Document, Instance
from cityloom.ngsild.names import NULL
from cityloom.ngsild.parse import is_deletion

#: What may change of an entity beside its attributes.
_ENTITY_MEMBERS = ("type", "scope", "expiresAt")
#: The new document, and the names of what was written or removed.
Merged = tuple[Document, tuple[str, ...]]


def stamp(document: Document, now: str) -> Document:
    """A new entity with its system times (5.6.1)."""
    times = {"createdAt": now, "modifiedAt": now}
    attributes = {name: [{**item, **times} for item in items] for name, items in document["attrs"].items()}
    return {**document, "createdAt": now, "modifiedAt": now, "attrs": attributes}


def append_attributes(old: Document, fragment: Document, now: str, *, overwrite: bool = True) -> Merged:
    """Add attributes; those that are there already are replaced or, without `overwrite`, left (5.6.3)."""
    change = _Change(old, now)
    change.add_types(fragment)
    change.set_scope(fragment, "replace" if overwrite else "add")
    if overwrite or "expiresAt" not in old:
        change.set_expiry(fragment)
    for name, items in fragment["attrs"].items():
        for item in items:
            if overwrite or change.existing(name, item.get("datasetId")) is None:
                change.put(name, item)
    return change.done()


def update_attributes(old: Document, fragment: Document, now: str) -> Merged:
    """Replace attributes instance by instance, add new ones, delete those that are NGSI-LD Null (5.6.2)."""
    change = _Change(old, now)
    change.add_types(fragment)
    change.set_scope(fragment, "replace if there")
    change.set_expiry(fragment)
    for name, items in fragment["attrs"].items():
        for item in items:
            change.put_or_remove(name, item)
    return change.done()


def merge_patch(old: Document, fragment: Document, now: str, *, observed_at: str | None = None) -> Merged:
    """Merge to any depth (5.5.12, 5.6.17).

    `observed_at` renews the observedAt of attributes that had one and are merged without one of their own.
    Raises BadRequestData when a part of an attribute comes for an attribute that is not there.
    """
    change = _Change(old, now)
    change.add_types(fragment)
    change.set_scope(fragment, "replace")
    change.set_expiry(fragment)
    for name, items in fragment["attrs"].items():
        for item in items:
            present = change.existing(name, item.get("datasetId"))
            if present is None or is_deletion(item):
                change.put_or_remove(name, whole(item, name))
            else:
                change.put(name, _merged(present, item, observed_at))
    return change.done()


def replace(old: Document, document: Document, now: str) -> Merged:
    """The new document in the place of the old; createdAt stays (5.6.18)."""
    before, after = old["attrs"], document["attrs"]
    changed = [name for name in before if name not in after]
    changed += after
    attributes: dict[str, list[Instance]] = {}
    for name, items in after.items():
        standing = before.get(name, ())
        attributes[name] = stamped = []
        for item in items:
            # A copy and two members: a display with ** looks at each member twice.
            fresh = item.copy()
            fresh["createdAt"] = _creation_of(item, standing, now)
            fresh["modifiedAt"] = now
            stamped.append(fresh)
    changed += [member for member in _ENTITY_MEMBERS if old.get(member) != document.get(member)]
    created = old.get("createdAt", now)
    return {**document, "createdAt": created, "modifiedAt": now, "attrs": attributes}, tuple(changed)


def _creation_of(item: Instance, standing: Sequence[Instance], now: str) -> str:
    """When the instance with this datasetId was created, now where there is none."""
    dataset = item.get("datasetId")
    for one in standing:
        if one.get("datasetId") == dataset:
            created: str = one.get("createdAt", now)
            return created
    return now


def delete_attribute(
    old: Document, name: str, now: str, *, dataset: str | None = None, all_instances: bool = False
) -> Merged:
    """Remove one instance of an attribute, or all of them (5.6.5). Raises ResourceNotFound."""
    change = _Change(old, now)
    if name == "scope" and "scope" in old:
        del change.document["scope"]
        change.changed["scope"] = None
        return change.done()
    if name not in old["attrs"] or (not all_instances and change.existing(name, dataset) is None):
        raise _absent(name, dataset)
    if all_instances:
        change.remove_all(name)
    else:
        change.remove(name, dataset)
    return change.done()


def keep_attributes(old: Document, is_kept: Callable[[str], bool], now: str) -> Merged:
    """Remove the attributes whose names are not kept (5.6.21)."""
    change = _Change(old, now)
    for name in old["attrs"]:
        if not is_kept(name):
            change.remove_all(name)
    return change.done()


def update_attribute(old: Document, name: str, fragment: Instance, now: str) -> Merged:
    """Overwrite the members that a fragment of an instance gives (5.6.4). Raises ResourceNotFound."""
    change = _Change(old, now)
    dataset = fragment.get("datasetId")
    present = change.existing(name, dataset)
    if present is None:
        raise _absent(name, dataset)
    if is_deletion(fragment):
        change.remove(name, dataset)
        return change.done()
    kind = fragment.get("type", present["type"])
    if kind != present["type"]:
        raise BadRequestData(
            f"{name} is a {present['type']} and cannot become a {kind}",
            hint="Replace the attribute (PUT) to change its type.",
            where="type",
        )
    sub_attributes = _overlaid(present.get("attrs", {}), fragment.get("attrs", {}))
    members = {**present, **{key: value for key, value in fragment.items() if key != "attrs"}}
    change.put(name, _tidy(members, sub_attributes))
    return change.done()


def replace_attribute(old: Document, name: str, instance: Instance, now: str) -> Merged:
    """A new instance in the place of the one with its datasetId (5.6.19). Raises ResourceNotFound."""
    change = _Change(old, now)
    if change.existing(name, instance.get("datasetId")) is None:
        raise _absent(name, instance.get("datasetId"))
    change.put_or_remove(name, instance)
    return change.done()


def whole(item: Instance, name: str) -> Instance:
    """`item` when it can stand alone. Raises BadRequestData when it is a part without content."""
    kind = item.get("type")
    if kind is None or CONTENT_MEMBER[kind] not in item:
        raise BadRequestData(
            f"{name} is not there yet, so it needs a value", hint='Give its "value" or "object".', where=name
        )
    kept = {key: value for key, value in item.items() if value != NULL or key == "value"}
    kept[CONTENT_MEMBER[kind]] = _without_nulls(item[CONTENT_MEMBER[kind]])
    return kept


class _Change:
    """One change in the making: a copy of the old document that shares what stays."""

    def __init__(self, old: Document, now: str) -> None:
        self.now = now
        self.document: Document = {**old, "attrs": dict(old["attrs"])}
        self.changed: dict[str, None] = {}

    def done(self) -> Merged:
        self.document["modifiedAt"] = self.now
        return self.document, tuple(self.changed)

    def existing(self, name: str, dataset: str | None) -> Instance | None:
        for item in self.document["attrs"].get(name, ()):
            if item.get("datasetId") == dataset:
                found: Instance = item
                return found
        return None

    def put(self, name: str, item: Instance) -> None:
        attributes, dataset = self.document["attrs"], item.get("datasetId")
        items = attributes.get(name, ())
        fresh = {**item, "createdAt": self.now, "modifiedAt": self.now}
        for place, one in enumerate(items):
            if one.get("datasetId") == dataset:
                fresh["createdAt"] = one.get("createdAt", self.now)
                attributes[name] = [*items[:place], fresh, *items[place + 1 :]]
                break
        else:
            attributes[name] = [*items, fresh]
        self.changed[name] = None

    def remove(self, name: str, dataset: str | None) -> None:
        items = self.document["attrs"].get(name, [])
        left = [item for item in items if item.get("datasetId") != dataset]
        if len(left) == len(items):
            return
        if left:
            self.document["attrs"][name] = left
        else:
            del self.document["attrs"][name]
        self.changed[name] = None

    def remove_all(self, name: str) -> None:
        del self.document["attrs"][name]
        self.changed[name] = None

    def put_or_remove(self, name: str, item: Instance) -> None:
        if is_deletion(item):
            self.remove(name, item.get("datasetId"))
        else:
            self.put(name, item)

    def add_types(self, fragment: Document) -> None:
        """Types are only ever added (5.5.8)."""
        given, present = fragment.get("type", ()), self.document["type"]
        if given == present:
            return
        new = [name for name in given if name not in present]
        if new:
            if len(present) + len(new) > MAX_TYPES:
                raise BadRequestData(
                    f"An entity has at most {MAX_TYPES} types",
                    hint="Types that an entity has stay; make another entity.",
                    where="type",
                )
            self.document["type"] = [*present, *new]
            self.changed["type"] = None

    def set_scope(self, fragment: Document, how: Literal["replace", "replace if there", "add"]) -> None:
        given = fragment.get("scope")
        present = self.document.get("scope", [])
        if given is None or (how == "replace if there" and not present):
            return
        scope = [*present, *(one for one in given if one not in present)] if how == "add" else given
        if scope == present:
            return
        if scope == [NULL]:
            self.document.pop("scope", None)
        else:
            self.document["scope"] = scope
        self.changed["scope"] = None

    def set_expiry(self, fragment: Document) -> None:
        given = fragment.get("expiresAt")
        if given is None or given == self.document.get("expiresAt"):
            return
        if given == NULL:
            self.document.pop("expiresAt", None)
        else:
            self.document["expiresAt"] = given
        self.changed["expiresAt"] = None


def _merged(present: Instance, item: Instance, observed_at: str | None) -> Instance:
    """An instance with a fragment of it merged in, to any depth."""
    kind: str = item.get("type") or present["type"]
    content = CONTENT_MEMBER[kind]
    members = {
        key: value
        for key, value in present.items()
        if kind == present["type"] or key != _content_key(present)
    }
    for key, value in item.items():
        if key == content and key in members:
            members[key] = merged_value(members[key], value)
        elif key != "attrs":
            members[key] = value
    if content not in members:
        raise BadRequestData(f"A {kind} needs its {content}", hint=f'Give "{content}" with the new type.')
    if observed_at and "observedAt" in present and "observedAt" not in item:
        members["observedAt"] = observed_at
    return _tidy(members, _merged_attributes(present.get("attrs", {}), item.get("attrs", {}), observed_at))


def _merged_attributes(
    present: dict[str, list[Instance]], given: dict[str, list[Instance]], observed_at: str | None
) -> dict[str, list[Instance]]:
    by_name = dict(present)
    for name, items in given.items():
        for item in items:
            before = _instance_with(by_name.get(name, []), item.get("datasetId"))
            if before is None or is_deletion(item):
                by_name = _overlaid(by_name, {name: [whole(item, name)]})
            else:
                by_name = _overlaid(by_name, {name: [_merged(before, item, observed_at)]})
    return by_name


def merged_value(present: Any, given: Any) -> Any:
    """JSON Merge Patch (RFC 7396) with the NGSI-LD Null in null's place."""
    if not isinstance(given, dict) or not isinstance(present, dict):
        return _without_nulls(given)
    merged = dict(present)
    for key, value in given.items():
        if value == NULL:
            merged.pop(key, None)
        else:
            merged[key] = merged_value(merged.get(key), value)
    return merged


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item != NULL}
    return value


def _overlaid(
    present: dict[str, list[Instance]], given: dict[str, list[Instance]]
) -> dict[str, list[Instance]]:
    """Sub-attributes with others put in their place, instance by instance."""
    by_name = dict(present)
    for name, items in given.items():
        for item in items:
            kept = [one for one in by_name.get(name, ()) if one.get("datasetId") != item.get("datasetId")]
            by_name[name] = kept if is_deletion(item) else [*kept, item]
    return {name: items for name, items in by_name.items() if items}


def _tidy(members: dict[str, Any], sub_attributes: dict[str, list[Instance]]) -> Instance:
    """An instance without the members that were set to NGSI-LD Null."""
    found = {key: value for key, value in members.items() if value != NULL and key != "attrs"}
    if sub_attributes:
        found["attrs"] = sub_attributes
    return found


def _instance_with(items: list[Instance], dataset: str | None) -> Instance | None:
    return next((item for item in items if item.get("datasetId") == dataset), None)


def _content_key(item: Instance) -> str:
    return CONTENT_MEMBER[item["type"]]


def _absent(name: str, dataset: str | None) -> ResourceNotFound:
    which = f" with datasetId {dataset}" if dataset else ""
    return ResourceNotFound(
        f"The entity has no attribute {name}{which}", hint="Look at the entity for what it has.", where=name
    )
