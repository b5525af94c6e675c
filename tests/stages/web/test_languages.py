"""Languages, and how values are told in them."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as some
from jinja2 import Environment

from cityloom.access.ownership import OWNED_TYPES
from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded
from cityloom.web.labels import TYPES
from cityloom.web.languages import FOLDER, available, choose, language, said
from cityloom.web.wording import NARROW, Wording

ROOT = Path(__file__).parents[3]
_SPEC = importlib.util.spec_from_file_location("texts", ROOT / "web" / "texts.py")
texts = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(texts)

PLACEHOLDER = re.compile(r"%\(\w+\)s")


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 4, 12, 12, 0, tzinfo=UTC)


def words(code: str = "en", zone: str = "Europe/Copenhagen") -> Wording:
    return Wording(language(code), ZoneInfo(zone), Noon())


def catalog(code: str):
    with (FOLDER / code / "LC_MESSAGES" / "cityloom.po").open("rb") as source:
        return read_po(source, locale=code)


@pytest.mark.parametrize("code", available())
def test_every_catalog_has_every_text_of_the_sources_and_no_other(code):
    wanted = {message.id for message in texts.extract() if message.id}
    there = {message.id for message in catalog(code) if message.id}
    assert there == wanted, "run: python web/texts.py"


def test_a_text_without_a_translation_fails_the_command_and_is_named(tmp_path, monkeypatch, capsys):
    for code in ("da", "en"):
        folder = tmp_path / code / "LC_MESSAGES"
        folder.mkdir(parents=True)
        shutil.copy(FOLDER / code / "LC_MESSAGES" / "cityloom.po", folder)
    monkeypatch.setattr(texts, "LOCALE", tmp_path)
    assert texts.main([]) == 0
    danish = tmp_path / "da" / "LC_MESSAGES" / "cityloom.po"
    danish.write_text(danish.read_text().replace('msgstr "Tabellen er tom"', 'msgstr ""'))
    assert texts.main([]) == 1
    assert "1 not translated\n  The table is empty\n" in capsys.readouterr().out


def test_every_text_that_a_page_says_is_in_the_catalog():
    """Also where the extraction does not look: in an f-string, or by another name."""
    with (FOLDER / "da" / "LC_MESSAGES" / "cityloom.po").open("rb") as source:
        known = {one.id if isinstance(one.id, str) else one.id[0] for one in read_po(source) if one.id}
    untold = [
        (path.name, text)
        for path in sorted((ROOT / "src/cityloom/web").rglob("*.py"))
        for text in _said_in(path.read_text(encoding="utf-8"))
        if text not in known
    ]
    assert untold == []


#: The rooms whose refusals people read on pages.
SPEAKING = ("indicators", "people", "planning")
#: What programs and those who write plugins are told.
FOR_PROGRAMS = ("composite", "definition.py", "reading.py")


def test_what_a_room_refuses_can_be_said_in_every_language():
    plain = [
        (path.name, text)
        for room in SPEAKING
        for path in sorted((ROOT / "src/cityloom" / room).rglob("*.py"))
        if not {path.name, path.parent.name} & set(FOR_PROGRAMS)
        for text in _refused_plainly_in(path.read_text(encoding="utf-8"))
    ]
    assert plain == []


def _refused_plainly_in(source: str) -> list[str]:
    """The literals that an error for people is made of, and that no catalog knows."""
    refusals = ("BadInput", "Conflict", "NotAllowed", "NotFound", "ResourceNotFound")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    said = [
        one
        for call in calls
        if getattr(call.func, "id", "") in refusals
        for one in (*call.args[:1], *(word.value for word in call.keywords if word.arg == "hint"))
    ]
    return [one.value for one in said if isinstance(one, ast.Constant) and one.value]


def _said_in(source: str) -> list[str]:
    """The literals that are handed to something by which a page speaks."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    return [
        call.args[0].value
        for call in calls
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in ("say", "gettext", "_say")
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def test_what_a_room_words_is_said_in_the_language_and_is_itself_in_english():
    worded = Worded("The row has %(count)s cells, the head %(width)s", count=3, width=4)
    assert worded == "The row has 3 cells, the head 4"
    assert language("da").say(worded) == "Rækken har 3 celler, hovedet 4"
    assert language("da").say("anything else") == "anything else"
    error = BadInput(worded, hint=Worded("Correct it."))
    assert type(error.message) is type(error.hint) is str
    assert (error.said, str(error)) == (worded, "The row has 3 cells, the head 4. Correct it.")


def test_danish_is_whole_and_keeps_every_placeholder():
    for message in catalog("da"):
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(strings), f"{ids[0]!r} is not translated"
        for text in strings:
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(ids[-1])), ids[0]


@pytest.mark.parametrize(
    ("chosen", "accepted", "code"),
    [
        ("da", "en", "da"),
        (None, "da-DK,da;q=0.9,en;q=0.5", "da"),
        (None, "de,en;q=0.8,da;q=0.9", "da"),
        (None, "de;q=1.0,fr", "en"),
        (None, "da;q=0, en;q=0.1", "en"),
        ("xx", "", "en"),
        (None, ";;;q=,q=nan", "en"),
    ],
)
def test_choose_takes_what_was_chosen_then_what_the_browser_asks_for_then_the_first(chosen, accepted, code):
    assert choose(chosen, accepted, ["en", "da"]).code == code


async def test_a_page_in_another_language_compiles_no_template_again(visitor, monkeypatch):
    await visitor.text("/about")
    compiled = []
    monkeypatch.setattr(Environment, "compile", lambda self, source, name, filename: compiled.append(name))
    visitor.client.headers["accept-language"] = "da"
    assert 'lang="da"' in await visitor.text("/about")
    assert compiled == []


def test_language_knows_its_own_name_and_direction():
    assert (language("da").name, language("da").direction) == ("dansk", "ltr")
    assert language("en").name == "English"


def test_ngettext_tells_one_and_several():
    assert language("da").ngettext("%(num)s alert", "%(num)s alerts", 1) == "%(num)s alarm"
    assert language("da").ngettext("%(num)s alert", "%(num)s alerts", 2) == "%(num)s alarmer"


def test_said_falls_back_to_english_and_tells_in_which_language_it_is():
    assert said({"en": "Frost", "da": "Frost i nat"}, "da") == ("Frost i nat", "da")
    assert said({"en": "Frost", "de": "Frost"}, "da") == ("Frost", "en")
    assert said({"de": "Nachtfrost"}, "da") == ("Nachtfrost", "de")
    assert said("plain", "da") == ("plain", "")
    assert said(None, "da") == ("", "") and said({}, "da") == ("", "")


def test_number_keeps_three_significant_digits_as_the_language_writes_them():
    assert words().number(1234567) == "1,234,567"
    assert words("da").number(1234.56) == "1.235"
    assert words("da").number(7.256) == "7,26"
    assert words().number(0.03456) == "0.035"
    assert words().number(None) == "–" and words().number(float("nan")) == "–"


def test_quantity_always_has_its_unit():
    assert words().quantity(7.5, "CEL") == f"7.5{NARROW}°C"
    assert words("da").quantity(3, "HEA") == f"3{NARROW}personer"
    assert words().quantity(5, "XYZ") == f"5{NARROW}XYZ"
    assert words("da").quantity(True) == "ja"


def test_counted_says_what_was_counted_and_tells_shares_as_percent():
    assert words().counted("availableSpotNumber", 1) == "1 space"
    assert words("da").counted("availableSpotNumber", 345) == "345 pladser"
    assert words().counted("fillingLevel", 0.77) == "77\u00a0%"
    assert words().counted("temperature", 7) == ""


def test_percent_is_a_share_of_one():
    assert words().percent(0.2315) == "23\u00a0%" and words().percent(1.2, 1) == "120.0\u00a0%"


def test_money_is_exact_and_has_its_currency():
    assert words().money(Decimal("5400000.00"), "DKK") == "5,400,000\u00a0DKK"
    assert words("da").money("0.10", "EUR") == "0,10\u00a0EUR"


def test_exact_is_local_time_of_the_city():
    assert words().exact("2026-01-12T12:00:00Z") == "12 Jan 2026 13:00"
    assert words().exact("2026-04-12T12:00:05Z", seconds=True) == "12 Apr 2026 14:00:05"
    assert words("da").exact("2026-04-12T12:00:00Z") == "12. apr. 2026 14.00"
    assert words().exact("2026-04-12T12:00:00") == "–"


def test_age_is_told_by_the_city_s_clock():
    now = Noon().now()
    assert words().age(now - timedelta(minutes=3)) == "3 minutes ago"
    assert words("da").age(now - timedelta(hours=1)) == "for 1 time siden"
    assert words().age(now) == "just now"


def test_when_has_the_exact_time_behind_the_age():
    shown = str(words().when("2026-04-12T11:57:00Z", "at"))
    assert 'datetime="2026-04-12T11:57:00Z"' in shown and "12 Apr 2026 13:57:00" in shown
    assert ">3 minutes ago<" in shown and 'data-part="at"' in shown


def test_names_that_nobody_translated_are_spelt_out():
    assert words("da").attribute("windSpeed") == "Vindhastighed"
    assert words("da").attribute("soilMoisture") == "Soil moisture"
    assert words().attribute("https://example.org/terms/soilMoisture") == "Soil moisture"
    assert words().type_name("BikeHireDockingStation") == "Bike hire docking station"


def test_every_type_that_belongs_to_a_room_has_words():
    assert [name for name in OWNED_TYPES if name not in TYPES] == []
    assert words("da").type_name("CityVision", plural=True) == "Vision og formål"


def test_words_of_the_data_carry_their_language_where_it_is_another():
    assert str(words("da").words({"en": "Fog & mist"})) == '<span lang="en">Fog &amp; mist</span>'
    assert str(words("da").words({"da": "Tåge"})) == "Tåge"


@given(some.recursive(some.none() | some.booleans() | some.floats() | some.text(), some.lists, max_leaves=6))
def test_plain_tells_whatever_is_in_an_attribute(value):
    assert isinstance(words().plain(value), str)


def test_plain_takes_any_value_and_shows_the_beginning_of_long_lists():
    assert words().plain([1] * 300_000) == ", ".join(["1"] * 100 + ["…"])
    for odd in ("x", [], ["a", "b"], None, [[1, 2]]):
        assert words().plain({"type": "Point", "coordinates": odd})
