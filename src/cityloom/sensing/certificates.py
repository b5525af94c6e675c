"""Certificates of devices: read, checked, and known by their fingerprint."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import format_instant


def read_certificate(pem: str, now: datetime) -> tuple[str, str]:
    """One certificate (PEM): the same written plainly, and its SHA-256 in hex. Raises BadInput."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise BadInput(
            "This is not a certificate",
            hint="Paste the device's certificate in PEM form; its private key stays on the device.",
            where="certificate",
        ) from None
    if certificate.not_valid_after_utc < now:
        raise BadInput(
            f"The certificate lapsed at {format_instant(certificate.not_valid_after_utc)}",
            hint="Make a new one.",
            where="certificate",
        )
    return certificate.public_bytes(Encoding.PEM).decode(), certificate.fingerprint(hashes.SHA256()).hex()
