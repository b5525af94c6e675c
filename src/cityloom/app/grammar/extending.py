"""Commands for plugins."""

from __future__ import annotations

from pathlib import Path

from cityloom.app.grammar.options import Verbs, home, lazily


def new(verbs: Verbs) -> None:
    """`cityloom new`."""
    parser = verbs.add_parser("new", help="write a plugin that already passes its tests")
    parser.add_argument("kind", choices=("service", "connector", "framework"), help="what to write")
    parser.add_argument("name", help="its id: lower case letters, digits, underscores")
    parser.add_argument("--into", type=Path, default=Path.cwd(), metavar="DIR", help="folder to write it in")
    parser.set_defaults(run=lazily("new"))


def plugins(verbs: Verbs) -> None:
    """`cityloom plugins`."""
    parser = verbs.add_parser("plugins", help="the plugins found, and what is wrong with any of them")
    home(parser)
    parser.set_defaults(run=lazily("plugins"))
