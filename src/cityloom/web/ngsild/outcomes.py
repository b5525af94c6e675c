"""What became of the parts of one operation, told as one (ETSI GS CIM 009, 5.2.16 to 5.2.18, 6.3.17)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cityloom.federation.errors import LoopDetected, SourceFailed, SourceTimedOut
from cityloom.federation.model import Reply as SourceReply
from cityloom.kernel.errors import CityError, Conflict
from cityloom.ngsild.contexts import iri_of
from cityloom.ngsild.errors import BadRequestData, InvalidRequest, ResourceNotFound
from cityloom.ngsild.json_text import decode_json
from cityloom.ngsild.registrations import Registration
from cityloom.web.errors import problem
from cityloom.web.ngsild.exchange import Reply, plain_reply


class Outcome(msgspec.Struct, frozen=True):
    """What became of one part: here where `registration` is None, else at that source."""

    registration: Registration | None = None
    #: Why it failed; None where it did not.
    error: CityError | None = None
    #: The city's own good answer.
    reply: Reply | None = None
    #: The attributes of this part.
    attributes: frozenset[str] = frozenset()
    #: The body of a source's answer that was good in part.
    partial: Any = None

    @property
    def good(self) -> bool:
        return self.error is None and self.partial is None


@dataclass
class BatchResult:
    """What became of the Entities of a batch (5.2.16), by id, in order."""

    created: dict[str, None] = field(default_factory=dict)
    done: dict[str, None] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, error: CityError, ids: Iterable[str], registration: Registration) -> None:
        """Note why a source did not do it for these."""
        self.errors += [source_error(error, one, registration) for one in ids]


def outcome_of(reply: SourceReply, attributes: frozenset[str]) -> Outcome:
    """What became of a part that was handed on."""
    registration = reply.registration
    if reply.status == 207:
        return Outcome(registration, attributes=attributes, partial=_decoded(reply.body))
    if reply.good:
        return Outcome(registration, attributes=attributes)
    return Outcome(registration, failure_of(reply), attributes=attributes)


def failure_of(reply: SourceReply) -> CityError:
    """Why a source did not do what it was asked (6.3.17)."""
    name = reply.registration.id
    if reply.status == 404:
        return ResourceNotFound(f"The source {name} does not have it", hint="Look at the source.")
    if reply.status == 409:
        return AtSource(f"The source {name} answered 409: what is there stands against it", 409)
    if reply.status == 504:
        return SourceTimedOut(f"The source {name} did not answer in time", hint="Try again later.")
    if reply.status == 508:
        return looped(reply.registration)
    return SourceFailed(
        f"The source {name} answered {reply.status}", hint="Look at the source, and at its registration."
    )


class AtSource(Conflict):
    """What is at the source stands against the request."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, hint="Look at the source.")
        self.status = status


def unsupported(registration: Registration) -> Conflict:
    """A source holds it alone and does not offer the operation (5.6.1.4)."""
    return Conflict(
        f"The source {registration.id} holds this alone and does not offer the operation",
        hint="Ask the source, or register it with more operations.",
    )


def looped(registration: Registration) -> LoopDetected:
    """The request has been at the source, or has come from there, already."""
    return LoopDetected(
        f"The request to the source {registration.id} has come around",
        hint="Look at who is registered with whom.",
    )


def settled(outcomes: list[Outcome], entity_id: str, done: Reply) -> Reply:
    """One answer for an Entity: good, the error itself where there is one part, or 207 (5.2.16)."""
    bad = [one for one in outcomes if not one.good]
    if not bad:
        return _own(outcomes) or done
    _raise_if_alone(outcomes)
    errors: list[Any] = []
    for one in bad:
        errors += _errors_of(one, entity_id)
    success = [entity_id] if len(bad) < len(outcomes) else []
    return plain_reply({"success": success, "errors": errors}, status=207)


def settled_attributes(outcomes: list[Outcome]) -> Reply:
    """One answer for attributes: good, the error itself where there is one part, or 207 (5.2.18)."""
    bad = [one for one in outcomes if not one.good]
    own = _own(outcomes)
    if not bad:
        return own or Reply(204)
    _raise_if_alone(outcomes)
    updated: list[str] = []
    left: list[Any] = []
    for one in outcomes:
        if one.good:
            updated += [iri_of(name) for name in sorted(one.attributes)]
        else:
            left += _attributes_of(one)
    if own is not None and own.body:
        told = _decoded(own.body)
        left += told.get("notUpdated", [])
        gone = {one["attributeName"] for one in told.get("notUpdated", [])}
        updated = [name for name in updated if name not in gone]
    return plain_reply({"updated": list(dict.fromkeys(updated)), "notUpdated": left}, status=207)


def source_error(error: CityError, entity_id: str, registration: Registration | None) -> dict[str, Any]:
    """A BatchEntityError (5.2.17)."""
    found: dict[str, Any] = {"entityId": entity_id, "error": problem(error, instance=entity_id)}
    if registration is not None:
        found["registrationId"] = registration.id
    return found


def _own(outcomes: list[Outcome]) -> Reply | None:
    return next((one.reply for one in outcomes if one.reply is not None), None)


def _raise_if_alone(outcomes: list[Outcome]) -> None:
    """What is wrong with the request itself is no matter of parts; nor is the error of the only part."""
    for one in outcomes:
        if isinstance(one.error, InvalidRequest | BadRequestData) and one.registration is None:
            raise one.error
    if len(outcomes) == 1 and outcomes[0].error is not None:
        error = outcomes[0].error
        if isinstance(error, AtSource):
            raise SourceFailed(error.message, hint=error.hint)
        raise error


def _errors_of(outcome: Outcome, entity_id: str) -> list[Any]:
    if outcome.error is not None:
        return [source_error(outcome.error, entity_id, outcome.registration)]
    told = outcome.partial.get("errors") if isinstance(outcome.partial, dict) else None
    return told if isinstance(told, list) else []


def _attributes_of(outcome: Outcome) -> list[Any]:
    if outcome.error is None:
        told = outcome.partial.get("notUpdated") if isinstance(outcome.partial, dict) else None
        return told if isinstance(told, list) else []
    reason = outcome.error.message
    found = []
    for name in sorted(outcome.attributes):
        one = {"attributeName": iri_of(name), "reason": reason}
        if outcome.registration is not None:
            one["registrationId"] = outcome.registration.id
        found.append(one)
    return found


def _decoded(body: bytes) -> Any:
    """The JSON of a partial answer; an empty object where it is none."""
    try:
        found = decode_json(body)
    except CityError:
        return {}
    return found if isinstance(found, dict) else {}
