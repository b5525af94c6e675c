"""What counts as a number where JSON's values are looked at."""

from __future__ import annotations

from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is one: truth is none, though Python counts with it."""
    return isinstance(value, int | float) and not isinstance(value, bool)
