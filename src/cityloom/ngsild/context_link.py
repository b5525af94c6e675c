"""The Link header that names an @context beside plain JSON (6.3.5; JSON-LD 1.1, 6.1). Pure."""

from __future__ import annotations

from cityloom.kernel.media_types import JSON_LD

CONTEXT_RELATION = "http://www.w3.org/ns/json-ld#context"


def link_to_context(address: str) -> str:
    """The header's value."""
    return f'<{address}>; rel="{CONTEXT_RELATION}"; type="{JSON_LD}"'
