"""Where a request to another system goes, and its head as bytes (RFC 9112, 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, quote

#: Added where they are missing; the rest is the caller's.
_USUAL = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "CityLoom"}
#: What belongs to the connection and to the length of the body: no caller says it.
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: Requests of which nobody expects a body.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_UNSOUND = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD = re.compile(r"[A-Z]{1,32}")
#: What stands in an address as it is; the rest of an IRI is written in percent signs (RFC 3987, 3.1).
_PLAIN = "!#$%&'()*+,/:;=?@[]~"
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where a request goes."""

    scheme: str
    #: The host as it was written, which is what was judged.
    name: str
    port: int
    #: The host as name servers and certificates know it.
    host: str
    #: Host and port as the header Host names them.
    authority: str
    #: Path and query.
    resource: str


def target_of(parts: SplitResult) -> Target:
    """The target that the parts of an address name. Raises ValueError for a host that cannot be one."""
    named = parts.hostname or ""
    host = named if named.isascii() else named.encode("idna").decode("ascii")
    usual = _PORTS[parts.scheme]
    port = parts.port or usual
    shown = f"[{host}]" if ":" in host else host
    resource = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Target(
        parts.scheme,
        named,
        port,
        host,
        shown if port == usual else f"{shown}:{port}",
        resource if resource.isascii() else quote(resource, safe=_PLAIN),
    )


def request_head(method: str, target: Target, headers: Mapping[str, str], size: int) -> bytes:
    """`size` is the bytes of the body. Raises ValueError for what cannot stand in a head."""
    if _METHOD.fullmatch(method) is None:
        raise ValueError(f"{method[:40]!a} is no method")
    lines = [f"{method} {target.resource} HTTP/1.1", f"host: {target.authority}"]
    said = set()
    for name, value in headers.items():
        lines.append(f"{name}: {value.strip()}")
        said.add(_checked(name, value))
    lines += [f"{name}: {value}" for name, value in _USUAL.items() if name not in said]
    # A GET that tells the length of a body it has not is taken for one with a body of no known type.
    if size or method not in _WITHOUT_BODY:
        lines.append(f"content-length: {size}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


def _checked(name: str, value: str) -> str:
    """The name in lower case, of a header that a caller may set."""
    lowered = _name(name)
    if _UNSOUND.search(value):
        raise ValueError(f"the header {name!a} has characters that no header may have")
    return lowered


@lru_cache(1_000)
def _name(name: str) -> str:
    lowered = name.lower()
    if _NAME.fullmatch(name) is None or lowered in _OURS:
        raise ValueError(f"{name[:40]!a} is no header that can be sent")
    return lowered
