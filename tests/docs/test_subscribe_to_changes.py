"""The guide to subscriptions does what it says."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from cityloom.ngsild.parse import parse_entity
from cityloom.ngsild.subscription import represent_subscription
from cityloom.ngsild.subscription_reading import parse_subscription, patch_subscription
from loopback_servers import serving, well
from subscribing import OWNER, bounds, town  # noqa: F401 - fixtures

GUIDE = (Path(__file__).parents[2] / "docs/guides/subscribe_to_changes.md").read_text(encoding="utf-8")


def bodies(language: str) -> list[dict]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.M | re.S)
    found = [block.partition("\n\n")[2] if language == "http" else block for block in blocks]
    return [json.loads(body) for body in found if body.strip()]


async def test_what_the_guide_subscribes_to_is_told_as_it_says(town):  # noqa: F811 - the fixture
    subscription, road, pause = bodies("http")
    (told,) = bodies("json")
    async with serving(well()) as (address, asked):
        subscription["notification"]["endpoint"]["uri"] = address
        subscriptions = town.subscriptions
        wanted = parse_subscription(subscription, id="", now=subscriptions.now())
        await subscriptions.create(OWNER, wanted, None, "https://context.example/", tenant="")
        await town.broker.create(OWNER, parse_entity(road))
        async with asyncio.timeout(10):
            while not asked:
                await asyncio.sleep(0.005)
    (request,) = asked
    notification = json.loads(request.body)
    assert notification | {key: told[key] for key in ("id", "notifiedAt")} == told
    assert request.headers["authorization"] == "Bearer your-own-secret"
    kept = subscriptions.retrieve(OWNER, wanted.id, tenant="")
    assert subscriptions.tally(kept).times_sent == 1
    paused, _ = patch_subscription(kept.wanted, pause, now=subscriptions.now())
    assert paused.status(subscriptions.now()) == "paused"
    shown = represent_subscription(wanted)
    assert {key: shown[key] for key in subscription} == subscription


def test_the_guide_names_the_permission_that_subscribing_takes():
    assert "`subscriptions:edit`" in GUIDE
