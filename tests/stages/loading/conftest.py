"""A city with a real history in a folder."""

import pytest

from loading_city import LoadedCity


@pytest.fixture
def city(tmp_path):
    opened = LoadedCity(tmp_path)
    yield opened
    opened.close()
