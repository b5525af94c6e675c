"""Are acknowledged writes there after power cuts and kills? Prints a table, ends with 1 if any is lost.

    python benchmarks/durability.py [--cuts 3] [--kills 20] [--city-cuts 5] [--city-kills 5] [--seed 1]

A power cut is the shutdown of an ext4 file system in a file (needs root and a loop device); see
tests/faults/harness.py. The first rows are about the store alone, under as many writes as it takes; those
of "a city" about the whole process, to which clients write over HTTP and MQTT in every way there is
(tests/faults/mixed_load.py), and which goes through all cuts one after the other. Rows "bug put in" break
it on purpose: the procedure must find that.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))

from harness import Outcome, kill, power_cut, why_no_power_cuts
from mixed_load import Ledger, Load
from planted import BUGS
from whole_city import City, Trial, cut_under_load, is_found, kill_under_load, on_a_disk


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cuts", type=int, default=3, help="power cuts (default 3)")
    options.add_argument("--kills", type=int, default=20, help="kill -9 (default 20)")
    options.add_argument("--city-cuts", type=int, default=5, help="power cuts of a city (default 5)")
    options.add_argument("--city-kills", type=int, default=5, help="kill -9 of a city (default 5)")
    options.add_argument("--seed", type=int, default=1, help="seed of the moments (default 1)")
    given = options.parse_args()
    chance = random.Random(given.seed)

    row("", "times", "acknowledged", "lost", "holes", "slowest recovery")
    lost = 0
    found = True
    with tempfile.TemporaryDirectory(prefix="cityloom-durability-") as name:
        folder = Path(name)
        if reason := why_no_power_cuts():
            print(reason)
        else:
            lost += report("power cut", given.cuts, folders(folder / "cut", chance))
            for plant, label in (("hasty", "acknowledges before commit"), ("unflushed", "does not flush")):
                found = (
                    bool(report(f"bug put in: {label}", 3, folders(folder / plant, chance, plant))) and found
                )
        killed = folder / "kills"
        killed.mkdir()
        lost += report("kill -9", given.kills, lambda: kill(killed, chance))
        if not why_no_power_cuts():
            lost += cuts_of_a_city(folder, given.city_cuts, chance)
            found = bugs_are_found(folder, chance) and found
        lost += kills_of_a_city(folder, given.city_kills, chance)
    if not found:
        print("A bug put in was not found: the procedure proves nothing here.")
    return 1 if lost or not found else 0


def folders(parent: Path, chance: random.Random, plant: str = "") -> Callable[[], Outcome]:
    """A power cut, each time in a folder of its own."""

    def cut() -> Outcome:
        parent.mkdir(exist_ok=True)
        return power_cut(Path(tempfile.mkdtemp(dir=parent)), chance, plant)

    return cut


def report(label: str, times: int, once: Callable[[], Outcome]) -> int:
    """Run and print one line; returns the number of acknowledged writes that were lost."""
    outcomes = [once() for _ in range(times)]
    lost = sum(outcome.lost for outcome in outcomes)
    acknowledged = sum(outcome.acknowledged for outcome in outcomes)
    holes = sum(outcome.holes for outcome in outcomes)
    slowest = max((outcome.recovery for outcome in outcomes), default=0.0)
    row(label, times, acknowledged, lost, holes, f"{slowest:.2f} s")
    return lost + holes


def cuts_of_a_city(folder: Path, times: int, chance: random.Random) -> int:
    if not times:
        return 0
    (folder / "city-cuts").mkdir()
    with on_a_disk(folder / "city-cuts") as (disk, city):
        city.start()
        load = Load(Ledger())
        return told_of_a_city(
            "power cut of a city", [cut_under_load(disk, city, load, chance) for _ in range(times)]
        )


def kills_of_a_city(folder: Path, times: int, chance: random.Random) -> int:
    if not times:
        return 0
    city = City(folder / "city-kills", folder / "log")
    city.lay_out()
    city.start()
    load = Load(Ledger())
    try:
        return told_of_a_city(
            "kill -9 of a city", [kill_under_load(city, load, chance) for _ in range(times)]
        )
    finally:
        city.kill()


def bugs_are_found(folder: Path, chance: random.Random) -> bool:
    """Whether each bug that is put into a city is found by one of three power cuts."""
    all_found = True
    for bug in BUGS:
        places = [folder / f"{bug}-{number}" for number in range(3)]
        for place in places:
            place.mkdir()
        tries = next((n for n, place in enumerate(places, 1) if is_found(place, bug, chance)), 0)
        row(f"bug put into a city: {bug}", tries or len(places), "", "found" if tries else "NOT FOUND")
        all_found = all_found and tries > 0
    return all_found


def told_of_a_city(label: str, trials: list[Trial]) -> int:
    """Print a line, and one for each way of writing; returns how much is wrong."""
    wrong = [fault for trial in trials for fault in (*trial.lost, *trial.disorder, *trial.refusals)]
    holes = sum(trial.holes for trial in trials)
    slowest = max(trial.recovery for trial in trials)
    acknowledged = sum(trial.acknowledged for trial in trials)
    row(label, len(trials), acknowledged, len(wrong), holes, f"{slowest:.2f} s")
    for way in sorted({way for trial in trials for way in trial.told}):
        row(f"    {way}", "", sum(trial.told.get(way, 0) for trial in trials))
    for fault in wrong[:20]:
        print(f"    {fault}")
    return len(wrong) + holes


def row(label: str, *cells: object) -> None:
    print(f"{label:<40}" + "".join(f"{cell!s:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
