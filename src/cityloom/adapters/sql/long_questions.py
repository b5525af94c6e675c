"""The questions over many series (`history.long_questions`) as text, made of their expressions beforehand.

    python -m cityloom.adapters.sql.long_questions

writes the texts anew, which needs Ibis; to ask them does not. In the texts the bounds of a question
stand as {first}, {hold} and so on; only whole numbers and floats are ever put there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from cityloom.history.pools import MOST_GAPS

DIALECTS = ("duckdb", "postgres")
_WHOLE = ("first", "step", "since", "before", "until", "start", "end", "hold")
_FLOATS = ("above", "below")
#: Stand in an expression for what is known with the question.
_STANDS_FOR = {name: 7_000_000_000_000_000_000 + place for place, name in enumerate(_WHOLE)} | {
    name: (7 + place) * 1e300 for place, name in enumerate(_FLOATS)
}
_HEAD = "-- question: "


def question(dialect: str, name: str, **bounds: int | float | None) -> str:
    """A question in the words of an engine; None is NULL."""

    def told(found: re.Match[str]) -> str:
        bound = bounds[found[1]]
        if found[1] in _WHOLE:
            assert bound is not None, found[1]
            return str(int(bound))
        return f"CAST({'NULL' if bound is None else repr(str(float(bound)))} AS DOUBLE PRECISION)"

    return re.sub(r"\{(\w+)\}", told, _texts(dialect)[name])


@cache
def _texts(dialect: str) -> Mapping[str, str]:
    file = resources.files("cityloom.adapters.sql") / "questions" / f"{dialect}.sql"
    parts = file.read_text().split(_HEAD)[1:]
    return {name: text.strip() for name, _, text in (part.partition("\n") for part in parts)}


def text_of(dialect: str) -> str:
    """The file of a dialect, as Ibis compiles it now."""
    import ibis

    parts = ["-- Made of history/long_questions.py by python -m cityloom.adapters.sql.long_questions\n"]
    for name, expression in _expressions().items():
        text = str(ibis.to_sql(expression, dialect=dialect))
        for bound, stands_for in _STANDS_FOR.items():
            text = text.replace(str(stands_for), f"{{{bound}}}")
        parts.append(f"{_HEAD}{name}\n{text}\n")
    return "\n".join(parts)


def _expressions() -> dict[str, Any]:
    import ibis

    from cityloom.history import long_questions as ask

    tables = ask.Tables()
    whole = {name: ibis.literal(_STANDS_FOR[name], "int64") for name in _WHOLE}
    above, below = (ibis.literal(_STANDS_FOR[name], "float64") for name in _FLOATS)
    first, step = whole["first"], whole["step"]
    asked = {
        "held": ask.held(
            tables, whole["since"], whole["before"], whole["until"], whole["hold"], above, below
        ),
        "time_weighted": ask.time_weighted(tables, whole["start"], whole["end"], first, step, whole["hold"]),
    }
    for rolled in (False, True):
        of = "_rolled" if rolled else ""
        for single in (True, False):
            found = ask.cells(tables, first, step, above, single=single, rolled=rolled)
            groups = "single" if single else "several"
            asked[f"sums_{groups}{of}"] = ask.sums(found)
            asked[f"medians_{groups}{of}"] = ask.medians(found)
        asked[f"presence{of}"] = ask.presence(tables, first, step, MOST_GAPS, rolled=rolled)
    return asked


def write_texts() -> None:
    """Write the texts anew."""
    folder = Path(__file__).parent / "questions"
    folder.mkdir(exist_ok=True)
    for dialect in DIALECTS:
        (folder / f"{dialect}.sql").write_text(text_of(dialect))


if __name__ == "__main__":
    write_texts()
