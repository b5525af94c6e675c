"""Turns facts into Entities, and refuses what a manifest does not allow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import singledispatchmethod
from urllib.parse import quote

import msgspec

from cityloom.kernel.change import Because
from cityloom.kernel.errors import BrokenPlugin
from cityloom.kernel.time import format_instant
from cityloom.ngsild.model import Document, Instance, entity, json_value, prop, rel
from cityloom.services.facts import (
    AlertCleared,
    AlertRaised,
    CommandWished,
    EntityWritten,
    Estimate,
    Fact,
    Words,
    forecast_dataset,
)
from cityloom.services.manifest import Manifest
from cityloom.services.world import World

#: Badge of everything a service says.
ORIGIN = "estimated"
#: On an Alert: when its service said that the occasion is over. Staff may have cleared it before.
OCCASION_ENDED = "occasionEndedAt"


class Written(msgspec.Struct):
    """What a decision writes: Entities to upsert, and the occasions it opens and closes by key."""

    documents: list[Document]
    opened: dict[str, str]
    closed: list[str]
    facts: int


class Writer:
    """Writes down one decision. `open_alerts` maps the keys of open occasions to their Alerts' ids."""

    def __init__(self, manifest: Manifest, world: World, at: datetime, open_alerts: dict[str, str]) -> None:
        self._manifest = manifest
        self._world = world
        self._at = at
        self._open = dict(open_alerts)
        self._documents: dict[str, Document] = {}
        self._opened: dict[str, str] = {}
        self._closed: list[str] = []
        self._measured = {(need.type, name) for need in manifest.needs for name in need.attributes}

    def write(self, facts: Iterable[Fact]) -> Written:
        """All facts of the decision. Raises BrokenPlugin at the first that is not allowed."""
        count = 0
        for fact in facts:
            self._fact(fact)
            count += 1
        return Written(list(self._documents.values()), self._opened, self._closed, count)

    @singledispatchmethod
    def _fact(self, fact: object) -> None:
        raise self._broken(f"said {type(fact).__name__}, which is no fact", "Facts are those of the sdk.", "")

    @_fact.register
    def _estimate(self, fact: Estimate) -> None:
        type_name = self._world.type_of(fact.entity)
        if type_name is None:
            raise self._broken(
                f"estimates {fact.attribute} of {fact.entity}, which it was not shown",
                "Estimates are about Entities of the windows.",
                "needs",
            )
        self._may_write(type_name, fact.attribute)
        if not fact.horizon and (type_name, fact.attribute) in self._measured:
            raise self._broken(
                f"would overwrite what is measured: {type_name}.{fact.attribute}",
                "Give the estimate a horizon, or another attribute.",
                "writes",
            )
        target = self._documents.setdefault(fact.entity, entity(type_name, fact.entity, {}))
        target["attrs"].setdefault(fact.attribute, []).append(self._estimated(fact))
        if fact.because is None:
            self._give_reasons(target)

    @_fact.register
    def _raised(self, fact: AlertRaised) -> None:
        if f"{fact.category}/{fact.sub_category}" not in self._manifest.alerts:
            raise self._broken(
                f"raises {fact.category}/{fact.sub_category}, which it does not declare",
                "Add it to `alerts`.",
                "alerts",
            )
        for audience in (*fact.audience, *fact.escalate_to):
            if audience not in self._manifest.tells:
                raise self._broken(f"tells {audience!r}, whom it does not declare", "Add it.", "tells")
        self._check_words(fact.description, f"alert {fact.key}")
        known = self._open.get(fact.key)
        alert_id = known or self._occasion_id("Alert", fact.key)
        attributes = self._alert_attributes(fact)
        if known is None:
            attributes |= {
                "status": prop("open", at=self._at),
                "dateIssued": prop(format_instant(self._at)),
                "raisedBy": prop(service_name(self._manifest.id)),
                "alertKey": prop(fact.key),
                "dataOrigin": prop(ORIGIN),
                "history": json_value([self._handled("raised")]),
            }
        self._documents[alert_id] = entity("Alert", alert_id, attributes)
        self._opened[fact.key] = alert_id
        self._open[fact.key] = alert_id

    @_fact.register
    def _cleared(self, fact: AlertCleared) -> None:
        alert_id = self._open.pop(fact.key, None)
        if alert_id is None:
            return
        attributes: dict[str, Instance] = {
            "status": prop("cleared", at=self._at),
            "endedAt": prop(format_instant(self._at)),
            OCCASION_ENDED: prop(format_instant(self._at)),
            "history": json_value([self._handled("cleared")]),
        }
        if fact.outcome:
            self._check_words(fact.outcome, f"outcome of {fact.key}")
            attributes["outcome"] = _words(fact.outcome)
        if fact.because:
            attributes["outcomeBecause"] = json_value(msgspec.to_builtins(fact.because))
        document = self._documents.setdefault(alert_id, entity("Alert", alert_id, {}))
        document["attrs"] |= {name: [item] for name, item in attributes.items()}
        self._opened.pop(fact.key, None)
        self._closed.append(fact.key)

    @_fact.register
    def _entity_written(self, fact: EntityWritten) -> None:
        document = fact.document
        for type_name in document["type"]:
            for attribute in document["attrs"]:
                self._may_write(type_name, attribute)
                if self._world.type_of(document["id"]) and (type_name, attribute) in self._measured:
                    raise self._broken(
                        f"would overwrite what is measured: {type_name}.{attribute}",
                        "Write an attribute of its own.",
                        "writes",
                    )
        there = self._documents.setdefault(
            document["id"], {key: value for key, value in document.items() if key != "attrs"} | {"attrs": {}}
        )
        if self._world.type_of(document["id"]) is None:
            there["attrs"] |= document["attrs"]
            there["attrs"]["because"] = [json_value(self._reasons(fact.because, document["id"]))]
            there["attrs"].setdefault("dataOrigin", [prop(ORIGIN)])
        else:
            # What was measured of this Entity stays so; only what is written here is an estimate.
            there["attrs"] |= {name: _badged(items) for name, items in document["attrs"].items()}
            self._give_reasons(there, fact.because)

    @_fact.register
    def _wished(self, fact: CommandWished) -> None:
        if fact.command not in self._manifest.commands:
            raise self._broken(f"wishes {fact.command!r}, which it does not declare", "Add it.", "commands")
        command_id = f"urn:ngsi-ld:Command:{self._manifest.id}:{_slug(fact.key)}"
        attributes: dict[str, Instance] = {
            "command": prop(fact.command),
            "refDevice": rel(fact.device),
            "status": prop("wished", at=self._at),
            "dateIssued": prop(format_instant(self._at)),
            "wishedBy": prop(service_name(self._manifest.id)),
            "dataOrigin": prop(ORIGIN),
            "because": json_value(self._reasons(fact.because, fact.device)),
        }
        if fact.value is not None:
            attributes["commandValue"] = prop(fact.value)
        if fact.until is not None:
            attributes["validTo"] = prop(format_instant(fact.until))
        self._documents[command_id] = entity("Command", command_id, attributes)

    def _estimated(self, fact: Estimate) -> Instance:
        attributes: dict[str, Instance] = {"dataOrigin": prop(ORIGIN)}
        if fact.because is not None:
            attributes["because"] = json_value(msgspec.to_builtins(fact.because))
        for name, number in (("low", fact.low), ("high", fact.high), ("level", fact.level)):
            if number is not None:
                attributes[name] = prop(number)
        if fact.for_at is not None:
            attributes["validAt"] = prop(format_instant(fact.for_at))
        if fact.for_since is not None:
            attributes["validFrom"] = prop(format_instant(fact.for_since))
        if fact.statistic:
            attributes["statistic"] = prop(fact.statistic)
        dataset = forecast_dataset(fact.horizon) if fact.horizon else None
        return prop(fact.value, at=self._at, unit=fact.unit, dataset=dataset, attributes=attributes)

    def _give_reasons(self, document: Document, because: Sequence[Because] | None = None) -> None:
        """The reasons of this service stand once on an Entity, in a dataset of their own.

        Looks do not change while writing, so they are the same for all that is said of it.
        """
        if "because" not in document["attrs"]:
            reasons = json_value(self._reasons(because, document["id"]))
            reasons["datasetId"] = f"urn:ngsi-ld:Dataset:service:{self._manifest.id}"
            document["attrs"]["because"] = [reasons]

    def _reasons(self, because: Sequence[Because] | None, about: str) -> list[object]:
        reasons = self._world.because(about) if because is None else because
        return list(msgspec.to_builtins(tuple(reasons)))

    def _alert_attributes(self, fact: AlertRaised) -> dict[str, Instance]:
        attributes: dict[str, Instance] = {
            "category": prop(fact.category),
            "subCategory": prop(fact.sub_category),
            "severity": prop(fact.severity, at=self._at),
            "description": _words(fact.description),
            "alertSource": rel(fact.about),
            "because": json_value(self._reasons(fact.because, fact.about)),
        }
        instants = {"validFrom": fact.valid_from, "validTo": fact.valid_to}
        attributes |= {name: prop(format_instant(at)) for name, at in instants.items() if at is not None}
        if fact.audience:
            attributes["audience"] = prop(list(fact.audience))
        if fact.confirm_within is not None:
            attributes["confirmWithin"] = prop(iso_duration(fact.confirm_within))
        if fact.escalate_to:
            attributes["escalateTo"] = prop(list(fact.escalate_to))
        return attributes

    def _handled(self, did: str) -> dict[str, str]:
        """What a service did with an Alert, for its history."""
        return {"at": format_instant(self._at), "by": service_name(self._manifest.id), "did": did}

    def _may_write(self, type_name: str, attribute: str) -> None:
        for item in self._manifest.writes:
            if item.type == type_name and attribute in item.attributes:
                return
        raise self._broken(
            f"writes {type_name}.{attribute}, which it does not declare", "Add it to `writes`.", "writes"
        )

    def _check_words(self, words: Words, what: str) -> None:
        if not words or not all(text.strip() for text in words.values()):
            raise self._broken(f"{what} has no words", "Say it with world.say(…).", "messages")

    def _occasion_id(self, type_name: str, key: str) -> str:
        moment = format_instant(self._at).replace("-", "").replace(":", "")
        return f"urn:ngsi-ld:{type_name}:{self._manifest.id}:{_slug(key)}:{moment}"

    def _broken(self, message: str, hint: str, place: str) -> BrokenPlugin:
        return BrokenPlugin(
            f"services/{self._manifest.id} {message}", hint=hint, where=f"manifest.toml: {place}"
        )


def service_name(service_id: str) -> str:
    """How a service signs: "service:frost"."""
    return f"service:{service_id}"


def iso_duration(length: timedelta) -> str:
    """ISO 8601 in whole seconds: PT45M, PT1H30M, P1DT2H."""
    seconds = int(length.total_seconds())
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    text = "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
    return text if text != "P" else "PT0S"


def _words(words: Words) -> Instance:
    return {"type": "LanguageProperty", "languageMap": dict(words)}


def _badged(items: list[Instance]) -> list[Instance]:
    return [{**item, "attrs": {"dataOrigin": [prop(ORIGIN)], **item.get("attrs", {})}} for item in items]


def _slug(key: str) -> str:
    """A key as part of a URN (RFC 8141): what may not stand there is percent-encoded."""
    return quote(key.removeprefix("urn:ngsi-ld:"), safe="-._:")
