"""The keys with which personal data are sealed, in `keys.db`.

A key belongs to one Entity. `keys.db` is no part of a backup, so that who is erased here is erased there.
What was erased is listed by the keys' names in `erased.json`, which is in backups: an older copy of `keys.db`
revives nobody.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from cityloom.adapters.files.whole_files import write_whole
from cityloom.adapters.sqlite.connection import open_reader, open_writer, sound, transaction
from cityloom.kernel.errors import BadConfig, NotReady
from cityloom.people.ports import ErasureOrder

MIGRATIONS = (
    """
    CREATE TABLE key (
        id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        entity_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        secret BLOB NOT NULL,
        UNIQUE (tenant, entity_id)
    ) STRICT;
    CREATE INDEX key_of_subject ON key (tenant, subject);
    CREATE TABLE erased (id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
    CREATE TABLE orders (id TEXT PRIMARY KEY, said TEXT NOT NULL) STRICT;
    CREATE TABLE copy (path TEXT PRIMARY KEY) STRICT;
    """,
    # Erasures that wait for a second person.
    "CREATE TABLE asked (id TEXT PRIMARY KEY, said TEXT NOT NULL) STRICT;",
)

#: AES-256-SIV (RFC 5297): what is equal is sealed equally, so that history sees what did not change, and no
#: counter or chance must be trusted.
_BITS = 512
_FULL = "The disk is full; no key was kept, and nothing was erased"


class Wanted(msgspec.Struct, frozen=True):
    """An Entity that needs a key, and of whom it is about."""

    tenant: str
    entity_id: str
    subject: str


class KeyFile:
    """Keys by Entity. All are held in memory as well. From any thread."""

    def __init__(self, path: Path, erased: Path) -> None:
        self._path = path
        self._erased_path = erased
        self._lock = threading.RLock()
        self._writer = open_writer(path, MIGRATIONS)
        self._writer.pragma("secure_delete", "on")
        self._ids: dict[tuple[str, str], str] = {}
        self._secrets: dict[str, bytes] = {}
        with sound(path):
            listed = self._writer.execute("SELECT id, at FROM erased").fetchall()
            self._erased: dict[str, str] = {str(name): str(at) for name, at in listed} | read_erased(erased)
            for name, tenant, entity_id, secret in self._writer.execute(
                "SELECT id, tenant, entity_id, secret FROM key"
            ):
                self._ids[tenant, entity_id] = name
                self._secrets[name] = secret
        # A copy from before may have come in; and what was cut off while it erased goes on.
        self._remove([name for name in self._erased if name in self._secrets])

    # -- sealing -------------------------------------------------------------------------------------------

    def has(self, tenant: str, entity_id: str) -> bool:
        """Whether something of this Entity is sealed."""
        return (tenant, entity_id) in self._ids

    def name_of(self, tenant: str, entity_id: str) -> str:
        """The name of an Entity's key; "" where it has none."""
        return self._ids.get((tenant, entity_id), "")

    def of(self, wanted: Sequence[Wanted]) -> list[str]:
        """The names of the Entities' keys; those that are missing are made, durably, before this returns."""
        with self._lock:
            missing = {
                (one.tenant, one.entity_id): one for one in wanted if not self.has(one.tenant, one.entity_id)
            }
            if missing:
                self._make(missing.values())
            return [self._ids[one.tenant, one.entity_id] for one in wanted]

    def seal(self, name: str, data: bytes, purpose: bytes) -> bytes:
        """The data, so that they can be read with this key alone, and for this purpose."""
        return AESSIV(self._secrets[name]).encrypt(data, [purpose, name.encode()])

    def open(self, name: str, data: bytes, purpose: bytes) -> bytes | None:
        """What was sealed; None where the key is gone, or these data were not sealed with it."""
        return _opened(self._secrets.get(name), name, data, purpose)

    def erased_at(self, name: str) -> str:
        """The instant at which a key was destroyed; "" for one that was not."""
        return self._erased.get(name, "")

    # -- erasing -------------------------------------------------------------------------------------------

    def about(self, tenant: str, subjects: Iterable[str]) -> list[str]:
        """Entities with a key that are these, or about these."""
        found: set[str] = set()
        with self._lock, sound(self._path):
            for one in subjects:
                rows = self._writer.execute(
                    "SELECT entity_id FROM key WHERE tenant = ?1 AND (subject = ?2 OR entity_id = ?2)",
                    (tenant, one),
                )
                found.update(str(row[0]) for row in rows)
        return sorted(found)

    def order(self, order: ErasureOrder) -> None:
        """Write down durably that something is to be erased."""
        said = msgspec.json.encode(order).decode()
        with self._lock, transaction(self._writer):
            self._writer.execute("REPLACE INTO orders VALUES (?, ?)", (order.id, said))

    def orders(self) -> list[ErasureOrder]:
        """What is to be erased and is not yet."""
        return self._orders_in("SELECT said FROM orders ORDER BY id")

    def ask(self, order: ErasureOrder) -> None:
        """Write down durably that somebody asks for it: nothing is erased yet."""
        said = msgspec.json.encode(order).decode()
        with self._lock, transaction(self._writer):
            self._writer.execute("REPLACE INTO asked VALUES (?, ?)", (order.id, said))

    def asked(self) -> list[ErasureOrder]:
        """What was asked for and is neither confirmed nor refused."""
        return self._orders_in("SELECT said FROM asked ORDER BY id")

    def unask(self, order_id: str) -> None:
        """Strike off what was asked for; nothing happens when it is not there."""
        with self._lock, transaction(self._writer):
            self._writer.execute("DELETE FROM asked WHERE id = ?", (order_id,))

    def destroy(self, order: ErasureOrder) -> int:
        """Destroy the keys of the order's Entities, and strike it off; returns how many keys went."""
        with self._lock:
            ids = (self._ids.get((order.tenant, one)) for one in order.entities)
            names = [name for name in ids if name is not None]
            if names:
                self._list(dict.fromkeys(names, order.at))
            self._remove(names, order.id)
            return len(names)

    # -- copies --------------------------------------------------------------------------------------------

    def copies(self) -> list[Path]:
        """Where copies of the keys lie, as far as is known."""
        with self._lock, sound(self._path):
            return [Path(path) for (path,) in self._writer.execute("SELECT path FROM copy ORDER BY path")]

    def copy_to(self, path: Path) -> None:
        """Put a copy in place of an earlier one, and know of it. Raises OSError."""
        with self._lock:
            with transaction(self._writer):
                self._writer.execute("INSERT OR IGNORE INTO copy VALUES (?)", (str(path),))
            copy_keys(self._writer, path)

    def close(self) -> None:
        with self._lock:
            self._writer.close()

    # -- inside --------------------------------------------------------------------------------------------

    def _orders_in(self, statement: str) -> list[ErasureOrder]:
        with self._lock, sound(self._path):
            rows = self._writer.execute(statement).fetchall()
        return [msgspec.json.decode(str(said), type=ErasureOrder) for (said,) in rows]

    def _make(self, wanted: Iterable[Wanted]) -> None:
        rows = [
            (secrets.token_hex(16), one.tenant, one.entity_id, one.subject, AESSIV.generate_key(_BITS))
            for one in wanted
        ]
        with transaction(self._writer):
            self._writer.executemany("INSERT INTO key VALUES (?, ?, ?, ?, ?)", rows)
        for name, tenant, entity_id, _, secret in rows:
            self._ids[tenant, entity_id] = name
            self._secrets[name] = secret

    def _list(self, more: dict[str, str]) -> None:
        """Their names first: whatever copy of the keys comes back from now on, these are not in use."""
        self._erased |= more
        write_erased(self._erased_path, self._erased)

    def _remove(self, names: Sequence[str], order: str = "") -> None:
        """Keys gone from the file, its log and the memory."""
        with transaction(self._writer):
            self._writer.executemany(
                "REPLACE INTO erased VALUES (?, ?)", [(name, self._erased[name]) for name in names]
            )
            self._writer.executemany("DELETE FROM key WHERE id = ?", [(name,) for name in names])
            self._writer.execute("DELETE FROM orders WHERE id = ?", (order,))
        gone = set(names)
        self._ids = {entity: name for entity, name in self._ids.items() if name not in gone}
        for name in names:
            self._secrets.pop(name, None)
        # The log has the pages as they were: it is copied back, where deleted cells are zeros, and cut off.
        self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


class KeyView:
    """The keys of a city that another process runs, looked up as they are needed. Makes and changes none.

    They are kept for as long as nothing is written there: what was destroyed opens nothing here either. From
    any thread.
    """

    def __init__(self, path: Path, erased: Path) -> None:
        self._path = path
        self._erased_path = erased
        self._lock = threading.RLock()
        self._reader: apsw.Connection | None = None
        #: The file that is open, and how far it was written when `_secrets` were read from it.
        self._file: tuple[int, int] | None = None
        self._version = 0
        self._secrets: dict[str, bytes] = {}

    def has(self, tenant: str, entity_id: str) -> bool:
        """See `KeyFile.has`."""
        return bool(self._rows("SELECT 1 FROM key WHERE tenant = ? AND entity_id = ?", (tenant, entity_id)))

    def name_of(self, tenant: str, entity_id: str) -> str:
        """See `KeyFile.name_of`."""
        found = self._rows("SELECT id FROM key WHERE tenant = ? AND entity_id = ?", (tenant, entity_id))
        return str(found[0][0]) if found else ""

    def of(self, wanted: Sequence[Wanted]) -> list[str]:
        """There are no new ones here. Raises NotReady."""
        raise NotReady(f"Keys of {len(wanted)} entities are another process' to make", hint="Ask that one.")

    def seal(self, name: str, data: bytes, purpose: bytes) -> bytes:
        """See `of`."""
        raise NotReady(
            f"{len(data)} bytes of {purpose.decode()} {name} are another process' to seal",
            hint="Ask that one.",
        )

    def open(self, name: str, data: bytes, purpose: bytes) -> bytes | None:
        """See `KeyFile.open`."""
        with self._lock:
            self._look()
            if name not in self._secrets:
                for (secret,) in self._rows("SELECT secret FROM key WHERE id = ?", (name,)):
                    self._secrets[name] = secret
            return _opened(self._secrets.get(name), name, data, purpose)

    def erased_at(self, name: str) -> str:
        """See `KeyFile.erased_at`."""
        found = self._rows("SELECT at FROM erased WHERE id = ?", (name,))
        return str(found[0][0]) if found else read_erased(self._erased_path).get(name, "")

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            self._reader, self._file = None, None
            self._secrets.clear()

    def _rows(self, statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        with self._lock, sound(self._path):
            reader = self._look()
            return [] if reader is None else reader.execute(statement, values).fetchall()

    def _look(self) -> apsw.Connection | None:
        """The keys as they are; None where there are none. What was read before something was written there,
        or before another file came in its place, is forgotten."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self.close()
            return None
        if self._reader is None or self._file != (found.st_dev, found.st_ino):
            self.close()
            self._reader, self._file = open_reader(self._path), (found.st_dev, found.st_ino)
        with sound(self._path):
            version = int(self._reader.pragma("data_version"))
        if version != self._version:
            self._secrets.clear()
            self._version = version
        return self._reader


def copy_of_keys(keys: Path, target: Path) -> None:
    """Put a copy of a city's keys in place of an earlier one, and let the city know of it.

    From another process than the city's. Raises BadConfig where there are none, or they cannot be written.
    """
    if not keys.exists():
        raise BadConfig("This city has no keys yet", hint="Start it once.", where=str(keys))
    target = target.resolve()
    writer = open_writer(keys, MIGRATIONS)
    try:
        with transaction(writer):
            writer.execute("INSERT OR IGNORE INTO copy VALUES (?)", (str(target),))
        copy_keys(writer, target)
    except OSError as error:
        raise BadConfig(str(error), hint="Name another file with --keys.", where=str(target)) from None
    finally:
        writer.close()


def copy_keys(source: apsw.Connection, path: Path) -> None:
    """The keys as they are, in one file of their own, put in place at once. Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        source.execute("VACUUM INTO ?", (str(fresh),))
    except apsw.Error as error:
        fresh.unlink(missing_ok=True)
        raise OSError(f"The keys cannot be copied: {error}") from error
    fresh.chmod(0o600)
    fresh.replace(path)


def _opened(secret: bytes | None, name: str, data: bytes, purpose: bytes) -> bytes | None:
    if secret is None:
        return None
    try:
        return AESSIV(secret).decrypt(data, [purpose, name.encode()])
    except (InvalidTag, ValueError):
        return None


def write_erased(path: Path, erased: dict[str, str]) -> None:
    """List the names of destroyed keys, each with the instant. Raises StorageFull."""
    write_whole(path, json.dumps(erased, indent=0).encode(), when_full=_FULL)


def read_erased(path: Path) -> dict[str, str]:
    """The names of destroyed keys, each with the instant; none where no list is."""
    try:
        found: dict[str, str] = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    return found
