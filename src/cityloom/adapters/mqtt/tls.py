"""TLS for MQTT: version 1.2 or newer, with the certificates of devices where they have one."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cityloom.kernel.errors import BadConfig


class TlsFiles(msgspec.Struct, frozen=True):
    """Where the listener's certificate chain and key lie, and the authority of the devices' certificates."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


def server_context(files: TlsFiles, device_certificates: Iterable[str] = ()) -> ssl.SSLContext:
    """The listener's context. A device may show a certificate, and need not.

    Each registered certificate (PEM) is trusted by itself, so that devices may have signed their own.
    Raises BadConfig naming the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for path in (files.certificate, files.key, files.client_authority):
        if path is not None and not path.is_file():
            raise BadConfig("There is no such file", hint="Correct the path in city.toml.", where=str(path))
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError) as error:
        raise BadConfig(
            f"Certificate and key cannot be used: {error}",
            hint="Both must be PEM and belong together; the key must not have a password.",
            where=str(files.certificate),
        ) from None
    if files.client_authority is not None:
        try:
            context.load_verify_locations(files.client_authority)
        except (ssl.SSLError, OSError) as error:
            raise BadConfig(
                f"This is no certificate authority: {error}",
                hint="Give its certificate as PEM.",
                where=str(files.client_authority),
            ) from None
    for pem in device_certificates:
        trust(context, pem)
    return context


def client_context(authority: Path | None) -> ssl.SSLContext:
    """A client's context: the machine's authorities, or one's own. Raises BadConfig."""
    if authority is not None and not authority.is_file():
        raise BadConfig("There is no such file", hint="Correct the path.", where=str(authority))
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (ssl.SSLError, OSError) as error:
        raise BadConfig(
            f"This is no certificate authority: {error}",
            hint="Give its certificate as PEM.",
            where=str(authority),
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trust(context: ssl.SSLContext, pem: str) -> None:
    """Let a device in that shows this certificate, from the next handshake on."""
    context.load_verify_locations(cadata=pem)
