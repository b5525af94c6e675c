"""`city.toml`: one city, as code. Reading it, checking it, writing a first one."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cityloom.access.quotas import Quotas
from cityloom.app.configuration_tables import (
    Backup,
    Classes,
    Contexts,
    Edge,
    Erasing,
    Federation,
    Granted,
    Log,
    Map,
    Models,
    Mqtt,
    Nats,
    Outbound,
    Personal,
    Place,
    Population,
    Remembering,
    Storage,
    Traces,
)
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, fault_of
from cityloom.planning.money import CURRENCIES
from cityloom.subscriptions.backlog import Notifying

LANGUAGES = ("en", "da")

_ALIAS = re.compile(r"[A-Za-z0-9.-]{0,100}", re.ASCII)
_SERVER = re.compile(r"(nats|tls)://[^/?#@\s]+")
_STREAM = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)
_FETCHED = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
#: What is wrong, and what to do.
PASSWORD_IN_CLEAR = (
    "The password would go over the line for all to read, and with it the whole feed",
    "Write tls://, and the host; nats:// with a password is for this machine alone (127.0.0.1).",
)
#: A scheme alone allows all that is public by it.
_SENT_TO = re.compile(r"(https?|mqtts?)://([^/?#@\s]+(/[^?#\s]*)?)?")


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A whole `city.toml`. Every member has a default, so an empty file is a valid city."""

    #: Stands on every page.
    name: str = "My city"
    #: A name of the time zone database: days and hours on pages, and the city's calendar, are in it.
    time_zone: str = "UTC"
    #: Languages of the pages, the first for whoever asks for none of them.
    languages: tuple[str, ...] = ("en",)
    #: What forms of money begin with, by ISO 4217: EUR. Empty: the currency of the country that the time zone
    #: lies in.
    currency: str = ""
    #: Where the city lies.
    place: Place = Place()
    #: How many people live in it.
    population: Population = Population()
    #: Other figures that indicators divide by, such as major_streets_km.
    figures: dict[str, float] = {}
    #: Where the city keeps what it must not lose.
    storage: Storage = Storage()
    #: What carries changes to the city's other processes.
    nats: Nats = Nats()
    #: Who may see what is new.
    classes: Classes = Classes()
    #: From where @contexts may be fetched.
    contexts: Contexts = Contexts()
    #: Where what others ask for may be sent.
    outbound: Outbound = Outbound()
    #: Other brokers.
    federation: Federation = Federation()
    #: The centre that this city brings its changes to.
    edge: Edge = Edge()
    #: Who brings changes to this city, by the name of the edge's account.
    edges: dict[str, Granted] = {}
    #: What the data models bind.
    models: Models = Models()
    #: How much of the past is told at once.
    history: Remembering = Remembering()
    #: Whose data are personal, beside citizens' reports and those who want to be warned.
    personal: tuple[Personal, ...] = ()
    #: How many people an erasure of somebody's data takes.
    erasure: Erasing = Erasing()
    #: The listener for devices.
    mqtt: Mqtt = Mqtt()
    #: What telling others may cost.
    notifications: Notifying = Notifying()
    #: How much is kept for whom.
    quotas: Quotas = Quotas()
    #: The background of the map.
    map: Map = Map()
    #: What is written to the log.
    log: Log = Log()
    #: Spans for a collector.
    traces: Traces = Traces()
    #: Who is reminded of backups.
    backup: Backup = Backup()
    #: Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. One on
    #: this machine (127.0.0.1) always is.
    proxies: tuple[str, ...] = ()
    #: Connectors by the plugin's id, each with its settings.
    connectors: dict[str, dict[str, Any]] = {}
    #: City services by the plugin's id, each with its settings.
    services: dict[str, dict[str, Any]] = {}
    #: Indicator frameworks by the plugin's id.
    frameworks: tuple[str, ...] = ("city", "u4ssc")
    #: A demo city's id when readings are replayed or simulated.
    demo: str = ""
    #: Packages with plugins of the city's own, beside those that register an entry point.
    plugins: tuple[str, ...] = ("cityloom_catalogue",)


def read_configuration(path: Path) -> Configuration:
    """The configuration in a file. Raises BadConfig that names the line or the key, and the cure."""
    return parse_configuration(text_of(path), where=path.name)


def text_of(path: Path) -> str:
    """The text of a configuration. Raises BadConfig."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadConfig(
            "There is no city here",
            hint="Make one with `cityloom init`, or name its folder with --home.",
            where=str(path),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"The file cannot be read: {error}", hint="Check it and its rights.", where=str(path)
        ) from None


def parse_configuration(text: str, *, where: str = "city.toml") -> Configuration:
    """The configuration in a TOML text. Raises BadConfig."""
    configuration, wrong = examine_configuration(text, where=where)
    if wrong:
        raise wrong[0]
    return configuration


def examine_configuration(text: str, *, where: str = "city.toml") -> tuple[Configuration, list[BadConfig]]:
    """What of a TOML text can be used, and all that is wrong with it. BadConfig: it is no TOML."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"This is not TOML: {error}", hint="Correct that line.", where=where) from None
    wrong = list(_unknown_keys(raw, where))
    usable: dict[str, Any] = {}
    for key, value in raw.items():
        if key in _keys():
            faults = list(_misshapen((key,), value, where))
            wrong += faults
            if not faults:
                usable[key] = value
    configuration = msgspec.convert(usable, Configuration)
    return configuration, [*wrong, *_meaningless(configuration, where)]


def _keys() -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(Configuration)]


def _unknown_keys(raw: dict[str, Any], where: str) -> Iterator[BadConfig]:
    known = _keys()
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."
            yield BadConfig(f"Nothing is called {key!r} here", hint=hint, where=f"{where}: {key}")


def _misshapen(path: tuple[str, ...], value: Any, where: str) -> Iterator[BadConfig]:
    """What does not have the declared shape. A table is looked at by its members, to find each of them."""
    whole: Any = value
    for key in reversed(path):
        whole = {key: whole}
    try:
        msgspec.convert(whole, Configuration)
        return
    except msgspec.ValidationError as error:
        message, place = fault_of(error)
    found = []
    if isinstance(value, dict) and len(path) == 1:
        found = [fault for key, member in value.items() for fault in _misshapen((*path, key), member, where)]
    yield from found or [
        BadConfig(
            message,
            hint="Correct the value; docs/reference/configuration.md lists them all.",
            where=f"{where}: {place or 'top'}",
        )
    ]


def _meaningless(configuration: Configuration, where: str) -> Iterator[BadConfig]:
    """What has the right shape and cannot be."""

    def wrong(key: str, message: str, hint: str) -> BadConfig:
        return BadConfig(message, hint=hint, where=f"{where}: {key}")

    if not configuration.name.strip():
        yield wrong("name", "The city has no name", "Give it one.")
    try:
        ZoneInfo(configuration.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield wrong(
            "time-zone",
            f"{configuration.time_zone!r} is not a time zone",
            "Use a name of the time zone database, such as Europe/Copenhagen.",
        )
    for language in configuration.languages or ("",):
        if language not in LANGUAGES:
            yield wrong(
                "languages", f"{language!r} is not translated yet", f"Choose of {', '.join(LANGUAGES)}."
            )
    yield from _no_currency(configuration.currency, wrong)
    for proxy in configuration.proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            yield wrong("proxies", str(error), "Write 192.0.2.7, or a network such as 10.0.0.0/8.")
    for key, label in {"default": configuration.classes.default, **configuration.classes.types}.items():
        try:
            class_of(label, where=f"{where}: classes.{key}")
        except BadConfig as error:
            yield error
    yield from _impossible_places(configuration.place, wrong)
    yield from _no_cluster(configuration.nats, wrong)
    yield from _no_addresses("contexts.allow", configuration.contexts.allow, _FETCHED, wrong)
    yield from _no_addresses("outbound.allow", configuration.outbound.allow, _SENT_TO, wrong)
    yield from _no_federation(configuration.federation, wrong)
    yield from _unsafe_line(configuration.edge, wrong)
    yield from _no_addresses(
        "traces.endpoint", filter(None, (configuration.traces.endpoint,)), _FETCHED, wrong
    )


def _no_currency(currency: str, wrong: Callable[[str, str, str], BadConfig]) -> Iterator[BadConfig]:
    if currency and currency not in CURRENCIES:
        meant = currency.upper() if currency.upper() in CURRENCIES else "EUR"
        hint = f"Use the three letters of ISO 4217, such as {meant}."
        yield wrong("currency", f"{currency!r} is no currency", hint)


def told_in_clear(nats: Nats, server: str) -> bool:
    """Whether a password or a token would go to this server over a line that others can read."""
    parts = urlsplit(server)
    on_line = parts.scheme == "nats" and parts.hostname not in _THIS_MACHINE
    named_safe = any(urlsplit(one).scheme == "tls" for one in nats.servers)
    return on_line and not (named_safe or nats.authority or nats.certificate)


def _no_cluster(nats: Nats, wrong: Callable[[str, str, str], BadConfig]) -> Iterator[BadConfig]:
    for server in nats.servers:
        if not _SERVER.fullmatch(server):
            yield wrong(
                "nats.servers",
                "This is not the address of a server",
                "Write nats://n1.example:4222 or tls://…; a password stands in the environment.",
            )
        elif nats.user and told_in_clear(nats, server):
            yield wrong("nats.servers", *PASSWORD_IN_CLEAR)
    if not _STREAM.fullmatch(nats.stream):
        yield wrong("nats.stream", f"{nats.stream!r} is not a name", "Use letters, digits, - and _.")


def _no_federation(
    federation: Federation, wrong: Callable[[str, str, str], BadConfig]
) -> Iterator[BadConfig]:
    yield from _no_addresses("federation.open", federation.open, _FETCHED, wrong)
    if federation.address:
        yield from _no_addresses("federation.address", (federation.address,), _FETCHED, wrong)
    if not _ALIAS.fullmatch(federation.alias):
        yield wrong(
            "federation.alias", "This is not a name", "Use letters, digits and hyphens, or leave it out."
        )


def _unsafe_line(edge: Edge, wrong: Callable[[str, str, str], BadConfig]) -> Iterator[BadConfig]:
    """What goes to the centre must be read by its host alone."""
    parts = urlsplit(edge.centre)
    safe = parts.scheme == "https" or parts.hostname in _THIS_MACHINE
    if edge.centre and not (safe and _FETCHED.fullmatch(edge.centre)):
        yield wrong(
            "edge.centre",
            "Changes and the token would go over the line for all to read",
            "Write https://, and the host; http:// is for this machine alone (127.0.0.1).",
        )


def _impossible_places(place: Place, wrong: Callable[[str, str, str], BadConfig]) -> Iterator[BadConfig]:
    if not (-180 <= place.longitude <= 180 and -90 <= place.latitude <= 90):
        yield wrong("place", "The centre is not on the globe", "Give longitude and latitude in degrees.")
    if place.bounds and len(place.bounds) != 4:
        yield wrong("place.bounds", "Bounds have four numbers", "Write [west, south, east, north].")
    elif place.bounds and not (place.bounds[0] < place.bounds[2] and place.bounds[1] < place.bounds[3]):
        yield wrong("place.bounds", "West must be below east and south below north", "Swap them.")


def _no_addresses(
    key: str,
    beginnings: Iterable[str],
    form: re.Pattern[str],
    wrong: Callable[[str, str, str], BadConfig],
) -> Iterator[BadConfig]:
    for prefix in beginnings:
        if not form.fullmatch(prefix):
            yield wrong(
                key,
                f"{prefix!r} is not the beginning of a URL",
                "Write scheme, host and path, such as https://example.org/ld/.",
            )


def class_of(label: str, *, where: str) -> InformationClass:
    """The information class with this label. Raises BadConfig."""
    for found in InformationClass:
        if found.label == label:
            return found
    labels = ", ".join(known.label for known in InformationClass)
    raise BadConfig(f"{label!r} is not an information class", hint=f"Choose of {labels}.", where=where)
