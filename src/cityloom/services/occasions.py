"""Which occasions are open: a service's key and the Alert it led to."""

from __future__ import annotations

from cityloom.kernel.actor import CITY
from cityloom.ngsild.model import value_of
from cityloom.services.ports import Context
from cityloom.services.writing import OCCASION_ENDED, service_name

_SERVICE = service_name("")


class Occasions:
    """Open occasions by service and key. An occasion ends when its service says so.

    An Alert that staff cleared by hand stays cleared until then: the service does not nag.
    """

    def __init__(self) -> None:
        self._open: dict[str, dict[str, str]] = {}

    def load(self, context: Context) -> None:
        """Find the open occasions in the current state, as after a restart."""
        self._open = {}
        for alert in context.of_type(CITY, "Alert"):
            by, key = str(value_of(alert, "raisedBy", "")), value_of(alert, "alertKey")
            if by.startswith(_SERVICE) and key and value_of(alert, OCCASION_ENDED) is None:
                self._open.setdefault(by.removeprefix(_SERVICE), {})[key] = alert["id"]

    def of(self, service: str) -> dict[str, str]:
        """Keys and Alert ids of a service's open occasions."""
        return dict(self._open.get(service, {}))

    def settle(self, service: str, opened: dict[str, str], closed: list[str]) -> None:
        """Note what a decision, once written, opened and closed."""
        mine = self._open.setdefault(service, {})
        for key in closed:
            mine.pop(key, None)
        mine.update(opened)
