"""The guide to years of readings does what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.history.model import PastColumn, SeriesKey, ValueKind
from cityloom.history.retention import Due
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.time import to_millis

GUIDE = (Path(__file__).parents[2] / "docs/guides/ask_years_of_readings.md").read_text(encoding="utf-8")
MARCH = to_millis(datetime(2024, 3, 1, tzinfo=UTC))
DAY = 86_400_000


def _archive(folder):
    """Daily readings of spring: 0, 1, 2, ... of what is open, and one of what is not."""
    store = DuckHistory(folder / "history.duckdb", folder / "exports")
    at = MARCH + DAY * np.arange(61, dtype=np.int64)
    for secrecy in (InformationClass.OPEN, InformationClass.SECURITY):
        key = SeriesKey("", f"urn:{secrecy.name}", "x", "", "Property", "CEL")
        store.load([PastColumn(key, ("Weather",), secrecy, at, np.arange(61, dtype=float), ValueKind.NUMBER)])
        number = next(one.id for one in store.series("") if one.information_class == secrecy)
        due = Due("Weather", secrecy, np.array([number]), MARCH + 61 * DAY, archive=True)
        while store.retire([due]) is not None:
            pass
    store.close()


def test_the_question_of_the_guide_is_answered(tmp_path, monkeypatch):
    pytest.importorskip("ibis", reason="amber: the extra `analytics` is not installed")
    _archive(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _ = re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S)
    said: dict[str, object] = {}
    exec(code, said)
    assert said["answer"] == [("2024-03", 31, 15.0, 30.0), ("2024-04", 30, 45.5, 60.0)]
