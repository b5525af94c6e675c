"""What the pages and the API need of the house: every room, and what is known of the city itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from cityloom.access.quotas import Quotas
from cityloom.kernel.actor import Actor
from cityloom.kernel.findings import Finding
from cityloom.kernel.measures import Growth
from cityloom.kernel.time import Clock
from cityloom.web.printing import NoPrinter, Printer
from cityloom.web.request_tally import RequestTally

if TYPE_CHECKING:
    from cityloom.access.audit import AuditLog
    from cityloom.access.entrance import Access
    from cityloom.context.broker import Broker
    from cityloom.edge.forwarding import Forwarding
    from cityloom.edge.receiving import Receiving
    from cityloom.federation.federation import Federation
    from cityloom.federation.handing_on import HandedOn
    from cityloom.history.follow import Lineage
    from cityloom.history.loading import Loading
    from cityloom.history.queries import History
    from cityloom.indicators.indicators import Indicators
    from cityloom.operations.alerts import Alerts
    from cityloom.people.contributions import Contributions
    from cityloom.people.deliveries import Deliveries
    from cityloom.people.erasure import Erasure
    from cityloom.people.notices import Notices
    from cityloom.people.reports import Reports
    from cityloom.planning.assessments.assessments import Assessments
    from cityloom.planning.contracts.contracts import Contracts
    from cityloom.planning.contracts.settlements import Settlements
    from cityloom.planning.initiatives import Initiatives
    from cityloom.planning.masterplan.plan import MasterPlan
    from cityloom.planning.records.records import Records
    from cityloom.sensing.devices import DeviceRegistry
    from cityloom.sensing.host import ConnectorHost
    from cityloom.sensing.models import DataModels
    from cityloom.sensing.parked import ParkedReadings
    from cityloom.services.host import ServiceHost
    from cityloom.snapshots.snapshots import Snapshots
    from cityloom.subscriptions.subscriptions import Subscriptions


@dataclass(frozen=True, kw_only=True)
class City:
    """What city.toml says that the pages show."""

    name: str
    zone: ZoneInfo
    #: Codes of the languages offered, the first for those who ask for none of them.
    languages: tuple[str, ...] = ("en",)
    #: What forms of money begin with, by ISO 4217; "" for none.
    currency: str = ""
    #: Longitude and latitude of the centre, WGS 84 degrees.
    centre: tuple[float, float] = (0.0, 0.0)
    #: west, south, east, north; empty where the data decide.
    bounds: tuple[float, ...] = ()
    #: Template of raster tiles, and whom to thank for them; empty: the roads of the data are drawn.
    tiles: str = ""
    tiles_attribution: str = ""
    #: What kind of city this is when its readings are not of here and now.
    demo: Literal["", "replayed", "simulated"] = ""
    #: What every page then says, by language: {"en": "replayed open data of 2014"}.
    badge: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MqttAddress:
    """Where devices reach the city's own MQTT listener; the host is the one that pages are read from."""

    port: int
    tls: bool = False


class Pace(Protocol):
    """The hand on a replayed or simulated city's clock."""

    @property
    def speed(self) -> float:
        """Seconds of the city's time in one second, while it is not paused."""
        ...

    @property
    def paused(self) -> bool: ...

    def set_speed(self, speed: float) -> None:
        """Raises BadInput for a speed the city cannot keep."""
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class StageFigures(msgspec.Struct, frozen=True):
    """What is told of a stage beside its own status."""

    name: str
    #: Seconds since the oldest change it has not handled was written; at least so many where it has waited
    #: since before the city was started. 0.0 where it has handled all.
    behind_s: float


class FileFigures(msgspec.Struct, frozen=True):
    """A database of the city's folder, with its write-ahead log."""

    name: str
    bytes: int


class Inside(msgspec.Struct, frozen=True):
    """How the city runs inside. Rates are of the last minute, each second."""

    stages: tuple[StageFigures, ...]
    files: tuple[FileFigures, ...]
    growth: Growth
    rates: Mapping[str, float]
    #: Parked messages, of the classes that the asker may see.
    parked: int
    #: Requests turned away since the start, by the reason.
    refused: Mapping[str, int]
    commits: int
    #: Seconds below which nineteen of twenty commits were durable; None before the first.
    commit_s: float | None
    #: Commits that took longer than a second, and such as failed, since the start.
    commits_slow: int
    commits_failed: int
    #: Seconds since the last that took longer than a second; None where none did.
    commits_slow_ago_s: float | None
    #: Commits that failed since the last one that did not.
    commits_failing: int
    #: The longest time in the last minute for which the event loop did nothing else, seconds.
    loop_lag_s: float
    #: Seconds that the garbage collector took since the start.
    collecting_s: float
    threads: int
    children: int
    descriptors: int
    descriptors_most: int
    #: Seconds by which the machine's clock was set while the city ran.
    clock_moved_s: float


class Health(Protocol):
    """How the process is, for /readyz and the system page. Quick, and safe to ask often."""

    def troubles(self) -> list[str]:
        """What keeps the city from answering, in plain words; empty: it answers."""
        ...

    def findings(self, inside: Inside) -> list[Finding]:
        """What an operator should look at, though the city answers: a disk that fills up, a stage that lies
        behind, a plugin that is broken. The bad first."""
        ...

    def figures(self) -> Mapping[str, str | int | float]:
        """Figures of the process: folder, ports, memory, disk. For administrators alone."""
        ...

    async def inside(self, actor: Actor) -> Inside:
        """How the city runs inside, for its operator."""
        ...

    async def metrics(self, actor: Actor, accept: str, *, readers: int) -> tuple[bytes, str]:
        """All metrics in the form that Prometheus asks for, and the form's media type."""
        ...


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """The house. `pace` is None in a city that lives in the present, `mqtt` in one without a listener."""

    city: City
    clock: Clock
    access: Access
    audit: AuditLog
    broker: Broker
    history: History
    #: Returns once history tells what the state tells now. Raises NotReady when that takes too long.
    remembered: Callable[[], Awaitable[None]]
    #: Whole tables of the past.
    loading: Loading
    #: Attribute instances in one answer of the temporal API.
    most_instances: int = 10_000
    #: How much is kept for whom.
    quotas: Quotas = field(default_factory=Quotas)
    federation: Federation
    #: What edges bring here; and, of a city that is an edge itself, what it brings to its centre.
    receiving: Receiving
    line: Forwarding | None = None
    subscriptions: Subscriptions
    handed_on: HandedOn
    snapshots: Snapshots
    alerts: Alerts
    notices: Notices
    reports: Reports
    deliveries: Deliveries
    #: One person's data.
    erasure: Erasure
    lineage: Lineage
    devices: DeviceRegistry
    connectors: ConnectorHost
    parked: ParkedReadings
    models: DataModels
    #: Whether the models bind what is written through the API.
    checks_writes: bool = True
    services: ServiceHost
    indicators: Indicators
    initiatives: Initiatives
    #: Whatever else is written down in planning.
    records: Records
    #: The master plan as a whole.
    plan: MasterPlan
    assessments: Assessments
    contracts: Contracts
    settlements: Settlements
    #: What is said in consultations.
    contributions: Contributions
    health: Health
    #: What is asked, and how it is answered.
    requests: RequestTally = field(default_factory=RequestTally)
    #: Sets pages as PDF.
    printer: Printer = field(default_factory=NoPrinter)
    pace: Pace | None = None
    mqtt: MqttAddress | None = None

    async def read(self) -> None:
        """Read what pages list and was not read yet, in turns with others: nothing to do, most of the time.

        After a start it takes seconds where there are tens of thousands; then no page has to do it at once.
        """
        for room in (
            self.records,
            self.initiatives,
            self.indicators,
            self.contracts,
            self.contributions,
            self.assessments,
            self.alerts,
            self.reports,
            self.notices,
        ):
            await room.read()
