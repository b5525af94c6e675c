"""The `cityloom` command: what can be asked of it. What it does stands in the modules it calls."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from cityloom import __version__
from cityloom.app.grammar.extending import new, plugins
from cityloom.app.grammar.keeping import (
    account,
    backup,
    erase,
    export,
    load,
    move,
    person,
    restore,
    retention,
)
from cityloom.app.grammar.living import check, demo, doctor, follow, init, up
from cityloom.app.grammar.reckoning import cba, index, plan, score
from cityloom.kernel.errors import CityError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 the city refused, 2 the words were wrong."""
    options = build_parser().parse_args(arguments)
    # A city's files hold password hashes and secret readings: they are their owner's alone.
    os.umask(0o077)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except CityError as error:
        print(f"cityloom: {error.message}" + (f" ({error.where})" if error.where else ""), file=sys.stderr)
        print(f"  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar; docs/reference/commands.md is written from it."""
    parser = argparse.ArgumentParser(
        prog="cityloom",
        description="The open platform on which a city, a town or a village becomes smart and sustainable.",
        epilog="Settings may also stand in the environment: CITYLOOM_HOME, CITYLOOM_PORT, CITYLOOM_DATA.",
    )
    parser.add_argument("--version", action="version", version=f"cityloom {__version__}")
    verbs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo(verbs)
    init(verbs)
    check(verbs)
    doctor(verbs)
    up(verbs)
    follow(verbs)
    new(verbs)
    plugins(verbs)
    index(verbs)
    score(verbs)
    plan(verbs)
    cba(verbs)
    account(verbs)
    backup(verbs)
    restore(verbs)
    move(verbs)
    load(verbs)
    retention(verbs)
    export(verbs)
    erase(verbs)
    person(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
