"""Spans told to a collector by OTLP over HTTP."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cityloom import __version__
from cityloom.kernel.change import Change
from cityloom.kernel.spans import REQUEST, Attributes, Side

_log = logging.getLogger(__name__)
#: Seconds for one delivery to the collector.
DEADLINE_S = 5.0
#: Requests and other causes whose spans are remembered, the newest.
REMEMBERED = 10_000
#: Requests that one span of a commit or a stage names.
MOST_LINKS = 32
_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_CARRIED = (b"traceparent", b"tracestate")


class OtlpTracer:
    """A `kernel.spans.Tracer`. Spans are sent in the background; where the collector does not take them,
    they are dropped, and the city goes on."""

    def __init__(
        self, endpoint: str, *, headers: Mapping[str, str], share: float, service: str, city: str
    ) -> None:
        """`share` of all traces is told; which, is decided by a trace's id alone, so that systems which do
        the same tell the same ones."""
        ratio = TraceIdRatioBased(share)
        self._provider = TracerProvider(
            # What a stranger's header asks for is no reason to tell more.
            sampler=ParentBased(ratio, remote_parent_sampled=ratio, remote_parent_not_sampled=ratio),
            resource=Resource.create(
                {"service.name": service, "service.version": __version__, "cityloom.city": city}
            ),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=DEADLINE_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("cityloom", __version__)
        self._carrier = TraceContextTextMapPropagator()
        self._causes: OrderedDict[object, SpanContext] = OrderedDict()

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, with a span for each request."""
        return Traced(app, self)

    def close(self) -> None:
        """Send what waits. Blocks, for some seconds where nobody takes it."""
        self._provider.shutdown()

    @contextmanager
    def span(self, name: str, attributes: Attributes, *, side: Side, cause: object) -> Iterator[None]:
        below = None if cause is None else self._below(self._causes.get(cause))
        with _safely(lambda: self._open(name, below, _KINDS[side], attributes)):
            yield

    @contextmanager
    def span_of(self, name: str, attributes: Attributes, changes: Sequence[Change]) -> Iterator[None]:
        with _safely(lambda: self._open_because(name, attributes, changes)):
            yield

    def remember(self, cause: object) -> None:
        here = trace.get_current_span().get_span_context()
        if here.is_valid:
            self._causes[cause] = here
            if len(self._causes) > REMEMBERED:
                self._causes.popitem(last=False)

    def headers(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        self._carrier.inject(found)
        return found

    def trace_id(self) -> str:
        here = trace.get_current_span().get_span_context()
        return f"{here.trace_id:032x}" if here.is_valid else ""

    @contextmanager
    def request(self, carried: Iterable[tuple[bytes, bytes]], method: str) -> Iterator[trace.Span]:
        """The span of a request, below the one that its traceparent names."""
        found = {name.decode(): value.decode("latin-1") for name, value in carried if name in _CARRIED}
        below = self._carrier.extract(found, Context())
        with self._open(method, below, SpanKind.SERVER, {}) as span:
            yield span

    def _open_because(
        self, name: str, attributes: Attributes, changes: Sequence[Change]
    ) -> AbstractContextManager[trace.Span]:
        causes = self._causes_of(changes)
        below = self._below(causes[0] if causes else None)
        return self._open(name, below, SpanKind.INTERNAL, attributes, causes[1 : MOST_LINKS + 1])

    @contextmanager
    def _open(
        self,
        name: str,
        below: Context | None,
        kind: SpanKind,
        attributes: Attributes,
        linked: Sequence[SpanContext] = (),
    ) -> Iterator[trace.Span]:
        with self._tracer.start_as_current_span(
            name,
            below,
            kind,
            dict(attributes),
            [Link(one) for one in linked],
            # What an error says may name somebody: its class must do.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def _causes_of(self, changes: Sequence[Change]) -> list[SpanContext]:
        names = dict.fromkeys(change.trace.rpartition(" ")[2] for change in changes if change.trace)
        found = [one for name in names if (one := self._causes.get(name)) is not None]
        return list({one.span_id: one for one in found}.values())

    @staticmethod
    def _below(parent: SpanContext | None) -> Context:
        return Context() if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent))


@contextmanager
def _safely(begin: Callable[[], AbstractContextManager[trace.Span]]) -> Iterator[None]:
    """What happens inside happens with or without a span: a defect of tracing must stop no commit."""
    with ExitStack() as stack:
        try:
            stack.enter_context(begin())
        except Exception:  # noqa: BLE001 - whatever it is, what was to be told of goes on
            _log.exception("A span could not be begun")
        yield


class Traced:
    """ASGI middleware: a span for each request, named by its operation."""

    def __init__(self, app: ASGIApp, tracer: OtlpTracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = _known(str(scope["method"]))
        # Without the short way of whole answers, which tells no status.
        scope.pop("extensions", None)
        with self._tracer.request(scope["headers"], method) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _describe(span, scope, method, int(message["status"]))
                await send(message)

            await self._app(scope, receive, send_and_note)


def _describe(span: trace.Span, scope: Scope, method: str, status: int) -> None:
    operation = scope.get("state", {}).get("operation")
    if operation is not None:
        span.update_name(f"{operation.method} {operation.path}")
        span.set_attribute("http.route", operation.path)
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("cityloom.request", REQUEST.get())
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _known(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "_OTHER"
