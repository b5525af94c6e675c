"""A city service as it is loaded from its folder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import msgspec
import numpy as np

from cityloom.kernel.errors import BrokenPlugin
from cityloom.services.contract import Service, Trained
from cityloom.services.manifest import Manifest, SettingValue, check_overrides, read_manifest
from cityloom.services.words import Messages, read_messages

#: Parameters that a service brings along, with their provenance; training replaces them.
PARAMETERS_FILE = "parameters.toml"


class Plugin(Protocol):
    """A plugin's folder, found by its position."""

    @property
    def folder(self) -> Path: ...

    @property
    def manifest(self) -> Mapping[str, Any]: ...

    def load(self, module: str) -> ModuleType:
        """Import one of its modules. Raises BrokenPlugin."""
        ...


class CityService(msgspec.Struct, frozen=True):
    """A service, ready to be woken."""

    manifest: Manifest
    service: Service
    messages: Messages
    shipped: Trained | None = None
    #: The city's own settings, over the manifest's.
    overrides: Mapping[str, SettingValue] = {}

    @property
    def id(self) -> str:
        return self.manifest.id


def load_service(plugin: Plugin, overrides: Mapping[str, SettingValue] | None = None) -> CityService:
    """Read and import one. Raises BrokenPlugin (its author's) or BadConfig (the city's settings)."""
    manifest = read_manifest(plugin.manifest, where=str(plugin.folder / "manifest.toml"))
    check_overrides(manifest, overrides or {})
    messages = read_messages(plugin.folder)
    shipped = read_parameters(plugin.folder / PARAMETERS_FILE)
    module = plugin.load("service")
    if not callable(getattr(module, "decide", None)):
        raise BrokenPlugin(
            f"services/{manifest.id} has no function decide(world, at)",
            hint="Write it; docs/guides/add_a_service.md shows one.",
            where=str(plugin.folder / "service.py"),
        )
    if (manifest.training is not None) != callable(getattr(module, "train", None)):
        raise BrokenPlugin(
            f"services/{manifest.id}: `training` in the manifest and the function train belong together",
            hint="Write both or neither.",
            where=str(plugin.folder),
        )
    return CityService(manifest, cast(Service, module), messages, shipped, overrides or {})


def read_parameters(path: Path) -> Trained | None:
    """Shipped parameters: `[provenance]` of texts and `[arrays]` of numbers. None without the file."""
    if not path.exists():
        return None
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        arrays = {name: np.array(values, dtype=float) for name, values in raw["arrays"].items()}
        provenance = {str(key): str(value) for key, value in raw["provenance"].items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, ValueError, TypeError) as error:
        raise BrokenPlugin(
            f"The parameters cannot be read: {error}",
            hint="Write [provenance] with texts and [arrays] with lists of numbers.",
            where=str(path),
        ) from None
    return Trained(arrays, provenance)
