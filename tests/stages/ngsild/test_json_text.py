"""JSON text (RFC 8259) without its surprises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.ngsild.errors import BadRequestData, InvalidRequest
from cityloom.ngsild.json_text import decode_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]), st.booleans())
def test_decode_json_gives_what_was_written(value, separators, ascii_only):
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    assert decode_json(text.encode()) == json.loads(text)


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4), min_size=1, max_size=4), st.data())
def test_decode_json_finds_a_name_given_twice(members, data):
    twice = data.draw(st.sampled_from(list(members)))
    pairs = [f"{json.dumps(name)}{gap}:{json.dumps(said)}" for name, said in members.items() for gap in ("",)]
    pairs.insert(
        data.draw(st.integers(0, len(pairs))),
        f"{json.dumps(twice)}{data.draw(st.sampled_from(['', ' ', chr(10)]))}:1",
    )
    inner = "{" + ",".join(pairs) + "}"
    for text in (inner, f'{{"a":{inner},"b":"\\":"}}', f"[{inner}]", f'{{"x\\u0022:":1,"y":{inner}}}'):
        with pytest.raises(BadRequestData, match="stands twice"):
            decode_json(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{'a':1}",
        b"NaN",
        b"[1e999]",
        b"9" * 5000,
        b'"\\ud800"',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"{}{}",
        b"\x1f\x8b\x08",
        b"01",
    ],
)
def test_decode_json_refuses_what_is_no_json(text):
    with pytest.raises(InvalidRequest, match="not JSON"):
        decode_json(text)


def test_decode_json_refuses_deep_nesting():
    with pytest.raises(BadRequestData, match="nested"):
        decode_json(b"[" * 500 + b"]" * 500)
    with pytest.raises(BadRequestData, match="nested"):
        decode_json(b'{"a":' * 500 + b"1" + b"}" * 500)


def test_decode_json_names_line_and_column():
    with pytest.raises(InvalidRequest, match=r"line 2, column 3"):
        decode_json(b'{"a":1,\n  b:2}', where="reading")


def test_decode_json_finds_a_name_given_twice_among_very_many(no_hang):
    text = b"{%s}" % b",".join(b'"k%d":1' % number for number in (*range(200_000), 199_999))
    with no_hang(), pytest.raises(BadRequestData, match="k199999"):
        decode_json(text)


@pytest.mark.parametrize("body", ['{"x": %s}', "[1, %s]", "%s", '{"x":{"value":-%s}}'])
@pytest.mark.parametrize("digits", ["18446744073709551616", "9" * 300])
def test_decode_json_refuses_integers_that_would_lose_digits(body, digits):
    with pytest.raises(BadRequestData, match="too many digits"):
        decode_json(body % digits)


@pytest.mark.parametrize("body", ['{"x": "18446744073709551616"}', '{"x": 0.1844674407370955161600001}'])
def test_decode_json_takes_many_digits_that_are_no_integer(body):
    assert decode_json(body) == json.loads(body)
    assert decode_json("[18446744073709551615, 1e300]") == [2**64 - 1, 1e300]


@pytest.mark.parametrize("number", ["1e-999", "-2.5E-400", "0." + "0" * 400 + "1"])
def test_decode_json_refuses_numbers_that_would_become_zero(number):
    with pytest.raises(BadRequestData, match="too small"):
        decode_json(f'{{"a": [1, {number}]}}'.encode())


@pytest.mark.parametrize("text", ['{"a": 0e-999}', '{"a": 5e-324}', '{"a": "1e-999"}', '{"a": 1e-100}'])
def test_decode_json_takes_small_numbers_and_texts_like_them(text):
    assert decode_json(text.encode())["a"] == json.loads(text)["a"]
