"""`cityloom retention`: what would become of old readings by the rules of city.toml."""

from __future__ import annotations

import argparse
from pathlib import Path

from cityloom.app.configuration import Configuration, read_configuration
from cityloom.app.folder import CityFolder
from cityloom.app.machine import HomeLock
from cityloom.app.storage import in_postgres, open_storage
from cityloom.history.keeping import due_by
from cityloom.history.retention import RetainingStore, Rule
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import WallClock


def rules_of(configuration: Configuration) -> list[Rule]:
    """The rules that city.toml gives."""
    return [
        Rule(
            one.types,
            tuple(InformationClass[label.upper()] for label in one.classes),
            one.days,
            one.archive,
        )
        for one in configuration.history.retention
    ]


def retention(options: argparse.Namespace) -> int:
    """Tell what would go now, of a city that is not running, and change nothing."""
    folder = CityFolder(options.home or Path("city"))
    configuration = read_configuration(folder.configuration)
    with HomeLock(folder.home):
        if not in_postgres(configuration):
            folder.check_whole(folder.history)
        storage = open_storage(folder, configuration)
        try:
            assert isinstance(storage.history, RetainingStore), "every store of a city is one"
            rules = rules_of(configuration)
            found = storage.history.outgoing(due_by(storage.history, rules, WallClock()))
        finally:
            storage.close()
    if not found:
        print("Nothing would go: " + ("no readings are old enough." if rules else "all readings are kept."))
    if found:
        print(f"{'month':7s}  {'readings':>12s}  type (class)")
    for one in found:
        print(f"{one.month}  {one.readings:>12,}  {one.type} ({one.information_class.name.lower()})")
    if found:
        print(f"{sum(one.readings for one in found):,} readings would become hourly roll-ups.")
        print("Nothing was changed: the city does it when it runs.")
    return 0
