"""`cityloom plan verify`: whether a file is a version of a plan as it was adopted. No city has to run."""

from __future__ import annotations

import argparse
from pathlib import Path

from cityloom.kernel.errors import BadInput
from cityloom.planning.masterplan.versions import LARGEST, Verified, verify


def plan(options: argparse.Namespace) -> int:
    """Verify a file; print what it is. Raises BadInput when it was changed, or is none."""
    said = verify(_read(options.file), digest=options.digest)
    print("\n".join(_told(said)))
    if not options.digest:
        print("Hold the digest against the one that the city or the minutes of the council give.")
    return 0


def _told(said: Verified) -> list[str]:
    decision = ", ".join(said.decision[name] for name in ("body", "name", "votes") if said.decision.get(name))
    counts = ", ".join(f"{name} {count}" for name, count in said.counts.items())
    return [
        f"Version {said.number} of the plan of {said.city}, adopted on {said.adopted_on}: unchanged.",
        f"  Decision   {decision}",
        f"  Records    {counts}",
        f"  SHA-256    {said.digest}",
    ]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput("The file is too large", hint="Take the file of the version.", where=str(path))
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise BadInput(
            f"The file cannot be read: {reason}", hint="Look at its name.", where=str(path)
        ) from None
