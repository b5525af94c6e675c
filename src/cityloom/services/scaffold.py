"""Writes the folder of a new plugin, which passes its tests as it is."""

from __future__ import annotations

import keyword
import re
import shutil
from pathlib import Path

from cityloom.kernel.errors import BadInput, Conflict

_BLUEPRINTS = Path(__file__).with_name("blueprints")
_SUFFIX = ".template"
#: Kinds of plugins, and the folder in which the plugins of a kind lie.
KINDS = {"service": "services", "connector": "connectors", "framework": "frameworks"}


def write_plugin(kind: str, name: str, target: Path) -> Path:
    """Write a plugin `<target>/<kind>s/<name>`; returns its folder.

    `target` is a package that is named under `plugins` in city.toml, or such a package's folder of that
    kind. Raises BadInput for a name that cannot be one, Conflict when the folder is there.
    """
    if kind not in KINDS:
        raise BadInput(f"{kind!r} is no kind of plugin", hint=f"Kinds are: {', '.join(KINDS)}.", where="kind")
    if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) is None or keyword.iskeyword(name):
        raise BadInput(
            f"{name!r} cannot be the name of a plugin",
            hint="Use lower case letters, digits and underscores, beginning with a letter: flood_warning.",
            where="name",
        )
    shelf = target if target.name == KINDS[kind] else target / KINDS[kind]
    folder = shelf / name
    if folder.exists():
        raise Conflict("There is something already", hint="Choose another name.", where=str(folder))
    try:
        _write(_BLUEPRINTS / kind, folder, name)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BadInput(
            f"The folder cannot be written: {error.strerror}", hint="Choose another place.", where=str(folder)
        ) from error
    return folder


def _write(blueprint: Path, folder: Path, name: str) -> None:
    title = name.replace("_", " ").capitalize()
    for source in sorted(blueprint.rglob(f"*{_SUFFIX}")):
        to = folder / source.relative_to(blueprint).with_suffix("")
        to.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        to.write_text(text.replace("@NAME@", name).replace("@TITLE@", title), encoding="utf-8")
