"""Milliseconds from a device's publish to the acknowledgement, and to the page in a browser. Prints a table.

    python benchmarks/latency.py [--probes 60] [--background 200] [--seconds-between 0.6]

A city is started for the measurement, empty and open, in a temporary folder. One MQTT connection sends the
background, so many readings a second from as many devices; another sends one reading of a device of its own
at a time (QoS 1), and the next one at a random moment after that one was seen. Seen by whom: the number on
the page of its Entity, and the markers on the map, both in Chromium, as the pages' own scripts show them; and
a program that reads the stream of all changes. Where there is no Chromium, the program alone. All clocks are
the one of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson

from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode

#: Seconds a city, a browser or a reading may take.
PATIENCE = 60
CONFIGURATION = """
name = "Benchmark"
frameworks = []
[connectors.mqtt]
rate = 1000000
burst = 1000000
[[connectors.mqtt.mappings]]
topic = "city/{type}/{device}"
"""
PROBE = "urn:ngsi-ld:WeatherObserved:probe"
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",
)
#: Notes the moment in which the page has shown the probe's new value.
WATCH_NUMBER = """
  globalThis.seen = [];
  new MutationObserver(() => seen.push(performance.timeOrigin + performance.now()))
    .observe(document.querySelector("[data-attribute=temperature] [data-part=value]"),
      {characterData: true, childList: true, subtree: true});
"""
WATCH_MAP = """
  globalThis.seen = [];
  document.addEventListener("city:changes", (event) => {
    if (!event.detail.items.some((item) => item.id === "%s")) return;
    seen.push(performance.timeOrigin + performance.now());
  });
"""


class Device(asyncio.Protocol):
    """An MQTT connection that publishes by QoS 1."""

    def __init__(self, name: str) -> None:
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.acknowledged = asyncio.Event()
        self._name = name
        self._packet = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(encode(mqtt.Connect(self._name, mqtt.V311, keep_alive=600), mqtt.V311))

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - after the welcome all are PUBACKs
        if not self.welcomed.done():
            self.welcomed.set_result(None)
        else:
            self.acknowledged.set()

    def publish(self, device: str, temperature: float) -> None:
        self._packet = self._packet % 65_535 + 1
        body = orjson.dumps({"temperature": temperature})
        message = mqtt.Publish(f"city/WeatherObserved/{device}", body, 1, packet_id=self._packet)
        self.acknowledged.clear()
        self._transport.write(encode(message, mqtt.V311))


async def connected(port: int, name: str) -> Device:
    _, device = await asyncio.get_running_loop().create_connection(lambda: Device(name), "127.0.0.1", port)
    await asyncio.wait_for(device.welcomed, PATIENCE)
    return device


async def background(port: int, a_second: int) -> None:
    """Readings of many devices, spread evenly over time."""
    device = await connected(port, "background")
    began, sent = time.monotonic(), 0
    while True:
        while sent < (time.monotonic() - began) * a_second:
            device.publish(f"background-{sent % a_second}", round(random.uniform(-20, 40), 1))
            sent += 1
        await asyncio.sleep(0.02)


class Program:
    """Reads the stream of all changes."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    async def follow(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        writer.write(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while line := await reader.readline():
            if line.startswith(b"data: ") and f'"{PROBE}"'.encode() in line:
                self.seen.append(time.time() * 1000)

    async def count(self) -> int:
        return len(self.seen)

    async def last(self) -> float:
        return self.seen[-1]


class Page:
    """A page that notes what it has shown."""

    def __init__(self, page: Any) -> None:
        self._page = page

    async def count(self) -> int:
        return int(await self._page.evaluate("seen.length"))

    async def last(self) -> float:
        return float(await self._page.evaluate("seen.at(-1)"))


@contextlib.asynccontextmanager
async def pages(address: str) -> AsyncIterator[dict[str, Page]]:
    """The Entity's page and the map in Chromium; nothing where there is no Chromium."""
    path = next((one for one in CHROMIUM if Path(one).exists()), None)
    if path is None:
        print("There is no Chromium here: only a program follows.", file=sys.stderr)
        yield {}
        return
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        found = {}
        for name, place, watch in (
            ("the number on its page", f"/entities/{PROBE}", WATCH_NUMBER),
            ("its marker on the map", "/map", WATCH_MAP % PROBE),
        ):
            page = await (await browser.new_context()).new_page()
            await page.goto(address + place, timeout=1000 * PATIENCE)
            await page.evaluate(watch)
            found[name] = Page(page)
        yield found
        await browser.close()


async def measure(web: int, port: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds from publish to each who sees it, by name."""
    probe = await connected(port, "probe")
    probe.publish("probe", 1.0)
    await asyncio.wait_for(probe.acknowledged.wait(), PATIENCE)
    program = Program()
    tasks = [
        asyncio.create_task(program.follow(web)),
        asyncio.create_task(background(port, options.background)),
    ]
    async with pages(f"http://127.0.0.1:{web}") as watching:
        seers: dict[str, Page | Program] = {**watching, "a program on the stream of all changes": program}
        took: dict[str, list[float]] = {"PUBACK": [], **{name: [] for name in seers}}
        await asyncio.sleep(2)
        for number in range(options.probes):
            before = {name: await seer.count() for name, seer in seers.items()}
            began = time.time() * 1000
            probe.publish("probe", round(5 + number / 10, 1))
            await asyncio.wait_for(probe.acknowledged.wait(), PATIENCE)
            took["PUBACK"].append(time.time() * 1000 - began)
            for name, seer in seers.items():
                async with asyncio.timeout(PATIENCE):
                    while await seer.count() == before[name]:
                        await asyncio.sleep(0.02)
                took[name].append(await seer.last() - began)
            await asyncio.sleep(random.uniform(0, 2 * options.seconds_between))
    for task in tasks:
        task.cancel()
    return took


@contextlib.contextmanager
def a_city() -> Iterator[tuple[int, int]]:
    """An empty, open city; its ports of pages and of MQTT."""
    with tempfile.TemporaryDirectory(prefix="cityloom-latency-") as home:
        (Path(home) / "city.toml").write_text(CONFIGURATION)
        program = str(Path(sys.executable).with_name("cityloom"))
        command = [program, "up", "--home", home, "--open-access", "--port", "0", "--mqtt-port", "0"]
        output = Path(home) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield listening(Path(home), output)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def listening(home: Path, output: Path) -> tuple[int, int]:
    """Both ports, once the city listens on them."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = re.search(r"MQTT\s+\S+:(\d+)", output.read_text(errors="replace"))
        if found:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(found[1])), 1):
                address = json.loads((home / "running.json").read_text())["address"]
                return int(address.rpartition(":")[2]), int(found[1])
        time.sleep(0.05)
    raise TimeoutError(output.read_text(errors="replace"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probes", type=int, default=60, help="readings that are timed")
    parser.add_argument("--background", type=int, default=200, help="readings a second beside them")
    parser.add_argument("--seconds-between", type=float, default=0.6, help="between two probes, on average")
    options = parser.parse_args()
    with a_city() as (web, port):
        took = asyncio.run(measure(web, port, options))
    print(f"| from publish to, {options.background} readings/s beside it | p50 ms | p99 ms |")
    print("| --- | ---: | ---: |")
    for name, milliseconds in took.items():
        cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
        print(f"| {name} | {cuts[49]:.0f} | {cuts[98]:.0f} |")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
