"""What each command does. Each takes the parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from cityloom.app.accounts import keep_accounts
from cityloom.app.asking import ask_running_city, written_way
from cityloom.app.between import cluster_faults
from cityloom.app.configuration import (
    LANGUAGES,
    Configuration,
    examine_configuration,
    parse_configuration,
    read_configuration,
    text_of,
)
from cityloom.app.demo import demo_of, open_demo
from cityloom.app.first_configuration import write_first
from cityloom.app.folder import CityFolder
from cityloom.app.house import models_of
from cityloom.app.machine import HomeLock
from cityloom.app.plugins import Plugin, find_plugins
from cityloom.app.running import Serving, run_city
from cityloom.app.storage import unfit
from cityloom.app.turned_on import faults
from cityloom.indicators.framework import read_framework
from cityloom.kernel.errors import BadConfig, BadInput, BrokenPlugin, CityError
from cityloom.sensing.kit import check_connector
from cityloom.sensing.models import DataModels
from cityloom.services.kit import check_folder

PACKAGES = Configuration().plugins


def demo(options: argparse.Namespace) -> int:
    """Open a demo city and run it."""
    begins = _instant(options.start) if options.start else None
    city = open_demo(options.city, options.data, PACKAGES, begins=begins, tell=_tell)
    folder = CityFolder(options.home or Path(".cityloom") / city.id)
    folder.make()
    if not folder.configuration.exists():
        folder.configuration.write_text(city.settings, encoding="utf-8")
    configuration = read_configuration(folder.configuration)
    if configuration.demo != city.id:
        raise BadConfig(
            f"This folder holds another city, {configuration.name}",
            hint="Choose another folder with --home.",
            where=str(folder.home),
        )
    # Hours a minute are asked for; a clock's speed is seconds a second.
    speed = None if options.speed is None else options.speed * 60
    return run_city(folder.home, configuration, _serving(options), demo_of(folder, city, speed))


def up(options: argparse.Namespace) -> int:
    """Run a city of one's own; a demo city's folder goes on as a demo."""
    folder = CityFolder(_home(options))
    if options.open_access and not folder.configuration.exists():
        configuration = parse_configuration(TRIAL)
    else:
        configuration = read_configuration(folder.configuration)
    if options.stages:
        from cityloom.app.stage_process import run_stages  # brings the libraries of a cluster along

        return run_stages(configuration, options.stages.split(","), _serving(options))
    if not configuration.demo:
        return run_city(folder.home, configuration, _serving(options))
    city = open_demo(configuration.demo, None, configuration.plugins, tell=_tell)
    return run_city(folder.home, configuration, _serving(options), demo_of(folder, city, None))


#: A city for conformance runs and trials: empty, and without anything that decides by itself.
TRIAL = """
name = "Trial city"
[connectors.mqtt]
[connectors.http_push]
"""


def init(options: argparse.Namespace) -> int:
    """Ask four questions and write city.toml."""
    path = CityFolder(_home(options)).configuration
    if path.exists():
        raise BadConfig(
            "There is a city here already", hint="Choose another folder with --home.", where=str(path)
        )
    name = _asked(options.name, "What is the city called?", "My city")
    zone = _asked(options.time_zone, "Its time zone?", "Europe/Copenhagen")
    place = _asked(options.place, "Longitude and latitude of its centre, in degrees?", "10.2039,56.1567")
    language = _asked(options.language, f"Its first language ({', '.join(LANGUAGES)})?", "en")
    longitude, latitude = _place(place)
    write_first(path, name=name, time_zone=zone, longitude=longitude, latitude=latitude, language=language)
    print(f"Wrote {path}. Run the city with: cityloom up --home {path.parent}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Read the configuration and every plugin it names; say all that is wrong."""
    folder = CityFolder(_home(options))
    path = folder.configuration
    configuration, misread = examine_configuration(text_of(path), where=path.name)
    wrong: list[CityError] = [*misread, *unfit(configuration), *cluster_faults(configuration)]
    try:
        found = find_plugins(configuration.plugins, beside=folder.home)
        wrong += faults(configuration, found, folder)
    except CityError as error:
        wrong.append(error)
    for fault in wrong:
        print(f"{fault.message}" + (f" ({fault.where})" if fault.where else ""), file=sys.stderr)
        print(f"  {fault.hint}", file=sys.stderr)
    if wrong:
        return 1
    used = len(configuration.connectors) + len(configuration.services) + len(configuration.frameworks)
    print(f"{folder.configuration}: nothing is wrong. {used} plugins are used, {len(found)} are there.")
    return 0


def plugins(options: argparse.Namespace) -> int:
    """List the plugins, and check those that have a kit with it."""
    path = CityFolder(_home(options)).configuration
    packages = read_configuration(path).plugins if path.exists() else PACKAGES
    found = find_plugins(packages, beside=path.parent)
    models = models_of(found)
    status = 0
    for plugin in found:
        print(f"{plugin.kind}/{plugin.id:20s} {plugin.title}")
        for complaint in _complaints(plugin, models):
            print(f"    {complaint}")
            status = 1
    return status


def _complaints(plugin: Plugin, models: DataModels) -> list[str]:
    if plugin.kind == "services":
        return check_folder(plugin)
    try:
        if plugin.kind == "connectors":
            return check_connector(plugin.folder, plugin.manifest, plugin.load("connector"), models)
        if plugin.kind == "frameworks":
            read_framework(plugin.folder)
    except (BrokenPlugin, BadInput) as error:
        return [str(error)]
    return []


def new(options: argparse.Namespace) -> int:
    """Write a plugin that already passes its tests."""
    from cityloom.services.scaffold import write_plugin  # what no running city needs

    folder = write_plugin(options.kind, options.name, options.into)
    print(f"Wrote {folder}. Its README says what to do next.")
    return 0


def follow(options: argparse.Namespace) -> int:
    """Ask the running city how it knows, and print the way back and forward."""
    found = ask_running_city(CityFolder(_home(options)), f"/follow/{quote(options.id, safe='')}.json")
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else written_way(found))
    return 0


def account(options: argparse.Namespace) -> int:
    """Accounts of a city that is not running."""
    folder = CityFolder(_home(options))
    configuration = read_configuration(folder.configuration)
    with HomeLock(folder.home):
        return asyncio.run(
            keep_accounts(folder, configuration, options.action, options.name, options.role, options.days)
        )


def _serving(options: argparse.Namespace) -> Serving:
    return Serving(
        host=options.host,
        port=options.port,
        mqtt_port=options.mqtt_port,
        open_access=getattr(options, "open_access", False),
        standby=getattr(options, "standby", False),
        log_format=options.log_format,
        log_level=options.log_level,
    )


def _home(options: argparse.Namespace) -> Path:
    home: Path = options.home or Path("city")
    return home


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise BadConfig(f"{text!r} is not a date", hint="Write it as 2014-09-15.", where="--from") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _place(text: str) -> tuple[float, float]:
    try:
        longitude, latitude = map(float, text.split(","))
    except ValueError:
        raise BadConfig(
            f"{text!r} is not a place",
            hint="Write longitude,latitude such as 10.2039,56.1567.",
            where="--place",
        ) from None
    return longitude, latitude


def _asked(given: str | None, question: str, default: str) -> str:
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return default
    return input(f"{question} [{default}] ").strip() or default


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
