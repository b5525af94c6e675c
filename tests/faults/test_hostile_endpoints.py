"""Half of those who subscribed hang, drip, redirect, send bombs or reset: the others hear of everything, and
so do those, once they are well again. At least once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from endpoints import Watched, listening

from running_city import RunningCity

pytestmark = pytest.mark.faults

CONFIGURATION = 'name = "Notby"\nframeworks = []\n[outbound]\ninside = true\n'
ENDPOINTS, ENTITIES, TURNS = 36, 3, 8
PATIENCE = 90


async def test_hostile_endpoints_keep_nothing_from_others_and_lose_nothing_themselves(tmp_path: Path):
    home = tmp_path / "city"
    home.mkdir()
    (home / "city.toml").write_text(CONFIGURATION)
    city = RunningCity(home, "up", "--open-access")
    try:
        async with listening(ENDPOINTS) as endpoints, Watched(city.address, ENTITIES) as watched:
            await watched.subscribe(endpoints)
            endpoints.turn_hostile()
            for _ in range(TURNS):
                for number in range(ENTITIES):
                    await watched.change(number)
            well = [number for number, mode in enumerate(endpoints.modes) if mode == "well"]
            assert await watched.all_told(endpoints, 20, well) == {}, "a healthy one waits for others"
            assert len(watched.missing(endpoints)) == ENDPOINTS - len(well)
            endpoints.turn_well()
            assert await watched.all_told(endpoints, PATIENCE) == {}
            assert all(endpoints.is_in_order(number) for number in range(ENDPOINTS))
            assert endpoints.led_astray == 0
    finally:
        assert city.stop() == 0
    assert "Traceback" not in city.said, city.said[-3000:]
