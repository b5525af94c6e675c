"""What somebody has published at an address: an @context document."""

from __future__ import annotations

from typing import Any

import msgspec


class Published(msgspec.Struct, frozen=True):
    """A JSON document as it was fetched."""

    document: Any
    #: Seconds for which its server says that it stays as it is; None: it does not say (6.3.16).
    fresh_s: float | None = None
