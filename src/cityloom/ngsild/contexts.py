"""@contexts: from the terms that people write to names, and back (ETSI GS CIM 009, 4.4 and 5.5.7).

A `Context` maps terms to *names* (see `cityloom.ngsild.model`) and names to terms. The core @context always
counts as the last one, so that nothing overrides its terms. No @context is fetched here: the resolver works
on documents that were loaded elsewhere and says which ones it misses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import orjson

from cityloom.ngsild.errors import BadRequestData, LdContextNotAvailable
from cityloom.ngsild.model import DEFAULT_VOCABULARY
from cityloom.ngsild.names import check_name
from cityloom.ngsild.term_definitions import SCHEME, TermMap, define_terms

CORE_CONTEXT_URI = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
_CORE_URI = re.compile(r"https?://uri\.etsi\.org/ngsi-ld/v1/ngsi-ld-core-context(?:-v\d+\.\d+)?\.jsonld")
_CORE_FILE = files("cityloom.ngsild") / "data" / "ngsi-ld-core-context-v1.9.jsonld"

_KEYWORDS = frozenset({"id", "type"})

#: @contexts that one @context may draw in, itself included.
MAX_INCLUDED = 32
#: Contexts kept resolved, what all of them may weigh, and names kept translated in each. Senders choose how
#: large an @context is, so that a number of them alone bounds nothing.
_KEPT_CONTEXTS = 500
_KEPT_DOCUMENTS = 64
_KEPT_WEIGHT = 10_000_000
_TERM_WEIGHS = 40
_KEPT_NAMES = 20_000

#: The core @context as published.
CORE_DOCUMENT: dict[str, Any] = orjson.loads(_CORE_FILE.read_bytes())
_CORE_TERMS: TermMap = define_terms([CORE_DOCUMENT["@context"]], core=None)
_CORE_BY_IRI = {iri: term for term, iri in _CORE_TERMS.terms.items() if iri is not None}


def is_core(uri: str) -> bool:
    """Whether a URI names some version of the core @context; all of them mean the bundled one."""
    return _CORE_URI.fullmatch(uri) is not None


def iri_of(name: str) -> str:
    """The full IRI that a name stands for."""
    if ":" in name:
        return name
    return _CORE_TERMS.terms.get(name) or DEFAULT_VOCABULARY + name


def name_of(iri: str) -> str:
    """The name that stands for a full IRI."""
    term = _CORE_BY_IRI.get(iri)
    if term is not None:
        return term
    if iri.startswith(DEFAULT_VOCABULARY):
        rest = iri[len(DEFAULT_VOCABULARY) :]
        if rest and ":" not in rest and rest not in _CORE_TERMS.terms:
            return rest
    return iri


class _Kept(dict[str, str]):
    """A translation that remembers its answers, within bounds."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__()
        self._answer = answer

    def __missing__(self, key: str) -> str:
        found = self._answer(key)
        if len(self) >= _KEPT_NAMES:
            self.clear()
        self[key] = found
        return found


class Context:
    """One @context in use. `source` is the user's part as it was given, None where there is none."""

    __slots__ = (
        "__weakref__",
        "_by_iri",
        "_names_core",
        "_terms",
        "compact",
        "expand",
        "expand_value",
        "source",
    )

    #: From a term to its name. Raises BadRequestData when the term cannot name anything.
    expand: Callable[[str], str]
    #: From a string of a VocabProperty to its name; any text is accepted.
    expand_value: Callable[[str], str]
    #: From a name to the shortest term.
    compact: Callable[[str], str]

    def __init__(self, terms: TermMap, source: Any = None, *, names_core: bool = False) -> None:
        self.source = source
        self._names_core = names_core
        self._terms = terms
        by_iri: dict[str, str] = {}
        for term in sorted(terms.terms, key=lambda item: (len(item), item)):
            iri = terms.terms[term]
            if iri is not None:
                by_iri.setdefault(iri, term)
        self._by_iri = by_iri
        self.expand = _Kept(self._checked_name).__getitem__
        self.expand_value = _Kept(self._name).__getitem__
        self.compact = _Kept(self._term).__getitem__

    @property
    def size(self) -> int:
        """How many terms it defines, those of the core among them."""
        return len(self._terms.terms)

    def says_the_same(self, other: Context) -> bool:
        """Whether all terms stand for the same in another one."""
        return self._terms == other._terms

    def reference(self) -> Any:
        """The @context for a JSON-LD answer: what the user gave, and the core if it is not in it (6.3.6)."""
        if self.source is None:
            return CORE_CONTEXT_URI
        if self._names_core:
            return self.source
        return [*(self.source if isinstance(self.source, list) else [self.source]), CORE_CONTEXT_URI]

    def expand_iri(self, term: str) -> str:
        """The full IRI that a term stands for."""
        return iri_of(self.expand_value(term))

    def _checked_name(self, term: str) -> str:
        check_name(term, where=None)
        return self._name(term)

    def _name(self, term: str) -> str:
        if term in _KEYWORDS:
            raise BadRequestData(f"{term!r} is a keyword of JSON-LD", hint="Choose another name.")
        if term in self._terms.terms:
            iri = self._terms.terms[term]
            if iri is None:
                raise BadRequestData(
                    f"The @context maps {term!r} to null",
                    hint="Give the term an IRI, or leave it out.",
                )
            return name_of(iri)
        prefix, colon, rest = term.partition(":")
        if not colon:
            return name_of(DEFAULT_VOCABULARY + term)
        base = self._terms.terms.get(prefix) if prefix in self._terms.prefixes else None
        if base and not rest.startswith("//"):
            return name_of(base + rest)
        return name_of(term if SCHEME.fullmatch(prefix) else DEFAULT_VOCABULARY + term)

    def _term(self, name: str) -> str:
        iri = iri_of(name)
        found = self._by_iri.get(iri)
        if found is not None:
            return found
        if iri.startswith(DEFAULT_VOCABULARY):
            rest = iri[len(DEFAULT_VOCABULARY) :]
            if rest and ":" not in rest and rest[0] != "@" and rest not in self._terms.terms:
                return rest
        return min(self._prefixed(iri), key=lambda item: (len(item), item), default=iri)

    def _prefixed(self, iri: str) -> list[str]:
        terms = self._terms.terms
        found = []
        for prefix in self._terms.prefixes:
            base = terms[prefix]
            if base and iri.startswith(base) and len(iri) > len(base):
                short = f"{prefix}:{iri[len(base) :]}"
                if short not in terms:
                    found.append(short)
        return found


#: The Context of a request that names none (5.5.5).
CORE = Context(_CORE_TERMS)


class ContextResolver:
    """Turns what a request gives as @context into a `Context`, from documents loaded before."""

    def __init__(self, documents: Mapping[str, Any] | None = None) -> None:
        self._documents: dict[str, Any] = {}
        self._resolved: dict[bytes, Context] = {}
        self._weight = 0
        for uri, document in (documents or {}).items():
            self.add(uri, document)

    def add(self, uri: str, document: Any) -> None:
        """Make known the JSON document behind a URI. Raises BadRequestData when it holds no @context."""
        if not isinstance(document, dict) or "@context" not in document:
            raise BadRequestData(
                "The document holds no @context",
                hint="It must be a JSON object with the member @context.",
                where=uri,
            )
        while len(self._documents) >= _KEPT_DOCUMENTS:
            del self._documents[next(iter(self._documents))]
        self._documents[uri] = document
        self._forget()

    def forget(self, uri: str) -> None:
        """Make unknown the document behind a URI."""
        if self._documents.pop(uri, None) is not None:
            self._forget()

    def missing(self, source: Any) -> list[str]:
        """URIs that must be loaded before `source` can be resolved. Ask again after loading them."""
        inclusion = _Inclusion(self._documents)
        inclusion.collect(source, ())
        return list(dict.fromkeys(inclusion.absent))

    def resolve(self, source: Any) -> Context:
        """The Context for a URI, an @context object, a list of these, or None.

        Raises BadRequestData for what is no @context, LdContextNotAvailable when a document is not loaded.
        """
        if source is None or (isinstance(source, str) and is_core(source)):
            return CORE
        key = _key(source)
        found = self._resolved.get(key)
        if found is None:
            found = self._build(source)
            weight = len(key) + _TERM_WEIGHS * found.size
            if len(self._resolved) >= _KEPT_CONTEXTS or self._weight + weight > _KEPT_WEIGHT:
                self._forget()
            self._resolved[key] = found
            self._weight += weight
        return found

    def _forget(self) -> None:
        self._resolved.clear()
        self._weight = 0

    def _build(self, source: Any) -> Context:
        inclusion = _Inclusion(self._documents)
        inclusion.collect(source, ())
        if inclusion.absent:
            raise LdContextNotAvailable(
                f"The @context {inclusion.absent[0]} is not available",
                hint="Add its address to the contexts this city may load, or send the @context in the body.",
                where="@context",
            )
        if not inclusion.parts:
            return CORE
        terms = define_terms(inclusion.parts, core=_CORE_TERMS, documents=self._documents)
        return Context(terms, source, names_core=inclusion.names_core)


class _Inclusion:
    """Gathers the @context objects behind a source, in order, the core left out."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.parts: list[dict[str, Any]] = []
        self.absent: list[str] = []
        #: Whether the core is among what is drawn in.
        self.names_core = False
        self._documents = documents
        self._included = 0

    def collect(self, source: Any, trail: tuple[str, ...]) -> None:
        """`trail` holds the URIs through which `source` was reached, "" for a list."""
        if len(trail) > MAX_INCLUDED:
            raise _not_a_context("is nested too deeply", "A flat list of URIs and objects is enough.")
        if isinstance(source, list):
            for item in source:
                self.collect(item, (*trail, ""))
        elif isinstance(source, dict):
            self.parts.append(source)
        elif isinstance(source, str):
            if is_core(source):
                self.names_core = True
            else:
                self._include(source, trail)
        else:
            raise _not_a_context("is none", "It is a URI, an object, or a list of these.")

    def _include(self, uri: str, trail: tuple[str, ...]) -> None:
        self._included += 1
        if uri in trail:
            raise _not_a_context(f"{uri} includes itself", "Break the circle.")
        if self._included > MAX_INCLUDED:
            raise _not_a_context(f"draws in more than {MAX_INCLUDED} others", "Send the terms that are used.")
        document = self._documents.get(uri)
        if document is None:
            self.absent.append(uri)
        else:
            self.collect(document["@context"], (*trail, uri))


def _not_a_context(why: str, hint: str) -> BadRequestData:
    return BadRequestData(f"The @context {why}", hint=hint, where="@context")


def _key(source: Any) -> bytes:
    try:
        return orjson.dumps(source)
    except (TypeError, orjson.JSONEncodeError):
        raise _not_a_context("is nested too deeply", "A flat map of terms is enough.") from None
