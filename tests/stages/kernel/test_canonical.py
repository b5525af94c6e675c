"""One canonical text: the same on any machine, and what was sealed before there was one still verifies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from hashlib import sha256

import msgspec
import orjson
import pytest

from cityloom.kernel.canonical import canonical, digest_of, is_digest_of


class Measured(msgspec.Struct):
    what: str
    value: float
    price: Decimal
    day: date


SMALL = Measured("Ærø", 0.00001, Decimal("1.50"), date(2026, 1, 31))
PLAIN = {"what": "Ærø", "value": 1e-05, "price": "1.50", "day": "2026-01-31"}


def test_the_text_is_the_one_that_anybody_writes():
    assert canonical(SMALL) == '{"day":"2026-01-31","price":"1.50","value":1e-05,"what":"Ærø"}'.encode()
    assert digest_of(SMALL) == digest_of(PLAIN) == sha256(canonical(SMALL)).hexdigest()


@pytest.mark.parametrize("no_json", [float("nan"), float("inf"), object()])
def test_what_json_cannot_say_has_no_digest(no_json):
    with pytest.raises((ValueError, TypeError)):
        digest_of({"value": no_json})


@pytest.mark.parametrize(
    "before",
    [
        orjson.dumps(PLAIN, option=orjson.OPT_SORT_KEYS),
        msgspec.json.encode(PLAIN, order="sorted"),
        msgspec.json.encode(SMALL, order="deterministic"),
    ],
    ids=["contracts and questionnaires", "the audit log", "reports of indicators"],
)
def test_what_was_sealed_before_still_verifies(before):
    sealed = sha256(before).hexdigest()
    assert sealed != digest_of(SMALL)
    assert is_digest_of(sealed, SMALL) and is_digest_of(digest_of(SMALL), SMALL)
    assert not is_digest_of(sealed, msgspec.structs.replace(SMALL, price=Decimal("1.51")))
    assert not is_digest_of("", SMALL)
