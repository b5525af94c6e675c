"""What city.toml turns on: services, connectors and frameworks, read with the city's settings.

Each raises BadConfig where city.toml is wrong and BrokenPlugin where the plugin is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.app.plugins import Plugin
from cityloom.indicators.framework import Framework, read_framework
from cityloom.kernel.errors import BadConfig, BrokenPlugin, CityError
from cityloom.sensing.connector_making import ConnectorPlugin, make_connector
from cityloom.services.plugin import CityService, load_service


def city_service(plugins: list[Plugin], name: str, overrides: Mapping[str, Any]) -> CityService:
    """A city service, ready to be woken."""
    return load_service(_named(plugins, "services", name), overrides)


def framework(plugins: list[Plugin], name: str, folder: CityFolder) -> Framework:
    """A framework of indicators, with the city's own targets where it has set some."""
    own = folder.benchmarks / f"{name}.csv"
    return read_framework(
        _named(plugins, "frameworks", name).folder, benchmarks=own if own.exists() else None
    )


def connector(plugins: list[Plugin], name: str, settings: Mapping[str, Any]) -> ConnectorPlugin:
    """A connector to be run. One that cannot be loaded is there too, with the reason.

    One may run twice under two names: [connectors.north] plugin = "mqtt_bridge".
    """
    own = dict(settings)
    plugin = _named(plugins, "connectors", str(own.pop("plugin", name)), name)
    try:
        module, failure = plugin.load("connector"), ""
    except BrokenPlugin as error:
        module, failure = None, str(error)
    return ConnectorPlugin(plugin.manifest, module, own, name=name, failure=failure)


def faults(configuration: Configuration, plugins: list[Plugin], folder: CityFolder) -> Iterator[CityError]:
    """All that is wrong with what is turned on."""
    readings: list[Callable[[], object]] = [
        *(partial(_checked_connector, plugins, name, own) for name, own in configuration.connectors.items()),
        *(partial(city_service, plugins, name, own) for name, own in configuration.services.items()),
        *(partial(framework, plugins, name, folder) for name in configuration.frameworks),
    ]
    for read in readings:
        try:
            read()
        except CityError as error:
            yield error


def _checked_connector(plugins: list[Plugin], name: str, settings: Mapping[str, Any]) -> object:
    return make_connector(connector(plugins, name, settings))


def _named(plugins: list[Plugin], kind: str, plugin_id: str, name: str = "") -> Plugin:
    for plugin in plugins:
        if (plugin.kind, plugin.id) == (kind, plugin_id):
            return plugin
    there = ", ".join(plugin.id for plugin in plugins if plugin.kind == kind) or "none"
    raise BadConfig(
        f"There is no plugin {kind}/{plugin_id}",
        hint=f"There are: {there}.",
        where=f"city.toml: {kind}.{name or plugin_id}",
    )
