"""The `city.toml` that a new city begins with."""

from __future__ import annotations

import json
from pathlib import Path

from cityloom.app.configuration import parse_configuration
from cityloom.kernel.errors import BadConfig


def write_first(
    path: Path, *, name: str, time_zone: str, longitude: float, latitude: float, language: str
) -> None:
    """Write a new city's `city.toml`. Raises BadConfig when there is one already."""
    if path.exists():
        raise BadConfig(
            "There is a city here already", hint="Choose another folder with --home.", where=str(path)
        )
    text = FIRST.format(
        # A JSON string is a TOML string.
        name=json.dumps(name, ensure_ascii=False),
        time_zone=json.dumps(time_zone),
        longitude=longitude,
        latitude=latitude,
        language=json.dumps(language),
    )
    parse_configuration(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadConfig(
            f"{path.name} cannot be written: {error.strerror}",
            hint="Choose another folder with --home.",
            where=str(path),
        ) from None


FIRST = """\
# One city, as code. `cityloom check` explains what is wrong with it, `cityloom up` runs it.
name = {name}
time-zone = {time_zone}
languages = [{language}]
frameworks = ["city", "u4ssc"]

[place]
longitude = {longitude}
latitude = {latitude}

# Who may see what is new: open (everybody), internal (staff), security (command and control).
[classes]
default = "open"
types = {{ Device = "internal" }}

# Readings by MQTT on the platform's own listener, and by web hooks.
[connectors.mqtt]
[connectors.http_push]

[services.traffic]
[services.parking]
[services.frost]
"""
