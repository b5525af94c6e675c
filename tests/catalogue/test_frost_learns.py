"""The frost service learns from a city's own nights, and only what is better than what it ships."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cityloom.app.plugins import find_plugins
from cityloom.ngsild.model import entity
from cityloom.sdk import Matrix, World, night_minimum
from cityloom.services.plugin import CityService, load_service
from cityloom.services.world import View
from cityloom_catalogue.services.frost import service as frost

ZONE = ZoneInfo("Europe/Copenhagen")
AT = datetime(2026, 4, 12, 16, 0, tzinfo=UTC)
IDS = ("urn:ngsi-ld:WeatherObserved:1", "urn:ngsi-ld:WeatherObserved:2")


@pytest.fixture(scope="module")
def service() -> CityService:
    return next(
        load_service(plugin) for plugin in find_plugins(["cityloom_catalogue"]) if plugin.id == "frost"
    )


def past(service: CityService, days: int, *, warm_nights: bool) -> World:
    """Hourly weather up to AT in steps of ten minutes. In a valley of warm nights the air hardly cools."""
    random = np.random.default_rng(3)
    hours = days * 24
    begin = AT - timedelta(hours=hours - 1)
    clock = np.array([(begin + timedelta(hours=n)).astimezone(ZONE).hour for n in range(hours)])
    season = 8 - 8 * np.cos(2 * np.pi * (np.arange(hours) / 24 - 90) / 365.25)
    weather = season + np.repeat(random.normal(0, 2, days + 1), 24)[:hours]
    swing = 1.0 if warm_nights else 6.0
    temperature = weather + swing * np.cos(2 * np.pi * (clock - 15) / 24) + random.normal(0, 0.3, (2, hours))
    matrices = {}
    values = {
        "temperature": temperature,
        "relativeHumidity": np.full((2, hours), 75.0),
        "windSpeed": random.uniform(0, 5, (2, hours)),
        "atmosphericPressure": random.normal(1013, 8, (2, hours)),
        "dewPoint": np.full((2, hours), np.nan),
    }
    times = np.datetime64(begin.replace(tzinfo=None), "ms") + np.arange(hours * 6) * np.timedelta64(
        600_000, "ms"
    )
    for name, hourly in values.items():
        steps = np.full((2, hours * 6), np.nan)
        steps[:, ::6] = hourly
        matrices[(name, None)] = Matrix(IDS, times, steps)
    documents = {entity_id: entity("WeatherObserved", entity_id, {}) for entity_id in IDS}
    assert service.shipped is not None
    return World(
        service.manifest,
        {"stations": View(documents, matrices)},
        settings={},
        zone=ZONE,
        messages=service.messages,
        parameters=service.shipped.arrays,
    )


def test_train_takes_over_where_the_city_is_other_than_what_is_shipped(service):
    world = past(service, 150, warm_nights=True)
    learned = frost.train(world, AT)
    assert learned is not None
    assert learned["season_known"].tolist() == [0.0]
    series, times = frost.measured(world)
    nights = [frost.night_of_day(world, day) for day in frost.days_within(world, times)]
    features, minima = frost.rows(series, times, nights)
    features = frost.seasonal(features, known=False)
    shipped = frost.mean_error(frost.model_of(world.parameters), features, minima)
    own = frost.mean_error(frost.model_of(learned), features, minima)
    assert own < 0.8 * shipped


def test_train_knows_the_season_after_a_year(service):
    learned = frost.train(past(service, 390, warm_nights=True), AT)
    assert learned is not None
    assert learned["season_known"].tolist() == [1.0]


def test_train_leaves_the_shipped_parameters_while_they_are_as_good(service, monkeypatch):
    world = past(service, 150, warm_nights=True)
    learned = frost.train(world, AT)
    assert learned is not None
    # The very parameters of this city, shipped: nothing can be won.
    monkeypatch.setattr(world, "_parameters", learned)
    assert frost.train(world, AT) is None


def test_train_says_nothing_of_too_few_nights(service):
    assert frost.train(past(service, 25, warm_nights=True), AT) is None


def test_rows_are_the_same_for_learning_and_for_deciding(service):
    world = past(service, 40, warm_nights=False)
    series, times = frost.measured(world)
    tonight = frost.night_of(world, AT)
    features, minima = frost.rows(series, times, [tonight])
    assert np.isnan(minima).all()
    assert np.isfinite(features).all()
    yesterday = frost.night_of_day(world, tonight.day - timedelta(days=1))
    _, before = frost.rows(series, times, [yesterday])
    assert features[:, 5].tolist() == before.tolist()
    assert len(night_minimum.FEATURES) == features.shape[1]
