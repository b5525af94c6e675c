"""Choices among few things, drawn at once: what Hypothesis draws one by one is most of what a run costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from hypothesis import strategies as st


def together(
    *choices: Sequence[Any], of: Callable[..., Any] = lambda *chosen: chosen
) -> st.SearchStrategy[Any]:
    """One of each, as a tuple or what `of` makes of it; all alike, and the first are the simplest."""
    sizes = [len(one) for one in choices]
    numbers = st.integers(0, prod(sizes) - 1)

    # Not `map`: a failure is to tell what was chosen, not the number.
    @st.composite
    def one_of_each(draw: st.DrawFn) -> Any:
        number, chosen = draw(numbers), []
        for one, size in zip(choices, sizes, strict=True):
            number, place = divmod(number, size)
            chosen.append(one[place])
        return of(*chosen)

    return one_of_each()
