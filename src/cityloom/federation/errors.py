"""What goes wrong with the one source that holds what is written (ETSI GS CIM 009, 6.3.17)."""

from __future__ import annotations

from cityloom.kernel.errors import NotReady


class LoopDetected(NotReady):
    """The request came back to where it had been."""


class SourceTimedOut(NotReady):
    """The source did not answer in time."""


class SourceFailed(NotReady):
    """The source refused, or its answer cannot be used."""


class TooManyNotifications(NotReady):
    """A source tells more at once than is listened to, or what takes too long."""
