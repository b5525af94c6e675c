"""Query strings are taken apart as the standard library does it, and no further than they may be."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.web.ngsild.parameters import MAX_PARAMETERS, pairs_in

pieces = st.sampled_from(
    ["q", "type", "a=b", "=", "&", "+", "%20", "%C3%A6", "%ff", "%", "%2", "%3E", "x", ";"]
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_pairs_are_those_that_the_standard_library_finds(query):
    try:
        expected = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            pairs_in(query)
    else:
        assert pairs_in(query) == expected


def test_more_parameters_than_there_may_be_are_not_taken_apart():
    assert len(pairs_in("&".join(["a=1"] * MAX_PARAMETERS))) == MAX_PARAMETERS
    with pytest.raises(ValueError, match="too many"):
        pairs_in("&".join(["a=1"] * (MAX_PARAMETERS + 1)))
