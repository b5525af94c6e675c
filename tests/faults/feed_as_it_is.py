"""Prints, as JSON, what a city's files say after a fault: whether they are sound and the feed is in order.

python feed_as_it_is.py FOLDER
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import apsw
import orjson

from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.kernel.change import ChangeKind


def integrity(folder: Path) -> None:
    for path in sorted(folder.glob("*.db")):
        verdict = apsw.Connection(str(path)).pragma("integrity_check")
        assert verdict == "ok", f"{path.name}: {verdict}"


def order(folder: Path) -> dict:
    """Each Entity's counts rise from Change to Change, until it is deleted and begins anew."""
    feed = SqliteFeed(folder / "feed.db")
    kept = feed.read(0, 10**9)
    newest: dict[str, int] = {}
    disorder = []
    for change in kept:
        if change.kind is ChangeKind.DELETED:
            newest.pop(change.entity_id, None)
            continue
        count = orjson.loads(change.document)["attrs"].get("count", [{}])[0].get("value", 0)
        if count < newest.get(change.entity_id, 0):
            disorder.append(f"{change.entity_id}: {count} after {newest[change.entity_id]}")
        newest[change.entity_id] = count
    holes = sum(after.sequence - before.sequence - 1 for before, after in pairwise(kept))
    return {"holes": holes, "disorder": disorder, "last": feed.last_sequence()}


if __name__ == "__main__":
    integrity(Path(sys.argv[1]))
    json.dump(order(Path(sys.argv[1])), sys.stdout)
