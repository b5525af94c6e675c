"""Commands that reckon and verify from files, without a running city."""

from __future__ import annotations

from pathlib import Path

from cityloom.app.grammar.options import Verbs, count, lazily, values


def index(verbs: Verbs) -> None:
    """`cityloom index`."""
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
    values(parser)
    parser.add_argument(
        "--cities", type=Path, default=None, metavar="FILE", help="table of cities, to fill gaps by group"
    )
    parser.add_argument(
        "--sensitivity",
        type=count,
        default=0,
        metavar="RUNS",
        help="tell ranks as intervals, over so many other choices of scale, mean, gaps and weights",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of those choices (default: 0)")
    parser.add_argument(
        "--leave-one-out", action="store_true", help="say which indicators move the ranks most"
    )
    parser.set_defaults(run=lazily("index", "cityloom.app.indices"))


def score(verbs: Verbs) -> None:
    """`cityloom score`."""
    parser = verbs.add_parser(
        "score",
        help="score values from a file by a framework, without a running city",
        description="Reads values (columns city, indicator, period, value; point, numerator, denominator and "
        "unit where there are any), prints the scores and checks, and what was left out and why.",
    )
    parser.add_argument("framework", metavar="FRAMEWORK", help="such as u4ssc")
    values(parser)
    parser.add_argument(
        "--benchmarks", type=Path, default=None, metavar="FILE", help="targets in place of the framework's"
    )
    parser.set_defaults(run=lazily("score", "cityloom.app.indices"))


def cba(verbs: Verbs) -> None:
    """`cityloom cba`."""
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
    parser.set_defaults(run=lazily("cba", "cityloom.app.cost_benefit"))


def plan(verbs: Verbs) -> None:
    """`cityloom plan`."""
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
    parser.set_defaults(run=lazily("plan", "cityloom.app.plan_file"))
