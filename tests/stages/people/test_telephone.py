"""Who is called by a number that is written in another way."""

from __future__ import annotations

import pytest

from cityloom.people.telephone import same_number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+45 12 34 56 78", "12345678"),
        ("(0045) 12.34.56-78", "+45 12 34 56 78"),
        ("0045 12345678", "12 34 56 78"),
        ("+44 (0)20 7946 0018", "020 7946 0018"),
        ("+44 20 7946 0018", "(020) 7946-0018"),
        ("+354 412 3456", "412 3456"),
        ("+1 202 555 0143", "202-555-0143"),
        ("12 34 56 78", "12345678"),
    ],
)
def test_the_same_telephone_is_known_with_and_without_its_country(one, other):
    assert same_number(one, other) and same_number(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+45 12 34 56 78", "+46 12 34 56 78"),
        ("+45 12 34 56 78", "34 56 78"),
        ("+45 12 34 56 78", "512345678"),
        ("12 34 56 78", "34 56 78"),
        ("+45 112", "112"),
        ("", ""),
        ("", "12345678"),
    ],
)
def test_another_telephone_is_not_taken_for_it(one, other):
    assert not same_number(one, other) and not same_number(other, one)
