"""The catalogue of open data for other catalogues: DCAT-AP 3 as JSON-LD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.responses import Response

from cityloom.indicators.publications import Publication
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.media_types import CSV, GEO_JSON, JSON, JSON_LD, PDF
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import value_of
from cityloom.web.languages import language
from cityloom.web.languages import noted as n
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit
from cityloom.web.wording import Wording

_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_PARQUET = "application/vnd.apache.parquet"
_MEDIA = "https://www.iana.org/assignments/media-types/"


def add(pages: Pages) -> None:
    pages.data("/open-data/catalogue.jsonld", catalogue)


async def catalogue(visit: Visit) -> Response:
    """Everything that is open, whoever asks, as a catalogue that others can harvest."""
    base = str(visit.request.url.replace(path="", query="", fragment=""))
    graph = [_catalogue(visit, base), *_types(visit, base), *_reports(visit, base), _service(visit, base)]
    # A series is told by what is in it: the profile has no word of the catalogue for it.
    graph[0]["dcat:dataset"] = [{"@id": one["@id"]} for one in graph if one["@type"] == "dcat:Dataset"]
    answer = visit.json({"@context": _CONTEXT, "@graph": graph})
    answer.headers["content-type"] = JSON_LD
    return answer


def _catalogue(visit: Visit, base: str) -> dict[str, Any]:
    return {
        "@id": f"{base}/open-data",
        "@type": "dcat:Catalog",
        "dct:title": _said(visit, n("Open data of %(city)s"), city=visit.city.name),
        "dct:description": _said(visit, n("Everything the city opens to everybody.")),
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": visit.city.name},
        "dct:modified": _instant(format_instant(visit.rooms.clock.now())),
        "dcat:service": {"@id": f"{base}/ngsi-ld/v1"},
    }


def _types(visit: Visit, base: str) -> Iterator[dict[str, Any]]:
    for name in visit.rooms.broker.types(ANONYMOUS):
        first = next(iter(visit.rooms.broker.of_type(ANONYMOUS, name)), None)
        licence = "" if first is None else str(value_of(first, "license") or "")
        files = [("json", JSON), ("csv", CSV), ("parquet", _PARQUET)]
        distributions = [
            _distribution(f"{base}/open-data/{name}.{end}", media, licence) for end, media in files
        ]
        distributions.append(_distribution(f"{base}/ogc/collections/{name}/items", GEO_JSON, licence))
        yield {
            "@id": f"{base}/open-data/{name}",
            "@type": "dcat:Dataset",
            "dct:title": [
                {"@language": one.language.code, "@value": one.type_name(name, plural=True)}
                for one in _wordings(visit)
            ],
            "dct:description": _said(
                visit, n("Things of the type %(type)s, now and in the past."), type=name
            ),
            "dct:publisher": {"@type": "foaf:Agent", "foaf:name": visit.city.name},
            "dcat:keyword": [name],
            "dcat:distribution": distributions,
        }


def _reports(visit: Visit, base: str) -> Iterator[dict[str, Any]]:
    publications = visit.rooms.indicators.publications
    for framework in visit.rooms.indicators.frameworks():
        versions = publications.list(ANONYMOUS, framework.id)
        if not versions:
            continue
        series = f"{base}/indicators/{framework.id}/verification"
        yield {
            "@id": series,
            "@type": "dcat:DatasetSeries",
            "dct:title": _texts(framework.manifest.title),
            "dct:description": _texts(framework.manifest.description),
            "dct:publisher": {"@type": "foaf:Agent", "foaf:name": visit.city.name},
        }
        for one in versions:
            yield _version(visit, series, one)


def _version(visit: Visit, series: str, one: Publication) -> dict[str, Any]:
    here = f"{series}/{one.version}"
    files = [(".json", JSON), (".csv", CSV), (".pdf", PDF), ("", "text/html")]
    found: dict[str, Any] = {
        "@id": here,
        "@type": "dcat:Dataset",
        "dct:title": _texts({code: f"{title}, {one.version}" for code, title in one.report.title.items()}),
        "dct:description": _texts(one.report.profile_status or one.report.title),
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": visit.city.name},
        "dcat:inSeries": {"@id": series},
        "dcat:version": str(one.version),
        "dcat:distribution": [_distribution(here + end, media, "") for end, media in files],
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256", "@type": "spdx:ChecksumAlgorithm"},
            "spdx:checksumValue": {"@type": "xsd:hexBinary", "@value": one.digest},
        },
    }
    if one.issued_at is not None:
        found["dct:issued"] = _instant(format_instant(one.issued_at))
    return found


def _service(visit: Visit, base: str) -> dict[str, Any]:
    return {
        "@id": f"{base}/ngsi-ld/v1",
        "@type": "dcat:DataService",
        "dct:title": _said(visit, n("NGSI-LD API")),
        "dcat:endpointURL": {"@id": f"{base}/ngsi-ld/v1"},
        "dcat:endpointDescription": {"@id": f"{base}/openapi.json"},
    }


def _distribution(address: str, media: str, licence: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@type": "dcat:Distribution",
        "dcat:accessURL": {"@id": address},
        "dcat:downloadURL": {"@id": address},
        "dcat:mediaType": {"@id": _MEDIA + media.partition(";")[0], "@type": "dct:MediaType"},
    }
    if licence:
        named = {"@id": licence} if licence.startswith("https://") else {"rdfs:label": licence}
        found["dct:license"] = {**named, "@type": "dct:LicenseDocument"}
    return found


def _wordings(visit: Visit) -> Iterable[Wording]:
    return (Wording(language(code), visit.city.zone, visit.rooms.clock) for code in visit.desk.languages)


def _said(visit: Visit, message: str, **values: str) -> list[dict[str, str]]:
    return [
        {"@language": one.language.code, "@value": one.language.gettext(message) % values}
        for one in _wordings(visit)
    ]


def _texts(texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"@language": code, "@value": text} for code, text in texts.items()]


def _instant(said: str) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": said}
