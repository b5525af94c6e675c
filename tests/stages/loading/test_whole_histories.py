"""What is exported comes back as it was: readings, corrections, deletions, attributes of attributes."""

import csv
import io
import itertools
from contextlib import nullcontext
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from cityloom.access.authority import TERMINAL
from cityloom.app.command_line import build_parser, main
from cityloom.app.folder import CityFolder
from cityloom.app.load import command
from cityloom.app.load.bringing import workplace
from cityloom.app.load.exporting import export_folder, months
from cityloom.app.load.importing import Importer, record_of_history
from cityloom.app.load.showing import LoadProgress
from cityloom.history.model import Window
from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import to_millis
from cityloom.ngsild.model import entity, geo, prop, rel, text
from loading_city import LoadedCity

BENCH = "urn:ngsi-ld:Bench:1"
EVERY = list(InformationClass)


def _at(day, month=1):
    return datetime(2026, month, day, 12, tzinfo=UTC)


def _live(city):
    """A city in which everything has happened that can."""

    def write(document, **more):
        city.run(city.broker.upsert(TERMINAL, document, **more))

    write(
        entity(
            "Bench",
            BENCH,
            {
                "dataOrigin": prop("simulated"),
                "name": text(en="=Bench", da="Bænk"),
                "note": prop("=SUM(A1)", at=_at(1)),
                "empty": prop("", at=_at(1)),
                "quoted": prop('\'="x",\ny', at=_at(1)),
                "location": geo({"type": "Point", "coordinates": [10.2, 56.1]}),
                "owner": rel("urn:ngsi-ld:City:1"),
                "open": prop(True, at=_at(1)),
                "count": prop(7, at=_at(1)),
                "config": prop({"a": [1, 2]}, at=_at(1)),
                "temperature": [
                    prop(1.5, at=_at(1), unit="CEL", attributes={"accuracy": prop(0.1)}),
                    prop(2.5, at=_at(1), unit="CEL", dataset="urn:x:other"),
                ],
            },
        )
    )
    for day, month, value in ((2, 1, 0.1 + 0.2), (2, 1, 9.75), (1, 2, -4.0)):
        write(entity("Bench", BENCH, {"temperature": prop(value, at=_at(day, month), unit="CEL")}))
    city.run(city.broker.delete_attribute(TERMINAL, BENCH, "note"))
    write(entity("Bench", "urn:ngsi-ld:Bench:gone", {"temperature": prop(5.0, at=_at(3))}))
    city.run(city.broker.delete(TERMINAL, "urn:ngsi-ld:Bench:gone"))
    secret = entity("Camera", "urn:ngsi-ld:Camera:1", {"seen": prop(3, at=_at(4))})
    write(secret, information_class=InformationClass.SECURITY)
    city.run(city.stage.caught_up(city.broker.last_sequence))


def _all(city, *, corrected=True, entity_ids=None, marks="with"):
    """Everything that is remembered, but by which change it came."""
    city.run(city.stage.caught_up(city.broker.last_sequence))
    series = {one.id: one for one in city.store.series("", entity_ids=entity_ids)}
    found = city.store.raw(Window(np.array(list(series), np.int64), corrected=corrected, marks=marks))
    rows = []
    for row in range(len(found.at)):
        one = series[int(found.series[row])]
        rows.append(
            (
                *one.key,
                one.types,
                int(one.information_class),
                one.retired,
                int(found.at[row]),
                int(found.kind[row]),
                repr(found.value(row)),
                int(found.recorded_at[row]),
                bool(found.observed[row]),
                found.details[row],
                found.instance[row],
                int(found.created_at[row]),
            )
        )
    return sorted(rows, key=repr)


def _export(city, target, format_name="parquet", classes=EVERY):
    with workplace(city.home / "exports"):
        export_folder(city, CityFolder(city.home), target, classes, format_name, "Newtown")
    return target


def _import(city, folder, door=None):
    with workplace(city.home / "exports") as work:
        importer = Importer(folder, door or city, work, city.home / "exports", LoadProgress(io.StringIO()))
        return importer.bring(record_of_history(folder))[0]


@pytest.fixture
def other(tmp_path):
    (tmp_path / "other").mkdir()
    opened = LoadedCity(tmp_path / "other")
    yield opened
    opened.close()


def test_an_export_that_cannot_be_written_is_told(tmp_path, capsys):
    for name in ("city.toml", "file"):
        (tmp_path / name).write_text("")
    for target in ("file/x", "file/x.csv"):
        assert main(["export", "history", "--to", str(tmp_path / target), "--home", str(tmp_path)]) == 1
        assert "The export cannot be written" in capsys.readouterr().err


def test_a_trial_counts_and_writes_nothing(city, other, tmp_path, monkeypatch, capsys):
    _live(city)
    folder = _export(city, tmp_path / "out")
    monkeypatch.setattr(command, "door_of", lambda *_: nullcontext(other))
    monkeypatch.setattr(command, "looking_door_of", lambda *_: nullcontext(other))
    (other.home / "city.toml").write_text('name = "Other"\n')
    words = ["load", str(folder), "--home", str(other.home)]
    assert command.load(build_parser().parse_args([*words, "--dry-run"])) == 0
    assert "Nothing was written" in capsys.readouterr().out
    assert other.records() == [] and other.store.series("") == []
    for said in ("is loaded:", "was loaded already"):
        assert command.load(build_parser().parse_args(words)) == 0
        assert said in capsys.readouterr().out
    command.load(build_parser().parse_args([*words, "--dry-run"]))
    assert "nothing would be done" in capsys.readouterr().out


@pytest.mark.parametrize("format_name", ["parquet", "csv"])
def test_what_comes_back_is_what_went_out(city, other, tmp_path, format_name):
    _live(city)
    folder = _export(city, tmp_path / "out", format_name)
    assert {one.parent.name for one in folder.glob("type=Bench/*/readings.*")} >= {
        "month=2026-01",
        "month=2026-02",
    }
    there = _all(city)
    record = _import(other, folder)
    assert record["kept"] == len(there) > 15
    assert _all(other) == there
    assert _all(other, corrected=False) == _all(city, corrected=False)
    # And the city says now what the other one said.
    for name in (BENCH, "urn:ngsi-ld:Camera:1"):
        ours, theirs = (one.broker.retrieve(TERMINAL, name)["attrs"] for one in (city, other))
        assert _contents(theirs) == _contents(ours)
    assert other.broker.class_of(TERMINAL, "urn:ngsi-ld:Camera:1") is InformationClass.SECURITY
    assert other.broker.find(TERMINAL, "urn:ngsi-ld:Bench:gone") is None
    # A second time does nothing.
    before = other.store.loads()
    _import(other, folder)
    assert other.store.loads() == before


def _contents(attributes):
    system = {"createdAt", "modifiedAt"}

    def plain(said):
        if isinstance(said, dict):
            return {name: plain(one) for name, one in said.items() if name not in system}
        return [plain(one) for one in said] if isinstance(said, list) else said

    return {name: sorted(plain(items), key=repr) for name, items in attributes.items()}


def test_into_the_city_it_came_from_it_brings_nothing(city, tmp_path):
    _live(city)
    folder = _export(city, tmp_path / "out")
    there = _all(city)
    record = _import(city, folder)
    assert record["kept"] == 0
    assert _all(city) == there


def test_as_temporal_entities_all_that_is_known_now_comes_back(city, other, tmp_path):
    _live(city)
    _import(other, _export(city, tmp_path / "out", "ngsild"))

    def known(one):
        rows = _all(one, corrected=False, entity_ids=[BENCH])
        # Where a deletion lies among the instants is told as deletedAt alone.
        plain = [(*row[:6], *(row[9:12] if row[10] < 5 else (5,)), row[13], row[14]) for row in rows]
        return sorted(plain, key=repr)

    assert known(other) == known(city)


def test_an_import_that_was_cut_off_goes_on(city, other, tmp_path, monkeypatch):
    _live(city)
    folder = _export(city, tmp_path / "out")
    monkeypatch.setattr("cityloom.app.load.importing.AT_ONCE", 3)

    class Cut:
        left = 2

        def act(self, name, said):
            if name == "bring":
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
            return other.act(name, said)

    with pytest.raises(KeyboardInterrupt):
        _import(other, folder, Cut())
    assert _import(other, folder)["kept"] == len(_all(city))
    assert _all(other) == _all(city)


def test_a_class_that_is_not_wanted_is_not_in_it(city, tmp_path):
    _live(city)
    folder = _export(city, tmp_path / "open", "csv", [InformationClass.OPEN])
    assert not list(folder.glob("type=Camera"))
    assert all("Camera" not in one.read_text() for one in folder.rglob("*.*"))


def test_who_sees_less_exports_less(city):
    _live(city)
    city.actor = msgspec.structs.replace(
        TERMINAL, id="somebody", clearance=frozenset({InformationClass.OPEN})
    )
    assert [one["type"] for one in city.act("parts", {"classes": EVERY})["parts"]] == ["Bench"]
    part = {"type": "Camera", "since": 0, "until": 2**60}
    assert city.act("export", {"part": part, "classes": EVERY, "format": "csv"})["readings"] == 0


def test_a_file_that_was_changed_is_refused(city, other, tmp_path):
    _live(city)
    folder = _export(city, tmp_path / "out", "csv")
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, place = line.split("  ")
        assert sha256((folder / place).read_bytes()).hexdigest() == digest
    path = folder / "type=Bench" / "month=2026-01" / "readings.csv"
    path.write_text(path.read_text().replace("7.0", "8.0"))
    with pytest.raises(BadInput, match="not what was exported") as raised:
        _import(other, folder)
    assert raised.value.where == str(path)
    assert other.store.loads() == []


def test_no_cell_of_an_exported_table_is_run_by_a_spreadsheet(city, tmp_path):
    _live(city)
    for path in _export(city, tmp_path / "out", "csv").rglob("*.csv"):
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(tuple("=+@"))]


def test_months_are_those_of_utc_and_follow_each_other():
    spans = list(months(to_millis(_at(31, 12).replace(year=2025)), to_millis(_at(1, 2))))
    assert [name for name, *_ in spans] == ["2025-12", "2026-01", "2026-02"]
    assert all(one[2] == after[1] for one, after in itertools.pairwise(spans))
