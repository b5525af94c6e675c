"""The `cityloom` command: what can be asked of it. What it does stands in the modules it calls."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cityloom import __version__
from cityloom.app.machine import USUAL_MQTT_PORT, USUAL_PORT
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
    _demo(verbs)
    _init(verbs)
    _check(verbs)
    _doctor(verbs)
    _up(verbs)
    _follow(verbs)
    _new(verbs)
    _plugins(verbs)
    _index(verbs)
    _score(verbs)
    _plan(verbs)
    _cba(verbs)
    _account(verbs)
    _backup(verbs)
    _restore(verbs)
    _move(verbs)
    _load(verbs)
    _retention(verbs)
    _export(verbs)
    _erase(verbs)
    _person(verbs)
    return parser


def _lazily(name: str, module: str = "cityloom.app.commands") -> Callable[[argparse.Namespace], int]:
    """A command that is loaded when it is run: what a city runs with takes a second to load."""

    def run(options: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module), name)
        return command(options)

    return run


def _home(parser: argparse.ArgumentParser, usual: str = "city") -> None:
    default = os.environ.get("CITYLOOM_HOME")
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(default) if default else None,
        metavar="DIR",
        help=f"the city's folder (default: CITYLOOM_HOME, else {usual})",
    )


def _serving(parser: argparse.ArgumentParser, host: str = "address to listen on") -> None:
    asked = os.environ.get("CITYLOOM_PORT")
    parser.add_argument("--host", default="127.0.0.1", help=f"{host} (default: this machine alone)")
    parser.add_argument(
        "--port",
        type=_port,
        default=_port(asked) if asked else None,
        metavar="N",
        help=f"port of pages and API (default: {USUAL_PORT}, or a free one when that is busy)",
    )
    parser.add_argument(
        "--mqtt-port",
        type=_port,
        default=None,
        metavar="N",
        help=f"port of the MQTT listener (default: {USUAL_MQTT_PORT}, or a free one when that is busy)",
    )


def _logging(parser: argparse.ArgumentParser) -> None:
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


def _demo(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "demo",
        help="a living demo city",
        description="Opens Aarhus on replayed open data of 2014 where its data pack can be had, "
        "and Loomby, a simulated town, otherwise.",
    )
    parser.add_argument("city", nargs="?", default="", metavar="CITY", help="aarhus or loomby")
    _home(parser, ".cityloom/<city>")
    _serving(parser)
    _logging(parser)
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
    parser.set_defaults(run=_lazily("demo"))


def _init(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("init", help="make a city of your own: four questions, one city.toml")
    _home(parser)
    for flag, text in (
        ("--name", "the city's name"),
        ("--time-zone", "such as Europe/Copenhagen"),
        ("--place", "longitude,latitude of its centre, in degrees"),
        ("--language", "en or da"),
    ):
        parser.add_argument(flag, default=None, help=f"{text} (asked when left out)")
    parser.set_defaults(run=_lazily("init"))


def _check(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "check", help="what is wrong with this city's configuration, and how to mend it"
    )
    _home(parser)
    parser.set_defaults(run=_lazily("check"))


def _doctor(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "doctor",
        help="what is wrong with this city, why it matters, and what to do",
        description="Asks the running city, or looks into the folder of a stopped one. Ends with 0 where "
        "nothing is wrong, 1 where there are warnings alone, 2 where something is bad.",
    )
    _home(parser)
    _serving(parser, host="address on which a stopped city is to listen, to see whether it could")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_lazily("doctor", "cityloom.app.doctor.command"))


def _up(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("up", help="run the city")
    _home(parser)
    _serving(parser)
    _logging(parser)
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
    parser.set_defaults(run=_lazily("up"))


def _follow(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("follow", help="how do we know? the way of a reading, an alert, an indicator")
    parser.add_argument("id", help="an Entity's id, such as urn:ngsi-ld:Alert:…")
    _home(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_lazily("follow"))


def _new(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("new", help="write a plugin that already passes its tests")
    parser.add_argument("kind", choices=("service", "connector", "framework"), help="what to write")
    parser.add_argument("name", help="its id: lower case letters, digits, underscores")
    parser.add_argument("--into", type=Path, default=Path.cwd(), metavar="DIR", help="folder to write it in")
    parser.set_defaults(run=_lazily("new"))


def _plugins(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("plugins", help="the plugins found, and what is wrong with any of them")
    _home(parser)
    parser.set_defaults(run=_lazily("plugins"))


def _index(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "index",
        help="compute a composite index from files, without a running city",
        description="Reads a definition and values (columns city, indicator, period, value; CSV, SDMX-CSV, "
        "JSON-stat or a workbook), writes a long table, and says what was left out and why.",
    )
    parser.add_argument("action", choices=("compute",), help="what to do")
    parser.add_argument(
        "definition", metavar="DEFINITION", help="a TOML file, or a framework that brings an index along"
    )
    _values(parser)
    parser.add_argument(
        "--cities", type=Path, default=None, metavar="FILE", help="table of cities, to fill gaps by group"
    )
    parser.add_argument(
        "--sensitivity",
        type=_count,
        default=0,
        metavar="RUNS",
        help="tell ranks as intervals, over so many other choices of scale, mean, gaps and weights",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of those choices (default: 0)")
    parser.add_argument(
        "--leave-one-out", action="store_true", help="say which indicators move the ranks most"
    )
    parser.set_defaults(run=_lazily("index", "cityloom.app.indices"))


def _score(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "score",
        help="score values from a file by a framework, without a running city",
        description="Reads values (columns city, indicator, period, value; point, numerator, denominator and "
        "unit where there are any), prints the scores and checks, and what was left out and why.",
    )
    parser.add_argument("framework", metavar="FRAMEWORK", help="such as u4ssc")
    _values(parser)
    parser.add_argument(
        "--benchmarks", type=Path, default=None, metavar="FILE", help="targets in place of the framework's"
    )
    parser.set_defaults(run=_lazily("score", "cityloom.app.indices"))


def _cba(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "cba",
        help="weigh costs against benefits from a file, without a running city",
        description="Reads an analysis (TOML: costs and gains by year and group), prints its present value, "
        "rate of return, payback, who bears and who gains, what it hangs on and how uncertain it is. "
        "conventions lists the ways of discounting that come along, with their sources.",
    )
    parser.add_argument("action", choices=("compute", "conventions"), help="what to do")
    parser.add_argument("analysis", nargs="?", type=Path, default=None, metavar="FILE", help="a TOML file")
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="where all of it goes, as JSON"
    )
    parser.add_argument("--runs", type=int, default=None, metavar="N", help="in place of the file's")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="in place of the file's")
    parser.set_defaults(run=_lazily("cba", "cityloom.app.cost_benefit"))


def _plan(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "plan",
        help="verify a version of a city's plan from its file, without a running city",
        description="Reads the file that the page of an adopted version offers, and says whether a letter of "
        "it was changed. Ends with 1 where it was, or where it is another version than --digest names.",
    )
    parser.add_argument("action", choices=("verify",), help="what to do")
    parser.add_argument("file", type=Path, metavar="FILE", help="the file of a version")
    parser.add_argument(
        "--digest", default="", metavar="HEX", help="the SHA-256 that the city or the council's minutes give"
    )
    parser.set_defaults(run=_lazily("plan", "cityloom.app.plan_file"))


def _values(parser: argparse.ArgumentParser) -> None:
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
    _home(parser)


def _account(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "account",
        help="accounts of a city that is not running: create, reset a password, make a token",
        description="With token it prints a token for the account of a device or an edge, for which nobody "
        "has to sign in. The token delivers and reads nothing.",
    )
    parser.add_argument("action", choices=("create", "reset", "token", "list"), help="what to do")
    parser.add_argument("name", nargs="?", default="", help="sign-in name")
    parser.add_argument("--role", action="append", default=[], help="a role; may be given several times")
    parser.add_argument(
        "--days", type=int, default=366, metavar="N", help="how long a token counts (default: 366, the most)"
    )
    _home(parser)
    parser.set_defaults(run=_lazily("account"))


def _backup(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "backup",
        help="copy the whole city, running or not, with a checksum of every file",
        description="Makes a new folder below TARGET. All databases in it are of one instant; the city goes "
        "on meanwhile. The copy is there whole or not at all.",
    )
    parser.add_argument("target", type=Path, metavar="TARGET", help="folder in which backups are kept")
    _home(parser)
    parser.add_argument(
        "--keep",
        type=_count,
        default=0,
        metavar="N",
        help="then delete all but the newest N backups of this city in TARGET",
    )
    parser.add_argument(
        "--keys",
        type=Path,
        default=None,
        metavar="FILE",
        help="put a copy of the keys of personal data here, in place of the last one: a backup has none of "
        "them. Keep it apart from the backups",
    )
    parser.add_argument(
        "--check", action="store_true", help="TARGET is one backup: is it still what it was? Makes none"
    )
    parser.set_defaults(run=_lazily("backup", "cityloom.app.backup.command"))


def _restore(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "restore",
        help="make a city's folder out of a backup",
        description="Every file is checked by its checksum and every database opened before anything of it "
        "counts. The folder must be empty or not there.",
    )
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="a folder that `cityloom backup` made")
    _home(parser)
    parser.add_argument(
        "--keys",
        type=Path,
        default=None,
        metavar="FILE",
        help="the copy of the keys that `cityloom backup --keys` made; without it nobody can read what is "
        "personal",
    )
    parser.set_defaults(run=_lazily("restore", "cityloom.app.backup.command"))


def _move(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "move",
        help="carry a village that has grown into PostgreSQL",
        description="The village must not run. Its feed, state, records, notifications and history are "
        "copied, both sides are compared, and only then city.toml names the database. Begun again, it goes "
        "on where it stopped. The files in the folder stay as they were.",
    )
    parser.add_argument(
        "--to",
        default="",
        metavar="URL",
        help="such as postgresql://city@db.example/city (default: CITYLOOM_STORAGE_URL); a password in it is "
        "not written down",
    )
    parser.add_argument(
        "--schema", default="", metavar="NAME", help="the schema there (default: as city.toml says)"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be carried and whether it could be; change nothing",
    )
    _home(parser)
    parser.set_defaults(run=_lazily("move", "cityloom.app.move.command"))


def _export(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "export",
        help="write all that is remembered to files, by type and month, with their checksums",
        description="`cityloom load FOLDER` brings it back, into the same city or another.",
    )
    parser.add_argument("what", choices=("history",), help="what to export")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="PATH", help="a new folder, or a file .parquet, .csv, .json"
    )
    parser.add_argument(
        "--format",
        choices=("parquet", "csv", "ngsild"),
        default=None,
        help="of a folder's files (default: parquet); ngsild: lines of EntityTemporal",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        action="append",
        choices=("open", "internal", "security"),
        help="only this class of information; may be given several times (default: all)",
    )
    _home(parser)
    parser.set_defaults(run=_lazily("export", "cityloom.app.load.exporting"))


def _erase(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "erase",
        help="erase one person's data for good: from state, history, archive and backups",
        description="Shows where something personal is held, asks, and has a second person confirm it; where "
        "[erasure] in city.toml says why one decides alone, it is destroyed at once. What must be said of "
        "reports for the statistics stays: category, times, status and a coarse place. Ends with 1 where "
        "nothing was erased or asked for, or a copy of the keys could not be reached.",
    )
    _whose(parser)
    parser.add_argument(
        "--confirm", metavar="ID", default="", help="erase what somebody asked for on the city's page"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what is held and would go; change nothing"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=_lazily("erase", "cityloom.app.persons"))


def _person(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "person",
        help="write a copy of all that is held of one person, to be handed to them",
        description="Makes a zip file: one JSON document and the photos.",
    )
    parser.add_argument("action", choices=("export",), help="what to do")
    _whose(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new zip file")
    parser.set_defaults(run=_lazily("person", "cityloom.app.persons"))


def _whose(parser: argparse.ArgumentParser) -> None:
    for flag, metavar, text in (
        ("--entity", "ID", "the id of a report, or of a person's Entity"),
        ("--code", "CODE", "the code on the receipt of a report"),
        ("--account", "NAME", "a user name; the reports sent from it belong to it"),
        ("--email", "ADDRESS", "the reports whose author left this address"),
        ("--phone", "NUMBER", "the reports whose author left this number"),
    ):
        parser.add_argument(flag, default="", metavar=metavar, help=text)
    _home(parser)


def _load(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "load",
        help="bring a table of the past into the city: CSV, Parquet or Excel, with a mapping",
        description="Readings become the past of Entities, the newest of each what the Entity says now. A "
        "load that was stopped goes on where it was; one that is done does nothing. Works while the city "
        "runs and while it does not.",
    )
    parser.add_argument("table", nargs="?", type=Path, default=None, metavar="TABLE", help="the file")
    parser.add_argument("--mapping", type=Path, default=None, metavar="FILE", help="what its columns mean")
    parser.add_argument("--guess", action="store_true", help="print a mapping made from the table's head")
    parser.add_argument("--dry-run", action="store_true", help="tell what would happen and write nothing")
    parser.add_argument("--again", action="store_true", help="load a table that was taken out")
    parser.add_argument("--list", action="store_true", help="tell what was loaded")
    parser.add_argument("--undo", default="", metavar="RECORD", help="take out what a load brought")
    _home(parser)
    parser.set_defaults(run=_lazily("load", "cityloom.app.load.command"))


def _retention(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "retention",
        help="what would become of old readings by the rules of city.toml; changes nothing",
        description="Tells by month, type and class how many readings the city, when it runs next, would "
        "archive and turn into hourly roll-ups by its [[history.retention]]. The city must not be running.",
    )
    _home(parser)
    parser.set_defaults(run=_lazily("retention", "cityloom.app.retaining"))


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a whole number up to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
