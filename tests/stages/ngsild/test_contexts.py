"""@contexts (ETSI GS CIM 009, 4.4 and 5.5.7), with PyLD as the judge of JSON-LD."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyld import jsonld

from cityloom.ngsild.contexts import (
    CORE,
    CORE_CONTEXT_URI,
    CORE_DOCUMENT,
    ContextResolver,
    iri_of,
    name_of,
)
from cityloom.ngsild.errors import BadRequestData, LdContextNotAvailable
from cityloom.ngsild.model import DEFAULT_VOCABULARY

TRAFFIC: dict[str, Any] = {
    "schema": "https://schema.org/",
    "sdm": "https://smartdatamodels.org/",
    "name": "schema:name",
    "Vehicle": {"@id": "https://example.org/Vehicle"},
    "speed": {"@id": "sdm:dataModel.Transportation/speed", "@type": "xsd:double"},
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "location": "https://example.org/somewhere",
}


def context(source: Any, documents: dict[str, Any] | None = None):
    return ContextResolver(documents).resolve(source)


def expanded_by_pyld(source: Any, term: str) -> str:
    user = source if isinstance(source, list) else [source]
    core = {
        key: value
        for key, value in CORE_DOCUMENT["@context"].items()
        if key not in ("@protected", "ngsildproof")
    }
    document = {"@context": [*user, core], "@type": term, "http://example.org/p": 1}
    expanded = jsonld.expand(document, {"documentLoader": lambda uri, options: pytest.fail(f"loads {uri}")})
    return expanded[0]["@type"][0]


def test_expand_leaves_names_of_the_default_vocabulary_short():
    assert CORE.expand("temperature") == "temperature"
    assert iri_of("temperature") == DEFAULT_VOCABULARY + "temperature"


def test_expand_knows_the_terms_of_the_core_context():
    assert CORE.expand("location") == "location"
    assert iri_of("location") == "https://uri.etsi.org/ngsi-ld/location"
    assert iri_of("title") == "http://purl.org/dc/terms/title"


def test_expand_takes_full_iris_back_to_short_names():
    assert CORE.expand("https://uri.etsi.org/ngsi-ld/location") == "location"
    assert CORE.expand(DEFAULT_VOCABULARY + "temperature") == "temperature"


def test_name_of_keeps_an_iri_whose_short_form_means_something_else():
    iri = DEFAULT_VOCABULARY + "location"
    assert name_of(iri) == iri
    assert iri_of(name_of(iri)) == iri


def test_expand_uses_terms_and_prefixes_of_the_user():
    found = context(TRAFFIC)
    assert found.expand("name") == "https://schema.org/name"
    assert found.expand("Vehicle") == "https://example.org/Vehicle"
    assert found.expand("speed") == "https://smartdatamodels.org/dataModel.Transportation/speed"
    assert found.expand("schema:about") == "https://schema.org/about"
    assert found.expand("unknown") == "unknown"


def test_expand_lets_nothing_override_the_core():
    assert context(TRAFFIC).expand("location") == "location"
    assert context([CORE_CONTEXT_URI, TRAFFIC]).expand("location") == "location"


def test_compact_gives_the_users_term_back():
    found = context(TRAFFIC)
    assert found.compact("https://schema.org/name") == "name"
    assert found.compact("https://schema.org/about") == "schema:about"
    assert found.compact("location") == "location"
    assert found.compact("https://nowhere.example/x") == "https://nowhere.example/x"


def test_compact_without_a_context_gives_full_names():
    assert CORE.compact("https://schema.org/name") == "https://schema.org/name"


def test_compact_shortens_words_that_are_no_names():
    assert CORE.compact(CORE.expand_value("non-commercial")) == "non-commercial"


def test_compact_does_not_give_a_term_that_means_something_else():
    found = context({"temperature": "https://example.org/temperature"})
    assert found.compact("temperature") == "ngsi-ld:default-context/temperature"
    assert found.expand(found.compact("temperature")) == "temperature"


@pytest.mark.parametrize(
    "term", ["name", "Vehicle", "speed", "schema:about", "unknown", "location", "urn:x:y"]
)
def test_expand_agrees_with_pyld(term):
    assert iri_of(context(TRAFFIC).expand(term)) == expanded_by_pyld(TRAFFIC, term)


words = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
iris = st.builds(lambda host, end: f"https://{host}.example/{end}", words, st.sampled_from(["", "x#", "a/b"]))


@st.composite
def contexts(draw):
    terms = draw(st.lists(words, min_size=1, max_size=6, unique=True))
    found = {}
    for place, term in enumerate(terms):
        earlier = terms[:place]
        choices = [iris, iris.map(lambda iri: {"@id": iri})]
        if earlier:
            choices.append(st.builds(lambda p, w: f"{p}:{w}", st.sampled_from(earlier), words))
        found[term] = draw(st.one_of(choices))
    return found


@given(contexts(), words)
def test_expand_agrees_with_pyld_on_any_map_of_terms(source, other):
    try:
        expanded_by_pyld(source, other)
    except jsonld.JsonLdError:
        with pytest.raises(BadRequestData):
            context(source)
        return
    found = context(source)
    for term in [*source, other, f"{next(iter(source))}:{other}"]:
        assert iri_of(found.expand(term)) == expanded_by_pyld(source, term)


@given(contexts(), words)
def test_compact_undoes_expand(source, other):
    try:
        found = context(source)
    except BadRequestData:
        assume(False)
    for term in [*source, other]:
        name = found.expand(term)
        assert found.expand(found.compact(name)) == name


def test_resolve_follows_loaded_contexts_into_lists():
    documents = {
        "https://city.example/a.jsonld": {
            "@context": ["https://city.example/b.jsonld", {"a": "https://a.example/"}]
        },
        "https://city.example/b.jsonld": {
            "@context": {"b": "https://b.example/", "a": "https://lost.example/"}
        },
    }
    found = context("https://city.example/a.jsonld", documents)
    assert (found.expand("a"), found.expand("b")) == ("https://a.example/", "https://b.example/")


def test_missing_names_what_must_be_loaded():
    resolver = ContextResolver()
    source = ["https://city.example/a.jsonld", CORE_CONTEXT_URI, {"x": "https://x.example/"}]
    assert resolver.missing(source) == ["https://city.example/a.jsonld"]
    resolver.add("https://city.example/a.jsonld", {"@context": "https://city.example/b.jsonld"})
    assert resolver.missing(source) == ["https://city.example/b.jsonld"]


def test_resolve_says_which_context_is_not_available():
    with pytest.raises(LdContextNotAvailable, match=r"https://city\.example/none\.jsonld"):
        context("https://city.example/none.jsonld")


def test_resolve_takes_every_published_core_for_the_bundled_one():
    for version in ("", "-v1.3", "-v1.8", "-v1.9"):
        assert context(f"https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context{version}.jsonld") is CORE
    with pytest.raises(LdContextNotAvailable):
        context("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-non-existing.jsonld")


def test_resolve_refuses_a_circle_of_contexts():
    documents = {
        "https://city.example/a.jsonld": {"@context": "https://city.example/b.jsonld"},
        "https://city.example/b.jsonld": {"@context": ["https://city.example/a.jsonld"]},
    }
    with pytest.raises(BadRequestData, match="includes itself"):
        context("https://city.example/a.jsonld", documents)


def test_resolve_refuses_contexts_that_multiply():
    documents = {
        f"https://city.example/{level}": {"@context": [f"https://city.example/{level + 1}"] * 10}
        for level in range(9)
    }
    documents["https://city.example/9"] = {"@context": {}}
    with pytest.raises(BadRequestData, match="draws in more than"):
        context("https://city.example/0", documents)


@pytest.mark.parametrize(
    "source",
    [
        7,
        [["x", 7]],
        {"a": 7},
        {"a": {"@id": 7}},
        {"a": {"@id": "https://x.example/", "@context": {"b": "https://b.example/"}}},
        {"a": {"@reverse": "https://x.example/"}},
        {"a": "b", "b": "a"},
        {"a": "a:x"},
        {"a": "no-iri"},
        {"a": "@type"},
        {"@vokab": "https://x.example/"},
        {f"t{n}": "https://x.example/" for n in range(10_001)},
        {f"t{n}": f"t{n + 1}:x" for n in range(200)},
    ],
)
def test_resolve_refuses_what_is_no_context(source):
    with pytest.raises(BadRequestData):
        context(source)


def test_resolve_refuses_deep_lists():
    source: Any = {"a": "https://a.example/"}
    for _ in range(400):
        source = [source]
    with pytest.raises(BadRequestData, match="nested too deeply"):
        context(source)
    with pytest.raises(BadRequestData, match="nested too deeply"):
        ContextResolver().missing(source)


def test_resolve_uses_pyld_for_what_is_beyond_a_map_of_terms():
    found = context({"p": {"@id": "https://p.example/x", "@prefix": True}, "name": "https://schema.org/name"})
    assert found.expand("p:y") == "https://p.example/xy"
    assert found.expand("name") == "https://schema.org/name"


def test_resolve_imports_loaded_contexts_alone():
    documents = {"https://city.example/a.jsonld": {"@context": {"a": "https://a.example/"}}}
    source = {"@version": 1.1, "@import": "https://city.example/a.jsonld", "b": "https://b.example/"}
    assert context(source, documents).expand("a") == "https://a.example/"
    with pytest.raises(BadRequestData):
        context(source)


def test_resolve_uses_the_vocabulary_for_terms_without_an_iri():
    found = context({"@vocab": "https://city.example/words#", "speed": {"@type": "@id"}})
    assert found.expand("speed") == "https://city.example/words#speed"
    # The core comes last, and its vocabulary is for all other words (4.4).
    assert found.expand("other") == "other"


@pytest.mark.parametrize(
    "term", ["", "1st", "a b", "<script>", "a-b", "x" * 501, "@type", "a:", "http:// x", "a\0"]
)
def test_expand_refuses_what_is_no_name(term):
    with pytest.raises(BadRequestData):
        CORE.expand(term)


def test_expand_remembers_a_bounded_number_of_names():
    found = context(TRAFFIC)
    for number in range(20_100):
        found.expand(f"name{number}")
    assert len(found.expand.__self__) <= 20_000


def test_reference_has_the_core_once():
    assert CORE.reference() == CORE_CONTEXT_URI
    assert context(TRAFFIC).reference() == [TRAFFIC, CORE_CONTEXT_URI]
    assert context([CORE_CONTEXT_URI, TRAFFIC]).reference() == [CORE_CONTEXT_URI, TRAFFIC]
    documents = {"https://city.example/all.jsonld": {"@context": [TRAFFIC, CORE_CONTEXT_URI]}}
    assert (
        context("https://city.example/all.jsonld", documents).reference() == "https://city.example/all.jsonld"
    )
