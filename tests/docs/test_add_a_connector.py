"""The guides to connectors and devices do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cityloom.sdk
import cityloom_catalogue
from cityloom.adapters.mqtt.sessions import command_topic, status_topic
from cityloom.app.plugins import find_plugins
from cityloom.sensing.host import HTTP_PUSH
from cityloom.sensing.kit import check_connector
from cityloom.sensing.mapping import own_topic
from cityloom.sensing.model import Message
from cityloom.sensing.models import read_models

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/add_a_connector.md").read_text(encoding="utf-8")
DEVICES = (ROOT / "docs/guides/connect_a_device.md").read_text(encoding="utf-8")
COMMAND = [sys.executable, "-m", "cityloom.app.command_line"]


def test_the_commands_of_the_guide_write_a_connector_that_passes(tmp_path, monkeypatch):
    (tmp_path / "city" / "mycity").mkdir(parents=True)
    (command,) = re.findall(r"^\$ cityloom (new .*)$", GUIDE, re.M)
    made = subprocess.run([*COMMAND, *command.split()], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    monkeypatch.syspath_prepend(str(tmp_path / "city"))
    (plugin,) = find_plugins(["mycity"])
    models = read_models([Path(cityloom_catalogue.__path__[0]) / "models"])
    assert check_connector(plugin.folder, plugin.manifest, plugin.load("connector"), models) == []


def test_the_guide_names_what_a_message_and_the_kit_offer():
    told = set(re.findall(r"`message\.([a-z_]+)`", GUIDE))
    assert told == {"body", "address", "device", "received_at"}
    assert told <= set(Message.__struct_fields__)
    words = ("parse_json", "entity", "prop", "rel", "point", "read_field_map", "readings_of", "BadInput")
    for word in (*words, "CityError"):
        assert word in cityloom.sdk.__all__
        assert word in GUIDE


def test_the_guide_names_every_transport():
    manifests = (ROOT / "src/cityloom_catalogue/connectors").glob("*/manifest.toml")
    used = {tomllib.loads(path.read_text()).get("transport", "none") for path in manifests}
    rows = set(re.findall(r"^\| `?([a-z][a-z-]+)`? \| ", GUIDE.partition("| `transport` |")[2], re.M))
    assert HTTP_PUSH in used
    assert rows == used


def test_the_guide_to_devices_names_their_topics():
    for topic in (own_topic, command_topic, status_topic):
        assert f"| `{topic('<device>')}` |" in DEVICES
