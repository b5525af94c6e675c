"""Merging until `cityloom.ngsild.merge` is there."""

from __future__ import annotations

from cityloom.kernel.errors import NotFound
from cityloom.ngsild.model import Document


def stamp(document: Document, now: str) -> Document:
    new = dict(document)
    new["createdAt"] = now
    new["modifiedAt"] = now
    return new


def append_attributes(
    old: Document, fragment: Document, now: str, *, overwrite: bool = True
) -> tuple[Document, tuple[str, ...]]:
    new = dict(old)
    attrs = dict(old["attrs"])
    changed = []
    for name, instances in fragment["attrs"].items():
        if name in attrs:
            if not overwrite:
                continue
            datasets = {item.get("datasetId") for item in instances}
            kept = [item for item in attrs[name] if item.get("datasetId") not in datasets]
            attrs[name] = kept + instances
        else:
            attrs[name] = instances
        changed.append(name)
    new["attrs"] = attrs
    new["type"] = list(dict.fromkeys([*old["type"], *fragment.get("type", ())]))
    if "scope" in fragment:
        new["scope"] = fragment["scope"]
    new["modifiedAt"] = now
    return new, tuple(changed)


def update_attributes(old: Document, fragment: Document, now: str) -> tuple[Document, tuple[str, ...]]:
    known = {name: item for name, item in fragment["attrs"].items() if name in old["attrs"]}
    return append_attributes(old, {**fragment, "attrs": known}, now)


def merge_patch(old: Document, fragment: Document, now: str) -> tuple[Document, tuple[str, ...]]:
    return append_attributes(old, fragment, now)


def replace(old: Document, fragment: Document, now: str) -> tuple[Document, tuple[str, ...]]:
    new = dict(fragment)
    new["createdAt"] = old["createdAt"]
    new["modifiedAt"] = now
    return new, tuple(dict.fromkeys([*old["attrs"], *fragment["attrs"]]))


def delete_attribute(
    old: Document, name: str, now: str, *, dataset: str | None = None, all_instances: bool = False
) -> tuple[Document, tuple[str, ...]]:
    instances = old["attrs"].get(name, [])
    kept = [] if all_instances else [item for item in instances if item.get("datasetId") != dataset]
    if len(kept) == len(instances):
        raise NotFound("no such attribute", hint="")
    attrs = dict(old["attrs"])
    if kept:
        attrs[name] = kept
    else:
        del attrs[name]
    return {**old, "attrs": attrs, "modifiedAt": now}, (name,)
