"""The guide to edges is followed: its settings, its account, its line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from cityloom.access.roles import ROLES
from cityloom.app.configuration import parse_configuration
from cityloom.app.edges import grants_of
from cityloom.edge.forwarding import FIRST_PAUSE, LAST_PAUSE
from cityloom.edge.model import MOST_CHANGES, OWN_TYPES
from cityloom.edge.taking_in import GRAVES_KEPT
from cityloom.kernel.findings import KINDS
from running_city import ask

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "guides/run_an_edge.md").read_text(encoding="utf-8")
CENTRE, EDGE = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)


def test_the_settings_of_the_guide_are_settings():
    grant = grants_of(parse_configuration(CENTRE))["ship"]
    assert grant.covers("urn:ngsi-ld:Buoy:ship-1", ["Buoy"])
    assert not grant.covers("urn:ngsi-ld:Buoy:other-1", ["Buoy"])
    assert not grant.covers("urn:ngsi-ld:Buoy:ship-1", ["Alert"])
    edge = parse_configuration(EDGE).edge
    assert edge.centre == "https://city.example"
    assert edge == parse_configuration(f'[edge]\ncentre = "{edge.centre}"\ntypes = {list(edge.types)}').edge


def test_the_account_of_the_guide_can_be_made(tmp_path):
    home = tmp_path / "centre"
    ask("init", "--home", home, "--name", "Centre")
    made, token = re.findall(r"^\$ cityloom (account [^>\n]*)", GUIDE, re.M)
    assert "password" in ask(*made.split(), "--home", home)
    assert ask(*token.split(), "--home", home).strip()
    assert ROLES["edge"].permissions >= {"edge:bring"}
    assert "entities:write" not in ROLES["edge"].permissions


def test_what_the_guide_counts_is_so():
    assert "after half a second and at last about once a minute" in GUIDE
    assert (FIRST_PAUSE, LAST_PAUSE) == (0.5, 60.0)
    assert f"for {GRAVES_KEPT.days} days" in GUIDE
    decision = (DOCS / "explain/decisions/an-edge-brings-changes.md").read_text(encoding="utf-8")
    assert f"up to {MOST_CHANGES} changes" in decision
    named = set(re.findall(r"`((?:line|edge)-[a-z-]+)`", GUIDE))
    assert named == {kind for kind in KINDS if kind.startswith(("edge-", "line-"))}
    assert set(re.findall(r"Edge(?:Node|Conflict|Deletion)", GUIDE + decision)) == OWN_TYPES
