"""Pages speak the reader's language: no machine's figures, no terms of the platform, nothing called measured
that is not."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import cityloom
from cityloom.access.roles import ROLES
from cityloom.kernel.actor import CITY
from cityloom.ngsild.model import entity, json_value, prop, rel, text, value_of
from cityloom.subscriptions.delivery import GIVEN_UP
from cityloom.web.acts import ACTS
from cityloom.web.labels import ROLES as ROLE_WORDS
from cityloom.web.languages import language
from cityloom.web.pages import other_systems
from cityloom.web.pages.system import STAGES
from cityloom.web.reasons import note_words, provenance_rows
from cityloom.web.wording import Wording

SOURCES = Path(cityloom.__file__).parent

STATION = "urn:ngsi-ld:WeatherObserved:merino"
ALERT = "urn:ngsi-ld:Alert:frost"


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 4, 10, 12, tzinfo=UTC)


@pytest.fixture
def in_words():
    return lambda code: Wording(language(code), ZoneInfo("Europe/Copenhagen"), Noon())


@pytest.mark.parametrize(
    ("note", "english", "danish"),
    [
        ("steps of PT15M", "every 15 minutes", "for hver 15 minutter"),
        ("steps of PT1H", "every hour", "hver time"),
        ("steps of P1D", "every day", "hver dag"),
        ("steps of PT5M; urn:ngsi-ld:Dataset:forecast:30", "every 5 minutes; forecast", None),
        ("urn:ngsi-ld:Dataset:forecast:PT30M", "forecast, 30 minutes", "prognose, 30 minutter"),
        ("urn:ngsi-ld:Dataset:forecast:P1D", "forecast, 1 day", None),
        ("no receipt", "no receipt", "ingen kvittering"),
        ("readings: 817908", "Readings used: 817,908", "Brugte målinger: 817.908"),
        (
            "source: this city's history; trainedAt: 2026-04-10T10:00:00Z",
            "Learned from: this city's history; Learned at: 10 Apr 2026 12:00",
            None,
        ),
        ("history:acknowledged", "until it is: acknowledged", "indtil den er: kvitteret"),
        ("counted by hand", "counted by hand", "counted by hand"),
        ("", "", ""),
    ],
)
def test_note_words_tell_what_a_service_noted(in_words, note, english, danish):
    assert note_words(note, in_words("en")) == english
    if danish is not None:
        assert note_words(note, in_words("da")) == danish


def test_provenance_rows_keep_what_they_do_not_know(in_words):
    told = provenance_rows({"since": "2026-04-01T00:00:00Z", "firstGuess": "an hour"}, in_words("en"))
    assert told == [("From readings since", "1 Apr 2026 02:00"), ("First guess", "an hour")]


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (528_445_440, "528 MB"), (270_553_174_016, "271 GB")],
)
def test_size_leaves_a_number_that_can_be_read(in_words, count, told):
    assert in_words("en").size(count).replace("\u202f", " ") == told


def test_at_names_the_zone_and_the_instant(in_words):
    shown = str(in_words("en").at("2026-04-10T10:00:00Z"))
    assert 'datetime="2026-04-10T10:00:00Z"' in shown and "Europe/Copenhagen (CEST)" in shown
    assert "<time" not in str(in_words("en").at(None))


def test_every_role_has_its_words():
    wanted = {role.name: (role.title, role.purpose) for role in ROLES.values() if role.assignable}
    assert wanted == ROLE_WORDS
    danish = language("da")
    assert danish.gettext("Auditor") == "Revisor"


async def test_system_page_tells_sizes_and_times_in_units(city, reader_of):
    city.health.figures = lambda: {"folder": "/srv/town", "uptime_s": 7200, "memory_bytes": 528_445_440}
    page = await (await reader_of("administrator")).text("/system")
    assert "528\u202fMB" in page and "2 hours" in page and "/srv/town" in page
    assert "528,445,440" not in page and "memory" not in page.replace("Memory in use", "")


def test_every_act_in_the_audit_log_has_words():
    acts = set()
    for path in SOURCES.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        told = re.search(r'audit\.record\(actor, f"(\w+)\.\{did\}"', source)
        if told:
            named = re.findall(r'self\._(?:handle|record|write)\(.{0,90}?"([a-z]+)"', source, re.S)
            acts |= {f"{told[1]}.{did}" for did in named}
        acts |= set(re.findall(r'(?:recorded|record|_keep)\(\s*[\w.]+, "([a-z]+\.[a-z-]+)"', source))
    assert {"alert.raise", "alert.clear", "device.admit", "indicator.verify", "clock.set"} <= acts
    assert not acts - ACTS.keys()
    danish = language("da")
    assert all(danish.gettext(words) != words for words in ACTS.values())


def test_every_stage_has_words():
    found = set()
    for path in SOURCES.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if re.search(r"\.follow\(\s*_?(?:STAGE|HISTORY)\b", source):
            found |= set(re.findall(r'^_?STAGE = "([a-z-]+)"', source, re.M))
    assert {"subscriptions", "demo-people", "services"} <= found
    assert not found - STAGES.keys()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It answers 503", "Den svarer 503"),
        (GIVEN_UP, "For meget ventede, eller for længe: det ældste er opgivet"),
        (
            "'https://a.example/' cannot be used: it does not answer in time (10 s)",
            "svarer ikke i tide (10 s)",
        ),
        ("a word of its own", "a word of its own"),
    ],
)
def test_why_a_notification_failed_is_told_in_the_readers_language(said, shown):
    texts = language("da")

    class Reader:
        def gettext(self, text, **values):
            return texts.gettext(text) % values

    assert shown in other_systems._why(Reader(), said)


async def test_follow_names_a_service_and_links_it_for_staff(city, visitor, reader_of):
    because = [{"about": "service:frost", "attribute": "parameters", "note": "readings: 817908"}]
    frost = {"severity": prop("high"), "description": text(en="Frost"), "because": json_value(because)}
    frost["raisedBy"] = prop("service:frost")
    await city.write(entity("Alert", ALERT, frost))
    city.rooms.services.status = lambda: [_Status("frost", {"en": "Frost warning"})]
    page = await visitor.text(f"/follow/{ALERT}")
    assert "Frost warning" in page and "not there for you" not in page
    assert "Readings used: 817,908" in page and "/services#" not in page
    staff = await (await reader_of("operator")).text(f"/follow/{ALERT}")
    assert '<a href="/services#service-frost">Frost warning</a>' in staff
    assert "service:frost" not in await visitor.text(f"/alerts/{ALERT}")
    assert '<a href="/services#service-frost">' in await (await reader_of("planner")).text(f"/alerts/{ALERT}")


class _Status:
    def __init__(self, name, title):
        self.id, self.title = name, title


@pytest.mark.parametrize("path", [f"/alerts/{ALERT}", f"/follow/{ALERT}", f"/entities/{ALERT}"])
async def test_demo_cities_call_nothing_measured(city, visitor, path):
    await city.write(entity("Alert", ALERT, {"description": text(en="Late"), "dataOrigin": prop("measured")}))
    page = await visitor.text(path)
    assert ">simulated</span>" in page and ">measured</span>" not in page


async def test_demo_cities_call_no_indicator_measured(measured_city, reader_class):
    await measured_city.fill(0.05)
    await measured_city.indicators.compute()
    page = await reader_class(measured_city).text("/indicators/city/S2")
    assert "not reported" not in page and ">simulated</span>" in page
    assert "measured or counted" not in page and ">measured</span>" not in page


async def test_what_refers_to_an_entity_is_never_itself(city, visitor):
    because = json_value([{"about": STATION, "attribute": "temperature"}])
    await city.write(entity("WeatherObserved", STATION, {"name": prop("Merino"), "because": because}))
    assert city.broker.referrers(CITY, STATION) == [STATION]
    assert "What refers to it" not in await visitor.text(f"/entities/{STATION}")


async def test_cities_of_their_own_may_say_measured(small_city_class, reader_class):
    city = await small_city_class(frameworks=(), demo=False).start()
    await city.write(entity("Alert", ALERT, {"description": text(en="Late"), "dataOrigin": prop("measured")}))
    assert ">measured</span>" in await reader_class(city).text(f"/alerts/{ALERT}")
    await city.stop()


async def _warned(city, status: str):
    """A warning to one grower that was not confirmed in time."""
    await city.write(
        entity(
            "WarningRecipient",
            "urn:ngsi-ld:WarningRecipient:grower",
            {"name": prop("Merino farm"), "phone": prop("+45 12 34 56 78"), "audience": prop(["growers"])},
        ),
        entity("Alert", ALERT, {"description": text(en="Frost tonight"), "status": prop(status)}),
        entity(
            "WarningDelivery",
            "urn:ngsi-ld:WarningDelivery:1",
            {
                "basedOn": rel(ALERT),
                "recipient": rel("urn:ngsi-ld:WarningRecipient:grower"),
                "text": text(en="Frost tonight"),
                "channel": prop("page"),
                "status": prop("unconfirmed"),
                "escalatedAt": prop("2026-04-10T09:00:00Z"),
                "sentAt": prop("2026-04-10T08:00:00Z"),
            },
        ),
    )


async def test_operators_see_who_has_not_confirmed_and_how_to_reach_them(city, reader_of):
    operator = await reader_of("operator")
    await _warned(city, "open")
    page = await operator.text("/warnings")
    assert "Nobody confirmed it in time: staff were alerted." in page and "I reached them" in page
    assert 'href="tel:+4512345678"' in page and f'href="/alerts/{ALERT}"' in page
    assert (await operator.data("/home.json"))["warningsUnconfirmed"] == 1
    assert "Warnings not confirmed" in await operator.text("/")


async def test_warnings_that_are_over_want_nobody_s_receipt(city, reader_of):
    operator = await reader_of("operator")
    await _warned(city, "cleared")
    page = await operator.text("/warnings")
    assert "the warning is over" in page and "I reached them" not in page
    assert (await operator.data("/home.json"))["warningsUnconfirmed"] == 0


async def test_milestones_are_told_in_the_reader_s_language_and_an_edit_keeps_their_names(city, reader_of):
    planner = await reader_of("planner", language="da")
    fields = {"name_en": "Trees", "description_en": "More of them", "phase": "planned"}
    fields |= {"milestone_0_name": "Trees planted", "milestone_0_due": "2026-05-01"}
    await planner.done("/initiatives/new", fields)
    (made,) = (await planner.data("/initiatives.json"))["initiatives"]
    document = city.broker.retrieve(CITY, made["id"])
    steps = [{**one, "names": {"da": "Træerne er plantet"}} for one in value_of(document, "milestones")]
    await city.write(entity("Initiative", made["id"], {"milestones": json_value(steps)}))
    assert "Træerne er plantet" in await planner.text(made["href"])
    english = await (await reader_of("planner", name="english")).text(made["href"])
    assert "Trees planted" in english and "plantet" not in english
    page = await planner.text(f"{made['href']}/edit")
    version = re.search(r'name="version" value="([^"]*)"', page)[1]
    await planner.done(f"{made['href']}/edit", {**fields, "version": version, "name_en": "More trees"})
    page = await planner.text(made["href"])
    assert "Træerne er plantet" in page and "More trees" in page
