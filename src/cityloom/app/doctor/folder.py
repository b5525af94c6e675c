"""Looks at a city's folder and configuration, whether the city runs or not. Changes nothing."""

from __future__ import annotations

import ipaddress
import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cityloom.app.configuration import Configuration, examine_configuration, text_of
from cityloom.app.folder import CityFolder
from cityloom.app.watch.growth import DAY_S
from cityloom.kernel.errors import CityError
from cityloom.kernel.findings import Finding, found
from cityloom.kernel.measures import Growth

#: Below this share of free space the disk counts as nearly full.
SCARCE = 0.05
#: Days before the disk is full, or a certificate ends, in which that is told.
FULL_SOON = 30
ENDS_SOON = 30
#: Seconds that a file may come from the future: file systems count coarsely.
FROM_THE_FUTURE_S = 120.0
_LOOPBACK = ("127.", "::1", "localhost")


def read_findings(folder: CityFolder) -> tuple[Configuration, list[Finding]]:
    """The configuration as far as it can be used, and what is wrong with it."""
    if not folder.configuration.exists():
        missing = found("no-city", "There is no city here", str(folder.home))
        return Configuration(), [missing]
    try:
        configuration, wrong = examine_configuration(
            text_of(folder.configuration), where=folder.configuration.name
        )
    except CityError as error:
        return Configuration(), [_misconfigured(error)]
    return configuration, [_misconfigured(error) for error in wrong]


def _misconfigured(error: CityError) -> Finding:
    return found("configuration-wrong", error.message, error.where or "", remedy=error.hint)


def disk_findings(home: Path, growth: Growth) -> Iterator[Finding]:
    """Of a disk that is nearly full, or will be."""
    disk = shutil.disk_usage(home)
    if disk.free < SCARCE * disk.total:
        what = f"The disk is nearly full: {disk.free / 1e9:.2f} of {disk.total / 1e9:.2f} GB are left"
        yield found("disk-nearly-full", what, str(home))
    if growth.full_in_s is not None and growth.full_in_s < FULL_SOON * DAY_S:
        yield found("disk-fills-up", f"The disk is full in {growth.full_in_s / DAY_S:.0f} days", str(home))


def rights_findings(folder: CityFolder) -> Iterator[Finding]:
    """Of who may read and write the folder and what lies in it."""
    home = folder.home
    if not os.access(home, os.W_OK) or not home.stat().st_mode & stat.S_IWUSR:
        yield found("folder-not-writable", "The folder cannot be written", str(home))
    private = [home, *(one for one in home.iterdir() if one.suffix in (".db", ".duckdb", ".json"))]
    # What a folder closed to others holds, they do not reach.
    seen = [one for one in private if one.stat().st_mode & 0o077]
    if seen and seen[0] == home:
        names = ", ".join(sorted({one.name for one in seen[1:]})[:5]) or "its files"
        yield found("folder-open-to-others", f"Others of this machine may look into it: {names}", str(home))
    for path in private[1:]:
        if not path.stat().st_mode & stat.S_IWUSR:
            yield found("folder-not-writable", f"{path.name} cannot be written", str(path))


def clock_findings(folder: CityFolder, now: float | None = None) -> Iterator[Finding]:
    """Of a clock that is behind what it has written before."""
    now = time.time() if now is None else now
    written = [(one.stat().st_mtime, one) for one in folder.home.iterdir() if one.is_file()]
    ahead, path = max(written, default=(0.0, folder.home))
    if ahead > now + FROM_THE_FUTURE_S:
        at = datetime.fromtimestamp(ahead, UTC).isoformat(timespec="seconds")
        yield found("clock-wrong", f"{path.name} was written at {at}, which is still to come", str(path))


def exposure_findings(configuration: Configuration, host: str = "127.0.0.1") -> Iterator[Finding]:
    """Of what the configuration lets strangers do. `host` is where the pages are, or will be."""
    mqtt = configuration.mqtt
    heard = mqtt.host or host
    if mqtt.enabled and not mqtt.tls_certificate and not heard.startswith(_LOOPBACK):
        yield found("mqtt-without-tls", f"MQTT is heard on {heard} without TLS", "city.toml: mqtt")
    if not host.startswith(_LOOPBACK) and not configuration.proxies:
        yield found("pages-without-tls", f"The pages are served on {host} without TLS", host)
    for proxy in configuration.proxies:
        if ipaddress.ip_network(proxy, strict=False).prefixlen == 0:
            yield found("proxies-trust-everybody", f"{proxy} is everybody", "city.toml: proxies")
    for name, section in (("contexts", configuration.contexts), ("outbound", configuration.outbound)):
        if section.inside and not section.allow:
            yield found(
                "reaches-inside",
                f"[{name}] reaches this machine and the networks around it, without bounds",
                f"city.toml: {name}.inside",
            )


def certificate_findings(configuration: Configuration, now: datetime | None = None) -> Iterator[Finding]:
    """Of certificates that cannot be used, or not for long."""
    named = configuration.mqtt
    if not named.tls_certificate:
        return
    from cryptography import x509

    now = now or datetime.now(UTC)
    for path in filter(None, (named.tls_certificate, named.client_authority)):
        try:
            chain = x509.load_pem_x509_certificates(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            yield found("certificate-unusable", f"It cannot be read: {error}", path)
            continue
        ends = min(one.not_valid_after_utc for one in chain)
        left = (ends - now).days
        if ends <= now:
            yield found("certificate-expired", f"It ended on {ends:%Y-%m-%d}", path)
        elif left < ENDS_SOON:
            yield found("certificate-expires", f"It ends in {left} days, on {ends:%Y-%m-%d}", path)
    yield from _key_findings(named.tls_certificate, named.tls_key)


def _key_findings(certificate: str, key: str) -> Iterator[Finding]:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None)
    except (OSError, ValueError) as error:
        yield found("certificate-unusable", f"It does not go with its key: {error}", key or certificate)
