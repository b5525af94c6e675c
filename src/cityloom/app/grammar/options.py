"""Options that several commands have, and how a command is found that is run."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from cityloom.app.machine import USUAL_MQTT_PORT, USUAL_PORT

#: Where a command is added.
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def lazily(name: str, module: str = "cityloom.app.commands") -> Callable[[argparse.Namespace], int]:
    """A command that is loaded when it is run: what a city runs with takes a second to load."""

    def run(options: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module), name)
        return command(options)

    return run


def home(parser: argparse.ArgumentParser, usual: str = "city") -> None:
    default = os.environ.get("CITYLOOM_HOME")
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(default) if default else None,
        metavar="DIR",
        help=f"the city's folder (default: CITYLOOM_HOME, else {usual})",
    )


def serving(parser: argparse.ArgumentParser, host: str = "address to listen on") -> None:
    asked = os.environ.get("CITYLOOM_PORT")
    parser.add_argument("--host", default="127.0.0.1", help=f"{host} (default: this machine alone)")
    parser.add_argument(
        "--port",
        type=port,
        default=port(asked) if asked else None,
        metavar="N",
        help=f"port of pages and API (default: {USUAL_PORT}, or a free one when that is busy)",
    )
    parser.add_argument(
        "--mqtt-port",
        type=port,
        default=None,
        metavar="N",
        help=f"port of the MQTT listener (default: {USUAL_MQTT_PORT}, or a free one when that is busy)",
    )


def logging_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-format",
        choices=("plain", "json"),
        default="",
        help="how the log is written to standard error (default: as city.toml says, else plain)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="",
        help="what is less than this is not written (default: as city.toml says, else warning)",
    )


def values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("values", type=Path, metavar="VALUES", help="file of values")
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="where the table is written, as CSV"
    )
    parser.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="which column of the values is the city, indicator, period, value, point; may be repeated",
    )
    home(parser)


def whose(parser: argparse.ArgumentParser) -> None:
    for flag, metavar, text in (
        ("--entity", "ID", "the id of a report, or of a person's Entity"),
        ("--code", "CODE", "the code on the receipt of a report"),
        ("--account", "NAME", "a user name; the reports sent from it belong to it"),
        ("--email", "ADDRESS", "the reports whose author left this address"),
        ("--phone", "NUMBER", "the reports whose author left this number"),
    ):
        parser.add_argument(flag, default="", metavar=metavar, help=text)
    home(parser)


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a whole number up to 65535")
    return port
