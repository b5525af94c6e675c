"""Slowing down who tries too often, without shutting out who may come in."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic

import msgspec

from cityloom.access.errors import TooManyAttempts

_REMEMBERED = 20_000


def network_of(address: str) -> str:
    """What one household or machine has for itself: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class Patience(msgspec.Struct, frozen=True):
    """How many failures are free, and the longest wait after more of them, in seconds."""

    free: int
    longest: float


class _Failures(msgspec.Struct):
    count: int
    last: float


class Backoff:
    """Counts failures by key. Beyond the free ones each doubles the wait, up to the longest.

    A wait always ends, so nobody is locked out for good; what is quiet for four of the longest waits
    is forgotten. `timer` gives seconds that only go up.
    """

    def __init__(self, patience: Patience, *, timer: Callable[[], float] = monotonic) -> None:
        self._patience = patience
        self._timer = timer
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """Seconds that are left before the next attempt; 0 when it may be made now."""
        kept = self._failures.get(key)
        if kept is None:
            return 0.0
        quiet = self._timer() - kept.last
        if quiet > 4 * self._patience.longest:
            del self._failures[key]
            return 0.0
        beyond = kept.count - self._patience.free
        if beyond < 0:
            return 0.0
        return max(0.0, min(2.0 ** min(beyond, 60), self._patience.longest) - quiet)

    def failed(self, key: Hashable) -> None:
        kept = self._failures.setdefault(key, _Failures(0, 0.0))
        kept.count += 1
        kept.last = self._timer()
        self._failures.move_to_end(key)
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def take_back(self, key: Hashable) -> None:
        """One failure less: the attempt that was counted beforehand came out well."""
        kept = self._failures.get(key)
        if kept is not None:
            kept.count = max(0, kept.count - 1)

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)


class Allowance:
    """Lets `count` acts by key pass within `seconds`, refilled evenly; raises TooManyAttempts beyond."""

    def __init__(self, count: int, seconds: float, *, timer: Callable[[], float] = monotonic) -> None:
        self._count = count
        self._rate = count / seconds
        self._timer = timer
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, *, what: str) -> None:
        """Use one act of the key's allowance. `what` names the acts in the error ("reports")."""
        now = self._timer()
        left, since = self._left.get(key, (float(self._count), now))
        left = min(float(self._count), left + (now - since) * self._rate)
        if left < 1.0:
            wait = math.ceil((1.0 - left) / self._rate)
            raise TooManyAttempts(f"Too many {what} from here", retry_after=wait)
        self._left[key] = (left - 1.0, now)
        self._left.move_to_end(key)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)


class SignInThrottle:
    """Slows down guessing at one account, and at many from one address.

    Three counts: by address, over all accounts; by account and network; and by account over all networks
    it has not been signed in from. The last is what a guesser with many addresses meets; the account's
    owner, at a known address, does not.
    """

    def __init__(self, *, timer: Callable[[], float] = monotonic) -> None:
        self._addresses = Backoff(Patience(free=30, longest=15 * 60), timer=timer)
        self._pairs = Backoff(Patience(free=5, longest=15 * 60), timer=timer)
        self._strangers = Backoff(Patience(free=50, longest=60), timer=timer)

    def attempt(self, name: str, address: str, *, known: bool) -> None:
        """Count an attempt as failed beforehand, so that many at once gain nothing.

        `known`: the account has been signed in from there before. Raises TooManyAttempts when the attempt
        must wait; then it is not counted.
        """
        network = network_of(address)
        wait = max(self._addresses.wait(network), self._pairs.wait((name, network)))
        if not known:
            wait = max(wait, self._strangers.wait(name))
        if wait > 0:
            raise TooManyAttempts("Too many attempts to sign in", retry_after=math.ceil(wait))
        self._addresses.failed(network)
        self._pairs.failed((name, network))
        if not known:
            self._strangers.failed(name)

    def succeeded(self, name: str, address: str, *, known: bool) -> None:
        """Take the attempt back. The address keeps its failures: one own account opens no door to others."""
        network = network_of(address)
        self._pairs.forget((name, network))
        self._addresses.take_back(network)
        if not known:
            self._strangers.take_back(name)
