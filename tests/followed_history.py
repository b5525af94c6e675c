"""History that other processes remember, while it is written to: what was acknowledged, how long each
partition stood still, and what the database has in the end."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict

import httpx2
import psycopg

from running_city import RunningCity
from stage_process import StageProcess
from standing_by import eventually

THINGS = 40
PARTITIONS = 8
#: Seconds for which nothing of a partition may be remembered while it is written to. On a machine that has
#: nothing else to do it is less than ten: docs/guides/run_at_scale.md.
LONGEST_GAP_S = 60.0


class Writing:
    """Writes to all Things in turn, and keeps what was acknowledged: (Thing, value). What was not, it sends
    again."""

    def __init__(self, city: RunningCity) -> None:
        self._web = httpx2.Client(base_url=city.address, timeout=60, headers=city.as_terminal)
        self.acknowledged: set[tuple[str, int]] = set()
        self.longest_s = 0.0
        #: What the city should never have answered.
        self.wrong: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self.wrong == []

    def _write(self) -> None:
        before = time.monotonic()
        for value in itertools.count(1):
            batch = [thing(number, value) for number in range(THINGS)]
            while not self._sent(batch):
                if self._ended.wait(0.05):
                    return
            self.acknowledged |= {(one["id"], value) for one in batch}
            self.longest_s = max(self.longest_s, time.monotonic() - before)
            before = time.monotonic()
            if self._ended.wait(0.05):
                return

    def _sent(self, batch: list[dict]) -> bool:
        answer = self._web.post("/ngsi-ld/v1/entityOperations/upsert", json=batch)
        if answer.status_code not in (200, 201, 204, 503):
            self.wrong.append(answer.text)
        return answer.status_code in (200, 201, 204)


def thing(number: int, value: int) -> dict:
    return {
        "id": f"urn:ngsi-ld:Thing:{number}",
        "type": "Thing",
        "count": {"type": "Property", "value": value, "observedAt": moment(value)},
    }


def moment(value: int) -> str:
    return f"2026-01-01T{value // 3600:02d}:{value // 60 % 60:02d}:{value % 60:02d}Z"


#: Of those that followers remember.
_CURSORS = "SELECT partition, last FROM history_part WHERE partition >= 0"


class Watching:
    """How long each partition stood still, while all are written to."""

    def __init__(self, url: str, schema: str) -> None:
        self._url, self._schema = url, schema
        #: What is being done to whom, and the longest pause of any partition meanwhile.
        self.doing = "nothing"
        self.longest: dict[str, float] = defaultdict(float)
        #: By partition, how often its cursor was seen to move.
        self.moves: dict[int, int] = defaultdict(int)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        self._ended.set()
        self._thread.join(30)
        return max(self.longest.values())

    def all_go_on(self) -> None:
        """Wait until each partition was remembered further, twice: one commit may have been on its way."""
        begun = dict(self.moves)
        eventually(lambda: all(self.moves.get(one, 0) >= begun.get(one, 0) + 2 for one in range(PARTITIONS)))

    def _watch(self) -> None:
        moved: dict[int, tuple[int, float]] = {}
        while not self._ended.is_set():
            try:
                self._look(moved)
            except psycopg.OperationalError:
                self._ended.wait(0.1)

    def _look(self, moved: dict[int, tuple[int, float]]) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (self._schema,))
            while not self._ended.wait(0.1):
                now = time.monotonic()
                for partition, last in connection.execute(_CURSORS):
                    before, at = moved.get(partition, (last, now))
                    self.longest[self.doing] = max(self.longest[self.doing], now - at)
                    if last != before or partition not in moved:
                        moved[partition] = (last, now)
                        self.moves[partition] += 1


def remembered(url: str, schema: str) -> list[tuple[str, int, int]]:
    """Thing, value and transaction of each reading, in the order of the feed."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (schema,))
        rows = connection.execute(
            "SELECT entity_id, number::bigint, reading.xmin::text::bigint FROM reading"
            " JOIN series ON series.id = reading.series WHERE attribute = 'count' ORDER BY sequence"
        )
        return list(rows)


def caught_up(city: RunningCity) -> None:
    """Wait until history tells what the state tells; a temporal question waits for that by itself."""
    question = "/ngsi-ld/v1/temporal/entities/urn:ngsi-ld:Thing:1?lastN=1"
    eventually(lambda: city.web.get(question, headers=city.as_terminal).status_code == 200, patience=120)


def check(found: list[tuple[str, int, int]], acknowledged: set[tuple[str, int]]) -> None:
    kept = [(name, value) for name, value, _ in found]
    assert len(kept) == len(set(kept)), "a reading was remembered twice"
    assert acknowledged <= set(kept), f"{len(acknowledged - set(kept))} acknowledged readings are lost"
    by_thing = defaultdict(list)
    for name, value, transaction in found:
        by_thing[name].append((value, transaction))
    for name, rows in by_thing.items():
        assert [value for value, _ in rows] == sorted(value for value, _ in rows), name
        transactions = [one for _, one in rows]
        assert transactions == sorted(transactions), f"{name} was remembered out of order"


def all_are_followed_by(*followers: StageProcess) -> bool:
    """Whether each has a share, and every partition is somebody's."""
    shares = [one.health()["partitions"] for one in followers]
    return all(shares) and {part for share in shares for part in share} == set(range(PARTITIONS))


def told(what: str, writing: Writing, watching: Watching, found: list[tuple[str, int, int]]) -> None:
    """Print the figures, and check the longest gaps."""
    gap = watching.end()
    print(
        f"\n{what}: {len(writing.acknowledged)} readings acknowledged, {len(found)} remembered, none lost or"
        f" twice; longest time without any of a partition {gap:.1f} s, between two acknowledgements"
        f" {writing.longest_s:.1f} s"
    )
    for doing, longest in watching.longest.items():
        print(f"  {doing:20s} {longest:4.1f} s")
    assert gap <= LONGEST_GAP_S
    assert writing.longest_s <= LONGEST_GAP_S
