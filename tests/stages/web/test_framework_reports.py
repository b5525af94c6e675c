"""Verification reports in versions, factsheets, and the catalogue in which they stand."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, datetime

import pytest

from cityloom.indicators.evidence import Upload
from cityloom.indicators.framework import point_id
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import CITY, Actor, InformationClass
from cityloom.ngsild.model import entity, prop
from cityloom.web.drawing.radar import Spoke, draw_radar

PLANNER = Actor(
    id="person:planner",
    name="planner",
    permissions=frozenset({"indicators:enter", "entities:write"}),
    clearance=frozenset({InformationClass.OPEN}),
)
HOMES, FIRE = point_id("u4ssc", "EC:ICT:ICT:1C", ""), point_id("u4ssc", "EC:ICT:ICT:5A", "")
YEAR = {"since": datetime(2025, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 1, tzinfo=UTC)}
REPORT = "/indicators/u4ssc/verification"


@pytest.fixture
async def reader(small_city_class, reader_class):
    city = await small_city_class(frameworks=("u4ssc", "iso37120")).start()
    await city.indicators.publish()
    secret = Upload(name="inside.txt", media_type="text/plain", data=b"inner figures")
    await city.indicators.enter(PLANNER, HOMES, Entry(value=60.0, source="=survey", **YEAR), [secret])
    yield reader_class(city)
    await city.stop()


async def test_the_report_tells_what_is_there_and_what_is_missing(reader):
    report = (await reader.data(f"{REPORT}.json"))["report"]
    (row,) = [one for one in report["rows"] if one["value"] is not None]
    assert (row["code"], row["percentOfTarget"], row["points"], row["verified"]) == (
        "EC:ICT:ICT:1C",
        60.0,
        2,
        False,
    )
    assert row["innerEvidence"] == 1 and row["evidence"] == []
    assert (report["percent"], report["scored"]) == (50.0, 1)
    (every,) = [one for one in report["tallies"] if one["level"] == ""]
    assert (every["total"], every["reported"]) == (112, 1)
    page = await reader.text(REPORT)
    assert "inside.txt" not in page and "1 file that those who verify can read" in page
    assert page.count("Wireless Broadband Coverage: 3G") == 2  # in its group, and among what is not reported


async def test_the_table_goes_along_as_csv_and_holds_no_formula(reader):
    text = (await reader.get(f"{REPORT}.csv")).text
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == 112
    assert rows[0]["source"] == "'=survey" and rows[0]["value"] == "60.0" and rows[1]["value"] == ""


async def test_versions_stay_as_they_were_published(reader):
    await reader.city.indicators.compute()  # all of it: else a value comes between two versions
    refused = await reader.send(REPORT, {}, seen=REPORT + "/../u4ssc")
    assert refused.status_code in (303, 401, 403)
    auditor = await reader.sign_in("auditor")
    page = await auditor.done(REPORT, {}, seen=REPORT)
    assert "Version 1" in page
    again = await auditor.send(REPORT, {}, seen=REPORT)
    assert again.status_code == 409
    await reader.city.indicators.enter(PLANNER, HOMES, Entry(value=97.0, source="survey", **YEAR))
    await auditor.done(REPORT, {}, seen=REPORT)
    first, second = await reader.data(f"{REPORT}/1.json"), await reader.data(f"{REPORT}/2.json")
    assert [one["report"]["rows"][0]["value"] for one in (first, second)] == [60.0, 97.0]
    assert first["digest"] == second["versions"][1]["digest"] != second["digest"]
    assert (await reader.get(f"{REPORT}/3")).status_code == 404
    assert ",core,60.0,%," in (await reader.get(f"{REPORT}/1.csv")).text


async def test_what_is_not_open_is_not_published_by_those_who_see_it(reader):
    await reader.city.broker.classify(CITY, HOMES, InformationClass.SECURITY)
    administrator = await reader.sign_in("administrator")
    rows = (await administrator.data(f"{REPORT}.json"))["report"]["rows"]
    assert [one["value"] for one in rows if one["id"] == HOMES] == [60.0]
    await administrator.done(REPORT, {}, seen=REPORT)
    rows = (await administrator.data(f"{REPORT}/1.json"))["report"]["rows"]
    assert [one["value"] for one in rows if one["id"] == HOMES] == [None]


async def test_a_version_that_was_changed_says_so(reader):
    auditor = await reader.sign_in("auditor")
    await auditor.done(REPORT, {}, seen=REPORT)
    broker, name = reader.city.broker, "urn:ngsi-ld:IndicatorReport:u4ssc:1"
    document = broker.find(PLANNER, name)
    document["attrs"]["report"][0]["json"]["rows"][0]["value"] = 99.0
    await reader.city.write(document)
    assert "checksum does not fit" in await reader.text(f"{REPORT}/1")


async def test_published_reports_stand_in_the_catalogue_of_open_data(reader):
    auditor = await reader.sign_in("auditor")
    await auditor.done(REPORT, {}, seen=REPORT)
    found = await reader.get("/open-data/catalogue.jsonld")
    assert found.headers["content-type"] == "application/ld+json"
    graph = {one["@id"]: one for one in found.json()["@graph"]}
    version = graph[f"http://city.test{REPORT}/1"]
    assert version["dcat:inSeries"] == {"@id": f"http://city.test{REPORT}"}
    catalogue = graph["http://city.test/open-data"]
    assert {"@id": version["@id"]} in catalogue["dcat:dataset"]
    # What DCAT-AP 3 asks of each kind.
    needed = {
        "dcat:Catalog": {"dct:title", "dct:description", "dct:publisher"},
        "dcat:Dataset": {"dct:title", "dct:description", "dcat:distribution"},
        "dcat:DatasetSeries": {"dct:title", "dct:description"},
        "dcat:DataService": {"dct:title", "dcat:endpointURL"},
    }
    for one in graph.values():
        assert needed[one["@type"]] <= {name for name, said in one.items() if said}, one
        for file in one.get("dcat:distribution", ()):
            assert file["dcat:accessURL"]["@id"].startswith("http://city.test/")
    assert "urn:ngsi-ld:IndicatorReport" not in found.text  # its files are named, not what it is kept as
    for file in version["dcat:distribution"]:
        path = file["dcat:downloadURL"]["@id"].removeprefix("http://city.test")
        assert (await reader.get(path)).status_code == 200


async def test_the_catalogue_says_of_what_class_everything_is(reader):
    """What DCAT-AP's shapes ask beyond titles: each file, licence and checksum is told to be one."""
    auditor = await reader.sign_in("auditor")
    await auditor.done(REPORT, {}, seen=REPORT)
    licensed = {"name": prop("Lamp"), "license": prop("https://example.org/by/4.0")}
    await reader.city.write(entity("Streetlight", "urn:ngsi-ld:Streetlight:licensed", licensed))
    graph = {one["@id"]: one for one in (await reader.get("/open-data/catalogue.jsonld")).json()["@graph"]}
    files = [file for one in graph.values() for file in one.get("dcat:distribution", ())]
    assert {file["dcat:mediaType"]["@type"] for file in files} == {"dct:MediaType"}
    assert [one["dct:license"] for one in files if "dct:license" in one] == [
        {"@id": "https://example.org/by/4.0", "@type": "dct:LicenseDocument"}
    ] * 4
    checksum = graph[f"http://city.test{REPORT}/1"]["spdx:checksum"]
    assert checksum["@type"] == "spdx:Checksum" and len(checksum["spdx:checksumValue"]["@value"]) == 64
    assert checksum["spdx:algorithm"]["@type"] == "spdx:ChecksumAlgorithm"
    # A series is told by its versions: the profile takes a catalogue's datasets to be no series.
    kinds = {graph[one["@id"]]["@type"] for one in graph["http://city.test/open-data"]["dcat:dataset"]}
    assert kinds == {"dcat:Dataset"}


async def test_the_catalogue_fits_the_shapes_of_dcat_ap(reader):
    """The profile's own shapes (SHACL), where somebody has them and what checks them."""
    shapes = os.environ.get("DCAT_AP_SHAPES", "")
    rdflib, pyshacl = pytest.importorskip("rdflib"), pytest.importorskip("pyshacl")
    if not shapes:
        pytest.skip("amber: DCAT_AP_SHAPES names no file of shapes")
    asked = rdflib.Graph().parse(shapes, format="turtle")
    sh = rdflib.Namespace("http://www.w3.org/ns/shacl#")
    for shape, part in list(asked.subject_objects(sh.property)):
        if asked.value(part, sh.path) is None:  # two of release 3.0.1 are of no path
            asked.remove((shape, sh.property, part))
    auditor = await reader.sign_in("auditor")
    await auditor.done(REPORT, {}, seen=REPORT)
    found = rdflib.Graph().parse(
        data=(await reader.get("/open-data/catalogue.jsonld")).text, format="json-ld"
    )
    fits, _, told = pyshacl.validate(found, shacl_graph=asked)
    assert fits, told


async def test_a_factsheet_has_a_table_beside_its_radar(reader):
    sheet = await reader.data("/indicators/u4ssc/factsheet.json")
    (known,) = [one for one in sheet["categories"] if one["percent"] is not None]
    assert (known["name"], known["percent"], known["reported"], known["total"]) == (
        "ICT Infrastructure",
        50.0,
        1,
        6,
    )
    page = await reader.text("/indicators/u4ssc/factsheet")
    assert "ICT Infrastructure 50" in page and "<figcaption>" in page
    unscored = await reader.data("/indicators/iso37120/factsheet.json")
    assert not unscored["scored"] and all(one["percent"] is not None for one in unscored["categories"])
    assert (await reader.get("/indicators/u4ssc/factsheet.pdf")).status_code == 200


def test_what_is_not_known_is_no_point_of_a_radar():
    whole = draw_radar([Spoke(str(n), 50.0) for n in range(5)], "five <groups>")
    assert whole.count('<circle class="point"') == 5 and "Z" in whole and "five &lt;groups&gt;" in whole
    gap = draw_radar([Spoke("1", 50.0), Spoke("2", None), Spoke("3", 80.0), Spoke("4", 10.0)], "gap")
    assert gap.count('<circle class="point"') == 3 and "Z" not in gap
    # Neighbours alone are joined: 3 with 4, 4 with 1.
    assert gap.count("<path") == 2
