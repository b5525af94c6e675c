"""Which information class a new Entity gets when nobody names one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cityloom.kernel.actor import InformationClass


class ClassPolicy:
    """The city's rule by entity type. An Entity of several types gets the most secret of their classes."""

    def __init__(
        self,
        by_type: Mapping[str, InformationClass] | None = None,
        default: InformationClass = InformationClass.OPEN,
    ) -> None:
        self._by_type = dict(by_type or {})
        self._default = default

    def class_for(self, types: Iterable[str]) -> InformationClass:
        """The class of an Entity of these types (names in the internal form)."""
        return max((self._by_type.get(name, self._default) for name in types), default=self._default)
