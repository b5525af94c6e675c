"""Learned parameters in memory."""

from __future__ import annotations

from cityloom.services.contract import Trained


class MemoryParameterStore:
    """A `ParameterStore` that survives nothing."""

    def __init__(self) -> None:
        self._kept: dict[str, Trained] = {}

    def load(self, service: str) -> Trained | None:
        return self._kept.get(service)

    def save(self, service: str, trained: Trained) -> None:
        arrays = {name: values.copy() for name, values in trained.arrays.items()}
        self._kept[service] = Trained(arrays, dict(trained.provenance))
