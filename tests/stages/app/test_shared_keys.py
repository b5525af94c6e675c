"""The keys of what is personal lie where city.toml names them, and are never begun anew in silence."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from cityloom.app.configuration import parse_configuration
from cityloom.app.folder import CityFolder
from cityloom.app.storage import open_storage
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import DEFAULT_TENANT, Change, ChangeKind
from cityloom.kernel.errors import BadConfig

REPORT = "urn:ngsi-ld:CitizenReport:1"


def report() -> Change:
    document = {
        "id": REPORT,
        "type": ["CitizenReport"],
        "attrs": {"description": [{"type": "Property", "value": "A hole"}]},
    }
    return Change(
        1,
        DEFAULT_TENANT,
        REPORT,
        ("CitizenReport",),
        ChangeKind.CREATED,
        InformationClass.OPEN,
        orjson.dumps(document),
        ("description",),
        0,
        "somebody",
        "",
    )


def test_who_has_not_mounted_the_keys_does_not_start_with_empty_ones(tmp_path: Path):
    home, shared = tmp_path / "city", tmp_path / "shared"
    home.mkdir()
    shared.mkdir()
    folder = CityFolder(home)
    configuration = parse_configuration(f'[storage]\nkeys = "{shared}/keys.db"\n')
    storage = open_storage(folder, configuration)
    storage.feed.append([report()])
    storage.close()
    assert (shared / "keys.db").exists() and not folder.keys.exists()

    (shared / "keys.db").rename(tmp_path / "away")
    with pytest.raises(BadConfig, match="keys are not where") as raised:
        open_storage(folder, configuration)
    assert "Mount" in raised.value.hint
    assert not list(shared.iterdir()), "nothing was begun there"

    (tmp_path / "away").rename(shared / "keys.db")
    storage = open_storage(folder, configuration)
    (read,) = storage.feed.read(0, 9)
    storage.close()
    assert b"A hole" in read.document


def test_keys_are_not_put_where_a_backup_would_copy_them(tmp_path: Path):
    with pytest.raises(BadConfig, match="outside the city's folder"):
        open_storage(CityFolder(tmp_path), parse_configuration('[storage]\nkeys = "own.db"\n'))
