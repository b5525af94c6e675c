"""The kit, run on every city service there is. Nobody edits this file to add a service."""

from __future__ import annotations

import pytest

from cityloom.app.plugins import Plugin, find_plugins
from cityloom.services.cases import read_cases
from cityloom.services.kit import check_case, check_folder
from cityloom.services.plugin import load_service

SERVICES = [plugin for plugin in find_plugins(["cityloom_catalogue"]) if plugin.kind == "services"]
CASES = [(plugin, name) for plugin in SERVICES for name in read_cases(plugin.folder)]


@pytest.mark.parametrize("plugin", SERVICES, ids=lambda plugin: plugin.id)
def test_check_folder_finds_nothing_wrong(plugin: Plugin):
    assert check_folder(plugin) == []


@pytest.mark.parametrize(("plugin", "name"), CASES, ids=lambda item: getattr(item, "id", item))
def test_check_case_agrees_with_what_the_expert_wrote(plugin: Plugin, name: str):
    assert check_case(load_service(plugin), read_cases(plugin.folder)[name]) == []
