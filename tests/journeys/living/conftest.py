"""A town made with `cityloom init` and run by `cityloom up`, and the people who come to it with a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plain_browser import Browser, Page
from running_city import RunningCity, ask

#: Longest wait for what happens behind a page, in seconds; far more than a slow machine needs.
PATIENCE = 60
#: Of everybody: what they call themselves is in none.
OWN_PASSWORD = "seven quiet lanterns"
ANSWERS = ("--name", "Testby", "--time-zone", "Europe/Copenhagen", "--place", "9.0,56.0", "--language", "en")


def give_it_a_service(home: Path) -> None:
    """A service of the town's own, as `cityloom new` writes it; it looks whenever a reading comes."""
    ask("new", "service", "heat_watch", "--into", home / "own")
    manifest = home / "own/services/heat_watch/manifest.toml"
    manifest.write_text(
        manifest.read_text().replace('every = "PT10M"\ndelay = "PT1M"', 'changes = ["WeatherObserved"]')
    )
    city = home / "city.toml"
    listed = 'plugins = ["cityloom_catalogue", "own"]\n' + city.read_text() + "[services.heat_watch]\n"
    city.write_text(listed)
    assert "nothing is wrong" in ask("check", "--home", home)


class Town:
    """The running city, and its people by what they are there for."""

    def __init__(self, running: RunningCity) -> None:
        self.running = running
        self._people: dict[str, Browser] = {}
        self._opened: list[Browser] = []
        said = self.running.said
        self.first_password = re.search(r"password (\S+)", said)[1]
        self.mqtt_port = int(re.search(r"MQTT\s+127\.0\.0\.1:(\d+)", said)[1])
        self.administrator = self.stranger()
        page = self.sign_in(self.administrator, "admin", self.first_password)
        assert page.path == "/password"
        self.choose_password(self.administrator, self.first_password, OWN_PASSWORD)

    def stranger(self, language: str = "en") -> Browser:
        """Somebody who has never been here."""
        browser = Browser(self.running.address, language=language)
        self._opened.append(browser)
        return browser

    def sign_in(self, browser: Browser, name: str, password: str) -> Page:
        return browser.open("/sign-in").press("Sign in", name=name, password=password)

    def choose_password(self, browser: Browser, now: str, wanted: str) -> Page:
        page = browser.open("/password")
        return page.press("Save the password", current=now, password=wanted, again=wanted)

    def invite(self, name: str, *roles: str) -> str:
        """A new account; its first password."""
        page = self.administrator.open("/accounts").press("Make the account", name=name, roles=list(roles))
        return page.part("first-password")

    def person(self, name: str, *roles: str) -> Browser:
        """Somebody who has an account and has signed in; the same one when asked for again."""
        if name not in self._people:
            first = self.invite(name, *roles)
            browser = self.stranger()
            self.sign_in(browser, name, first)
            self.choose_password(browser, first, OWN_PASSWORD)
            self._people[name] = browser
        return self._people[name]

    def leave(self) -> None:
        for browser in self._opened:
            browser.close()


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Iterator[Town]:
    """One town for all journeys of a worker: each brings its own devices, reports and people."""
    home = tmp_path_factory.mktemp("journeys") / "town"
    ask("init", "--home", home, *ANSWERS)
    give_it_a_service(home)
    running = RunningCity(home, "up")
    try:
        town = Town(running)
        yield town
        town.leave()
    finally:
        status = running.stop()
    assert status == 0, running.said


@pytest.fixture(scope="session")
def until(town) -> Callable:
    """Look again until something holds; what does not come about fails, with what the city said."""

    def wait(look: Callable, what: str = ""):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what or look} did not come about:\n{town.running.said[-2000:]}")

    return wait
