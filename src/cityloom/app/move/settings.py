"""The table [storage] of a city.toml. Pure, but for the one function that writes."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from cityloom.kernel.errors import BadConfig

_TABLE = "[storage]"
#: Parameters of libpq that are nobody else's to know.
_SECRET = frozenset({"password", "sslpassword", "oauth_client_secret"})


def without_password(url: str) -> str:
    """An address as it may stand in city.toml, which others may read."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    netloc = user.partition(":")[0] + at + host
    told = [(key, value) for key, value in parse_qsl(parts.query) if key not in _SECRET]
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(told, quote_via=quote, safe="/")))


def with_storage(text: str, url: str, schema: str) -> str:
    """A city.toml that names a database. Raises BadConfig where that is for a person to write."""
    # A JSON string is a TOML string.
    told = [f"url = {json.dumps(url)}", f"schema = {json.dumps(schema)}"]
    lines = text.splitlines()
    places = [place for place, line in enumerate(lines) if line.split("#")[0].strip() == _TABLE]
    if places:
        begin = places[0] + 1
        end = next((at for at in range(begin, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))
        kept = [line for line in lines[begin:end] if line.split("=")[0].strip() not in ("url", "schema")]
        lines[begin:end] = told + kept
    else:
        lines += ["", _TABLE, *told]
    written = "\n".join(lines) + "\n"
    before = tomllib.loads(text)
    wanted = {**before, "storage": {**before.get("storage", {}), "url": url, "schema": schema}}
    if _read(written) != wanted:
        raise BadConfig(
            "The storage cannot be written into this city.toml",
            hint=f"Write it by hand: {_TABLE} with {told[0]} and {told[1]}. All else is done.",
            where="storage",
        )
    return written


def write(path: Path, text: str) -> None:
    """Replace a file at once; its rights stay."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(path.stat().st_mode & 0o777)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)


def _read(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
