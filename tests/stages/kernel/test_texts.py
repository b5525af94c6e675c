from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.kernel.errors import BadInput
from cityloom.kernel.texts import check_languages, check_line, check_text


def test_check_text_trims_and_gives_one_composition_and_one_line_break():
    assert check_text("  a\r\nb\rc\n ", where="text", longest=10) == "a\nb\nc"
    assert check_text("pa\u030a", where="text", longest=10) == "p\u00e5"


def test_check_text_counts_characters_not_bytes():
    assert check_text("ø" * 10, where="text", longest=10) == "ø" * 10
    with pytest.raises(BadInput, match="11 characters"):
        check_text("ø" * 11, where="text", longest=10)


@pytest.mark.parametrize("wrong", ["a\x00b", "a\x1bb", "a\u202eb", "a\u2066b", "\ud800", "a\ue000"])
def test_check_text_refuses_characters_that_deceive_or_break_a_page(wrong):
    with pytest.raises(BadInput, match="U\\+") as caught:
        check_text(wrong, where="description", longest=10)
    assert caught.value.where == "description"


@pytest.mark.parametrize("fine", ["👩‍👩‍👧 på cykel", "שלום", "日本", "a\u00a0b", "½ km²"])
def test_check_text_lets_every_script_pass(fine):
    assert check_line(fine, where="text", longest=30) == fine


def test_check_line_refuses_line_breaks():
    assert check_text("a\nb", where="text", longest=10) == "a\nb"
    with pytest.raises(BadInput, match="line break"):
        check_line("a\nb", where="name", longest=10)


def test_check_text_lets_nothing_pass_only_when_it_is_optional():
    assert check_text(" \n ", where="text", longest=10, optional=True) == ""
    with pytest.raises(BadInput, match="no text"):
        check_text(" \n ", where="text", longest=10)


def test_check_languages_keeps_what_is_written_and_names_the_language_at_fault():
    texts = {"en": " Frost ", "da": "", "pt-BR": "Geada"}
    assert check_languages(texts, where="title", longest=10) == {"en": "Frost", "pt-BR": "Geada"}
    with pytest.raises(BadInput) as caught:
        check_languages({"en": "Frost", "da": "x" * 11}, where="title", longest=10)
    assert caught.value.where == "title.da"
    for wrong in ({}, {"en": " "}, {"EN": "x"}, {"english": "x"}, {"en_GB": "x"}):
        with pytest.raises(BadInput) as caught:
            check_languages(wrong, where="title", longest=10)
        assert caught.value.where == "title"


@given(st.text(max_size=300))
def test_check_text_answers_any_text_with_one_that_it_accepts_again_or_bad_input(text):
    try:
        checked = check_text(text, where="text", longest=200)
    except BadInput:
        return
    assert check_text(checked, where="text", longest=200) == checked
