"""A connector's manifest and settings: read and checked before any of its code runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from cityloom.kernel.errors import BadConfig, fault_of
from cityloom.sensing.contract import ConnectorManifest, Setting, SettingType

_TYPES: dict[SettingType, tuple[type, ...]] = {
    "text": (str,),
    "secret": (str,),
    "path": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "table": (dict,),
}


def read_manifest(said: Mapping[str, Any], *, where: str) -> ConnectorManifest:
    """A manifest from its parsed TOML. Raises BadConfig naming the key."""
    try:
        return msgspec.convert(dict(said), ConnectorManifest)
    except msgspec.ValidationError as error:
        message, place = fault_of(error)
        raise BadConfig(
            message, hint="Correct the manifest.", where=f"{where}/manifest.toml {place}".strip()
        ) from None


def read_settings(manifest: ConnectorManifest, said: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The settings in city.toml, filled up with the manifest's defaults. Raises BadConfig naming the key."""
    for key in said:
        if key not in manifest.settings:
            near = difflib.get_close_matches(key, manifest.settings, n=1)
            known = ", ".join(manifest.settings) or "none"
            raise BadConfig(
                f"The connector has no setting {key!r}",
                hint=f"Did you mean {near[0]!r}?" if near else f"Its settings are: {known}.",
                where=f"{where}.{key}",
            )
    return {
        key: _value(setting, said[key], f"{where}.{key}") if key in said else _default(setting, where, key)
        for key, setting in manifest.settings.items()
    }


def _value(setting: Setting, value: Any, where: str) -> Any:
    wanted = _TYPES[setting.type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise BadConfig(f"{value!r} is not a {setting.type}", hint=setting.help.get("en", ""), where=where)
    return value


def _default(setting: Setting, where: str, key: str) -> Any:
    if setting.required:
        raise BadConfig(f"The setting {key!r} is missing", hint=setting.help.get("en", ""), where=where)
    return setting.default
