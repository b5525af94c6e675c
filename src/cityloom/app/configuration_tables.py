"""The tables of `city.toml`, each with what stands in it. Every member has a default."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the feed, the state and the records are kept."""

    #: Of a PostgreSQL database, such as postgresql://city@db.example/city?sslmode=verify-full. With a
    #: password, rather in the environment, as CITYLOOM_STORAGE_URL. Empty: files in the city's folder.
    url: str = ""
    #: The schema there: one a city.
    schema: str = "cityloom"
    #: The file with the keys of what is personal, on a volume that all machines of the city share, such as
    #: /srv/city/keys.db; never in the city's folder. Empty: keys.db there.
    keys: str = ""


class Erasing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one person's data are erased."""

    #: Why one person may decide it alone, such as "a village with one officer"; it stands on the page and in
    #: the audit log. Empty: one asks, and a second one confirms.
    alone: Annotated[str, msgspec.Meta(max_length=300)] = ""


class Nats(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A NATS JetStream cluster that carries changes to processes which do some of the city's work. Needs
    PostgreSQL and `pip install cityloom[nats]`."""

    #: Its servers, such as nats://n1.example:4222 or tls://n1.example:4222. Empty: the city does all itself.
    servers: tuple[str, ...] = ()
    #: Stages that the city's own process leaves to those started with `cityloom up --stages`.
    elsewhere: tuple[Literal["history"], ...] = ("history",)
    #: Into so many the feed is parted by Entity; at most so many processes share a stage.
    partitions: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    #: Servers that keep each message.
    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 3
    #: What the stream is called, after CITY_. Empty: as the schema of the database.
    stream: str = ""
    #: A file with a user's credentials. A password or a token stands in the environment alone, as
    #: CITYLOOM_NATS_PASSWORD or CITYLOOM_NATS_TOKEN.
    credentials: str = ""
    #: The user whose password that is.
    user: str = ""
    #: The authority of the servers' certificates, a PEM file; empty: those that the machine trusts.
    authority: str = ""
    #: A certificate of the city's own, a PEM file, where the servers ask for one.
    certificate: str = ""
    #: Its private key, a PEM file.
    key: str = ""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the city lies: a centre and bounds in WGS 84 decimal degrees."""

    #: East is positive, -180 to 180.
    longitude: float = 0.0
    #: North is positive, -90 to 90.
    latitude: float = 0.0
    #: west, south, east, north; reports from outside are refused. Empty: anywhere.
    bounds: tuple[float, ...] = ()


class Population(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures that indicators divide by, with where they come from."""

    #: How many people live here. Indicators for each inhabitant wait until it is told.
    inhabitants: int | None = None
    #: How many households there are.
    households: int | None = None
    #: Where the figures come from, and of which year they are.
    source: str = ""


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The platform's own MQTT listener."""

    #: Whether the city listens at all.
    enabled: bool = True
    #: Address to listen on, such as 0.0.0.0 for devices elsewhere. Empty: where the pages are.
    host: str = ""
    #: The listener's certificate with its chain, a PEM file; empty: no TLS.
    tls_certificate: str = ""
    #: The certificate's private key, a PEM file.
    tls_key: str = ""
    #: Certificate authority of the devices' certificates; empty: tokens alone.
    client_authority: str = ""


class Classes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which information class a new Entity gets: by its type, else the default."""

    #: open (everybody), internal (staff) or security (command and control).
    default: str = "open"
    #: The class by the Entity's type: { Device = "internal" }.
    types: dict[str, str] = {}


class Contexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where @contexts that requests name may be fetched; each is kept until the city stops."""

    #: An address is fetched when it begins with one of these URLs, such as https://example.org/ld/. Empty:
    #: none is fetched.
    allow: tuple[str, ...] = ()
    #: Whether the names of those hosts may lead to this machine and the networks around it.
    inside: bool = False


class Outbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the city may send what others ask it to: notifications, and requests to other brokers."""

    #: An address is sent to when it begins with one of these URLs, such as https://example.org/ or
    #: mqtts://; one that stands here as a number, wherever it is. Empty: every public address.
    allow: tuple[str, ...] = ()
    #: Whether addresses may lead to this machine and the networks around it.
    inside: bool = False


class Federation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the city works with other brokers, those registered with it as context sources."""

    #: The city's name among context sources, by which loops are found: letters, digits, hyphens. Empty: one
    #: is made and kept.
    alias: str = ""
    #: Where other brokers reach the city to notify it, such as https://city.example. Empty: where it listens;
    #: who listens on all addresses hands no subscription on then.
    address: str = ""
    #: What sources tell is shown to those cleared for `internal`; what comes from addresses that begin with
    #: one of these URLs is open to everybody. A host alone is that host; with a colon, on all its ports.
    open: tuple[str, ...] = ()


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the data models bind what is written through NGSI-LD; what connectors deliver, always."""

    #: Refuse wrong types, units and implausible values of what the data models know. Off with --open-access.
    check: bool = True


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the readings of some Entities are kept one by one."""

    #: Of Entities of these types; empty: of all.
    types: tuple[str, ...] = ()
    #: Of these classes: open, internal, security; empty: of all.
    classes: tuple[Literal["open", "internal", "security"], ...] = ()
    #: So many days, and on to the end of the month; then there are hourly roll-ups. Unsaid: for ever.
    days: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: Whether they are written to the folder `archive` before they go.
    archive: bool = True


class Personal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entities of a type that are about somebody: sealed on the disk, and erased when that person asks."""

    #: The type, as it stands in its Entities.
    type: str
    #: The attributes that are personal; "*" is all of them.
    attributes: tuple[str, ...] = ("*",)
    #: Of those, places that stay about a hundred metres coarse when the rest is erased.
    coarse: tuple[str, ...] = ()
    #: The Relationship that points at the person's Entity; empty: the Entity is the person's own.
    subject: str = ""


class Remembering(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the temporal API gives, and what is kept."""

    #: Attribute instances in one answer; a longer one is cut in time and says so (206).
    instances: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10_000
    #: What becomes of old readings: tables [[history.retention]], of which the first that fits counts. Each
    #: has types, classes (empty: all), days (unsaid: for ever) and archive (true). None: all are kept.
    retention: tuple[Retention, ...] = ()


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the city writes to its standard error, beside what it says at the start."""

    #: plain, for people, or json: one object a line, for programs.
    format: Literal["plain", "json"] = "plain"
    #: debug, info, warning or error: what is less than this is not written.
    level: Literal["debug", "info", "warning", "error"] = "warning"
    #: Whether each request is written too: its operation, status, duration; never an id or a value.
    requests: bool = False


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What `cityloom backup` does is told by the command; here is who is reminded of it."""

    #: Days without a backup after which `cityloom doctor` and the page System say so; 0: never, such as
    #: where the disk itself is backed up.
    remind_after_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 7


class Traces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who collects spans of what the city does. Needs `pip install cityloom[traces]`."""

    #: Where they are sent to by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces. Empty: nowhere.
    endpoint: str = ""
    #: Headers of what is sent: { authorization = "Bearer …" }.
    headers: dict[str, str] = {}
    #: Share of all traces that is sent, 0 to 1.
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    #: The name of this service among others.
    service: str = "cityloom"


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Of a city that works on its own and brings what it knows to a centre: docs/guides/run_an_edge.md."""

    #: Where the centre answers, such as https://city.example; http:// on this machine alone. Empty: this
    #: city is nobody's edge.
    centre: str = ""
    #: A file with the token that the centre gave, in the city's folder or elsewhere. The environment's
    #: CITYLOOM_EDGE_TOKEN counts before it.
    token_file: str = "edge.token"  # noqa: S105 - the name of a file
    #: Certificate authority of the centre, a PEM file; empty: those that the machine believes.
    authority: str = ""
    #: Types that go up; empty: all but those that belong to a room of the city.
    types: tuple[str, ...] = ()
    #: Classes that go up.
    classes: tuple[Literal["open", "internal", "security"], ...] = ("open", "internal")
    #: Changes that may wait while the line is down, each about a thousand bytes of disk; then the oldest are
    #: given up, and stay in the edge's own history.
    most_waiting: Annotated[int, msgspec.Meta(ge=1_000)] = 2_000_000


class Granted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one edge may bring to this city."""

    #: Entities of these types; empty: of all but those that belong to a room of the city.
    types: tuple[str, ...] = ()
    #: Whose ids begin so; empty: any.
    ids: tuple[str, ...] = ()
    #: Of these classes, as far as the edge's account is cleared for them.
    classes: tuple[Literal["open", "internal", "security"], ...] = ("open", "internal")


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The background of the map. Without `tiles` the roads of the data itself are drawn."""

    #: Template of raster tiles, such as https://tiles.example/{z}/{x}/{y}.png.
    tiles: str = ""
    #: Whom to thank for the tiles; stands on the map.
    attribution: str = ""
