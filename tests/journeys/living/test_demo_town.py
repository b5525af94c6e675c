"""The demo town on an evening before frost: warnings, receipts, escalation; live indicators; a second run."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from cityloom.kernel.time import parse_instant
from cityloom_catalogue.cities.loomby.growers import confirms_after
from plain_browser import Browser
from running_city import RunningCity, ask

PATIENCE = 120
#: Shortly before six in the evening by the town's clocks; an hour passes in ten seconds.
EVENING = ("--from", "2026-04-10T15:40", "--speed", "6")


class DemoTown:
    """Loomby, and its administrator's browser."""

    def __init__(self, home) -> None:
        self.home = home
        self.running = RunningCity(home, "demo", "loomby", *EVENING, patience=240)
        first = re.search(r"password (\S+)", self.running.said)[1]
        self.desk = Browser(self.running.address)
        self.visitor = Browser(self.running.address)
        page = self.desk.open("/sign-in").press("Sign in", name="admin", password=first)
        own = "seven quiet lanterns"
        page.press("Save the password", current=first, password=own, again=own)

    def until(self, look, what: str):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := look():
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come about: {self.running.said[-1500:]}")

    def stop(self) -> None:
        self.desk.close()
        self.visitor.close()
        assert self.running.stop() == 0, self.running.said


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[DemoTown]:
    town = DemoTown(tmp_path_factory.mktemp("demo") / "loomby")
    try:
        yield town
    finally:
        if town.running.process.poll() is None:
            town.stop()


def test_indicator_is_computed_live_with_all_that_it_rests_on(demo):
    computed = demo.until(lambda: [one for one in figures(demo, "S2") if one["origin"]], "the first figures")
    told = computed[0]
    assert told["origin"] and told["value"] == pytest.approx(100 * told["numerator"] / told["denominator"])
    assert told["rows"] > 0 and told["entities"] > 0 and 0 < told["coverage"] <= 1
    fine = demo.until(lambda: [one for one in figures(demo, "S1") if one["since"]], "figures of the past")[0]
    assert fine["since"] < fine["until"] and fine["rows"] > fine["entities"]
    page = demo.visitor.open("/indicators/city/S2")
    for words in ("Numerator", "Denominator", "Period", "Rests on", "Coverage"):
        assert page.row(words) != words
    assert "simulated" in page.text.lower()
    missing = demo.visitor.open("/indicators/u4ssc/EC:ICT:ICT:1C")
    assert "not reported" in missing.text and "total households" in missing.text


def figures(demo, code: str) -> list[dict]:
    return demo.visitor.data(f"/indicators/city/{code}.json")["figures"]


def chased(demo) -> set[str]:
    """The growers whom operators are asked to call."""
    alerts = demo.desk.data("/alerts.json")["alerts"]
    said = [
        one["description"].partition(": ")[2].partition(". ")[0]
        for one in alerts
        if one["category"] == "warning"
    ]
    return {name for names in said for name in names.split(", ")}


def not_confirming(demo) -> list[dict]:
    """The first evening's warnings whose simulated recipients stay silent; none before there are two."""
    found = [
        one
        for one in demo.desk.data("/warnings.json")["warnings"]
        if confirms_after(one["recipient"], parse_instant(one["sentAt"], where="sentAt")) is None
    ]
    return found if len(found) > 1 else []


def confirmed(demo) -> set[str]:
    warnings = demo.desk.data("/warnings.json")["warnings"]
    return {one["recipientName"] for one in warnings if one["status"] == "confirmed"}


def test_frost_warning_is_sent_confirmed_and_escalated_where_nobody_confirms(demo):
    silent = demo.until(lambda: not_confirming(demo), "a warning that nobody will confirm unasked")
    reached, alert = silent[0], silent[0]["alert"]
    page = demo.desk.open(f"/alerts/{alert}")
    assert "the lowest temperature is expected at" in page.text and "Frost warning" in page.row("Raised by")
    assert "Temperature" in page.text and "Dew point" in page.text, "what it rests on"
    done = demo.desk.open("/warnings").press(f"I reached them: they know: {reached['recipientName']}")
    assert "Confirmed." in done.text
    status = {one["id"]: one["status"] for one in demo.desk.data("/warnings.json")["warnings"]}
    assert status[reached["id"]] == "confirmed"
    others = {one["recipientName"] for one in silent} - {reached["recipientName"]}
    demo.until(lambda: others <= chased(demo), f"an alert that {others} have not confirmed")
    demo.until(lambda: len(confirmed(demo)) > len(silent), "receipts that come by themselves")
    demo.until(lambda: chased(demo) == others, "an alert on those alone who have not confirmed")
    way = demo.desk.open(f"/follow/{alert}").text
    assert "Temperature" in way and "readings" in way and "simulated" in way.lower()
    station = page.row("About")
    assert "farm" in station
    # The public sees the estimate beside the measurement, and no alert.
    about = demo.desk.data(f"/alerts/{alert}.json")["about"][0]["href"]
    farm = demo.visitor.open(about)
    assert "What is expected" in farm.text and "estimated" in farm.text and "in 90 % of cases" in farm.text
    assert demo.visitor.client.get(f"/alerts/{alert}").status_code == 404


def test_second_run_goes_on_where_the_first_one_stopped(demo):
    before = demo.visitor.data("/clock.json")["now"]
    alerts = demo.desk.data("/alerts.json")["total"]
    demo.stop()
    again = RunningCity(demo.home, "demo", "loomby", "--speed", "0.1")
    try:
        assert "password" not in again.said, "the first account was made before"
        assert "Sign in         as before" in again.said
        now = parse_instant(again.web.get("/clock.json").json()["now"], where="now")
        passed = (now - parse_instant(before, where="before")).total_seconds()
        assert 0 <= passed < 3 * 3600
        told = again.web.get("/alerts.json", headers=again.as_terminal).json()
        assert told["total"] >= alerts
        kind = "urn:ngsi-ld:KeyPerformanceIndicator:city:S2"
        assert "readings" in ask("follow", kind, "--home", demo.home)
    finally:
        assert again.stop() == 0
