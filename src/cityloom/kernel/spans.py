"""Spans: what was done when, for how long and because of what, for whoever collects traces.

Nobody does unless `[traces]` stands in city.toml. Then `use` is called once, at the start; before that each
function here is one comparison. What is told of a span is an operation, a stage, a count: no id of an Entity,
no value, no address with its query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Literal, Protocol

from cityloom.kernel.change import Change

Side = Literal["internal", "client"]
Attributes = Mapping[str, str | int]
#: The name of the request that is worked on; "" outside of one.
REQUEST: ContextVar[str] = ContextVar("cityloom_request", default="")
_NOTHING: AbstractContextManager[None] = nullcontext()


class Tracer(Protocol):
    """Where spans go. From the event loop and from the thread that commits."""

    def span(
        self, name: str, attributes: Attributes, *, side: Side, cause: object
    ) -> AbstractContextManager[None]:
        """What happens inside is told as a span: below the one that is open, or below the one under which
        `cause` was remembered."""
        ...

    def span_of(
        self, name: str, attributes: Attributes, changes: Sequence[Change]
    ) -> AbstractContextManager[None]:
        """The same for work on changes, below the requests that set them off."""
        ...

    def remember(self, cause: object) -> None:
        """Something will be done later because of what is done now."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What a request to another system carries, so that its spans come below ours (W3C traceparent)."""
        ...

    def trace_id(self) -> str:
        """The trace that is open, 32 hexadecimal digits; "" where there is none."""
        ...


_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Tell spans from now on; None: no longer."""
    global _tracer
    _tracer = tracer


def span(
    name: str, attributes: Attributes | None = None, *, side: Side = "internal", cause: object = None
) -> AbstractContextManager[None]:
    """See `Tracer.span`."""
    if _tracer is None:
        return _NOTHING
    return _tracer.span(name, attributes or {}, side=side, cause=cause)


def span_of(name: str, changes: Sequence[Change]) -> AbstractContextManager[None]:
    """See `Tracer.span_of`."""
    if _tracer is None:
        return _NOTHING
    return _tracer.span_of(name, {"cityloom.changes": len(changes)}, changes)


def remember(cause: object) -> None:
    """See `Tracer.remember`."""
    if _tracer is not None:
        _tracer.remember(cause)


def headers() -> Mapping[str, str]:
    """See `Tracer.headers`; none where nothing is traced."""
    return {} if _tracer is None else _tracer.headers()


def trace_id() -> str:
    """See `Tracer.trace_id`."""
    return "" if _tracer is None else _tracer.trace_id()
