"""Commands by which a city is made, run and looked after."""

from __future__ import annotations

from pathlib import Path

from cityloom.app.grammar.options import Verbs, home, lazily, logging_of, serving


def demo(verbs: Verbs) -> None:
    """`cityloom demo`."""
    parser = verbs.add_parser(
        "demo",
        help="a living demo city",
        description="Opens Aarhus on replayed open data of 2014 where its data pack can be had, "
        "and Loomby, a simulated town, otherwise.",
    )
    parser.add_argument("city", nargs="?", default="", metavar="CITY", help="aarhus or loomby")
    home(parser, ".cityloom/<city>")
    serving(parser)
    logging_of(parser)
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="folder with the data pack")
    parser.add_argument(
        "--speed",
        type=float,
        default=None,
        metavar="HOURS",
        help="hours of the city's time a minute (default: the city's own, one hour for Aarhus)",
    )
    parser.add_argument(
        "--from", dest="start", default="", metavar="DATE", help="where to begin, such as 2014-09-15"
    )
    parser.set_defaults(run=lazily("demo"))


def init(verbs: Verbs) -> None:
    """`cityloom init`."""
    parser = verbs.add_parser("init", help="make a city of your own: four questions, one city.toml")
    home(parser)
    for flag, text in (
        ("--name", "the city's name"),
        ("--time-zone", "such as Europe/Copenhagen"),
        ("--place", "longitude,latitude of its centre, in degrees"),
        ("--language", "en or da"),
    ):
        parser.add_argument(flag, default=None, help=f"{text} (asked when left out)")
    parser.set_defaults(run=lazily("init"))


def check(verbs: Verbs) -> None:
    """`cityloom check`."""
    parser = verbs.add_parser(
        "check", help="what is wrong with this city's configuration, and how to mend it"
    )
    home(parser)
    parser.set_defaults(run=lazily("check"))


def doctor(verbs: Verbs) -> None:
    """`cityloom doctor`."""
    parser = verbs.add_parser(
        "doctor",
        help="what is wrong with this city, why it matters, and what to do",
        description="Asks the running city, or looks into the folder of a stopped one. Ends with 0 where "
        "nothing is wrong, 1 where there are warnings alone, 2 where something is bad.",
    )
    home(parser)
    serving(parser, host="address on which a stopped city is to listen, to see whether it could")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=lazily("doctor", "cityloom.app.doctor.command"))


def up(verbs: Verbs) -> None:
    """`cityloom up`."""
    parser = verbs.add_parser("up", help="run the city")
    home(parser)
    serving(parser)
    logging_of(parser)
    parser.add_argument(
        "--stages",
        default="",
        metavar="NAMES",
        help="do these of the city's stages alone, beside its own process and others like this one: history "
        "(docs/guides/run_at_scale.md)",
    )
    parser.add_argument(
        "--open-access",
        action="store_true",
        help="authentication OFF, on loopback alone: for trials and conformance runs",
    )
    parser.add_argument(
        "--standby",
        action="store_true",
        help="one of several processes of a city on PostgreSQL: waits while another runs it, and takes over",
    )
    parser.set_defaults(run=lazily("up"))


def follow(verbs: Verbs) -> None:
    """`cityloom follow`."""
    parser = verbs.add_parser("follow", help="how do we know? the way of a reading, an alert, an indicator")
    parser.add_argument("id", help="an Entity's id, such as urn:ngsi-ld:Alert:…")
    home(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=lazily("follow"))
