"""Registrations: what is read, what is refused, which of them match."""

from __future__ import annotations

import pytest

from cityloom.kernel.time import parse_instant
from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.errors import BadRequestData
from cityloom.ngsild.operation_names import OPERATION_GROUPS, OPERATION_NAMES, operations_of
from cityloom.ngsild.q_language import parse_q
from cityloom.ngsild.query import EntitySelector
from cityloom.ngsild.registration_parsing import parse_registration
from cityloom.ngsild.registrations import compile_registration, patched, represent_registration
from cityloom.ngsild.source_matching import (
    Sought,
    context_source_filter,
    matching_information,
)
from cityloom.ngsild.temporal_query import TemporalWindow
from cityloom.ngsild.type_selection import parse_type_selection

USUAL = {
    "id": "urn:x:registration",
    "type": "ContextSourceRegistration",
    "endpoint": "https://broker.example/",
    "information": [{"entities": [{"type": "Road"}]}],
}


def read(**members):
    return compile_registration(parse_registration({**USUAL, **members}, CORE))


def matches(registration, **sought):
    return bool(matching_information(registration, Sought(**sought)))


def of(types=None, id=None, pattern=None):
    return (EntitySelector(parse_type_selection(types) if types else None, id, pattern),)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("type", "Subscription"),
        ("endpoint", "mqtt://broker.example"),
        ("endpoint", "https://user:secret@broker.example"),
        ("information", []),
        ("information", [{}]),
        ("information", [{"entities": []}]),
        ("information", [{"propertyNames": []}]),
        ("information", [{"entities": [{"type": "Road", "idPattern": "("}]}]),
        ("information", [{"entities": [{"type": "Road", "id": "no uri"}]}]),
        ("mode", "shared"),
        ("operations", ["fetchEntity"]),
        ("contextSourceAlias", "two words"),
        ("contextSourceInfo", [{"key": "X-A"}]),
        ("contextSourceInfo", [{"key": "X-A", "value": "one\r\nX-B: two"}]),
        ("contextSourceInfo", [{"key": "accept", "value": "text/html"}]),
        ("expiresAt", "tomorrow"),
        ("location", {"type": "Point", "coordinates": [200, 0]}),
        ("management", {"timeout": 0}),
        ("management", {"cacheDuration": "soon"}),
        ("management", {"localOnly": "yes"}),
        ("observationInterval", {"endAt": "2026-01-01T00:00:00Z"}),
        ("refreshRate", "PT"),
        ("tenant", "a b"),
        ("datasetId", ["none"]),
        ("description", ""),
        ("description", None),
    ],
)
def test_parse_registration_refuses_and_names_the_member(member, value):
    with pytest.raises(BadRequestData) as caught:
        parse_registration({**USUAL, member: value}, CORE)
    assert caught.value.where.startswith(member)


@pytest.mark.parametrize("missing", ["type", "endpoint", "information"])
def test_parse_registration_misses_what_must_be_there(missing):
    with pytest.raises(BadRequestData):
        parse_registration({name: said for name, said in USUAL.items() if name != missing}, CORE)


def test_represent_registration_gives_back_what_was_sent():
    sent = {
        **USUAL,
        "information": [
            {
                "entities": [{"type": ["Road", "Bridge"], "idPattern": "^urn:x:"}],
                "propertyNames": ["speed"],
                "relationshipNames": ["https://roads.example/crosses"],
            }
        ],
        "mode": "redirect",
        "operations": ["redirectionOps"],
        "scope": "/Aarhus",
        "sourceKind": {"type": "Property", "value": "sensor"},
        "management": {"timeout": 3000},
    }
    assert represent_registration(parse_registration(sent, CORE), CORE) == sent


def test_represent_registration_shows_no_secrets_to_those_who_may_not_register():
    sent = {**USUAL, "contextSourceInfo": [{"key": "Authorization", "value": "Bearer secret"}]}
    document = parse_registration(sent, CORE)
    assert "secret" not in str(represent_registration(document, CORE, secrets=False))
    assert represent_registration(document, CORE) == sent


def test_patched_replaces_and_takes_away():
    before = parse_registration({**USUAL, "description": "Roads", "kind": "sensor", "level": 3}, CORE)
    sent = {"description": None, "kind": None, "mode": "redirect"}
    fragment = parse_registration(sent, CORE, fragment=True)
    after = patched(before, fragment)
    assert "description" not in after
    assert after["properties"] == {"level": 3}
    assert after["mode"] == "redirect"


def test_what_implementations_tell_is_ignored_in_what_is_sent():
    assert parse_registration({**USUAL, "timesSent": 9, "status": "failed"}, CORE) == parse_registration(
        USUAL, CORE
    )


@pytest.mark.parametrize(
    "information",
    [
        [{"entities": [{"type": "Road", "id": "urn:x:1"}]}],
        [{"entities": [{"type": "Road"}], "propertyNames": ["speed"]}],
        [{"entities": [{"type": "Road", "idPattern": "x"}], "propertyNames": ["speed"]}],
        [{"propertyNames": ["speed"]}],
    ],
)
def test_an_exclusive_registration_names_an_entity_and_attributes(information):
    with pytest.raises(BadRequestData):
        read(mode="exclusive", information=information)


def test_an_auxiliary_source_is_read_alone():
    assert read(mode="auxiliary", operations=["retrieveOps"]).operations == {"retrieveEntity", "queryEntity"}
    with pytest.raises(BadRequestData):
        read(mode="auxiliary", operations=["retrieveOps", "updateOps"])


def test_operations_of_takes_names_and_groups_and_has_a_default():
    assert operations_of([]) == OPERATION_GROUPS["federationOps"]
    assert operations_of(["retrieveOps", "purgeEntity"]) == {"retrieveEntity", "queryEntity", "purgeEntity"}
    assert all(OPERATION_NAMES.issuperset(group) for group in OPERATION_GROUPS.values())
    assert len(OPERATION_NAMES) == 43


def test_matching_information_goes_by_types_ids_and_patterns():
    by_type = read()
    assert matches(by_type, selectors=of("Road"))
    assert matches(by_type, selectors=of("House|Road"))
    assert not matches(by_type, selectors=of("House"))
    assert not matches(by_type, selectors=of("(House;Road)"))
    by_id = read(information=[{"entities": [{"type": "Road", "id": "urn:x:1"}]}])
    assert matches(by_id, selectors=of("Road"))
    assert matches(by_id, selectors=of("Road", "urn:x:1"))
    assert not matches(by_id, selectors=of("Road", "urn:x:2"))
    assert matches(by_id, selectors=of(None, None, "^urn:x"))
    assert not matches(by_id, selectors=of(None, None, "^urn:y"))
    by_pattern = read(information=[{"entities": [{"type": "Road", "idPattern": "^urn:x"}]}])
    assert matches(by_pattern, selectors=of("Road", "urn:x:1"))
    assert not matches(by_pattern, selectors=of("Road", "urn:y:1"))
    assert matches(by_pattern, selectors=of("Road", None, "^urn:y"))


def test_matching_information_goes_by_attributes_and_datasets():
    source = read(information=[{"propertyNames": ["speed"]}], datasetId=["urn:x:d", "@none"])
    assert matches(source, attributes=frozenset({"speed", "lanes"}))
    assert not matches(source, attributes=frozenset({"lanes"}))
    assert matches(source, dataset_ids=frozenset({"@none"}))
    assert not matches(source, dataset_ids=frozenset({"urn:x:e"}))


def test_matching_information_keeps_the_past_and_the_present_apart():
    def window(since=None, until=None, of="observedAt"):
        times = [None if one is None else parse_instant(one, where="") for one in (since, until)]
        return TemporalWindow(*times, of)

    past = read(observationInterval={"startAt": "2020-01-01T00:00:00Z", "endAt": "2021-01-01T00:00:00Z"})
    assert not matches(past)
    assert not matches(read(), window=window())
    assert matches(past, window=window("2020-06-01T00:00:00Z"))
    assert not matches(past, window=window("2022-06-01T00:00:00Z"))
    assert not matches(past, window=window(None, "2019-06-01T00:00:00Z"))
    assert not matches(past, window=window("2020-06-01T00:00:00Z", of="modifiedAt"))
    growing = read(managementInterval={"startAt": "2020-01-01T00:00:00Z"})
    assert matches(growing, window=window("2030-01-01T00:00:00Z", of="createdAt"))


def test_context_source_filter_looks_at_the_properties_of_the_source():
    source = read(kind={"type": "Property", "value": "sensor"}, level=3)
    for text, fits in {
        'kind=="sensor"': True,
        'kind=="archive"': False,
        "level>2": True,
        'endpoint=="https://broker.example/"': True,
        "missing": False,
    }.items():
        assert context_source_filter(Sought(csf=parse_q(text)))(source) is fits, text
