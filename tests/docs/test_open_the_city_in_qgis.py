"""The guide for GIS, as it stands: its addresses, and GDAL and OWSLib as the clients that people use.

The clients are the dependency group `clients`; without them their tests are skipped.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from running_city import RunningCity

GUIDE = (Path(__file__).parents[2] / "docs/guides/open_the_city_in_qgis.md").read_text(encoding="utf-8")
TYPE = "WeatherObserved"
MAST = f"urn:ngsi-ld:{TYPE}:mast"


def station(name: str, number: int):
    return {
        "id": f"urn:ngsi-ld:{TYPE}:{name}",
        "type": TYPE,
        "name": name.title(),
        "location": {"type": "Point", "coordinates": [10 + number / 1000, 56.1]},
        "address": {"type": "Property", "value": {"streetAddress": f"Main {number}"}},
        "temperature": {"value": number / 10, "unitCode": "CEL", "observedAt": "2026-04-12T10:00:00Z"},
    }


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    made = RunningCity(tmp_path_factory.mktemp("gis") / "trial", "up", "--open-access")
    some = [station("mast", 15), *(station(f"s{number}", number) for number in range(1_200))]
    assert made.web.post("/ngsi-ld/v1/entityOperations/upsert", json=some).status_code == 201
    assert made.web.post(
        "/ngsi-ld/v1/entities", json={"id": "urn:x:b", "type": "Building", "name": "No place"}
    ).is_success
    yield made
    made.stop()


def test_the_feature_has_the_properties_that_the_guide_names(city):
    (target,) = re.findall(r"```http\nGET (\S+)\n", GUIDE)
    found = city.web.get(target).json()
    said = re.findall(r"^\| `(\S+)` \|", GUIDE.partition("## Ask for a part")[0], re.M)
    assert len(said) == 5
    assert set(said) < found["properties"].keys()
    assert (found["id"], found["properties"]["temperature_unit"]) == (MAST, "°C")


def test_each_address_of_the_guide_finds_something(city):
    targets = re.findall(r"^\| [^|]+ \| `(/ogc[^`]+)`", GUIDE, re.M)
    assert len(targets) == 5
    for target in targets:
        answer = city.web.get(target)
        assert answer.status_code == 200, (target, answer.text[:300])
        assert answer.json()["numberReturned"] > 0, target
    (queryables,) = re.findall(r"`(/ogc/\S+/queryables)`", GUIDE)
    assert "temperature" in city.web.get(queryables).json()["properties"]


def test_gdal_finds_the_layers_pages_through_them_and_filters(city):
    pyogrio = pytest.importorskip("pyogrio", reason="amber: pyogrio is not installed")
    (line,) = re.findall(r"^\$ (ogr2ogr .*)$", GUIDE, re.M)
    _, option, where, _, source, layer = shlex.split(line)
    assert option == "-where"
    source = source.replace("http://city.example", city.address)
    layers = dict(pyogrio.list_layers(source).tolist())
    assert layers[TYPE] == "Point"
    assert "Building" in layers
    about = pyogrio.read_info(source, layer=layer)
    assert about["features"] == 1_201
    assert about["total_bounds"] == (10.0, 56.1, 11.199, 56.1)
    kinds = dict(zip(about["fields"].tolist(), about["dtypes"].tolist(), strict=True))
    assert kinds["temperature"] == "float64"
    assert kinds["observedAt"].startswith("datetime64")
    whole = pyogrio.raw.read(source, layer=layer)
    assert len(whole[2]) == 1_201
    warm = pyogrio.raw.read(source, layer=layer, where=where)
    assert len(warm[2]) == 1_201 - 11
    near = pyogrio.raw.read(source, layer=layer, bbox=(10.0, 56.0, 10.0105, 57.0))
    assert len(near[2]) == 11
    table = pyogrio.raw.read(source, layer="Building")
    assert table[3][table[0]["fields"].tolist().index("name")].tolist() == ["No place"]


def test_owslib_reads_the_whole_interface(city):
    owslib = pytest.importorskip("owslib.ogcapi.features", reason="amber: OWSLib is not installed")
    client = owslib.Features(f"{city.address}/ogc")
    assert TYPE in client.feature_collections()
    assert any(one.endswith("/conf/core") for one in client.conformance()["conformsTo"])
    assert client.api()["openapi"].startswith("3.0")
    page = client.collection_items(TYPE, limit=3, filter="temperature > 119")
    assert (page["numberMatched"], page["numberReturned"]) == (9, 3)
    assert client.collection_item(TYPE, MAST)["properties"]["name"] == "Mast"
    assert "temperature" in client.collection_queryables(TYPE)["properties"]
