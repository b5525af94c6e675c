"""Where addresses that strangers name may lead: an allow-list, and a look at what stands behind a name.

Whoever subscribes, registers or names an @context tells the city an address to reach. It must never become
a way into the machine itself or the networks around it (RFC 1918, 3927, 4193, 4291, 6890).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from cityloom.adapters.network.names import NAMES
from cityloom.kernel.outbound import AddressNotAllowed
from cityloom.ngsild.names import is_uri

#: IPv6 addresses that carry an IPv4 address in their last 32 bits (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}

_ASK = "Ask the operator to let it through in city.toml; docs/reference/configuration.md says how."


class Reach:
    """Judges addresses. `urls` are beginnings of those that are allowed; None allows every public one.

    The name of a host may lead to public addresses; with `inside` to those of the machine and its own
    networks too. An address that `urls` names as a number is allowed wherever it is.
    """

    def __init__(self, urls: Iterable[str] | None = None, *, inside: bool = False) -> None:
        self._urls = None if urls is None else tuple(_with_path(one) for one in urls)
        self._inside = inside

    def check(self, url: str, schemes: Iterable[str] = ("http", "https")) -> SplitResult:
        """The parts of an address that may be named. Raises AddressNotAllowed; nobody is asked for it."""
        parts = _parts(url)
        if parts is None or parts.scheme not in schemes or _hides(parts):
            raise AddressNotAllowed(
                f"{url[:200]!a} is not an address that can be reached",
                hint=f"Write one of {', '.join(schemes)}, with a host, and no fragment and no .. in it; "
                "user and password only for MQTT: other receivers know the city by a header.",
                where=url[:200],
            )
        asked = url.replace(f"{parts.netloc}", parts.netloc.rpartition("@")[2], 1)
        begun = [one for one in self._urls or () if asked.startswith(one)]
        if self._urls is not None and not begun:
            raise AddressNotAllowed(
                f"{url[:200]!a} is not among the addresses this city may reach", hint=_ASK, where=url[:200]
            )
        number = _number(parts.hostname or "")
        named = any(urlsplit(one).hostname == parts.hostname for one in begun)
        if number is not None and not (named or self._inside or is_public(number)):
            raise _inside_of(url)
        return parts

    async def numbers(self, host: str, port: int) -> list[str]:
        """The numbers behind a host's name, or the number it is.

        Raises AddressNotAllowed when one of them is inside and may not be, Unreachable for a name that
        nobody knows. A host that is a number has been judged by `check`.
        """
        if _number(host) is not None:
            return [host]
        numbers = await NAMES.numbers(host, port)
        if not self._inside and not all(is_public(ip_address(one.partition("%")[0])) for one in numbers):
            raise _inside_of(host)
        return numbers


def port_of(parts: SplitResult) -> int:
    """The port of an address that `Reach.check` has passed."""
    return parts.port or _PORTS[parts.scheme]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the internet at large, also the one that it carries."""
    if isinstance(address, IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return is_public(carried)
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _inside_of(address: str) -> AddressNotAllowed:
    return AddressNotAllowed(
        f"{address[:200]!a} leads to an address inside: this machine, or the networks around it",
        hint=_ASK,
        where=address[:200],
    )


def _with_path(beginning: str) -> str:
    """A host alone allows all of that host, and no longer name that begins with it."""
    parts = urlsplit(beginning)
    return beginning if parts.path or not parts.netloc else beginning + "/"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = is_uri(url) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _hides(parts: SplitResult) -> bool:
    """Whether an address says other than it seems to: it climbs out of its path, or carries a secret."""
    path = parts.path.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/")
    climbs = any(step in ("..", ".") for step in path.split("/"))
    secret = parts.scheme.startswith("http") and (parts.username or parts.password)
    return bool(climbs or secret or parts.fragment)


def _number(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
