"""Topic names and topic filters (MQTT 5.0, 4.7)."""

from __future__ import annotations

from functools import lru_cache

from cityloom.sensing.mqtt.properties import MalformedPacket, Reason, text_from

#: Longest topic in bytes, and most levels. The standard allows 65535; no city needs more than this.
LONGEST = 512
MOST_LEVELS = 32


@lru_cache(maxsize=16384)
def topic_from(raw: bytes) -> str:
    """The topic name of a PUBLISH. Raises MalformedPacket for wildcards, `$`, emptiness and great length.

    `$`-topics belong to the server (4.7.2); nothing may be published there. Cached: a device says the same
    topic again and again.
    """
    text = text_from(raw)
    check_topic(text)
    return text


def check_topic(text: str) -> None:
    """Raises MalformedPacket when `text` cannot be a topic name to publish to."""
    if not text or "+" in text or "#" in text:
        raise MalformedPacket("A topic name is empty or holds a wildcard", reason=Reason.TOPIC_NAME_INVALID)
    if text[0] == "$":
        raise MalformedPacket("Topics that begin with $ are the server's", reason=Reason.TOPIC_NAME_INVALID)
    if len(text.encode()) > LONGEST or text.count("/") >= MOST_LEVELS:
        raise MalformedPacket("A topic name is too long", reason=Reason.TOPIC_NAME_INVALID)


def filter_is_valid(text: str) -> bool:
    """Whether `text` is a topic filter (4.7.1): `+` fills a level, `#` stands last and alone."""
    if not text or len(text.encode()) > LONGEST:
        return False
    levels = text.split("/")
    if len(levels) > MOST_LEVELS:
        return False
    for index, level in enumerate(levels):
        if "+" in level and level != "+":
            return False
        if "#" in level and (level != "#" or index != len(levels) - 1):
            return False
    return True


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic name matches a valid topic filter (4.7.1, 4.7.2)."""
    if topic.startswith("$") and not topic_filter.startswith("$"):
        return False
    wanted, given = topic_filter.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given) or level not in ("+", given[index]):
            return False
    return len(wanted) == len(given)
