"""What a city pays in."""

import pytest

from cityloom.app.configuration import Configuration, parse_configuration
from cityloom.app.currency import currency_of
from cityloom.kernel.errors import BadConfig


@pytest.mark.parametrize(
    ("zone", "currency"),
    [("Europe/Copenhagen", "DKK"), ("Europe/Berlin", "EUR"), ("Asia/Kolkata", "INR"), ("UTC", "")],
)
def test_a_city_pays_in_what_its_country_does(zone, currency):
    assert currency_of(Configuration(time_zone=zone)) == currency


def test_a_city_pays_in_what_it_says():
    assert currency_of(parse_configuration('currency = "SEK"\ntime-zone = "Europe/Copenhagen"')) == "SEK"


@pytest.mark.parametrize(("said", "near"), [("sek", "SEK"), ("KRONER", "EUR")])
def test_what_is_no_currency_is_refused_with_one_that_is(said, near):
    with pytest.raises(BadConfig, match="no currency") as caught:
        parse_configuration(f'currency = "{said}"')
    assert caught.value.where == "city.toml: currency"
    assert caught.value.hint.endswith(f"such as {near}.")
