"""Are acknowledged writes there after power cuts and kills? Prints a table, ends with 1 if any is lost.

    python benchmarks/durability.py [--cuts 3] [--kills 20] [--seed 1]

A power cut is the shutdown of an ext4 file system in a file (needs root and a loop device); see
tests/faults/harness.py. The last rows put in bugs on purpose: the procedure must find them.
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


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cuts", type=int, default=3, help="power cuts (default 3)")
    options.add_argument("--kills", type=int, default=20, help="kill -9 (default 20)")
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


def row(label: str, *cells: object) -> None:
    print(f"{label:<40}" + "".join(f"{cell!s:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
