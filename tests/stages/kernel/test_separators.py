"""What separates the cells of a CSV file."""

import pytest

from cityloom.kernel.separators import separator_of


@pytest.mark.parametrize(
    ("text", "separator"),
    [("a,b;c,d\n;;;;;;", ","), ("a;b,c;d\r\n,,,,", ";"), ("a,b;c", ","), ("", ","), ("a\tb\n", ",")],
)
def test_the_first_line_tells_the_separator(text, separator):
    assert separator_of(text, (",", ";")) == separator
