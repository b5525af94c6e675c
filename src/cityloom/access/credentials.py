"""Secrets that are handed out once and kept as their digest: session tokens, API tokens, follow codes."""

from __future__ import annotations

import secrets
from hashlib import sha256

#: Marks an API token of CityLoom, so that people and secret scanners recognise one that got out.
API_TOKEN_PREFIX = "cityloom_"  # noqa: S105 - not a secret but what precedes one

#: Letters and digits that cannot be taken for each other, read aloud or on paper.
_PLAIN_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_secret() -> str:
    """256 random bits, fit for a cookie or a header."""
    return secrets.token_urlsafe(32)


def new_api_token() -> str:
    """An API token: the prefix and 256 random bits."""
    return API_TOKEN_PREFIX + new_secret()


def new_id(prefix: str) -> str:
    """A name for a record that tells nothing of it: 64 random bits in hexadecimal."""
    return f"{prefix}{secrets.token_hex(8)}"


def new_spoken_secret(groups: int, size: int = 5) -> str:
    """Groups of plain letters and digits to be read off a screen; about 25 bits for a group of five."""
    return "-".join("".join(secrets.choice(_PLAIN_ALPHABET) for _ in range(size)) for _ in range(groups))


def digest(secret: str) -> str:
    """What is stored of a random secret, and looked it up by. (For passwords see `passwords`.)"""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
