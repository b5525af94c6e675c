"""A city with a real history in a folder, and a door into it without a process between."""

import asyncio
import io
from pathlib import Path

import msgspec
import numpy as np

from cityloom.access.audit import AuditLog
from cityloom.access.authority import TERMINAL
from cityloom.adapters.duckdb.history import DuckHistory
from cityloom.adapters.memory.feed import MemoryFeed
from cityloom.adapters.memory.state_table import MemoryStateTable
from cityloom.adapters.sqlite.audit import SqliteAuditStore
from cityloom.adapters.sqlite.records import Records
from cityloom.app.load.bringing import Bringer, Table, record_of, workplace
from cityloom.app.load.showing import LoadProgress
from cityloom.context.broker import Broker
from cityloom.history.loading import Loading
from cityloom.history.model import Window
from cityloom.history.queries import History
from cityloom.history.stage import STAGE, HistoryStage
from cityloom.kernel.time import WallClock
from cityloom.sensing.models import read_models
from cityloom.sensing.table_meaning import read_meaning
from cityloom.web.loads import act, records

MODELS = Path(__file__).parents[1] / "src" / "cityloom_catalogue" / "models"


class LoadedCity:
    """`load` does what the command does; `actor` is who does it."""

    def __init__(self, home):
        self.home = home
        self.store = DuckHistory(home / "history.duckdb", home / "exports", memory_limit="64MB", threads=1)
        self.broker = Broker(MemoryFeed(), MemoryStateTable(), WallClock())
        self.stage = HistoryStage(self.store, pause=0.0)
        self.audit = AuditLog(SqliteAuditStore(Records(home / "records.db")))
        self.loading = Loading(self.store, self.broker, self.audit, self.stage)
        self.history = History(self.store, self.broker)
        self.runner = asyncio.Runner()
        self.actor = TERMINAL
        self.run(self._start())

    async def _start(self):
        await self.broker.start()
        self.broker.follow(STAGE, self.stage.handle, durable=True, after=self.stage.through, past=True)

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def act(self, name, said):
        return msgspec.to_builtins(self.run(act(self.loading, self.actor, name, msgspec.json.encode(said))))

    def records(self):
        return msgspec.to_builtins(self.run(records(self.loading, self.actor)))["records"]

    def table(self, text, mapping, name="table.csv"):
        path = self.home / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Table(path, Path("mapping.toml"), read_meaning(mapping, where="mapping.toml"), self.models)

    models = read_models([MODELS])

    def load(self, text, mapping, name="table.csv", *, dry=False, door=None):
        table = self.table(text, mapping, name)
        with workplace(self.home / "exports") as work:
            bringer = Bringer(table, door or self, work, self.home / "exports", LoadProgress(io.StringIO()))
            return bringer.try_out(record_of(table)) if dry else bringer.bring(record_of(table))

    def readings(self, entity, attribute=None):
        """(attribute, instant, value) of what is remembered now."""
        self.run(self.stage.caught_up(self.broker.last_sequence))
        series = self.history.series(TERMINAL, entity, [attribute] if attribute else None, whole=True)
        found = self.store.raw(Window(np.array([one.id for one in series], np.int64), observed=True))
        names = {one.id: one.key.attribute for one in series}
        return sorted(
            (names[int(found.series[row])], int(found.at[row]), found.value(row))
            for row in range(len(found.at))
        )

    def close(self):
        self.run(self.broker.stop())
        self.store.close()
        self.runner.close()
