"""What citizens do on pages: report something and follow it, look at data and take them along."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import struct
import zlib

import orjson
import pytest

from cityloom.kernel.actor import CITY, InformationClass
from cityloom.ngsild.model import entity, geo, json_value, point, prop, rel, text
from cityloom.web.pages import open_data

LAMP = "urn:ngsi-ld:Streetlight:1"
STATION = "urn:ngsi-ld:WeatherObserved:1"
REPORT = {"category": "lighting", "description": "The lamp by the school is dark"}
PLACE = {"latitude": "56.05", "longitude": "8,95"}


def picture() -> bytes:
    """A PNG of one pixel, with a text that tells where it was taken."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    where = chunk(b"tEXt", b"Comment\0taken at home")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + where
        + chunk(b"IDAT", zlib.compress(b"\0\1\2\3"))
        + chunk(b"IEND", b"")
    )


async def test_a_report_gets_a_code_an_answer_and_is_opened_again(city, visitor, reader_of, reader_class):
    files = {"photo": ("lamp.png", picture(), "image/png")}
    answer = await visitor.send("/report", {**REPORT, **PLACE, "email": "kim@example.org"}, files=files)
    assert answer.status_code == 303
    receipt = answer.headers["location"]
    page = await visitor.text(receipt)
    code = receipt.split("/")[2].split("?")[0]
    assert "Keep this code." in page and code in page and "There is no answer yet" in page
    assert "Keep this code." not in await visitor.text(f"/report/{code}")

    operator = await reader_of("operator")
    assert "Reports that wait" in await operator.text("/")
    (report,) = (await operator.data("/reports.json"))["reports"]
    path = report["href"]
    page = await operator.text(path)
    assert "The lamp by the school is dark" in page and "kim@example.org" not in page
    assert '<option value="lighting" selected>' in page
    assert "kim@example.org" in (await operator.send(path, {"act": "contact"})).text
    photo = await operator.get(f"{path}/photo")
    assert photo.headers["content-type"] == "image/png" and b"taken at home" not in photo.content
    assert "Write an answer." in await operator.refused(path, {"act": "answer", "answer": " "})
    await operator.done(path, {"act": "answer", "answer": "We are on our way."})

    stranger = reader_class(city)
    assert (await stranger.get(path)).status_code == 404
    page = await visitor.text(f"/report/{code}")
    assert "We are on our way." in page and "answered" in page
    assert (await visitor.get(f"/report/{code}/photo")).content == photo.content
    await visitor.done(f"/report/{code}", {"act": "reply", "text": "Thanks, it is the second one."})
    assert "it is the second one" in await operator.text(path)
    await operator.done(path, {"act": "close", "why": "Mended", "fixed": "yes"})
    page = await visitor.done(f"/report/{code}", {"act": "reopen", "why": "Still dark"})
    assert "The report is open again." in page
    assert (await operator.data(f"{path}.json"))["status"] == "reopened"
    await visitor.done(f"/report/{code}", {"act": "forget"})
    assert "They left nothing." in (await operator.send(path, {"act": "contact"})).text


async def test_a_report_is_public_once_it_is_published(visitor, reader_of, reader_class, city):
    await visitor.send("/report", {**REPORT, **PLACE})
    operator = await reader_of("operator")
    path = (await operator.data("/reports.json"))["reports"][0]["href"]
    stranger = reader_class(city)
    assert "The lamp by the school" not in await stranger.text("/reports")
    page = await operator.done(path, {"act": "publish"})
    assert "Undo" in page
    page = await stranger.text(path)
    assert "The lamp by the school" in page and "reports:answer" not in page and "Your answer" not in page
    assert any(one["id"] for one in (await stranger.data("/map.json"))["features"])
    await operator.done(path, {"act": "unpublish"})
    assert (await stranger.get(path)).status_code == 404


async def test_a_report_says_what_is_missing_and_keeps_what_was_typed(visitor):
    fields = {"category": "nonsense", "description": "Dark <lamp>", "email": "no address"}
    answer = await visitor.send("/report", {**fields, **PLACE})
    assert answer.status_code == 400 and "Dark &lt;lamp&gt;" in answer.text
    assert "Choose what it is about." in answer.text
    said = await visitor.refused("/report", {**REPORT})
    assert "Choose the place" in said
    said = await visitor.refused("/report", {**REPORT, **PLACE, "email": "no address"})
    assert "e-mail address" in said
    said = await visitor.refused("/report", {**REPORT, "latitude": "10", "longitude": "10"})
    assert "outside this city" in said


async def test_a_report_refuses_a_photo_that_is_none(visitor):
    files = {"photo": ("x.png", b"<svg onload=alert(1)>", "image/png")}
    assert "photo" in await visitor.refused("/report", {**REPORT, **PLACE}, files=files)


async def test_the_place_can_be_clicked_on_a_plain_picture(city, visitor):
    line = {"type": "LineString", "coordinates": [[8.9, 56.0], [9.0, 56.1]]}
    await city.write(entity("TrafficFlowObserved", "urn:ngsi-ld:T:1", {"location": geo(line)}))
    drawn = await visitor.get("/report/map.svg")
    width, height = (int(re.search(rf'{side}="(\d+)"', drawn.text)[1]) for side in ("width", "height"))
    answer = await visitor.send("/report", {**REPORT, "at.x": str(width // 2), "at.y": str(height // 2)})
    assert answer.status_code == 200
    found = [float(re.search(rf'name="{name}"[^>]*value="([^"]+)"', answer.text)[1]) for name in PLACE]
    assert found == pytest.approx([56.05, 8.95], abs=0.001)
    assert "The lamp by the school is dark" in answer.text


async def test_a_key_pressed_on_the_plain_picture_chooses_nothing(visitor):
    answer = await visitor.send("/report", {**REPORT, "at.x": "0", "at.y": "0"})
    assert not re.search(r'name="latitude"[^>]*value="[^"]+"', answer.text)


async def test_the_place_can_be_found_by_its_name(city, visitor):
    await city.write(
        entity("Streetlight", LAMP, {"name": prop("School Lane 4"), "location": point(8.93, 56.04)})
    )
    answer = await visitor.send("/report", {**REPORT, "placeName": "school lane", "find": "1"})
    assert 'value="8.930000,56.040000"' in answer.text and "School Lane 4" in answer.text
    answer = await visitor.send("/report", {**REPORT, "found": "8.930000,56.040000"})
    assert answer.status_code == 303
    (report,) = city.broker.of_type(CITY, "CitizenReport")
    assert report["attrs"]["location"][0]["value"]["coordinates"] == [8.93, 56.04]
    answer = await visitor.send("/report", {**REPORT, "placeName": "nowhere", "find": "1"})
    assert "No place of this name is known." in answer.text


async def test_a_code_is_found_however_it_is_typed_and_a_wrong_one_is_not(visitor):
    answer = await visitor.send("/report", {**REPORT, **PLACE})
    code = answer.headers["location"].split("/")[2].split("?")[0]
    answer = await visitor.send("/report/code", {"code": f" {code} "})
    assert answer.headers["location"] == f"/report/{code}"
    assert "Type the code" in await visitor.refused("/report/code", {"code": "../x"})
    assert (await visitor.get("/report/aaaaa-aaaaa-aaaaa-aaaaa-aaaaa")).status_code == 404


async def test_a_code_that_opens_nothing_is_told_in_the_reader_s_language(city, reader_class):
    answer = await reader_class(city, language="da").get("/report/aaaaa-aaaaa-aaaaa-aaaaa-aaaaa")
    assert answer.status_code == 404 and "Koden åbner ingen henvendelse" in answer.text


# Data


async def _station(city, hours: int = 3) -> None:
    forecast = {
        "low": prop(5.5),
        "high": prop(9.5),
        "level": prop(0.9),
        "validAt": prop("2026-04-10T14:00:00Z"),
        "dataOrigin": prop("estimated"),
    }
    station = {
        "name": text(en="Harbour", da="Havnen"),
        "location": point(8.95, 56.05),
        "dataOrigin": prop("simulated"),
        "source": prop("https://example.org/weather"),
        "refDevice": rel(LAMP),
        "address": json_value({"streetAddress": "Quay 1", "addressLocality": "Loomby"}),
    }
    await city.write(entity("WeatherObserved", STATION, station))
    for step in range(hours * 12):
        city.clock.pass_by(minutes=5)
        await city.reading("WeatherObserved", STATION, temperature=(5 + step / 10, "CEL"))
    ahead = prop(
        7.5,
        at=city.clock.now(),
        unit="CEL",
        dataset="urn:ngsi-ld:Dataset:forecast:PT60M",
        attributes=forecast,
    )
    await city.write(entity("WeatherObserved", STATION, {"temperature": ahead}))


async def test_an_entity_tells_its_values_course_forecast_and_origin(city, visitor):
    await _station(city)
    page = await visitor.text(f"/entities/{STATION}")
    assert "8.5\u202f°C" in page and "simulated" in page and 'href="https://example.org/weather"' in page
    assert "Quay 1, Loomby" in page and "everybody" in page and "just now" in page
    assert "5.5\u202f°C – 9.5\u202f°C" in page and "in 90\u00a0% of cases" in page
    assert 'class="forecast"' in page and 'class="interval"' in page
    assert "from 5 °C to 8.5 °C, last 8.5 °C" in page
    data = await visitor.data(f"/entities/{STATION}.json?range=6h")
    assert len(data["history"]) == 36 and data["history"][-1]["value"] == 8.5
    assert data["informationClass"] == "open" and data["estimates"][0]["low"]


async def test_an_entity_is_told_in_the_reader_s_language(city, visitor):
    await _station(city, hours=1)
    visitor.client.headers["accept-language"] = "da"
    page = await visitor.text(f"/entities/{STATION}")
    assert "Havnen" in page and "Forløb af temperatur" in page and "6,1\u202f°C" in page


async def test_a_range_is_named_or_given_by_its_ends(city, visitor):
    await _station(city)
    data = await visitor.data(f"/entities/{STATION}.json?since=2026-04-10T13:00&until=2026-04-10T14:00")
    assert data["since"] == "2026-04-10T13:00:00+02:00" and len(data["history"]) == 12
    data = await visitor.data(
        f"/entities/{STATION}.json?since=2026-04-10T12:00:00Z&until=2026-04-10T12:30:00Z"
    )
    assert len(data["history"]) == 6
    backwards = await visitor.get(f"/entities/{STATION}.json?since=2026-04-10T14:00&until=2026-04-10T13:00")
    assert backwards.status_code == 400 and backwards.json()["where"] == "since"
    nonsense = await visitor.get(f"/entities/{STATION}.json?since=yesterday")
    assert nonsense.status_code == 400 and nonsense.json()["where"] == "since"


async def test_a_long_range_is_told_by_means(city, visitor):
    await _station(city)
    data = await visitor.data(f"/entities/{STATION}.json?range=7d")
    values = [one["value"] for one in data["history"] if one["value"] is not None]
    assert 3 <= len(values) <= 4 and values[0] == pytest.approx(5.5, abs=0.1)


async def test_an_attribute_that_is_no_number_is_named_as_the_mistake(city, visitor):
    await _station(city, hours=1)
    answer = await visitor.get(f"/entities/{STATION}.json?attribute=name")
    assert answer.status_code == 400 and "temperature" in answer.json()["hint"]


async def test_an_entity_is_taken_along_as_csv_and_geojson(city, visitor):
    await _station(city, hours=1)
    answer = await visitor.get(f"/entities/{STATION}.csv?attribute=temperature")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) >= 12 and 'filename="1-simulated.csv"' in answer.headers["content-disposition"]
    whole = await visitor.get("/open-data/WeatherObserved.csv")
    assert 'filename="WeatherObserved-simulated.csv"' in whole.headers["content-disposition"]
    feature = await visitor.data(f"/entities/{STATION}.geojson")
    assert feature["geometry"] == {"type": "Point", "coordinates": [8.95, 56.05]}
    assert feature["properties"]["temperature"] == pytest.approx(6.1)


async def test_a_link_of_the_data_that_could_run_is_no_link(city, visitor):
    await city.write(entity("Event", "urn:ngsi-ld:Event:1", {"source": prop("javascript:alert(1)")}))
    page = await visitor.text("/entities/urn:ngsi-ld:Event:1")
    assert 'href="javascript:' not in page and "javascript:alert(1)" in page


async def test_names_of_the_data_are_shown_and_never_run(city, visitor):
    evil = "</script><script>alert(1)</script>"
    lamp = {
        "name": prop(evil),
        "location": point(8.95, 56.05),
        "powerConsumption": prop(3, at=city.clock.now()),
    }
    await city.write(entity("Streetlight", LAMP, lamp))
    for path in (f"/entities/{LAMP}", "/map", "/entities?type=Streetlight", "/", f"/follow/{LAMP}"):
        assert "<script>alert(1)" not in (await visitor.get(path)).text, path


async def test_search_finds_by_name_address_and_id(city, visitor):
    await _station(city, hours=0)
    await city.write(entity("Streetlight", LAMP, {"name": prop("Lamp 1")}))
    for words, found in (("harb", 1), ("havn", 1), ("quay", 1), ("streetlight:1", 1), ("nothing", 0)):
        assert (await visitor.data(f"/entities.json?q={words}"))["total"] == found, words


async def test_the_map_lists_what_needs_attention_first_and_filters(city, visitor):
    for number, status in ((1, "ok"), (2, "defectiveLamp")):
        lamp = {"name": prop(f"Lamp {number}"), "status": prop(status), "location": point(8.95, 56.05)}
        await city.write(entity("Streetlight", f"urn:ngsi-ld:Streetlight:{number}", lamp))
    page = await visitor.text("/map")
    assert page.index("Lamp 2") < page.index("Lamp 1") and "lamp is broken" in page
    page = await visitor.text("/map?level=bad")
    assert ">Lamp 2<" in page and ">Lamp 1<" not in page
    assert "Nothing fits" in await visitor.text("/map?q=zebra")
    features = (await visitor.data("/map.json"))["features"]
    assert {one["properties"]["level"] for one in features} == {"good", "bad"}


async def test_what_has_ended_stays_off_the_map(city, visitor):
    for number, status in ((1, "open"), (2, "cleared")):
        alert = {"severity": prop("high"), "status": prop(status), "location": point(8.95, 56.05)}
        await city.write(entity("Alert", f"urn:ngsi-ld:Alert:{number}", alert))
    features = (await visitor.data("/map.json"))["features"]
    assert [one["id"] for one in features] == ["urn:ngsi-ld:Alert:1"]


async def test_open_data_are_what_everybody_may_take_along(city, visitor, reader_of):
    await _station(city, hours=1)
    await city.write(entity("Camera", "urn:ngsi-ld:Camera:1", {}), secrecy=InformationClass.SECURITY)
    guard = await reader_of("security_operator")
    for reader in (visitor, guard):
        assert [one["type"] for one in (await reader.data("/open-data.json"))["types"]] == ["WeatherObserved"]
        assert (await reader.get("/open-data/Camera.json")).status_code == 404
    rows = list(csv.DictReader(io.StringIO((await visitor.get("/open-data/WeatherObserved.csv")).text)))
    assert len(rows) >= 12
    page = await visitor.text("/open-data")
    assert f"CSV: about {len(rows)} rows" in page
    city.clock.pass_by(hours=30)
    day = await visitor.get("/open-data/WeatherObserved.csv?range=24h")
    assert "/open-data/WeatherObserved.csv?range=24h" in page and len(day.text.splitlines()) == 1
    now = (await visitor.data("/open-data/WeatherObserved.json"))[0]
    assert now["id"] == STATION
    assert (await visitor.get("/open-data/WeatherObserved.exe")).status_code == 404


async def test_follow_leads_back_and_forward_as_far_as_one_may_see(city, visitor, reader_of):
    await city.write(entity("Device", LAMP, {"name": prop("Sensor 9")}), secrecy=InformationClass.INTERNAL)
    await _station(city, hours=1)
    alert = {"severity": prop("high"), "description": text(en="Windy"), "alertSource": rel(STATION)}
    await city.write(entity("Alert", "urn:ngsi-ld:Alert:1", alert))
    page = await visitor.text(f"/follow/{STATION}")
    assert "for staff only; sign in to see it" in page and "Sensor 9" not in page
    assert "Windy" in page and "12 readings" in page and "every 5 minutes" in page
    assert "Sensor 9" in await (await reader_of("operator")).text(f"/follow/{STATION}")
    await city.write(entity("Camera", "urn:ngsi-ld:Camera:1", {}), secrecy=InformationClass.SECURITY)
    await city.write(entity("Alert", "urn:ngsi-ld:Alert:2", {"alertSource": rel("urn:ngsi-ld:Camera:1")}))
    page = await visitor.text("/follow/urn:ngsi-ld:Alert:2")
    assert "not there for you" in page and "for staff only" not in page


# Indicators


async def test_an_indicator_that_is_not_reported_says_what_it_needs(measured_city, reader_class):
    visitor = reader_class(measured_city)
    page = await visitor.text("/indicators/u4ssc/EC:ICT:ICT:1C")
    assert "not reported" in page and "It needs:" in page and "total households" in page
    assert "of 112" in await visitor.text("/indicators")
    assert "Nothing fits" in await visitor.text("/indicators/u4ssc?q=zebra")
    rows = (await visitor.data("/indicators/u4ssc.json?state=notReported"))["indicators"]
    assert rows and all(row["value"] is None for row in rows)


async def test_an_indicator_is_entered_with_evidence_verified_by_another_and_taken_back(
    measured_city, reader_class
):
    planner = await reader_class(measured_city).sign_in("planner")
    auditor = await reader_class(measured_city).sign_in("auditor")
    visitor = reader_class(measured_city)
    path, point_id = (
        "/indicators/u4ssc/EC:ICT:ICT:1C",
        "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EC:ICT:ICT:1C",
    )
    enter = {"act": "enter", "point": point_id}
    said = await planner.refused(path, {**enter, "value": "lots"})
    assert (
        "Say for which period." in said and "Enter a number" in said and "where the value comes from" in said
    )
    fields = {"numerator": "9520", "denominator": "11200", "since": "2025-01-01", "until": "2025-12-31"}
    files = {"evidence": ("count.csv", b"homes;online\n11200;9520\n", "text/csv")}
    page = await planner.done(path, {**enter, **fields, "source": "Own count", "quality": "1"}, files=files)
    assert "The value is entered." in page and "85\u202f%" in page and "count.csv" in page
    page = await visitor.text(path)
    assert "85\u202f%" in page and "count.csv" not in page and "not verified" in page
    assert "(85\u00a0% of the way there)" in page
    for list_of_scores in ("/indicators", "/indicators/u4ssc"):
        assert "75\u00a0% · 1 of 112 data points" in await visitor.text(list_of_scores)
    link = re.search(r'href="([^"]+/evidence/[^"]+)"', await planner.text(path))[1]
    assert (await visitor.get(link)).status_code == 404
    evidence = await auditor.get(link)
    assert evidence.content.startswith(b"homes")
    assert evidence.headers["content-disposition"] == "attachment; filename*=UTF-8''count.csv"
    assert evidence.headers["content-type"].startswith("text/csv")
    assert (await planner.send(path, {"act": "verify", "point": point_id})).status_code == 403
    await auditor.done(path, {"act": "verify", "point": point_id})
    assert (await visitor.data(f"{path}.json"))["figures"][0]["verified"] is True
    await planner.done(path, {"act": "withdraw", "point": point_id})
    assert (await visitor.data(f"{path}.json"))["figures"][0]["value"] is None


async def test_evidence_whose_name_was_written_through_the_api_puts_nothing_into_a_header(
    measured_city, reader_class
):
    planner = await reader_class(measured_city).sign_in("planner")
    path, point_id = (
        "/indicators/u4ssc/EC:ICT:ICT:1C",
        "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EC:ICT:ICT:1C",
    )
    fields = {"numerator": "9520", "denominator": "11200", "since": "2025-01-01", "until": "2025-12-31"}
    files = {"evidence": ("count.csv", b"homes;online\n11200;9520\n", "text/csv")}
    entered = {"act": "enter", "point": point_id, **fields, "source": "Own count", "quality": "1"}
    await planner.done(path, entered, files=files)
    link = re.search(r'href="([^"]+/evidence/[^"]+)"', await planner.text(path))[1]
    written = measured_city.broker.retrieve(CITY, point_id)
    text = orjson.dumps(written).decode()
    assert "count.csv" in text and "text/csv" in text
    text = text.replace("count.csv", "a\\r\\nx: y").replace("text/csv", "text/html")
    await measured_city.broker.replace(CITY, point_id, orjson.loads(text))
    evidence = await planner.get(link)
    assert evidence.headers["content-disposition"] == "attachment; filename*=UTF-8''a%0D%0Ax%3A%20y"
    assert evidence.headers["content-type"] == "application/octet-stream" and "x" not in evidence.headers


async def test_an_indicator_refuses_evidence_of_a_kind_that_can_run(measured_city, reader_class):
    planner = await reader_class(measured_city).sign_in("planner")
    path, point_id = (
        "/indicators/u4ssc/EC:ICT:ICT:1C",
        "urn:ngsi-ld:KeyPerformanceIndicator:u4ssc:EC:ICT:ICT:1C",
    )
    fields = {"act": "enter", "point": point_id, "value": "85", "since": "2025-01-01", "until": "2025-12-31"}
    files = {"evidence": ("x.html", b"<script>alert(1)</script>", "text/html")}
    assert "not taken" in await planner.refused(path, {**fields, "source": "x"}, files=files)


async def test_home_shows_what_the_city_measures_and_promises(measured_city, reader_class):
    planner = await reader_class(measured_city).sign_in("planner")
    page = await planner.text("/")
    assert "What the city measures and promises" in page and "U4SSC" in page
    assert (await planner.data("/home.json"))["view"] == "planner"


async def test_sizes_are_asked_of_history_once_in_a_while(city, monkeypatch):
    asked = []

    def rows_of(visit, name):
        asked.append(name)
        return 7

    monkeypatch.setattr(open_data, "_rows_of", rows_of)
    at = 0.0
    sizes = open_data.Sizes(now=lambda: at)
    both = await asyncio.gather(sizes.of(None, {"A": 1}), sizes.of(None, {"A": 1}))
    assert both == [{"A": 7}, {"A": 7}] and asked == ["A"]
    assert await sizes.of(None, {"A": 1, "B": 1}) == {"A": 7, "B": 7}
    assert asked == ["A", "B"]
    at = open_data.REMEMBERED + 1
    await sizes.of(None, {"B": 1})
    assert asked == ["A", "B", "B"]
