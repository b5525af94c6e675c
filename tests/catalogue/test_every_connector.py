"""The kit, run on every connector there is. Nobody edits this file to add a connector."""

from __future__ import annotations

from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.app.plugins import Plugin, find_plugins
from cityloom.sensing.kit import check_connector, check_sample, read_samples
from cityloom.sensing.manifest import read_manifest
from cityloom.sensing.models import read_models

MODELS = read_models([Path(cityloom_catalogue.__path__[0]) / "models"])
CONNECTORS = [plugin for plugin in find_plugins(["cityloom_catalogue"]) if plugin.kind == "connectors"]
SAMPLES = [(plugin, name) for plugin in CONNECTORS for name in read_samples(plugin.folder)]


@pytest.mark.parametrize("plugin", CONNECTORS, ids=lambda plugin: plugin.id)
def test_check_connector_finds_nothing_wrong(plugin: Plugin):
    assert check_connector(plugin.folder, plugin.manifest, plugin.load("connector"), MODELS) == []


@pytest.mark.parametrize(("plugin", "name"), SAMPLES, ids=lambda item: getattr(item, "id", item))
def test_check_sample_agrees_with_what_is_expected(plugin: Plugin, name: str):
    sample = read_samples(plugin.folder)[name]
    body = (plugin.folder / "samples" / name / "body.json").read_bytes()
    manifest = read_manifest(plugin.manifest, where=plugin.id)
    assert check_sample(manifest, plugin.load("connector"), sample, body, MODELS) == []
