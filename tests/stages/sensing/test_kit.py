"""The kit for connectors finds what is wrong with a folder."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

from cityloom.sensing.kit import check_connector
from cityloom.sensing.models import DataModels

MODELS = DataModels(
    [
        {
            "$id": "urn:cityloom:model:Spot",
            "properties": {
                "type": {"const": "Spot"},
                "t": {"type": "number", "x-unitCode": "CEL", "maximum": 60},
            },
        }
    ]
)
MANIFEST = """
id = "spots"
title = "Spots"
owner = "@test"
sends = ["Spot"]
transport = "by-hand"
[settings.unit]
type = "text"
default = "CEL"
help = { en = "The unit", da = "Enheden" }
"""
CONNECTOR = """
from cityloom.sdk import BadInput, entity, parse_json, prop

class Connector:
    def __init__(self, settings):
        self.unit = settings["unit"]

    def decode(self, message):
        said = parse_json(message.body)
        if "t" not in said:
            raise BadInput("no t", hint="Send t.", where="t")
        return [entity("Spot", "urn:x:1", {"t": prop(said["t"], at=message.received_at, unit=self.unit)})]
"""
GOOD = """
title = "good"
address = "a"
received_at = 2026-04-12T20:00:00Z
[[entities]]
id = "urn:x:1"
type = "Spot"
values = { t = [1.5, "CEL"] }
"""
WRONG = """
title = "wrong"
address = "a"
received_at = 2026-04-12T20:00:00Z
error = "bad-input"
where = "t"
says = "no t"
"""
README = "# Spots\n\n## What it connects to\n\nSpots.\n\n## Limits\n\nNone.\n"


@pytest.fixture
def folder(tmp_path: Path):
    made = tmp_path / "spots"
    for name, expected, body in (("good", GOOD, '{"t": 1.5}'), ("wrong", WRONG, "{}")):
        (made / "samples" / name).mkdir(parents=True)
        (made / "samples" / name / "expected.toml").write_text(expected)
        (made / "samples" / name / "body.json").write_text(body)
    (made / "manifest.toml").write_text(MANIFEST)
    (made / "connector.py").write_text(CONNECTOR)
    (made / "README.md").write_text(README)
    return made


def complaints(folder):
    spec = importlib.util.spec_from_file_location("connector", folder / "connector.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    return " | ".join(check_connector(folder, manifest, module, MODELS))


def test_check_connector_passes_a_whole_folder(folder):
    assert complaints(folder) == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("manifest.toml", 'id = "spots"', 'id = "other"', "its id must be 'spots'"),
        ("manifest.toml", "@test", "test", "begin with @"),
        ("manifest.toml", '["Spot"]', '["Cloud"]', "no data model 'Cloud'"),
        ("manifest.toml", ', da = "Enheden"', "", "no help in da"),
        ("manifest.toml", "title", "titel", "titel"),
        ("README.md", "## Limits", "## Bounds", "'Limits' is missing"),
        ("connector.py", "class Connector", "class Konnector", "no class Connector"),
        ("connector.py", "\nclass", "\nimport cityloom.kernel\nclass", "imports cityloom.kernel"),
        ("samples/good/expected.toml", "1.5", "1.6", "was expected"),
        ("samples/good/expected.toml", "values =", "valeurs =", "valeurs"),
        ("samples/good/body.json", "1.5", "99", "no error was expected"),
        ("samples/wrong/expected.toml", 'where = "t"', 'where = "x"', "'x' was expected"),
        ("samples/wrong/expected.toml", "no t", "no x", "'no x' was expected in it"),
        ("samples/wrong/expected.toml", "bad-input", "not-allowed", "not-allowed was expected"),
        ("samples/wrong/body.json", "{}", '{"t": 1.5}', "it was understood"),
    ],
)
def test_check_connector_names_what_is_wrong(folder, file, old, new, words):
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert words in complaints(folder)


@pytest.mark.parametrize(("gone", "words"), [("wrong", "one wrong message"), ("good", "one good message")])
def test_check_connector_wants_a_good_and_a_wrong_sample(folder, gone, words):
    (folder / "samples" / gone / "expected.toml").unlink()
    assert words in complaints(folder)
