"""User @contexts by URL in a real city: what its city.toml allows is fetched, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.app.first_configuration import write_first
from loopback_servers import Asked, InThread
from running_city import RunningCity

TERMS = {"@context": {"Lantern": "https://lights.example/Lantern", "glow": "https://lights.example/glow"}}


class Documents(InThread):
    """Two folders of @contexts on the loopback."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(self._answer)

    def _answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(asked.path)
        return 200, {"content-type": "application/ld+json"}, json.dumps(TERMS).encode()


@pytest.fixture(scope="module")
def documents() -> Iterator[Documents]:
    with Documents() as served:
        yield served


@pytest.fixture(scope="module")
def city(documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    home = tmp_path_factory.mktemp("contexts") / "city"
    toml = home / "city.toml"
    write_first(toml, name="Lightby", time_zone="UTC", longitude=10.0, latitude=56.0, language="en")
    with toml.open("a") as file:
        file.write(f'\n[contexts]\nallow = ["{documents.address}/allowed/"]\n')
    running = RunningCity(home, "up", "--open-access")
    yield running
    running.stop()


def lantern(number: int, context: str) -> dict[str, object]:
    return {"id": f"urn:ngsi-ld:Lantern:{number}", "type": "Lantern", "glow": 7, "@context": context}


def test_terms_of_an_allowed_context_are_expanded(city: RunningCity, documents: Documents):
    allowed = f"{documents.address}/allowed/lights.jsonld"
    ld = {"content-type": "application/ld+json"}
    reply = city.web.post("/ngsi-ld/v1/entities", content=json.dumps(lantern(1, allowed)), headers=ld)
    assert reply.status_code == 201, reply.text
    whole = city.web.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Lantern:1").json()
    assert whole["type"] == "https://lights.example/Lantern"
    assert whole["https://lights.example/glow"]["value"] == 7
    link = f'<{allowed}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    shown = city.web.get("/ngsi-ld/v1/entities?type=Lantern", headers={"link": link})
    assert [(one["type"], one["glow"]["value"]) for one in shown.json()] == [("Lantern", 7)]
    assert allowed in shown.headers["link"]
    # It is kept, and fetched once.
    assert documents.asked == ["/allowed/lights.jsonld"]


def test_another_context_is_refused_and_the_cure_named(city: RunningCity, documents: Documents):
    before = list(documents.asked)
    other = f"{documents.address}/secret/lights.jsonld"
    ld = {"content-type": "application/ld+json"}
    reply = city.web.post("/ngsi-ld/v1/entities", content=json.dumps(lantern(2, other)), headers=ld)
    assert reply.status_code == 504
    problem = reply.json()
    assert problem["type"] == "https://uri.etsi.org/ngsi-ld/errors/LdContextNotAvailable"
    assert "[contexts] allow in city.toml" in problem["hint"]
    assert problem["where"] == "@context"
    assert documents.asked == before
    assert city.web.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Lantern:2").status_code == 404
