"""The frameworks in use, each with the targets that stand: whoever asks sees the newest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cityloom.indicators.framework import Framework
from cityloom.indicators.model import DataPoint, Indicator
from cityloom.kernel.errors import NotFound
from cityloom.kernel.worded import Worded


class InUse:
    """The frameworks of the city, in their order."""

    def __init__(self, frameworks: Sequence[Framework]) -> None:
        self._shipped = {one.id: one for one in frameworks}
        self._standing = dict(self._shipped)
        self._points = {
            point.id: (framework.id, place)
            for framework in frameworks
            for place, (_, point) in enumerate(framework.points())
        }

    def __iter__(self) -> Iterator[Framework]:
        return iter(list(self._standing.values()))

    def get(self, framework_id: str) -> Framework:
        """A framework as it stands. Raises NotFound."""
        return _of(self._standing, framework_id)

    def shipped(self, framework_id: str) -> Framework:
        """A framework with the targets of its files. Raises NotFound."""
        return _of(self._shipped, framework_id)

    def put(self, framework: Framework) -> None:
        """Let a framework stand with other targets."""
        self._standing[framework.id] = framework

    def known(self, point_id: str) -> tuple[Framework, Indicator, DataPoint]:
        """A data point with its indicator and framework. Raises NotFound."""
        found = self._points.get(point_id)
        if found is None:
            raise NotFound(
                Worded("There is no such indicator"), hint=Worded("Look at the list of the framework.")
            )
        framework = self._standing[found[0]]
        return framework, *framework.points()[found[1]]


def _of(every: dict[str, Framework], framework_id: str) -> Framework:
    found = every.get(framework_id)
    if found is None:
        known = ", ".join(every) or "none"
        raise NotFound(f"There is no framework {framework_id[:60]!r}", hint=f"In use: {known}.")
    return found
