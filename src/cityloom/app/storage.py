"""Where a city keeps what it must not lose: files in its folder or, once it has grown, PostgreSQL."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cityloom.access.ports import AccountStore, AuditStore
from cityloom.adapters.files.photos import FilePhotoStore
from cityloom.adapters.sealed.duckdb_history import SealedDuckHistory
from cityloom.adapters.sealed.keys import KeyFile, KeyView
from cityloom.adapters.sealed.readings import SealedReadings
from cityloom.adapters.sealed.sealing import Sealing
from cityloom.adapters.sealed.stores import (
    OpenedFeed,
    SealedFeed,
    SealedOutbox,
    SealedPhotos,
    SealedReporters,
    SealedSnapshotStores,
    SealedStateTable,
)
from cityloom.adapters.sqlite.accounts import SqliteAccountStore
from cityloom.adapters.sqlite.audit import SqliteAuditStore
from cityloom.adapters.sqlite.device_records import SqliteDeviceStore
from cityloom.adapters.sqlite.feed import SqliteFeed
from cityloom.adapters.sqlite.outbox import SqliteOutbox
from cityloom.adapters.sqlite.parked_readings import SqliteParkedStore
from cityloom.adapters.sqlite.records import Records
from cityloom.adapters.sqlite.register import SqliteRegister
from cityloom.adapters.sqlite.reporters import SqliteReporterStore
from cityloom.adapters.sqlite.snapshot_stores import SqliteSnapshotStores
from cityloom.adapters.sqlite.state_table import SqliteStateTable
from cityloom.app.configuration import Configuration
from cityloom.app.folder import CityFolder
from cityloom.context.commit import end_process
from cityloom.context.ports import Feed, FollowedFeed, Register, StateTable
from cityloom.history.parts import PartsStore
from cityloom.history.ports import HistoryStore
from cityloom.kernel.errors import BadConfig
from cityloom.people.personal import PersonalType, PersonalTypes
from cityloom.people.ports import PersonalKeys, PhotoStore, ReporterStore
from cityloom.sensing.ports import DeviceStore, ParkedStore
from cityloom.snapshots.ports import SnapshotStores
from cityloom.subscriptions.ports import Outbox

if TYPE_CHECKING:
    from cityloom.adapters.postgres.address import Address
    from cityloom.adapters.postgres.database import Database
    from cityloom.adapters.postgres.history_series import StoredSeries
    from cityloom.adapters.postgres.lease import Watch

#: Instead of `storage.url`, which stands in a file that others may read.
URL_VARIABLE = "CITYLOOM_STORAGE_URL"


class Storage(NamedTuple):
    """The stores of one city."""

    feed: Feed
    table: StateTable
    register: Register
    outbox: Outbox
    accounts: AccountStore
    audit: AuditStore
    devices: DeviceStore
    parked: ParkedStore
    reporters: ReporterStore
    photos: PhotoStore
    snapshots: SnapshotStores
    history: HistoryStore
    #: What of a shared history this process keeps itself; None where it keeps all.
    home: PartsStore | None
    #: For how many seconds another process could have run the city (0: none can), and how many stand by.
    unheld_s: Callable[[], float]
    standbys: Callable[[], int]
    #: With which what is personal is sealed in all of these.
    keys: PersonalKeys
    personal: PersonalTypes
    #: Why they do not answer, in words for the operator; "" while they do.
    trouble: Callable[[], str]
    close: Callable[[], None]


def open_storage(
    folder: CityFolder, configuration: Configuration, known: StoredSeries | None = None
) -> Storage:
    """The stores that city.toml names. Raises BadConfig when they cannot be opened.

    `known`: the history's series as this process has followed them while it stood by.
    """
    _check_shared(configuration)
    path = keys_of(folder, configuration)
    begun = not path.exists()
    keys = KeyFile(path, folder.erased)
    sealing = Sealing(keys, personal_of(configuration))
    try:
        found = (
            _in_postgres(folder, configuration, keys, sealing, known)
            if _url(configuration)
            else _in_files(folder, keys, sealing)
        )
    except BaseException:
        keys.close()
        raise

    def close() -> None:
        found.close()
        keys.close()

    if begun and configuration.storage.keys and found.feed.last_sequence() > 0:
        close()
        path.unlink()
        raise _keys_away(path)
    return found._replace(
        feed=SealedFeed(found.feed, sealing),
        table=SealedStateTable(found.table, sealing),
        outbox=SealedOutbox(found.outbox, sealing),
        reporters=SealedReporters(found.reporters, sealing),
        close=close,
    )


def keys_of(folder: CityFolder, configuration: Configuration) -> Path:
    """The file of the keys of what is personal: in the folder, or where city.toml says. Raises BadConfig."""
    if not configuration.storage.keys:
        return folder.keys
    path = (folder.home / configuration.storage.keys).resolve()
    # A backup copies what it finds in the folder, and leaves out keys.db alone.
    if path.is_relative_to(folder.home.resolve()):
        raise BadConfig(
            "The keys are to lie outside the city's folder, whose backups must not have them",
            hint="Name a file elsewhere, or leave this out: they are in keys.db then.",
            where="city.toml: storage.keys",
        )
    return path


def _keys_away(path: Path) -> BadConfig:
    return BadConfig(
        "This city has lived, and its keys are not where city.toml names them",
        hint="Mount what they lie on, or move keys.db of the city's folder there. Without them what is "
        "personal cannot be read, and new ones open none of it. Nothing was begun.",
        where=f"storage.keys: {path}",
    )


def personal_of(configuration: Configuration) -> PersonalTypes:
    """What of which Entities is somebody's own: what the platform knows, and what city.toml declares."""
    return PersonalTypes(
        {
            one.type: PersonalType(frozenset(one.attributes), frozenset(one.coarse), one.subject)
            for one in configuration.personal
        }
    )


class StandbyStore(NamedTuple):
    """What a process that stands by reads of a city that another one runs."""

    watch: Watch
    feed: FollowedFeed
    table: StateTable
    #: What the history knows of its series, and how it is brought up to date. Blocking; raises NotReady.
    series: StoredSeries
    follow_series: Callable[[], None]
    close: Callable[[], None]


def open_standby(folder: CityFolder, configuration: Configuration) -> StandbyStore:
    """For a city in PostgreSQL. Nothing is claimed or changed. Raises BadConfig."""
    address = _address(configuration)
    from cityloom.adapters.postgres.database import Database
    from cityloom.adapters.postgres.feed import FollowedFeed as ReadFeed
    from cityloom.adapters.postgres.history_series import StoredSeries
    from cityloom.adapters.postgres.lease import Watch
    from cityloom.adapters.postgres.state_table import PostgresStateTable

    database = Database(address)
    watch = Watch(database, this_process())

    keys = KeyView(keys_of(folder, configuration), folder.erased)

    def close() -> None:
        watch.leave()
        database.close()
        keys.close()

    sealing = Sealing(keys, personal_of(configuration))
    feed = OpenedFeed(ReadFeed(database), sealing)
    table = SealedStateTable(PostgresStateTable(database), sealing)
    series, line = StoredSeries(), database.line("series")
    return StandbyStore(watch, feed, table, series, lambda: series.follow_another(line), close)


def in_postgres(configuration: Configuration) -> bool:
    """Whether a city keeps its feed and its records in PostgreSQL."""
    return bool(_url(configuration))


@contextmanager
def open_accounts(
    folder: CityFolder, configuration: Configuration
) -> Iterator[tuple[AccountStore, AuditStore]]:
    """The accounts and the audit log of a city that does not run. Raises BadConfig."""
    if _url(configuration):
        from cityloom.adapters.postgres.accounts import PostgresAccountStore
        from cityloom.adapters.postgres.audit import PostgresAuditStore

        database = _database(configuration)
        try:
            yield PostgresAccountStore(database), PostgresAuditStore(database)
        finally:
            database.close()
        return
    records = Records(folder.records)
    try:
        yield SqliteAccountStore(records), SqliteAuditStore(records)
    finally:
        records.close()


def unfit(configuration: Configuration) -> list[BadConfig]:
    """What is wrong with the storage that city.toml names; nothing is changed by asking."""
    try:
        _check_shared(configuration)
        if not _url(configuration):
            return []
        address = _address(configuration)
    except BadConfig as error:
        return [error]
    from cityloom.adapters.postgres.database import look_at
    from cityloom.adapters.postgres.schema import PARTS

    return look_at(address, PARTS)


def _check_shared(configuration: Configuration) -> None:
    if configuration.nats.servers and not _url(configuration):
        raise BadConfig(
            "Other processes can do a city's work where it keeps its feed in PostgreSQL",
            hint="Carry the city there with cityloom move, or take [nats] out of city.toml.",
            where="city.toml: nats",
        )


def _in_files(folder: CityFolder, keys: KeyFile, sealing: Sealing) -> Storage:
    feed = SqliteFeed(folder.feed)
    if feed.last_sequence() > 0:
        folder.check_whole(folder.records, folder.history)
    table = SqliteStateTable(folder.state)
    records = Records(folder.records)
    outbox = SqliteOutbox(folder.notifications)
    # One thread: a question is worked on by the thread that asks it, and writing waits behind no other.
    history = SealedDuckHistory(
        SealedReadings(sealing), folder.history, folder.exports, memory_limit="64MB", threads=1
    )

    def close() -> None:
        for store in (history, table, feed, records, outbox):
            store.close()

    return Storage(
        feed=feed,
        table=table,
        register=SqliteRegister(records),
        outbox=outbox,
        accounts=SqliteAccountStore(records),
        audit=SqliteAuditStore(records),
        devices=SqliteDeviceStore(records),
        parked=SqliteParkedStore(records),
        reporters=SqliteReporterStore(records),
        photos=SealedPhotos(FilePhotoStore(folder.photos), sealing),
        snapshots=SealedSnapshotStores(SqliteSnapshotStores(folder.snapshots), sealing),
        history=history,
        home=None,
        unheld_s=lambda: 0.0,
        standbys=lambda: 0,
        keys=keys,
        personal=sealing.personal,
        trouble=lambda: "",
        close=close,
    )


def _in_postgres(
    folder: CityFolder,
    configuration: Configuration,
    keys: KeyFile,
    sealing: Sealing,
    known: StoredSeries | None,
) -> Storage:
    database = _database(configuration, overdue_too=True)
    # With the driver alone, which a city in its folder does not need.
    from cityloom.adapters.postgres.accounts import PostgresAccountStore
    from cityloom.adapters.postgres.audit import PostgresAuditStore
    from cityloom.adapters.postgres.device_records import PostgresDeviceStore
    from cityloom.adapters.postgres.feed import PostgresFeed
    from cityloom.adapters.postgres.lease import Lease
    from cityloom.adapters.postgres.outbox import PostgresOutbox
    from cityloom.adapters.postgres.parked_readings import PostgresParkedStore
    from cityloom.adapters.postgres.register import PostgresRegister
    from cityloom.adapters.postgres.reporters import PostgresReporterStore
    from cityloom.adapters.postgres.state_table import PostgresStateTable
    from cityloom.adapters.sealed.postgres_history import SealedParts, SealedPostgresHistory

    lease = Lease(database, this_process(), lost=end_process)
    feed = PostgresFeed(database)
    readings = SealedReadings(sealing)
    parts = _parts(configuration)
    history = SealedPostgresHistory(readings, database, folder.exports, parts=parts, known=known)
    home = SealedParts(readings, database) if parts else None
    if feed.last_sequence() > 0 and history.last_sequence() == 0 and folder.history.exists():
        lease.give_up()
        database.close()
        raise BadConfig(
            "The readings of this city lie in its folder still, and its database has none",
            hint="Carry them there with cityloom move, or move history.duckdb away to begin anew.",
            where=str(folder.history),
        )

    def close() -> None:
        history.close()
        lease.give_up()
        database.close()

    return Storage(
        feed=feed,
        table=PostgresStateTable(database),
        register=PostgresRegister(database),
        outbox=PostgresOutbox(database),
        accounts=PostgresAccountStore(database),
        audit=PostgresAuditStore(database),
        devices=PostgresDeviceStore(database),
        parked=PostgresParkedStore(database),
        reporters=PostgresReporterStore(database),
        photos=SealedPhotos(FilePhotoStore(folder.photos), sealing),
        snapshots=SealedSnapshotStores(SqliteSnapshotStores(folder.snapshots), sealing),
        history=history,
        home=home,
        unheld_s=lambda: lease.unheld_s,
        standbys=lambda: lease.standbys,
        keys=keys,
        personal=sealing.personal,
        trouble=lambda: database.trouble,
        close=close,
    )


def _parts(configuration: Configuration) -> int:
    nats = configuration.nats
    return nats.partitions if nats.servers and "history" in nats.elsewhere else 0


def shared_database(configuration: Configuration) -> Database:
    """The city's database with all its tables, for one of several processes. Raises BadConfig."""
    from cityloom.adapters.postgres.schema import PARTS

    if not _url(configuration):
        raise BadConfig(
            "This city keeps its feed in its folder, where no other process can follow it",
            hint="Carry the city into PostgreSQL with cityloom move.",
            where="city.toml: storage",
        )
    address = _address(configuration)
    from cityloom.adapters.postgres.database import Database

    database = Database(address)
    try:
        database.prepare(PARTS)
    except BaseException:
        database.close()
        raise
    return database


def _database(configuration: Configuration, *, overdue_too: bool = False) -> Database:
    """The city's database, for this process alone and with all its tables."""
    address = _address(configuration)
    from cityloom.adapters.postgres.database import Database
    from cityloom.adapters.postgres.moving import check_arrived
    from cityloom.adapters.postgres.schema import PARTS

    database = Database(address)
    try:
        database.claim(overdue_too=overdue_too)
        database.prepare(PARTS)
        check_arrived(database)
    except BaseException:
        database.close()
        raise
    return database


def this_process() -> str:
    """Its name for people who run several."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _url(configuration: Configuration) -> str:
    return os.environ.get(URL_VARIABLE) or configuration.storage.url


def _address(configuration: Configuration) -> Address:
    return address_of(_url(configuration), configuration.storage.schema)


def address_of(url: str, schema: str) -> Address:
    """The address of a city's database. Raises BadConfig, also where the driver is missing."""
    try:
        from cityloom.adapters.postgres.address import Address
    except ImportError:
        raise BadConfig(
            "The driver for PostgreSQL is not installed",
            hint="Install it with CityLoom: make install WITH=postgres, or pip install 'cityloom[postgres]'.",
            where="storage.url",
        ) from None
    return Address(url, schema)
