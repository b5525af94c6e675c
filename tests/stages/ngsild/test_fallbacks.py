"""What readers of earlier versions are shown, down to the attributes of attributes."""

from cityloom.ngsild.contexts import CORE
from cityloom.ngsild.fallbacks import conforming

SIGHT = {"type": "VocabProperty", "vocab": ["https://sights.example/tower", "park"]}


def test_names_of_a_vocabulary_become_the_terms_that_the_reader_knows():
    seen = conforming({"id": "urn:x:1", "type": ["A"], "attrs": {"sight": [SIGHT]}}, (1, 7), CORE)
    assert seen["attrs"]["sight"] == [
        {"type": "Property", "value": [CORE.compact(name) for name in SIGHT["vocab"]]}
    ]


def test_attributes_of_attributes_conform_too():
    inner = {"type": "JsonProperty", "json": {"a": 1}, "expiresAt": "2030-01-01T00:00:00Z"}
    outer = {"type": "Property", "value": 1, "attrs": {"how": [inner]}}
    seen = conforming({"id": "urn:x:1", "type": ["A"], "attrs": {"speed": [outer]}}, (1, 7), CORE)
    assert seen["attrs"]["speed"][0]["attrs"] == {"how": [{"type": "Property", "value": {"a": 1}}]}


def test_a_vocabulary_of_a_context_is_compacted_by_it():
    class Terms:
        @staticmethod
        def compact(name: str) -> str:
            return name.rpartition("/")[2]

    seen = conforming({"id": "urn:x:1", "type": ["A"], "attrs": {"sight": [SIGHT]}}, (1, 7), Terms())
    assert seen["attrs"]["sight"][0]["value"] == ["tower", "park"]
