"""What every connector's folder must be: checked here, in the tests and by `cityloom plugins`."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec

from cityloom.kernel.errors import BadInput, CityError, NotAllowed, words_of
from cityloom.kernel.media_types import JSON
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, content
from cityloom.sensing.contract import Connector, ConnectorManifest
from cityloom.sensing.manifest import read_manifest, read_settings
from cityloom.sensing.model import Device, Message
from cityloom.sensing.models import DataModels

LANGUAGES = ("en", "da")
HEADINGS = ("What it connects to", "Limits")
IMPORTABLE = {"cityloom.sdk", "numpy"}
_ERRORS: dict[str, type[CityError]] = {"bad-input": BadInput, "not-allowed": NotAllowed}


class ExpectedEntity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An Entity that a sample must become. `values` are [value, unit], or a value where there is no unit."""

    id: str
    type: str
    values: dict[str, Any]
    #: observedAt of those attributes that have one; the time of receipt when it is left out.
    at: datetime | None = None


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A captured message and what it must become: samples/<name>/expected.toml beside body.json."""

    #: What it shows, as a sentence.
    title: str
    address: str
    #: The time of receipt.
    received_at: datetime
    device: Device | None = None
    content_type: str = JSON
    settings: dict[str, Any] = {}
    entities: tuple[ExpectedEntity, ...] = ()
    error: Literal["", "bad-input", "not-allowed"] = ""
    #: What of the message is at fault.
    where: str = ""
    #: Words of the reason.
    says: str = ""


def check_connector(
    folder: Path, said: Mapping[str, Any], module: ModuleType, models: DataModels
) -> list[str]:
    """All that is wrong with a connector's folder, one sentence each; empty when it passes."""
    try:
        manifest = read_manifest(said, where=folder.name)
        samples = read_samples(folder)
    except CityError as error:
        return [str(error)]
    wrong = [*_identity(folder, manifest, models), *_readme(folder), *_imports(folder)]
    if not hasattr(module, "Connector"):
        return [*wrong, "connector.py: there is no class Connector"]
    if not any(sample.error for sample in samples.values()):
        wrong.append("samples/: at least one wrong message is wanted")
    if not any(sample.entities for sample in samples.values()):
        wrong.append("samples/: at least one good message is wanted")
    for name, sample in samples.items():
        body = (folder / "samples" / name / "body.json").read_bytes()
        wrong += [f"samples/{name}: {item}" for item in check_sample(manifest, module, sample, body, models)]
    return wrong


def read_samples(folder: Path) -> dict[str, Sample]:
    """The samples of a connector by name. Raises BadInput naming the file."""
    found: dict[str, Sample] = {}
    for path in sorted(folder.glob("samples/*/expected.toml")):
        try:
            found[path.parent.name] = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Sample)
        except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
            raise BadInput(words_of(error), hint="Correct the sample.", where=str(path)) from None
    return found


def check_sample(
    manifest: ConnectorManifest, module: ModuleType, sample: Sample, body: bytes, models: DataModels
) -> list[str]:
    """What is wrong with a sample's outcome."""
    message = Message(
        manifest.id,
        sample.address,
        body,
        sample.received_at.astimezone(UTC),
        sample.device,
        sample.content_type,
    )
    try:
        settings = read_settings(manifest, sample.settings, where="settings")
        connector: Connector = module.Connector(settings)
        documents = connector.decode(message)
        for document in documents:
            models.fit(document, message.received_at + timedelta(seconds=1))
    except CityError as error:
        return list(_wrong_error(sample, error))
    if sample.error:
        return [f"{sample.error} was expected, and it was understood"]
    return list(_differences(sample, documents))


def _wrong_error(sample: Sample, error: CityError) -> Iterator[str]:
    wanted = _ERRORS.get(sample.error)
    if wanted is None or not isinstance(error, wanted):
        yield f"{sample.error or 'no error'} was expected, and {type(error).__name__} came: {error}"
        return
    if sample.where != (error.where or ""):
        yield f"it is wrong at {error.where!r}, and {sample.where!r} was expected"
    if sample.says not in str(error):
        yield f"it says {str(error)!r}, and {sample.says!r} was expected in it"


def _differences(sample: Sample, documents: list[Document]) -> Iterator[str]:
    got = [_plain(document) for document in documents]
    wanted = [
        {
            "id": entity.id,
            "type": entity.type,
            "at": format_instant(entity.at or sample.received_at),
            "values": entity.values,
        }
        for entity in sample.entities
    ]
    if got != wanted:
        yield f"it became {got}, and {wanted} was expected"


def _plain(document: Document) -> dict[str, Any]:
    """A document as samples write it."""
    values: dict[str, Any] = {}
    instants = set()
    for name, instances in document["attrs"].items():
        for item in instances:
            unit = item.get("unitCode")
            values[name] = [content(item), unit] if unit else content(item)
            if "observedAt" in item:
                instants.add(item["observedAt"])
    return {
        "id": document["id"],
        "type": " ".join(document["type"]),
        "at": " ".join(sorted(instants)),
        "values": values,
    }


def _identity(folder: Path, manifest: ConnectorManifest, models: DataModels) -> Iterator[str]:
    if manifest.id != folder.name:
        yield f"manifest.toml: its id must be {folder.name!r}, the folder's name"
    if not manifest.owner.startswith("@"):
        yield "manifest.toml: the owner must begin with @"
    for kind in manifest.sends:
        if kind != "*" and models.find(kind) is None:
            yield f"manifest.toml: there is no data model {kind!r}"
    for name, setting in manifest.settings.items():
        for language in LANGUAGES:
            if not setting.help.get(language):
                yield f"manifest.toml: the setting {name} has no help in {language}"


def _readme(folder: Path) -> Iterator[str]:
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for heading in HEADINGS:
        if f"\n## {heading}\n" not in text:
            yield f"README.md: the heading {heading!r} is missing"


def _imports(folder: Path) -> Iterator[str]:
    tree = ast.parse((folder / "connector.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name not in IMPORTABLE and name.partition(".")[0] not in sys.stdlib_module_names:
                yield f"connector.py: it imports {name}; a plugin imports cityloom.sdk alone"
