"""One Entity out of what several sources know of it (ETSI GS CIM 009, 4.5.5.2, 4.5.5.3). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from cityloom.ngsild.model import Document, Instance


def assembled(
    versions: Iterable[Document], supplements: Iterable[Document] = (), *, now: str = ""
) -> Document | None:
    """What equal versions of an Entity say together, the first of equals; None where there is none.

    Supplements (auxiliary sources) add attributes that no version has. What has expired by `now` (an instant
    as documents hold it) is left out.
    """
    living = [_with_expiry_on_attributes(one) for one in versions if not _is_over(one, now)]
    merged = _merged(living, now) if living else None
    for other in supplements:
        if _is_over(other, now):
            continue
        if merged is None:
            merged = _merged([other], now)
            continue
        for name, items in other["attrs"].items():
            current = [item for item in items if not _is_over(item, now)]
            if name not in merged["attrs"] and current:
                merged["attrs"][name] = current
    return merged


def without_attributes(document: Document, names: Collection[str]) -> Document:
    """The Entity without these attributes; with no names given without any."""
    kept = {name: items for name, items in document["attrs"].items() if names and name not in names}
    return {**document, "attrs": kept}


def _merged(versions: list[Document], now: str) -> Document:
    first = versions[0]
    out: Document = {**first, "type": list(dict.fromkeys(name for one in versions for name in one["type"]))}
    scopes = list(dict.fromkeys(scope for one in versions for scope in one.get("scope", ())))
    if scopes:
        out["scope"] = scopes
    _merge_times(out, versions)
    attributes: dict[str, dict[str | None, Instance]] = {}
    for one in versions:
        for name, items in one["attrs"].items():
            instances = attributes.setdefault(name, {})
            for item in items:
                if _is_over(item, now):
                    continue
                dataset = item.get("datasetId")
                known = instances.get(dataset)
                if known is None or _newness(item) > _newness(known):
                    instances[dataset] = item
    out["attrs"] = {name: list(instances.values()) for name, instances in attributes.items() if instances}
    return out


def _merge_times(out: Document, versions: list[Document]) -> None:
    created = [one["createdAt"] for one in versions if "createdAt" in one]
    modified = [one["modifiedAt"] for one in versions if "modifiedAt" in one]
    expiries = [one.get("expiresAt") for one in versions]
    if created:
        out["createdAt"] = min(created)
    if modified:
        out["modifiedAt"] = max(modified)
    out.pop("expiresAt", None)
    known = [one for one in expiries if one is not None]
    if known and len(known) == len(expiries):
        out["expiresAt"] = max(known)


def _newness(item: Instance) -> tuple[str, str]:
    """Later of two instances: by observedAt where there is one, else by modifiedAt.

    Instants are compared as text, without their Z: they are all in UTC.
    """
    return (_comparable(item.get("observedAt", "")), _comparable(item.get("modifiedAt", "")))


def _comparable(instant: str) -> str:
    return instant.removesuffix("Z")


def _is_over(item: dict[str, Any], now: str) -> bool:
    expires = item.get("expiresAt")
    return bool(now) and expires is not None and _comparable(expires) <= _comparable(now)


def _with_expiry_on_attributes(document: Document) -> Document:
    """What an Entity's expiresAt means for its attributes, once they stand beside others' (4.5.5.2)."""
    expires = document.get("expiresAt")
    if expires is None:
        return document
    attributes = {
        name: [
            {**item, "expiresAt": min(item.get("expiresAt", expires), expires, key=_comparable)}
            for item in items
        ]
        for name, items in document["attrs"].items()
    }
    return {**document, "attrs": attributes}
