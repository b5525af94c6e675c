"""The order of texts (ETSI GS CIM 009, 4.23; RFC 6067, Unicode TR 10 and TR 35): letters first, then accents,
then case.

The order is the root one of Unicode for the scripts of Europe, made from the characters' decompositions;
other scripts follow their code points. Languages whose alphabets differ from it are tailored here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import msgspec

from cityloom.ngsild.errors import BadRequestData

#: A key to sort a text by.
Key = tuple[tuple[str, ...] | str, ...]

_TAG = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*")
_DIGITS = re.compile(r"([0-9]+)")
#: How much of a text is looked at: what differs later is as good as equal.
MAX_COMPARED = 200

_STRENGTHS = {"level1": 1, "level2": 2, "level3": 3, "level4": 3, "identic": 4}
_VALUES: Mapping[str, frozenset[str]] = {
    "ks": frozenset(_STRENGTHS),
    "kf": frozenset({"upper", "lower", "false"}),
    "kn": frozenset({"true", "false", ""}),
    "kk": frozenset({"true", "false", ""}),
    "co": frozenset({"standard", "phonebk", "search", "eor"}),
}

#: Letters that no decomposition leads to others: what they sort with.
_LIKE = {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ł": "l",
    "ħ": "h",
    "ı": "i",
    "ŧ": "t",
}
_NORDIC_WEST = {"æ": "z1", "ä": "z1", "ø": "z2", "ö": "z2", "å": "z3"}
_NORDIC_EAST = {"å": "z1", "ä": "z2", "æ": "z2", "ö": "z3", "ø": "z3"}
#: Letters of their own, by language: the letter that they follow, and which of its followers they are.
_ALPHABETS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("da", "nb", "nn", "no"), _NORDIC_WEST),
    **dict.fromkeys(("sv", "fi"), _NORDIC_EAST),
    "es": {"ñ": "n1"},
    "pl": dict(zip("ąćęłńóśźż", ["a1", "c1", "e1", "l1", "n1", "o1", "s1", "z1", "z2"], strict=True)),
    "cs": {"č": "c1", "ř": "r1", "š": "s1", "ž": "z1"},
    "sk": {"ä": "a1", "č": "c1", "ô": "o1", "š": "s1", "ž": "z1"},
    "hr": {"č": "c1", "ć": "c2", "đ": "d1", "š": "s1", "ž": "z1"},
    "sl": {"č": "c1", "ć": "c2", "đ": "d1", "š": "s1", "ž": "z1"},
    "tr": {"ç": "c1", "ğ": "g1", "ı": "h1", "ö": "o1", "ş": "s1", "ü": "u1"},
    "ro": {"ă": "a1", "â": "a2", "î": "i1", "ș": "s1", "ț": "t1"},
}
_PHONE_BOOK = {"ä": "ae", "ö": "oe", "ü": "ue"}


class Collation(msgspec.Struct, frozen=True):
    """How texts are compared. `strength` counts levels that differ: letters, accents, case, everything."""

    alphabet: Mapping[str, str]
    expansions: Mapping[str, str]
    strength: int = 3
    upper_first: bool = False
    numeric: bool = False


def parse_collation(tag: str) -> Collation:
    """The collation behind a language tag: und, de-u-co-phonebk. Raises BadRequestData.

    A language that has no tailoring here has the root order, as in ICU.
    """
    text = tag.lower()
    if _TAG.fullmatch(text) is None or len(text) > 60:
        raise _not_a_collation(tag)
    language, _, _ = text.partition("-")
    keywords = _keywords(tag, text)
    by_phone_book = keywords.get("co") == "phonebk"
    if by_phone_book and language != "de":
        raise _not_a_collation(tag)
    return Collation(
        alphabet=_ALPHABETS.get(language, {}),
        expansions=_LIKE | _PHONE_BOOK if by_phone_book else _LIKE,
        strength=_STRENGTHS[keywords.get("ks", "level3")],
        upper_first=keywords.get("kf") == "upper",
        numeric=keywords.get("kn", "false") in ("true", ""),
    )


ROOT = Collation({}, _LIKE)


@lru_cache(64)
def key_of_texts(tag: str | None) -> Callable[[str], Key]:
    """What makes the keys of texts, by the tag of a collation; the root order without one."""
    collation = ROOT if tag is None else parse_collation(tag)
    return lambda text: sort_key(text[:MAX_COMPARED], collation)


def sort_key(text: str, collation: Collation = ROOT) -> Key:
    """A key by which texts sort as the collation says."""
    letters: list[str] = []
    accents: list[str] = []
    cases: list[str] = []
    for letter, accent, case in _elements(text, collation):
        letters.append(letter)
        accents.append(accent)
        cases.append(case)
    levels: tuple[tuple[str, ...] | str, ...] = (tuple(letters), tuple(accents), tuple(cases), text)
    return levels[: collation.strength]


def _elements(text: str, collation: Collation) -> Iterator[tuple[str, str, str]]:
    """Letter, accents and case of each character; numbers are one letter where they count as such."""
    for piece in _DIGITS.split(text) if collation.numeric else [text]:
        if collation.numeric and piece.isascii() and piece.isdigit():
            number = piece.lstrip("0") or "0"
            yield f"2{len(number):04}{number}", "", "0"
        else:
            for character in unicodedata.normalize("NFC", piece):
                yield from _of_character(character, collation)


def _of_character(character: str, collation: Collation) -> Iterator[tuple[str, str, str]]:
    folded = character.casefold() if character != "ı" else character
    is_upper = character != folded and character.isupper()
    case = "1" if is_upper != collation.upper_first else "0"
    own = collation.alphabet.get(folded if folded else character)
    if own is not None:
        yield f"3{own[0]}\U0010fff0{own[1]}", "", case
        return
    like = collation.expansions.get(folded) or collation.expansions.get(character.lower())
    base = like or unicodedata.normalize("NFD", folded)
    accents = "".join(mark for mark in base if unicodedata.combining(mark))
    if like is not None:
        accents = character.lower()
    plain = [letter for letter in base if not unicodedata.combining(letter)]
    for place, letter in enumerate(plain or [""]):
        yield f"{_group(letter)}{letter}", accents if place == 0 else "", case


def _group(letter: str) -> str:
    """Spaces and marks come before digits, and digits before letters."""
    if not letter:
        return "0"
    category = unicodedata.category(letter)[0]
    return {"Z": "0", "C": "0", "P": "1", "S": "1", "N": "2"}.get(category, "3")


def _keywords(tag: str, text: str) -> dict[str, str]:
    """What follows -u-: keys of two letters with their values. Private use (-x-) is passed over."""
    public, _, _ = f"{text}-".partition("-x-")
    _, _, extension = public.rstrip("-").partition("-u-")
    found: dict[str, list[str]] = {}
    key = ""
    for part in extension.split("-") if extension else []:
        if len(part) == 2:
            key = part
            found[key] = []
        elif key:
            found[key].append(part)
        else:
            raise _not_a_collation(tag)
    keywords = {name: "-".join(values) for name, values in found.items()}
    for name, value in keywords.items():
        if value not in _VALUES.get(name, ()):
            raise _not_a_collation(tag)
    return keywords


def _not_a_collation(tag: str) -> BadRequestData:
    return BadRequestData(
        f"{tag[:60]!a} is not a collation that is known here",
        hint="Write a language tag: und, da, de-u-co-phonebk, und-u-ks-level1, und-u-kn-true.",
        where="collation",
    )
