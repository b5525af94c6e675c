"""The kit, run on every city service there is. Nobody edits this file to add a service."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from cityloom.app.plugins import Plugin, find_plugins
from cityloom.planning.action.areas import DOMAINS
from cityloom.services.cases import read_cases
from cityloom.services.kit import check_case, check_folder
from cityloom.services.manifest import Manifest
from cityloom.services.plugin import load_service

SERVICES = [plugin for plugin in find_plugins(["cityloom_catalogue"]) if plugin.kind == "services"]
CASES = [(plugin, name) for plugin in SERVICES for name in read_cases(plugin.folder)]


@pytest.mark.parametrize("plugin", SERVICES, ids=lambda plugin: plugin.id)
def test_check_folder_finds_nothing_wrong(plugin: Plugin):
    assert check_folder(plugin) == []


@pytest.mark.parametrize("plugin", SERVICES, ids=lambda plugin: plugin.id)
def test_every_service_is_filed_under_a_domain_that_planning_has_words_for(plugin: Plugin):
    assert plugin.manifest["domain"] in DOMAINS


def test_the_domains_of_services_are_those_of_planning():
    assert {"", *DOMAINS} == set(get_args(get_type_hints(Manifest)["domain"]))


@pytest.mark.parametrize(("plugin", "name"), CASES, ids=lambda item: getattr(item, "id", item))
def test_check_case_agrees_with_what_the_expert_wrote(plugin: Plugin, name: str):
    assert check_case(load_service(plugin), read_cases(plugin.folder)[name]) == []
