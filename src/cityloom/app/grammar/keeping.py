"""Commands for what a city keeps: accounts, copies, tables of the past, persons' data."""

from __future__ import annotations

from pathlib import Path

from cityloom.app.grammar.options import Verbs, count, home, lazily, whose


def account(verbs: Verbs) -> None:
    """`cityloom account`."""
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
    home(parser)
    parser.set_defaults(run=lazily("account"))


def backup(verbs: Verbs) -> None:
    """`cityloom backup`."""
    parser = verbs.add_parser(
        "backup",
        help="copy the whole city, running or not, with a checksum of every file",
        description="Makes a new folder below TARGET. All databases in it are of one instant; the city goes "
        "on meanwhile. The copy is there whole or not at all.",
    )
    parser.add_argument("target", type=Path, metavar="TARGET", help="folder in which backups are kept")
    home(parser)
    parser.add_argument(
        "--keep",
        type=count,
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
    parser.set_defaults(run=lazily("backup", "cityloom.app.backup.command"))


def restore(verbs: Verbs) -> None:
    """`cityloom restore`."""
    parser = verbs.add_parser(
        "restore",
        help="make a city's folder out of a backup",
        description="Every file is checked by its checksum and every database opened before anything of it "
        "counts. The folder must be empty or not there.",
    )
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="a folder that `cityloom backup` made")
    home(parser)
    parser.add_argument(
        "--keys",
        type=Path,
        default=None,
        metavar="FILE",
        help="the copy of the keys that `cityloom backup --keys` made; without it nobody can read what is "
        "personal",
    )
    parser.set_defaults(run=lazily("restore", "cityloom.app.backup.command"))


def move(verbs: Verbs) -> None:
    """`cityloom move`."""
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
    home(parser)
    parser.set_defaults(run=lazily("move", "cityloom.app.move.command"))


def export(verbs: Verbs) -> None:
    """`cityloom export`."""
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
    home(parser)
    parser.set_defaults(run=lazily("export", "cityloom.app.load.exporting"))


def erase(verbs: Verbs) -> None:
    """`cityloom erase`."""
    parser = verbs.add_parser(
        "erase",
        help="erase one person's data for good: from state, history, archive and backups",
        description="Shows where something personal is held, asks, and has a second person confirm it; where "
        "[erasure] in city.toml says why one decides alone, it is destroyed at once. What must be said of "
        "reports for the statistics stays: category, times, status and a coarse place. Ends with 1 where "
        "nothing was erased or asked for, or a copy of the keys could not be reached.",
    )
    whose(parser)
    parser.add_argument(
        "--confirm", metavar="ID", default="", help="erase what somebody asked for on the city's page"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what is held and would go; change nothing"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=lazily("erase", "cityloom.app.persons"))


def person(verbs: Verbs) -> None:
    """`cityloom person`."""
    parser = verbs.add_parser(
        "person",
        help="write a copy of all that is held of one person, to be handed to them",
        description="Makes a zip file: one JSON document and the photos.",
    )
    parser.add_argument("action", choices=("export",), help="what to do")
    whose(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new zip file")
    parser.set_defaults(run=lazily("person", "cityloom.app.persons"))


def load(verbs: Verbs) -> None:
    """`cityloom load`."""
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
    home(parser)
    parser.set_defaults(run=lazily("load", "cityloom.app.load.command"))


def retention(verbs: Verbs) -> None:
    """`cityloom retention`."""
    parser = verbs.add_parser(
        "retention",
        help="what would become of old readings by the rules of city.toml; changes nothing",
        description="Tells by month, type and class how many readings the city, when it runs next, would "
        "archive and turn into hourly roll-ups by its [[history.retention]]. The city must not be running.",
    )
    home(parser)
    parser.set_defaults(run=lazily("retention", "cityloom.app.retaining"))
