"""`cityloom doctor`: gathers the findings and tells them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cityloom import __version__
from cityloom.app.asking import ask_running_city
from cityloom.app.backup.last import backup_findings
from cityloom.app.configuration import Configuration
from cityloom.app.doctor.folder import (
    certificate_findings,
    clock_findings,
    disk_findings,
    exposure_findings,
    read_findings,
    rights_findings,
)
from cityloom.app.doctor.process import host_of, is_running, stopped_findings
from cityloom.app.folder import CityFolder
from cityloom.app.watch.growth import grown, read_samples
from cityloom.kernel.errors import CityError
from cityloom.kernel.findings import KINDS, Finding, found


def doctor(options: argparse.Namespace) -> int:
    """Tell what is wrong; 0: nothing, 1: warnings alone, 2: something bad."""
    folder = CityFolder(options.home or Path("city"))
    runs = is_running(folder)
    findings = sorted(_findings(folder, options, runs=runs), key=lambda one: one.level)
    if options.json:
        print(_as_json(folder, findings, runs=runs))
    else:
        print(_as_text(folder, findings, runs=runs))
    return 2 if any(one.level == "bad" for one in findings) else 1 if findings else 0


def _findings(folder: CityFolder, options: argparse.Namespace, *, runs: bool) -> Iterator[Finding]:
    configuration, wrong = read_findings(folder)
    # A city for trials runs without a file.
    yield from (one for one in wrong if not (runs and one.id == "no-city"))
    if not folder.home.is_dir():
        return
    yield from rights_findings(folder)
    yield from clock_findings(folder)
    yield from certificate_findings(configuration)
    yield from exposure_findings(configuration, host_of(folder) if runs else options.host)
    if runs:
        told = list(_told_by_the_city(folder))
        yield from told
        if any(one.id == "does-not-answer" for one in told):
            yield from _storage_findings(configuration)
        return
    yield from backup_findings(folder, configuration.backup.remind_after_days)
    yield from disk_findings(folder.home, grown(read_samples(folder.growth)))
    yield from stopped_findings(
        folder,
        host=options.host,
        port=options.port,
        mqtt_port=options.mqtt_port,
        mqtt_host=configuration.mqtt.host,
    )
    from cityloom.app.doctor.databases import database_findings  # brings the databases along

    yield from database_findings(folder)
    yield from _storage_findings(configuration)


def _storage_findings(configuration: Configuration) -> Iterator[Finding]:
    """What keeps a city from its database; nothing of one that lives in its folder."""
    from cityloom.app.storage import unfit

    yield from (found("database-away", error.message, error.where or "") for error in unfit(configuration))


def _told_by_the_city(folder: CityFolder) -> Iterator[Finding]:
    """What the running city finds wrong with itself."""
    try:
        told: dict[str, Any] = ask_running_city(folder, "/system.json")
    except CityError as error:
        yield found("does-not-answer", error.message, error.where or "")
        return
    for one in told.get("findings", ()):
        finding = msgspec.convert(one, Finding)
        if finding.id in KINDS:
            yield finding


def _as_json(folder: CityFolder, findings: Sequence[Finding], *, runs: bool) -> str:
    said = {
        "folder": str(folder.home.resolve()),
        "version": __version__,
        "running": runs,
        "findings": [msgspec.to_builtins(one) for one in findings],
    }
    return json.dumps(said, indent=2, ensure_ascii=False)


def _as_text(folder: CityFolder, findings: Sequence[Finding], *, runs: bool) -> str:
    lines = [f"{folder.home}: the city {'runs' if runs else 'does not run'}; CityLoom {__version__}"]
    for one in findings:
        place = f" ({one.where})" if one.where else ""
        lines += ["", f"{one.level.upper():8s}{one.id}: {one.what}{place}", f"        {one.why}"]
        lines.append(f"        {one.remedy}")
    bad = sum(one.level == "bad" for one in findings)
    told = f"{bad} bad, {len(findings) - bad} warnings" if findings else "Nothing is wrong"
    return "\n".join([*lines, "", f"{told}."])
