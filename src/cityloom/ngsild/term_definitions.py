"""The terms that @context objects define (JSON-LD 1.1 API, 4.1 and 4.2).

Plain maps of terms, which nearly all published @contexts are, are read here. What goes beyond (@import,
@prefix, a relative @vocab) is given to PyLD; the answer is the same kind of map.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cityloom.kernel.media_types import JSON_LD
from cityloom.ngsild.errors import BadRequestData

#: Terms that one @context may define.
MAX_TERMS = 10_000
#: How many terms may stand on one another.
MAX_CHAIN = 50
#: What an absolute IRI begins with.
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_GENERIC_DELIMITERS = tuple(":/?#[]@")
_KEYWORDS_PASSED_OVER = frozenset({"@version", "@base", "@language", "@direction", "@protected", "@vocab"})
_PYLD_KEYWORDS = frozenset({"@import", "@propagate"})
_ENTITY_KEYWORDS = {"id": "@id", "type": "@type"}


class TermMap(msgspec.Struct, frozen=True):
    """What terms stand for. A term mapped to None stands for nothing."""

    terms: dict[str, str | None]
    #: Terms that may stand before a colon.
    prefixes: frozenset[str]


def define_terms(
    contexts: Sequence[Mapping[str, Any]],
    *,
    core: TermMap | None,
    documents: Mapping[str, Any] | None = None,
) -> TermMap:
    """The terms of @context objects, later ones first in rank, and the core's above them all.

    `documents` are loaded @context documents by URI, for @import. Raises BadRequestData.
    """
    if sum(map(len, contexts)) > MAX_TERMS:
        raise BadRequestData(
            f"The @context has more than {MAX_TERMS} terms",
            hint="Send the terms that are used.",
            where="@context",
        )
    if any(map(_needs_pyld, contexts)):
        own = _by_pyld(contexts, documents or {})
    else:
        reader = _Reader(core or TermMap({}, frozenset()))
        for context in contexts:
            reader.read(context)
        own = TermMap(reader.terms, frozenset(reader.prefixes))
    if core is None:
        return own
    kept = {term: iri for term, iri in own.terms.items() if term not in core.terms}
    return TermMap({**kept, **core.terms}, frozenset(own.prefixes & kept.keys()) | core.prefixes)


class _Reader:
    """Reads plain @context objects one after the other."""

    def __init__(self, fallback: TermMap) -> None:
        self.terms: dict[str, str | None] = {}
        self.prefixes: set[str] = set()
        self._fallback = fallback
        self._vocabulary: str | None = None
        self._local: Mapping[str, Any] = {}
        self._defined: set[str] = set()
        self._defining: set[str] = set()

    def read(self, context: Mapping[str, Any]) -> None:
        self._local, self._defined = context, set()
        if "@vocab" in context:
            self._vocabulary = context["@vocab"]
        for term in context:
            if term.startswith("@"):
                if term not in _KEYWORDS_PASSED_OVER:
                    raise _wrong(term, "is not a keyword of an @context")
            else:
                self._define(term)

    def _define(self, term: str) -> None:
        if term in self._defined:
            return
        if term in self._defining or len(self._defining) > MAX_CHAIN:
            raise _wrong(term, "is defined by itself, or by a long chain of terms")
        self._defining.add(term)
        definition = self._local[term]
        target = definition.get("@id", term) if isinstance(definition, dict) else definition
        _check_definition(term, definition, target)
        if self._fallback.terms and isinstance(definition, dict) and "@context" in definition:
            raise _wrong(term, "has an @context of its own, which NGSI-LD forbids (4.4)")
        if _ENTITY_KEYWORDS.get(term) != target:
            self._set(term, target, simple=not isinstance(definition, dict))
        self._defining.discard(term)
        self._defined.add(term)

    def _set(self, term: str, target: str | None, *, simple: bool) -> None:
        self.prefixes.discard(term)
        iri = None if target is None else self._iri(target, term)
        self.terms[term] = iri
        if iri and simple and iri.endswith(_GENERIC_DELIMITERS) and ":" not in term:
            self.prefixes.add(term)

    def _iri(self, target: str, term: str) -> str:
        if target != term:
            if target in self._local:
                self._define(target)
            known = self.terms.get(target) or self._fallback.terms.get(target)
            if known:
                return known
        prefix, colon, rest = target.partition(":")
        if colon:
            resolved = self._resolved(prefix, rest)
            if resolved or SCHEME.fullmatch(prefix):
                return resolved or target
        if self._vocabulary is None:
            raise _wrong(term, f"leads to {target!r}, which is no IRI")
        return self._vocabulary + target

    def _resolved(self, prefix: str, rest: str) -> str | None:
        if prefix == "_" or rest.startswith("//"):
            return None
        if prefix in self._local:
            self._define(prefix)
        if prefix in self.prefixes:
            base = self.terms[prefix]
        else:
            base = self._fallback.terms[prefix] if prefix in self._fallback.prefixes else None
        return base + rest if base else None


def _check_definition(term: str, definition: Any, target: Any) -> None:
    if isinstance(definition, dict):
        if "@reverse" in definition:
            raise _wrong(term, "is a reverse property, which NGSI-LD does not have")
    elif definition is not None and not isinstance(definition, str):
        raise _wrong(term, "is neither an IRI nor an object")
    if target is not None and not isinstance(target, str):
        raise _wrong(term, "has an @id that is no string")
    if isinstance(target, str) and target.startswith("@") and _ENTITY_KEYWORDS.get(term) != target:
        raise _wrong(term, f"is another word for the keyword {target}")


def _needs_pyld(context: Mapping[str, Any]) -> bool:
    vocabulary = context.get("@vocab")
    if vocabulary is not None and (not isinstance(vocabulary, str) or ":" not in vocabulary):
        return True
    if not _PYLD_KEYWORDS.isdisjoint(context):
        return True
    return any(isinstance(item, dict) and "@prefix" in item for item in context.values())


def _by_pyld(contexts: Sequence[Mapping[str, Any]], documents: Mapping[str, Any]) -> TermMap:
    # Imported when needed: it takes 0.3 s and few installations ever see such an @context.
    from pyld import jsonld

    def load(uri: str, _options: Any) -> dict[str, Any]:
        document = documents.get(uri)
        if document is None:
            raise _wrong(uri, "is imported and not available")
        return {"contentType": JSON_LD, "contextUrl": None, "documentUrl": uri, "document": document}

    processor = jsonld.JsonLdProcessor()
    options = {
        "base": "",
        "processingMode": "json-ld-1.1",
        "documentLoader": load,
        "contextResolver": jsonld.ContextResolver({}, load),
    }
    initial = processor._get_initial_context(options)
    try:
        active = processor.process_context(initial, [dict(context) for context in contexts], options)
    except jsonld.JsonLdError as error:
        raise _wrong("@context", f"is not valid JSON-LD: {error.type}") from None
    mappings = active["mappings"]
    terms = {term: (item["@id"] if item else None) for term, item in mappings.items()}
    keywords = [term for term, iri in terms.items() if iri and iri.startswith("@")]
    for term in keywords:
        if _ENTITY_KEYWORDS.get(term) != terms.pop(term):
            raise _wrong(term, "is another word for a keyword")
    return TermMap(terms, frozenset(term for term in terms if mappings[term] and mappings[term]["_prefix"]))


def _wrong(term: str, why: str) -> BadRequestData:
    return BadRequestData(
        f"In the @context, {term!r} {why}", hint="Map each term to an IRI.", where=f"@context.{term}"
    )
