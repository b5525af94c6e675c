"""What is sealed is read of the Entity that it was sealed of, and for as long as its key is there."""

from __future__ import annotations

from base64 import b64encode
from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import numpy as np
import orjson
import pytest

from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.sealed.duckdb_history import SealedDuckHistory
from cityloom.adapters.sealed.keys import KeyFile, KeyView, Wanted
from cityloom.adapters.sealed.readings import SealedReadings
from cityloom.adapters.sealed.sealing import Sealing
from cityloom.adapters.sealed.stores import SealedStateTable
from cityloom.app.command_line import main
from cityloom.app.folder import CityFolder
from cityloom.context.keeping import pack, unpack
from cityloom.context.ports import Folded
from cityloom.history.model import ValueKind, Window
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.change import DEFAULT_TENANT
from cityloom.ngsild import merge
from cityloom.ngsild.model import entity, prop
from cityloom.people.personal import PersonalType, PersonalTypes
from cityloom.people.ports import ErasureOrder
from remembered import START, news, words

ANNA, BEN = "urn:ngsi-ld:Person:anna", "urn:ngsi-ld:Person:ben"
SAID = "anna was here"
ORDER = ErasureOrder("1", "2026-01-01T00:00:00Z", "somebody", DEFAULT_TENANT, (ANNA,))


@pytest.fixture
def keys(tmp_path: Path):
    with closing(KeyFile(tmp_path / "keys.db", tmp_path / "erased.json")) as made:
        yield made


@pytest.fixture
def sealing(keys):
    return Sealing(keys, PersonalTypes({"Person": PersonalType(frozenset({"*"}))}))


def sealed_before(keys: KeyFile, entity_id: str, text: str, purpose: bytes) -> str:
    """As texts were sealed that are bound by their key alone."""
    (name,) = keys.of([Wanted(DEFAULT_TENANT, entity_id, entity_id)])
    return f"sealed:1:{name}.{b64encode(keys.seal(name, text.encode(), purpose)).decode()}"


def sealed_now(sealing: Sealing, entity_id: str, text: str, purpose: bytes) -> str:
    return sealing.text(DEFAULT_TENANT, entity_id, text, purpose)


@pytest.mark.parametrize("before", [True, False])
def test_a_sealed_text_is_read_of_its_own_entity_alone(keys, sealing, before):
    text = (
        sealed_before(keys, ANNA, SAID, b"reading") if before else sealed_now(sealing, ANNA, SAID, b"reading")
    )
    keys.of([Wanted(DEFAULT_TENANT, BEN, BEN), Wanted("north", ANNA, ANNA)])
    assert sealing.opened_text(DEFAULT_TENANT, ANNA, text, b"reading") == SAID
    for tenant, entity_id, purpose in (
        (DEFAULT_TENANT, BEN, b"reading"),
        ("north", ANNA, b"reading"),
        (DEFAULT_TENANT, "urn:ngsi-ld:Thing:1", b"reading"),
        (DEFAULT_TENANT, ANNA, b"contact"),
    ):
        assert sealing.opened_text(tenant, entity_id, text, purpose) is None


def test_what_is_equal_is_sealed_equally_and_that_of_two_entities_is_not(sealing):
    first = sealed_now(sealing, ANNA, SAID, b"reading")
    assert first == sealed_now(sealing, ANNA, SAID, b"reading") != sealed_now(sealing, BEN, SAID, b"reading")


def test_nobody_reads_what_they_copied_into_an_entity_of_their_own(keys, sealing, tmp_path):
    whole = orjson.dumps([int(ValueKind.TEXT), None, SAID, None]).decode()
    stolen = [sealed_now(sealing, ANNA, whole, b"reading"), sealed_before(keys, ANNA, whole, b"reading")]
    harmless = "sealed:1:no such.!!"
    store = SealedDuckHistory(
        SealedReadings(sealing), tmp_path / "history.duckdb", tmp_path, memory_limit="64MB", threads=1
    )
    with closing(store):
        readings = [words(text, START + at) for at, text in enumerate([*stolen, harmless])]
        store.record([news(1, *readings)], through=1)
        numbers = np.array([one.id for one in store.series("")])
        assert store.raw(Window(numbers)).text.tolist() == [harmless]
        personal = msgspec.structs.replace(news(2, words(SAID, START)), entity_id=ANNA, types=("Person",))
        store.record([personal], through=2)
        (own,) = store.series("", types=["Person"])
        assert store.raw(Window(np.array([own.id]))).text.tolist() == [SAID]


def test_who_stands_by_reads_nothing_more_once_a_key_was_destroyed(keys, sealing, tmp_path):
    view = KeyView(tmp_path / "keys.db", tmp_path / "erased.json")
    looking = Sealing(view, sealing.personal)
    kept, gone = (sealed_now(sealing, one, SAID, b"reading") for one in (BEN, ANNA))
    with closing(view):
        assert looking.opened_text(DEFAULT_TENANT, ANNA, gone, b"reading") == SAID
        keys.destroy(ORDER)
        assert looking.opened_text(DEFAULT_TENANT, ANNA, gone, b"reading") is None
        assert looking.opened_text(DEFAULT_TENANT, BEN, kept, b"reading") == SAID
        assert view.erased_at(gone.split(":")[2].partition(".")[0])


def test_who_stands_by_sees_another_file_of_keys_in_place_of_the_first(keys, sealing, tmp_path):
    text = sealed_now(sealing, ANNA, SAID, b"reading")
    view = KeyView(tmp_path / "seen.db", tmp_path / "erased.json")
    looking = Sealing(view, sealing.personal)
    with closing(view):
        assert looking.opened_text(DEFAULT_TENANT, ANNA, text, b"reading") is None
        for holds in (True, False):
            if not holds:
                keys.destroy(ORDER)
            keys.copy_to(tmp_path / "seen.db")
            assert (looking.opened_text(DEFAULT_TENANT, ANNA, text, b"reading") is not None) is holds


@pytest.mark.parametrize("place", ["city/keys copy", "backups/keys", "backups/../city/deep/keys"])
def test_a_copy_of_the_keys_is_not_put_with_what_they_open(tmp_path, capsys, place):
    home = tmp_path / "city"
    assert main(["init", "--home", str(home), "--name", "X", "--place", "0,0", "--language", "en"]) == 0
    command = ["backup", str(tmp_path / "backups"), "--home", str(home), "--keys", str(tmp_path / place)]
    assert main(command) == 1
    assert "outside the city's folder" in capsys.readouterr().err
    assert not (tmp_path / "backups").exists() and not (tmp_path / place).exists()


def test_a_state_is_sealed_in_the_table_and_comes_back_as_it_is_kept(keys):
    person = entity("Person", ANNA, {"name": prop(SAID), "age": prop(41)})
    kept = pack(orjson.dumps(merge.stamp(person, "2026-01-01T00:00:00Z")))
    state = Folded(1, DEFAULT_TENANT, ANNA, ("Person",), InformationClass.OPEN, kept, 1, None, ())
    beneath = MemoryStateTable()
    sealing = Sealing(keys, PersonalTypes({"Person": PersonalType(frozenset({"name"}))}))
    table = SealedStateTable(beneath, sealing)
    table.fold([state], [], 1)
    (row,) = beneath.load()
    assert SAID.encode() not in row.document and row.document == pack(unpack(row.document))
    assert list(table.load()) == [state]


def test_what_waits_for_a_second_person_is_kept_with_the_keys(keys, tmp_path):
    keys.ask(ORDER)
    keys.ask(msgspec.structs.replace(ORDER, id="2"))
    keys.unask("2")
    keys.close()
    with closing(KeyFile(tmp_path / "keys.db", tmp_path / "erased.json")) as again:
        assert again.asked() == [ORDER] and again.orders() == []


def test_who_was_erased_since_a_backup_stays_erased_with_an_older_copy_of_the_keys(tmp_path, capsys):
    home, backups, apart = tmp_path / "city", tmp_path / "backups", tmp_path / "apart" / "keys"
    assert main(["init", "--home", str(home), "--name", "X", "--place", "0,0", "--language", "en"]) == 0
    folder = CityFolder(home)

    def backed_up() -> Path:
        before = set(backups.glob("*/city"))
        assert main(["backup", str(backups), "--home", str(home)]) == 0
        (made,) = set(backups.glob("*/city")) - before
        return made.parent

    with closing(KeyFile(folder.keys, folder.erased)) as mine:
        sealing = Sealing(mine, PersonalTypes({"Person": PersonalType(frozenset({"*"}))}))
        text = sealed_now(sealing, ANNA, SAID, b"reading")
        folder.erased.write_bytes(b"{}")
        # Under another name: two of one second would have the same.
        old = backed_up().rename(backups / "old")
        apart.parent.mkdir()
        mine.copy_to(apart)
        forgotten = apart.read_bytes()
        mine.destroy(ORDER)
        backed_up()
    (raw,) = apsw_secrets(forgotten, tmp_path)
    again = CityFolder(tmp_path / "again")
    # A copy of the keys that the city did not know of, from before the erasure.
    (tmp_path / "forgotten").write_bytes(forgotten)
    restore = ["restore", str(old), "--home", str(again.home), "--keys", str(tmp_path / "forgotten")]
    assert main(restore) == 0
    with closing(KeyFile(again.keys, again.erased)) as theirs:
        sealing = Sealing(theirs, PersonalTypes({"Person": PersonalType(frozenset({"*"}))}))
        assert sealing.opened_text(DEFAULT_TENANT, ANNA, text, b"reading") is None
    for path in again.home.rglob("*"):
        assert path.is_dir() or (raw not in path.read_bytes() and SAID.encode() not in path.read_bytes()), (
            path
        )


def apsw_secrets(keys: bytes, folder: Path) -> list[bytes]:
    """The keys in a copy of them."""
    path = folder / "looked at.db"
    path.write_bytes(keys)
    with closing(apsw.Connection(str(path))) as connection:
        return [bytes(secret) for (secret,) in connection.execute("SELECT secret FROM key")]


def test_keys_are_restored_to_where_the_city_looks_for_them(tmp_path):
    home, elsewhere, copy = tmp_path / "city", tmp_path / "volume" / "keys.db", tmp_path / "copy"
    assert main(["init", "--home", str(home), "--name", "X", "--place", "0,0", "--language", "en"]) == 0
    with (home / "city.toml").open("a") as file:
        file.write(f'\n[storage]\nkeys = "{elsewhere}"\n')
    with closing(KeyFile(copy, tmp_path / "erased.json")) as made:
        made.of([Wanted(DEFAULT_TENANT, ANNA, ANNA)])
    assert main(["backup", str(tmp_path / "backups"), "--home", str(home)]) == 0
    (backup,) = (path.parent for path in (tmp_path / "backups").glob("*/manifest.json"))
    restore = ["restore", str(backup), "--keys", str(copy), "--home"]
    assert main([*restore, str(tmp_path / "one")]) == 0
    assert elsewhere.read_bytes() == copy.read_bytes() and not (tmp_path / "one" / "keys.db").exists()
    elsewhere.write_bytes(b"newer")
    assert main([*restore, str(tmp_path / "two")]) == 1
    assert elsewhere.read_bytes() == b"newer" and not (tmp_path / "two").exists()
