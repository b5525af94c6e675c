"""Reporters and photos in memory."""

from __future__ import annotations

import threading
from hashlib import sha256

import msgspec

from cityloom.people.ports import Reporter


class MemoryReporterStore:
    """A `ReporterStore` that survives nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reporters: dict[str, Reporter] = {}

    def add(self, reporter: Reporter) -> None:
        with self._lock:
            self._reporters[reporter.report_id] = reporter

    def of_report(self, report_id: str) -> Reporter | None:
        return self._reporters.get(report_id)

    def of_code(self, follow_digest: str) -> Reporter | None:
        with self._lock:
            found = (one for one in self._reporters.values() if one.follow_digest == follow_digest)
            return next(found, None)

    def of_account(self, account_id: str) -> list[Reporter]:
        with self._lock:
            own = [one for one in self._reporters.values() if account_id and one.account_id == account_id]
        return sorted(own, key=lambda one: one.submitted_at, reverse=True)

    def forget_contact(self, report_id: str) -> None:
        with self._lock:
            if kept := self._reporters.get(report_id):
                self._reporters[report_id] = msgspec.structs.replace(kept, email="", phone="")

    def with_contact(self) -> list[str]:
        with self._lock:
            return sorted(one.report_id for one in self._reporters.values() if one.email or one.phone)

    def delete(self, report_id: str) -> None:
        with self._lock:
            self._reporters.pop(report_id, None)


class MemoryPhotoStore:
    """A `PhotoStore` that survives nothing."""

    def __init__(self) -> None:
        self._photos: dict[str, bytes] = {}

    def put(self, data: bytes, extension: str, *, of: str) -> str:  # noqa: ARG002 - the port's
        name = f"{sha256(data).hexdigest()}.{extension}"
        self._photos[name] = data
        return name

    def get(self, name: str) -> bytes | None:
        return self._photos.get(name)

    def delete(self, name: str) -> None:
        self._photos.pop(name, None)
