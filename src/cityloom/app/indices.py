"""`cityloom index compute` and `cityloom score`: indices and scores from files, without a running city."""

from __future__ import annotations

import argparse
import csv
import io
import sys
import textwrap
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from cityloom.app.configuration import Configuration, read_configuration
from cityloom.app.folder import CityFolder
from cityloom.app.plugins import Plugin, find_plugins
from cityloom.indicators.composite.computing import Note, Observations, Result, compute
from cityloom.indicators.composite.definition import INDEX_FILE, Definition, read_definition
from cityloom.indicators.composite.sensitivity import Spread, leave_one_out, spread
from cityloom.indicators.composite.tables import as_csv, city_groups, observations, table
from cityloom.indicators.exchange.files import values_in
from cityloom.indicators.exchange.long_table import KNOWN
from cityloom.indicators.framework import Framework, read_framework
from cityloom.indicators.scorecard import LeftOut, Scorecard, scorecards
from cityloom.kernel.errors import BadInput

#: Lines of what was left out for one reason that are printed; the rest is counted.
_SHOWN = 5
#: Letters in a line of codes.
_WIDTH = 100
_MOST_RUNS = 10_000
_BANDS = {1: "0-33", 2: "33-66", 3: "66-95", 4: "95+"}
_SCORE_COLUMNS = ("city", "period", "kind", "code", "value", "percent", "points", "most", "score", "band")


def index(options: argparse.Namespace) -> int:
    """Compute an index and write it as a long table."""
    definition = _definition(options)
    if options.sensitivity and not definition.ranks:
        raise BadInput(
            f"{definition.id} does not rank cities", hint="Leave --sensitivity out.", where="--sensitivity"
        )
    if options.sensitivity > _MOST_RUNS:
        raise BadInput("These are too many runs", hint=f"{_MOST_RUNS} are the most.", where="--sensitivity")
    rows = values_in(options.values, columns_of(options.columns))
    every, notes = observations(definition, rows, _groups(definition, options.cities))
    results, spreads = [], []
    for seen in every:
        result = compute(definition, seen)
        notes += result.notes
        results.append(result)
        spreads.append(
            spread(definition, seen, options.sensitivity, options.seed) if options.sensitivity else None
        )
    lines = (row for one, wide in zip(results, spreads, strict=True) for row in table(one, wide))
    _write(options.out, as_csv(lines))
    _tell_results(definition, results, spreads)
    if options.leave_one_out:
        _tell_without(definition, every)
    _tell_notes(notes)
    if options.out is not None:
        print(f"Wrote {options.out}.")
    return 0


def score(options: argparse.Namespace) -> int:
    """Score values by a framework and say what was left out."""
    framework = _framework(options)
    if framework.manifest.scoring != "points":
        raise BadInput(
            f"{framework.id} gives no points", hint="Compute an index of it: cityloom index compute."
        )
    cards = scorecards(framework, values_in(options.values, columns_of(options.columns)))
    if options.out is not None:
        _write(options.out, _cards_as_csv(cards))
    print(f"{_english(framework.manifest.title, framework.id)}, {framework.manifest.edition}")
    profile = framework.manifest.profile
    print(f"Targets: {_english(profile.title, profile.id)}. {_english(profile.status)}")
    _tell_caution(framework.manifest.caution)
    for card in cards:
        _tell_card(card)
    if options.out is not None:
        print(f"Wrote {options.out}.")
    return 0


def columns_of(said: Iterable[str]) -> dict[str, str]:
    """--column city=REF_AREA as a mapping. Raises BadInput."""
    found = {}
    for one in said:
        known, equals, column = one.partition("=")
        if not equals or not column:
            hint = "Write --column city=REF_AREA."
            raise BadInput(f"{one!r} names no column", hint=hint, where="--column")
        if known not in KNOWN:
            raise BadInput(
                f"There is no {known!r} among values",
                hint=f"There are: {', '.join(KNOWN)}.",
                where="--column",
            )
        found[known] = column
    return found


def _definition(options: argparse.Namespace) -> Definition:
    """A file, or what a framework of that name brings along."""
    path = Path(options.definition)
    if path.suffix == ".toml" or path.exists():
        return read_definition(path)
    frameworks = {one.id: one.folder for one in _plugins(options) if one.kind == "frameworks"}
    there = sorted(name for name, folder in frameworks.items() if (folder / INDEX_FILE).exists())
    if options.definition not in there:
        raise BadInput(
            f"There is no definition {options.definition!r}",
            hint=f"Name a file, or one of: {', '.join(there) or 'none'}.",
        )
    return read_definition(frameworks[options.definition] / INDEX_FILE)


def _framework(options: argparse.Namespace) -> Framework:
    folders = {one.id: one.folder for one in _plugins(options) if one.kind == "frameworks"}
    if options.framework not in folders:
        raise BadInput(
            f"There is no framework {options.framework!r}", hint=f"There are: {', '.join(folders)}."
        )
    if options.benchmarks is not None and not options.benchmarks.exists():
        raise BadInput("There is no such table of targets", hint="Check the path.", where="--benchmarks")
    return read_framework(folders[options.framework], benchmarks=options.benchmarks)


def _plugins(options: argparse.Namespace) -> list[Plugin]:
    folder = CityFolder(options.home or Path("city"))
    there = folder.configuration.exists()
    packages = read_configuration(folder.configuration).plugins if there else Configuration().plugins
    return find_plugins(packages, beside=folder.home)


def _groups(definition: Definition, path: Path | None) -> dict[str, str] | None:
    column = definition.steps.impute_by
    if not column:
        return None
    if path is None:
        raise BadInput(
            f"The definition fills gaps by {column!r}",
            hint=f"Give a table with the columns city and {column}: --cities CITIES.csv.",
        )
    try:
        raw = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The table of cities cannot be read: {error}", hint="Check it.", where=str(path)
        ) from None
    return city_groups(raw, column, path.name)


def _write(path: Path | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"The result cannot be written: {error.strerror}", hint="Check the path.", where=str(path)
        ) from None


def _say(words: str = "") -> None:
    """Standard output may be the table itself."""
    print(words, file=sys.stderr)


def _tell_caution(caution: Mapping[str, str]) -> None:
    if caution:
        print(f"Caution: {_english(caution)}")


def _tell_results(definition: Definition, results: list[Result], spreads: list[Spread | None]) -> None:
    _say(f"{_english(definition.title, definition.id)}, version {definition.version}")
    if definition.caution:
        _say(f"Caution: {_english(definition.caution)}")
    for result, wide in zip(results, spreads, strict=True):
        scored = int((~np.isnan(result.index)).sum())
        _say(f"{result.period or 'no period'}: {scored} of {len(result.cities)} cities have a score")
        if wide is not None:
            _say(
                f"  {wide.runs} other choices of scale, mean, gaps and weights (by 25 % at most): "
                f"a city's rank moves by {wide.shift:.1f} places in the mean"
            )


def _tell_without(definition: Definition, every: list[Observations]) -> None:
    for seen in every:
        _say(f"{seen.period}: without one indicator, the ranks move by (mean)")
        for one in leave_one_out(definition, seen)[:_SHOWN]:
            moved = (
                f"; most: {one.city}, {one.before} to {one.after}" if one.city and definition.ranks else ""
            )
            _say(f"  {one.code}: {one.shift:.2f} places{moved}")


def _tell_notes(notes: list[Note]) -> None:
    """What was left out or changed, by reason."""
    if not notes:
        _say("Nothing was left out.")
    ordered = sorted(notes, key=lambda one: one.said.partition(":")[0])
    for reason, group in groupby(ordered, key=lambda one: one.said.partition(":")[0]):
        every = list(group)
        _say(f"{reason}: {len(every)}")
        for one in every[:_SHOWN]:
            what = " ".join(filter(None, (one.period, one.city, one.code)))
            _say(f"  {what}" + (f": {one.said}" if one.said != reason else ""))
        if len(every) > _SHOWN:
            _say(f"  and {len(every) - _SHOWN} more")


def _tell_card(card: Scorecard) -> None:
    told = (
        f"{_percent(card.score.percent)}, band {_band(card.score.band)}" if card.score.scored else "no score"
    )
    print(f"\n{card.city}, {card.period or 'no period'}: {told}")
    print(f"  {card.reported} of {card.total} data points are reported, {card.score.scored} are scored")
    for group in card.groups:
        if group.score.scored:
            name = "  " * len(group.path) + group.path[-1]
            of = f"{group.score.points}/{4 * group.score.scored}"
            print(f"  {name:44s} {_percent(group.score.percent):>8s}  {of}")
    for finding in card.findings:
        points = ", ".join(f"{code}.{key}" if key else code for code, key in finding.points)
        print(f"  {finding.check.severity}: {_english(finding.check.message, finding.check.id)} ({points})")
    reasons: dict[str, list[LeftOut]] = {}
    for one in card.left_out:
        reasons.setdefault(one.why, []).append(one)
    for why, every in reasons.items():
        print("\n".join(_left_out_lines(why, every)))


def _left_out_lines(why: str, every: list[LeftOut]) -> list[str]:
    """A line for a few; for more their number, and a paragraph for those whose codes begin alike."""
    told = [one.what + (f" ({one.place})" if one.place else "") for one in every]
    if len(told) <= _SHOWN:
        return [f"  Left out, {why}: {', '.join(told)}"]
    groups: dict[str, list[str]] = {}
    for one in told:
        group, colon, rest = one.rpartition(":")
        groups.setdefault(group + colon, []).append(rest)
    lines = [f"  Left out, {why}: {len(told)}"]
    for group, codes in groups.items():
        text = ", ".join(codes)
        lines += textwrap.wrap(
            f"{group} {text}" if group else text,
            width=_WIDTH,
            initial_indent=" " * 4,
            subsequent_indent=" " * 6,
            break_long_words=False,
        )
    return lines


def _cards_as_csv(cards: list[Scorecard]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _SCORE_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for card in cards:
        start = {"city": card.city, "period": card.period}
        scores = [("framework", "", card.score)]
        scores += [("group", "/".join(group.path), group.score) for group in card.groups]
        for kind, code, one in scores:
            number = "" if one.percent is None else f"{one.percent:.12g}"
            row = {"kind": kind, "code": code, "points": one.points, "most": 4 * one.scored}
            writer.writerow(start | row | {"score": number, "band": _band(one.band)})
        for point in card.points:
            code = f"{point.point.code}.{point.point.key}" if point.point.key else point.point.code
            row = {"kind": "indicator", "code": code, "points": point.points, "most": 4}
            value = point.value if not isinstance(point.value, bool) else ("yes" if point.value else "no")
            writer.writerow(start | row | {"value": value, "percent": f"{point.percent:.12g}"})
    return text.getvalue()


def _english(texts: Mapping[str, str], otherwise: str = "") -> str:
    """A text in English, or in the first language it has."""
    return texts.get("en", next(iter(texts.values()), otherwise))


def _percent(number: float | None) -> str:
    return "no score" if number is None else f"{number:.2f} %"


def _band(band: int | None) -> str:
    return "" if band is None else _BANDS[band]
