"""Topic mappings: which Entity a message to a topic is about, and who may send it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cityloom.kernel.errors import BadConfig, BadInput, NotAllowed
from cityloom.ngsild.model import Document
from cityloom.sensing.fields import (
    FieldMap,
    dig,
    map_of_profile,
    parse_json,
    read_field_map,
    readings_of,
    setting_text,
)
from cityloom.sensing.model import Device, Message
from cityloom.sensing.mqtt.topics import filter_is_valid, matches

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: What a placeholder may stand for: a part of an Entity's id.
_VALUE = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class TopicMapping:
    """One rule of a connector: a topic pattern with placeholders, and what its messages are about.

    Settings: `topic` such as "city/{type}/{device}", `type` and `id` built from the placeholders (by default
    "{type}" and "urn:ngsi-ld:{type}:{device}"), and those of a field map. A device may use it when the
    placeholder {device} is its own id, or when its grants allow the topic.
    """

    def __init__(self, said: Mapping[str, Any], where: str) -> None:
        unknown = set(said) - {"topic", "type", "id", "fields", "time", "longitude", "latitude"}
        if unknown:
            raise BadConfig(
                f"Nothing is called {sorted(unknown)[0]!r} here",
                hint="Known are topic, type, id, fields, time, longitude, latitude.",
                where=where,
            )
        self.pattern = setting_text(said, "topic", where)
        self.fields = read_field_map(said, where)
        self._match = _pattern(self.pattern, f"{where}.topic")
        placeholders = set(_PLACEHOLDER.findall(self.pattern))
        self._type = _template(setting_text(said, "type", where, "{type}"), placeholders, f"{where}.type")
        default_id = f"urn:ngsi-ld:{setting_text(said, 'type', where, '{type}')}:{{device}}"
        self._id = _template(setting_text(said, "id", where, default_id), placeholders, f"{where}.id")

    @property
    def topic_filter(self) -> str:
        """The MQTT topic filter that matches what the pattern matches."""
        return _PLACEHOLDER.sub("+", self.pattern)

    def match(self, topic: str) -> tuple[str, str, str | None] | None:
        """Type, id, and what stands for {device}; None when the topic is another."""
        found = self._match(topic)
        if found is None:
            return None
        return self._type(found), self._id(found), found.get("device")


def _pattern(pattern: str, where: str) -> Callable[[str], dict[str, str] | None]:
    levels = pattern.split("/")
    plain = _PLACEHOLDER.sub("x", pattern)
    if not filter_is_valid(plain) or any(wild in plain for wild in "+#{}") or plain.startswith("$"):
        raise BadConfig(
            f"{pattern!r} is not a topic pattern",
            hint='Write one such as "city/{type}/{device}"; a placeholder stands for a whole level.',
            where=where,
        )
    names: list[str | None] = []
    for level in levels:
        whole = _PLACEHOLDER.fullmatch(level)
        if whole is None and _PLACEHOLDER.search(level):
            raise BadConfig(
                f"In {level!r} a placeholder stands for a part of a level",
                hint="Let it stand for the whole level.",
                where=where,
            )
        names.append(whole[1] if whole else None)

    def match(topic: str) -> dict[str, str] | None:
        given = topic.split("/")
        if len(given) != len(levels):
            return None
        found: dict[str, str] = {}
        for name, level, value in zip(names, levels, given, strict=True):
            if name is None:
                if level != value:
                    return None
            elif not _VALUE.fullmatch(value) or found.setdefault(name, value) != value:
                return None
        return found

    return match


def _template(template: str, placeholders: set[str], where: str) -> Callable[[dict[str, str]], str]:
    for name in _PLACEHOLDER.findall(template):
        if name not in placeholders:
            raise BadConfig(
                f"The topic has no placeholder {{{name}}}",
                hint=f"Known are: {', '.join(sorted(placeholders)) or 'none'}.",
                where=where,
            )
    return lambda found: _PLACEHOLDER.sub(lambda hit: found[hit[1]], template)


class Binding(msgspec.Struct, frozen=True):
    """Where messages of one address from one device go."""

    device: Device | None
    entity_type: str
    entity_id: str
    fields: FieldMap


class TopicMappings:
    """The rules of a connector in their order, and each device's own topic. Answers are remembered."""

    #: Addresses remembered; a city with more of them pays the look-up again.
    MOST = 50_000

    def __init__(self, settings: Sequence[Mapping[str, Any]], where: str = "mappings") -> None:
        """Raises BadConfig naming the rule."""
        self.rules = [TopicMapping(said, f"{where}[{index}]") for index, said in enumerate(settings)]
        self._bindings: dict[tuple[str, str], Binding] = {}

    def decode(self, message: Message) -> list[Document]:
        """The Entities of a message. Raises BadInput, and NotAllowed for another device's topic."""
        device = message.device
        key = (message.address, device.id if device else "")
        bound = self._bindings.get(key)
        # A device whose profile was changed comes back as another object.
        if bound is None or bound.device is not device:
            bound = self._bind(message.address, device)
            if len(self._bindings) >= self.MOST:
                self._bindings.clear()
            self._bindings[key] = bound
        return readings_of(
            parse_json(message.body), message, bound.fields, bound.entity_type, bound.entity_id
        )

    def _bind(self, topic: str, device: Device | None) -> Binding:
        if device is not None and topic == own_topic(device.id):
            return _bind_profile(device)
        for rule in self.rules:
            found = rule.match(topic)
            if found is not None:
                entity_type, entity_id, of_device = found
                _check_grant(topic, device, of_device)
                return Binding(device, entity_type, entity_id, rule.fields)
        own = f" or to {own_topic(device.id)}" if device else ""
        known = ", ".join(rule.pattern for rule in self.rules) or "none yet"
        raise BadInput(
            f"No mapping knows the topic {topic!r}",
            hint=f"Publish to a mapped topic ({known}){own}, or add a mapping in city.toml.",
            where="topic",
        )


def own_topic(device_id: str) -> str:
    """Where a device publishes readings that its profile explains."""
    return f"cityloom/{device_id}/readings"


def _bind_profile(device: Device) -> Binding:
    if device.profile is None:
        raise BadInput(
            f"Nobody has said what the readings of {device.id} are about",
            hint="Give the device a profile: its Entity, and what each field means.",
            where="topic",
        )
    profile = device.profile
    return Binding(device, profile.entity_type, profile.entity_id, map_of_profile(profile))


def _check_grant(topic: str, device: Device | None, of_device: str | None) -> None:
    if device is None or of_device == device.id or any(matches(grant, topic) for grant in device.publishes):
        return
    raise NotAllowed(
        f"The device {device.id} may not publish to {topic!r}",
        hint="Grant it the topic in the register of devices if it is a gateway.",
        where="topic",
    )


class WebhookMapping:
    """One rule for web hooks: whose token it is for, and what the body is about.

    Settings: `source`, the id of the device whose token is shown; `device`, the path of the part of the body
    that names the thing (without it, the source names it); `type`, `id` (by default
    "urn:ngsi-ld:{type}:{device}"), and those of a field map.
    """

    def __init__(self, said: Mapping[str, Any], where: str) -> None:
        unknown = set(said) - {"source", "device", "type", "id", "fields", "time", "longitude", "latitude"}
        if unknown:
            raise BadConfig(
                f"Nothing is called {sorted(unknown)[0]!r} here",
                hint="Known are source, device, type, id, fields, time, longitude, latitude.",
                where=where,
            )
        self.source = setting_text(said, "source", where)
        self._type = setting_text(said, "type", where)
        if not self.source or not self._type:
            raise BadConfig(
                "A rule for web hooks needs `source` and `type`",
                hint='Write source = "lorawan-server" and type = "WeatherObserved".',
                where=where,
            )
        device = setting_text(said, "device", where)
        self._device = tuple(device.split(".")) if device else ()
        default_id = f"urn:ngsi-ld:{self._type}:{{device}}"
        self._id = _template(setting_text(said, "id", where, default_id), {"device"}, f"{where}.id")
        self._fields = read_field_map(said, where)

    def decode(self, message: Message) -> list[Document]:
        """The Entities of a body. Raises BadInput."""
        data = parse_json(message.body)
        bodies = data if isinstance(data, list) and self._device else [data]
        return [document for body in bodies for document in self._one(body, message)]

    def _one(self, body: Any, message: Message) -> list[Document]:
        name = dig(body, self._device) if self._device else self.source
        if not isinstance(name, str) or not _VALUE.fullmatch(name):
            raise BadInput(
                f"{str(name)[:70]!r} cannot be the name of a thing",
                hint="Use up to 64 letters, digits, dots, colons, dashes and underscores.",
                where=".".join(self._device),
            )
        return readings_of(body, message, self._fields, self._type, self._id({"device": name}))


class WebhookMappings:
    """The rules of a connector for web hooks; without a rule, a device is understood by its profile."""

    def __init__(self, settings: Sequence[Mapping[str, Any]], where: str = "mappings") -> None:
        """Raises BadConfig naming the rule."""
        rules = [WebhookMapping(said, f"{where}[{index}]") for index, said in enumerate(settings)]
        self._rules = {rule.source: rule for rule in rules}

    def decode(self, message: Message) -> list[Document]:
        """The Entities of a message. Raises BadInput."""
        device = message.device
        if device is None:
            raise BadInput("A web hook without a device", hint="Show a device's token.", where="token")
        rule = self._rules.get(device.id)
        if rule is not None:
            return rule.decode(message)
        bound = _bind_profile(device)
        return readings_of(
            parse_json(message.body), message, bound.fields, bound.entity_type, bound.entity_id
        )
