"""Which class what a source tells is of: that of its address."""

from __future__ import annotations

from typing import Any

import pytest

from cityloom.adapters.memory.register import MemoryRegister
from cityloom.federation.federation import Federation
from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.registrations import compile_registration

_NOBODY: Any = None


@pytest.mark.parametrize(
    ("beginning", "endpoint", "is_open"),
    [
        ("https://city.example", "https://city.example", True),
        ("https://city.example", "https://city.example/broker", True),
        ("https://city.example/", "https://city.example", True),
        ("https://city.example", "https://city.example.elsewhere.example", False),
        ("https://city.example", "https://city.example@elsewhere.example", False),
        ("https://city.example", "https://city.example:8443", False),
        ("https://city.example:", "https://city.example:8443", True),
        ("https://city.example/a", "https://city.example/a", True),
        ("https://city.example/a/", "https://city.example/ab", False),
        ("http://city.example", "https://city.example", False),
    ],
)
def test_a_host_is_that_host_and_no_longer_name(beginning, endpoint, is_open):
    federation = Federation(
        MemoryRegister(),
        _NOBODY,
        _NOBODY,
        _NOBODY,
        open_to=(beginning,),
        publisher=_NOBODY,
        actors=_NOBODY,
    )
    source = compile_registration({"id": "urn:x:1", "endpoint": endpoint, "information": [{}]})
    assert (federation.class_of(source) is InformationClass.OPEN) == is_open
