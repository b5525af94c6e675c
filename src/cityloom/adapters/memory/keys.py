"""Keys of personal data in memory: who is erased is listed, and nothing is sealed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cityloom.people.ports import ErasureOrder


class MemoryKeys:
    """`PersonalKeys` of a city whose stores survive nothing."""

    def __init__(self) -> None:
        self._orders: dict[str, ErasureOrder] = {}
        self._asked: dict[str, ErasureOrder] = {}

    def about(self, tenant: str, subjects: Iterable[str]) -> list[str]:  # noqa: ARG002 - the port's
        return []

    def order(self, order: ErasureOrder) -> None:
        self._orders[order.id] = order

    def orders(self) -> list[ErasureOrder]:
        return list(self._orders.values())

    def ask(self, order: ErasureOrder) -> None:
        self._asked[order.id] = order

    def asked(self) -> list[ErasureOrder]:
        return list(self._asked.values())

    def unask(self, order_id: str) -> None:
        self._asked.pop(order_id, None)

    def destroy(self, order: ErasureOrder) -> int:
        self._orders.pop(order.id, None)
        return 0

    def copies(self) -> list[Path]:
        return []

    def copy_to(self, path: Path) -> None:
        raise OSError(f"{path}: there is nothing to copy")
