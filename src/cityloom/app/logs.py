"""The log: plain lines for people, or JSON for programs; with the request and the trace it belongs to.

What an error says may hold what nobody should read in a log. So tokens, passwords in addresses, queries and
e-mail addresses are left out, and an Entity is told by its type and a mark that is the same for the same
Entity until the process ends.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Literal

from cityloom.kernel.spans import REQUEST, trace_id
from cityloom.web import request_tally

_KEY = secrets.token_bytes(16)
#: Types of what has an id and is nobody.
_NOBODY = frozenset({"Subscription", "ContextSourceRegistration", "Notification"})
_URN = re.compile(r"urn:ngsi-ld:([\w.-]+):([^\s\"'<>,;)\]}?#]+)")
#: What would begin another line, or speak to a terminal.
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMES_OF_SECRETS = ("password", "secret", "token", "authorization", "cookie", "key")
_HIDDEN = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), r"\1 …"),
    (re.compile(rf"(?i)((?:{'|'.join(_NAMES_OF_SECRETS)})[\"']?\s*[=:]\s*[\"']?)[^\s\"',;}}]+"), r"\1…"),
    # What a source shows to be the one that was subscribed to.
    (re.compile(r"(distsub-|/remote-notify/)[\w-]+"), r"\1…"),
    (re.compile(r"\b(?:cityloom_[\w-]{40,}|clt_[\w-]{20,})"), "…"),
    (re.compile(r"(://)[^/\s@]+@"), r"\1…@"),
    (re.compile(r"((?:https?|mqtts?)://[^\s\"'?]*|/[\w/.%:-]*)\?[^\s\"']+"), r"\1?…"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "…"),
)


def begin_logging(form: Literal["plain", "json"], level: str, *, requests: bool = False) -> None:
    """Write to standard error from now on, this and what is more serious; with `requests` each of them."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if requests:
        logging.getLogger(request_tally.__name__).setLevel(logging.INFO)


class PlainLines(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is of logging
        # Somebody else's words make no line of the log.
        record.message = _UNPRINTED.sub(lambda found: ascii(found[0])[1:-1], record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        request = REQUEST.get()
        return without_secrets(super().format(record)) + (f" [{request}]" if request else "")


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, logger, message; request, trace, error where there are such."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            "request": REQUEST.get(),
            "trace": trace_id(),
            "error": without_secrets(self.formatException(record.exc_info)) if record.exc_info else "",
        }
        said |= getattr(record, "figures", {})
        return json.dumps({name: value for name, value in said.items() if value != ""}, ensure_ascii=False)


def without_secrets(text: str) -> str:
    """A text without what opens a door or says something about somebody."""
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return _URN.sub(_marked, text)


def _marked(found: re.Match[str]) -> str:
    kind, name = found.groups()
    if kind in _NOBODY:
        return found[0]
    return f"urn:ngsi-ld:{kind}:~{blake2s(name.encode(), key=_KEY, digest_size=5).hexdigest()}"
