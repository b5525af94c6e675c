"""Telephone numbers as people write them: with a country's code or without, in groups or in one. Pure."""

from __future__ import annotations

import re

#: Codes of countries (ITU-T E.164): none is the beginning of another.
_CODE = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|(?:2[1-689]|3[578]|42|5[09]|6[7-9]|8[0578]|9[679])\d"
)
#: Fewer digits than these are those of no person alone.
_SHORTEST = 6


def same_number(one: str, other: str) -> bool:
    """Whether two numbers as they were written call the same telephone, as far as can be told.

    A number without a country's code is taken for one of whatever country the other names.
    """
    (world, digits), (other_world, others) = _parts(one), _parts(other)
    if world == other_world or min(len(digits), len(others)) < _SHORTEST:
        return bool(digits) and digits == others
    whole, national = (digits, others) if world else (others, digits)
    code = whole.removesuffix(national)
    return code != whole and _CODE.fullmatch(code) is not None


def _parts(written: str) -> tuple[bool, str]:
    """Whether a country's code stands first, and the digits without what is dialled to get out."""
    text = written.strip()
    plain = text.lstrip("( ")
    if plain.startswith(("+", "00")):
        # The zero that is dialled at home alone: +44 (0)20 …
        return True, _digits(text.replace("(0)", "")).removeprefix("00")
    digits = _digits(text)
    return False, digits.removeprefix("0")


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())
