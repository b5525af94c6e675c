"""The worked examples that U4SSC prints in its reports, from entered values to the score of a category."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import cityloom_catalogue
from cityloom.indicators.framework import read_framework
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import ANONYMOUS

U4SSC = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks/u4ssc"
YEAR = {"since": datetime(2013, 1, 1, tzinfo=UTC), "until": datetime(2014, 1, 1, tzinfo=UTC)}
#: The indicators of education and their targets: percent, percent, per 100,000 inhabitants, percent.
TARGETS = {"ED:1C": 100.0, "ED:2C": 100.0, "ED:3C": 40_000.0, "ED:4C": 100.0}
#: A share of the target that earns these points.
EARNING = {1: 0.2, 2: 0.5, 3: 0.8, 4: 1.0}


@pytest.mark.parametrize(
    ("points", "percent", "band"), [([1, 3, 4, 1], 56.25, 2), ([3, 4, 2, None], 75.0, 3)]
)
async def test_education_scores_as_in_the_verification_reports(city, planner, points, percent, band):
    framework = read_framework(U4SSC)
    room = city.indicators(framework)
    await room.publish()
    for (code, target), earned in zip(TARGETS.items(), points, strict=True):
        if earned is not None:
            (point_id,) = room.find("u4ssc", f"SC:EH:{code}")
            await room.enter(planner, point_id, Entry(**YEAR, value=target * EARNING[earned], source="x"))
    report = room.report(ANONYMOUS, "u4ssc")
    told = {one.code: one.points for one in report.indicators if one.code.startswith("SC:EH:ED")}
    assert list(told.values()) == points
    groups = [three for one in report.groups for two in one.groups for three in two.groups]
    (education,) = [one for one in groups if one.group.path[-1] == "Education"]
    assert (education.score.percent, education.score.band) == (percent, band)
    assert (education.reported, education.total) == (len(points) - points.count(None), 4)


def test_every_data_point_tells_its_unit():
    framework = read_framework(U4SSC)
    assert [point.id for _, point in framework.points() if not point.unit] == []
