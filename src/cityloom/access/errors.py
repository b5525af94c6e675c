"""Errors of signing in, beside those of the kernel."""

from __future__ import annotations

from cityloom.kernel.errors import CityError, NotAllowed, NotReady


class NotSignedIn(NotAllowed):
    """The asker showed a token or a password that opens nothing."""


class PasswordChangeDue(NotAllowed):
    """The asker must change the first password before anything else."""


class OverQuota(CityError):
    """The asker, or all together, have had as much kept as the city keeps: nothing has changed."""


class TooLargeToKeep(OverQuota):
    """The document is larger than one that the city keeps."""


class TooManyAttempts(NotReady):
    """The asker must wait: too many attempts. `retry_after` is in whole seconds."""

    def __init__(self, message: str, *, retry_after: int, where: str | None = None) -> None:
        super().__init__(message, hint=f"Try again in {_spell(retry_after)}.", where=where)
        self.retry_after = retry_after


def _spell(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"
