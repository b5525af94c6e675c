"""How much more a page shows: a plan may have thousands of goals and initiatives."""

from __future__ import annotations


class Space:
    """Room for so many more things; None: for all of them."""

    def __init__(self, most: int | None) -> None:
        self.left = most

    def is_left(self) -> bool:
        return self.left is None or self.left > 0

    def take(self, count: int = 1) -> None:
        if self.left is not None:
            self.left -= count
