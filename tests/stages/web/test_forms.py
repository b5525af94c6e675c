"""Forms: what was typed, what is wrong with it, whose they are."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from starlette.datastructures import FormData

from cityloom.kernel.errors import BadInput, NotAllowed
from cityloom.web.addresses import address, safe_path
from cityloom.web.forms import Form, WrongForm, check_token, form_token
from cityloom.web.languages import language

ZONE = ZoneInfo("Europe/Copenhagen")


def typed(**values: str) -> Form:
    return Form(language("en"), FormData(list(values.items())))


def test_form_token_opens_forms_of_its_own_browser_alone():
    token = form_token("key of a browser")
    check_token("key of a browser", token)
    for key, shown in (
        ("another key", token),
        ("key of a browser", token[:-1] + ("A" if token[-1] != "A" else "B")),
        ("key of a browser", ""),
        ("key of a browser", "\ud800.x"),
        ("", token),
    ):
        with pytest.raises(NotAllowed):
            check_token(key, shown)


def test_form_token_differs_each_time_so_that_packing_betrays_nothing():
    assert form_token("key") != form_token("key")


def test_text_is_trimmed_and_has_a_limit():
    assert typed(name="  Plaza\r\n ").text("name") == "Plaza"
    form = typed(name="x" * 11, other="")
    form.text("name", longest=10)
    form.text("other", required="Say it.")
    assert form.errors == {"name": "Use at most 10 characters.", "other": "Say it."}


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12.0), ("12,5", 12.5), ("1 200.5", 1200.5), (" -3 ", -3.0), ("", None)]
)
def test_number_takes_a_point_or_a_comma(text, number):
    assert typed(value=text).number("value") == number


@pytest.mark.parametrize("text", ["twelve", "1,2,3", "NaN", "Infinity", "1.2.3", "0x10"])
def test_number_refuses_what_is_none(text):
    form = typed(value=text)
    assert form.number("value") is None
    assert "Enter a number" in form.errors["value"]


def test_number_keeps_within_its_bounds():
    form = typed(value="91")
    form.number("value", least=-90, most=90)
    assert form.errors == {"value": "Enter a number from -90 to 90."}


def test_decimal_is_exact():
    assert typed(value="0,10").decimal("value") == Decimal("0.10")


def test_day_begins_in_the_city_s_zone():
    found = typed(day="2026-07-01").day("day", ZONE)
    assert found.isoformat() == "2026-07-01T00:00:00+02:00"
    form = typed(day="1/7/2026")
    assert form.day("day", ZONE) is None and "2026-04-12" in form.errors["day"]


def test_choice_takes_what_is_offered_alone():
    form = typed(one="b", other="z")
    assert form.choice("one", ["a", "b"]) == "b"
    assert form.choice("other", ["a", "b"]) == ""
    assert "other" in form.errors and "one" not in form.errors


def test_take_puts_an_error_at_the_field_it_names():
    form = typed()
    form.take(BadInput("Too late", hint="Come earlier.", where="until"), "until")
    form.take(BadInput("Odd", hint="", where="elsewhere.value"), "until")
    assert form.errors == {"until": "Too late. Come earlier.", "form": "Odd."}
    with pytest.raises(WrongForm):
        form.raise_if_wrong()


def test_fill_stands_over_what_was_typed():
    form = typed(latitude="1")
    form.fill(latitude="56.1")
    assert form.value("latitude") == "56.1"


@pytest.mark.parametrize(
    "path", ["//evil.test", "/\\evil.test", "https://evil.test", "evil", "", "/a\nb", "javascript:x"]
)
def test_safe_path_follows_no_other_site(path):
    assert safe_path(path, "/home") == "/home"


def test_safe_path_and_address_keep_what_is_within():
    assert safe_path("/map?q=a") == "/map?q=a"
    assert address("entities", "urn:x:a/b?c") == "/entities/urn:x:a%2Fb%3Fc"
