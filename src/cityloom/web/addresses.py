"""Addresses within the site."""

from __future__ import annotations

from urllib.parse import quote


def address(*parts: str, suffix: str = "") -> str:
    """A path of parts, each with what may not stand in a path encoded: address("entities", id)."""
    return "/" + "/".join(quote(part, safe=":") for part in parts) + suffix


def entity_path(entity_id: str, suffix: str = "") -> str:
    """The address of an Entity's page."""
    return address("entities", entity_id, suffix=suffix)


def safe_path(wanted: str, default: str = "/") -> str:
    """A path of this site, or the default: "//elsewhere", "/\\elsewhere" and addresses are not followed."""
    if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable():
        return wanted
    return default
