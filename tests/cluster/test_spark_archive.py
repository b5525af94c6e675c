"""Spark gives, over the archive, what the city gives: on a cluster of two workers."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.spark.archive import SparkArchive
from cityloom.history.model import EntityNews, NewReading, ValueKind, Window
from cityloom.history.pools import Holding, pooled
from cityloom.history.retention import Due
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import ChangeKind

GUIDE = Path(__file__).parents[2] / "docs/guides/ask_years_of_readings.md"
pytestmark = pytest.mark.cluster
START, MINUTE = 1_709_251_200_000, 60_000
HOUR = 60 * MINUTE
HOURS = START + HOUR * np.arange(49, dtype=np.int64)
UNEVEN = HOURS[[0, 5, 24, 47]]
CLOSE = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A city's history with an archive, and the archive on a cluster, asked by whoever sees the internal."""
    if shutil.which("java") is None or not all(map(importlib.util.find_spec, ("pyspark", "pandas", "ibis"))):
        pytest.skip("amber: there is no Java, or the extra `spark` is not installed")
    folder = tmp_path_factory.mktemp("city")
    city = DuckHistory(folder / "history.duckdb", folder / "exports")
    random = np.random.default_rng(7)
    for number in range(1, 121):
        entity = f"urn:{'abcd'[number % 4]}"
        at = START + int(random.integers(0, 48 * 60)) * MINUTE
        text = number % 11 == 0
        reading = NewReading(
            *("x", "", "Property", "CEL" if number % 3 else "FAH", at),
            ValueKind.TEXT if text else ValueKind.NUMBER,
            None if text else float(random.normal(10, 5)),
            "?" if text else None,
        )
        secrecy = InformationClass.SECURITY if entity == "urn:d" else InformationClass.OPEN
        city.record(
            [EntityNews(number, "", entity, ("Weather",), ChangeKind.UPDATED, secrecy, at, (reading,))],
            number,
        )
    for secrecy in (InformationClass.OPEN, InformationClass.SECURITY):
        series = np.array([one.id for one in city.series("") if one.information_class == secrecy], np.int64)
        city.retire([Due("Weather", secrecy, series, START + 90 * 24 * HOUR, archive=True)])
    # What a class above the asker's holds cannot even be opened.
    for file in (folder / "archive").glob("class=security/**/*.parquet"):
        file.write_bytes(b"to open it would fail")
    spark = SparkArchive(
        "local-cluster[2,1,1024]",
        folder / "archive",
        {InformationClass.OPEN, InformationClass.INTERNAL},
        {"spark.sql.shuffle.partitions": "2", "spark.sql.adaptive.enabled": "false"},
    )
    with pytest.MonkeyPatch.context() as patch:
        # Its machines speak over loopback alone.
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        yield city, spark, folder
        spark.close()
    city.close()


def _pool(series):
    return pooled(series, Window(series.id, int(HOURS[0]), int(HOURS[-1])), "CEL").pool


def _told(found):
    places = zip(found.id, found.group, found.what, found.standing, strict=True)
    return {
        (number, found.entity_ids[group], found.whats[what], found.standings[standing])
        for number, group, what, standing in places
    }


def _same(one, other):
    for name, wanted, found in zip(one._fields, one, other, strict=True):
        if name == "gaps":
            assert wanted == found
        else:
            np.testing.assert_allclose(found, wanted, err_msg=name, **CLOSE)


def test_a_cluster_gives_the_answers_of_the_city(both):
    city, spark, _ = both
    series = city.grouped("", entity_ids=["urn:a", "urn:b", "urn:c"], attributes=["x"])
    # Whoever has the archive alone finds the same series there, and nothing of those that are secret.
    assert _told(spark.grouped(types=["Weather"], attributes=["x"])) == _told(series)
    pool = _pool(series)
    chosen = np.arange(48) % 5 != 0
    held = Holding(int(HOURS[-1]), 2 * HOUR, np.array([1.0, np.nan, 2.0])[: pool.groups], above=4.0)
    since = int(HOURS[0]) - HOUR
    _same(city.cells(pool, HOURS, medians=True), spark.cells(pool, HOURS, medians=True))
    _same(
        city.cells(pool, HOURS, chosen=chosen, above=8.0), spark.cells(pool, HOURS, chosen=chosen, above=8.0)
    )
    _same(city.cells(pool, UNEVEN), spark.cells(pool, UNEVEN))
    _same(city.held(pool, held), spark.held(pool, held))
    _same(city.presence(pool, HOURS), spark.presence(pool, HOURS))
    for one, other in zip(
        city.time_weighted(pool.window.series, UNEVEN, since=since, hold=3 * HOUR),
        spark.time_weighted(pool.window.series, UNEVEN, since=since, hold=3 * HOUR),
        strict=True,
    ):
        np.testing.assert_allclose(other, one, **CLOSE)
    assert city.cells(pool, HOURS).cells.sum() > 50


def test_the_cluster_of_the_guide_answers(both, monkeypatch):
    city, _, folder = both
    monkeypatch.chdir(folder)
    _, code = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    said = {}
    exec(code.replace("spark://cluster:7077", "local-cluster[2,1,1024]"), said)
    pool = _pool(city.grouped("", entity_ids=["urn:a", "urn:b", "urn:c"], attributes=["x"]))
    wanted = city.cells(pool, said["edges"], medians=True)
    np.testing.assert_allclose(np.sort(said["means"].median), np.sort(wanted.median), **CLOSE)
    assert said["means"].cells.sum() == 3
