"""The order of texts (ETSI GS CIM 009, 4.23)."""

import pytest

from cityloom.ngsild.collation import key_of_texts, parse_collation
from cityloom.ngsild.errors import BadRequestData


def ordered(tag, texts):
    return " ".join(sorted(texts.split(), key=key_of_texts(tag)))


@pytest.mark.parametrize(
    ("tag", "texts", "expected"),
    [
        (None, "b á A a Z é e", "a A á b e é Z"),
        ("und", "cote coté côte côté", "cote coté côte côté"),
        ("und-x-icu", "b 2 10 -x A", "-x 10 2 A b"),
        ("und-u-kn-true", "lamp10 lamp2 lamp1", "lamp1 lamp2 lamp10"),
        ("und-u-kn", "10 9", "9 10"),
        ("und-u-kf-upper", "a A b B", "A a B b"),
        ("und-u-ks-level1", "b A a á Á", "A a á Á b"),
        ("und-u-ks-level2", "á b A a", "A a á b"),
        ("de", "Zebra Ähre Acker Strasse Straße", "Acker Ähre Strasse Straße Zebra"),
        ("de-u-co-phonebk", "Afrika Ähre Zebra Aedil", "Aedil Ähre Afrika Zebra"),
        ("da", "Ål Ærø Zoo Øl Alt", "Alt Zoo Ærø Øl Ål"),
        ("sv", "Ö Å Z Ä A", "A Z Å Ä Ö"),
        ("und", "Ø P O", "O Ø P"),
        ("es", "o ñ nz n", "n nz ñ o"),
        ("da-DK", "å z", "z å"),
    ],
)
def test_texts_are_in_the_order_of_their_language(tag, texts, expected):
    assert ordered(tag, texts) == expected


@pytest.mark.parametrize(
    "tag",
    ["", "!!nope", "not a tag", "en-u-co-odd", "en-u-zz-true", "en-u-ks-level9", "fr-u-co-phonebk", "e" * 99],
)
def test_what_is_no_collation_is_refused(tag):
    with pytest.raises(BadRequestData) as caught:
        parse_collation(tag)
    assert caught.value.where == "collation"
