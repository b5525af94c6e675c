"""A table becomes the past of Entities: exactly once, corrected where it says so, and taken out again."""

import asyncio
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from cityloom.access.authority import TERMINAL
from cityloom.access.roles import ROLES
from cityloom.history import loading
from cityloom.history.model import Window
from cityloom.kernel.actor import ANONYMOUS, Actor, InformationClass
from cityloom.kernel.errors import BadConfig, BadInput, Conflict, NotAllowed, NotFound
from cityloom.kernel.time import WallClock, to_millis
from cityloom.ngsild.model import entity, prop, value_of

MAPPING = """
type = "Bench"
id = "urn:ngsi-ld:Bench:{bench}"
[time]
column = "time"
zone = "UTC"
[readings.temperature]
column = "temp"
unit = "CEL"
[attributes.name]
column = "name"
"""
TABLE = """bench,time,temp,name
a,2026-01-01T10:00:00Z,1.5,First
b,2026-01-01T10:00:00Z,2.5,Second
a,2026-01-01T11:00:00Z,,First
a,2026-01-01T12:00:00Z,3.5,First bench
"""
A, B = "urn:ngsi-ld:Bench:a", "urn:ngsi-ld:Bench:b"


def at(hour):
    return to_millis(datetime(2026, 1, 1, hour, tzinfo=UTC))


def test_readings_are_remembered_and_the_newest_is_what_the_entity_says(city):
    result = city.load(TABLE, MAPPING)
    assert result.record["kept"] == 3
    assert city.readings(A, "temperature") == [("temperature", at(10), 1.5), ("temperature", at(12), 3.5)]
    now = city.broker.retrieve(TERMINAL, A)
    assert value_of(now, "temperature") == 3.5
    assert now["attrs"]["temperature"][0]["unitCode"] == "CEL"
    assert now["attrs"]["temperature"][0]["observedAt"] == "2026-01-01T12:00:00Z"
    assert value_of(now, "name") == "First bench"


def test_a_newer_value_stays_the_present(city):
    newer = prop(9.0, at=datetime(2026, 2, 1, tzinfo=UTC), unit="CEL")
    city.run(city.broker.create(TERMINAL, entity("Bench", A, {"temperature": newer})))
    city.load(TABLE, MAPPING)
    assert value_of(city.broker.retrieve(TERMINAL, A), "temperature") == 9.0
    assert [value for _, _, value in city.readings(A, "temperature")] == [1.5, 3.5, 9.0]


def test_a_load_that_is_done_does_nothing(city):
    city.load(TABLE, MAPPING)
    before, sequence = city.records(), city.broker.last_sequence
    assert city.load(TABLE, MAPPING).already
    assert city.records() == before
    assert city.broker.last_sequence == sequence


def test_what_is_there_already_is_not_kept_again(city):
    city.load(TABLE, MAPPING)
    more = city.load(TABLE + "a,2026-01-01T13:00:00Z,4.5,First bench\n", MAPPING, "more.csv")
    assert (more.record["kept"], more.record["known"]) == (1, 3)
    assert len(city.readings(A, "temperature")) == 3


def test_a_later_table_corrects_and_undoing_it_brings_the_old_value_back(city):
    city.load(TABLE, MAPPING)
    corrected = city.load(TABLE.replace("3.5", "30.5"), MAPPING, "corrected.csv")
    assert corrected.record["corrected"] == 1
    assert city.readings(A, "temperature") == [("temperature", at(10), 1.5), ("temperature", at(12), 30.5)]
    assert value_of(city.broker.retrieve(TERMINAL, A), "temperature") == 30.5
    undone = city.act("undo", {"load": corrected.record["id"]})["undone"]
    assert undone["readings"] == 1
    assert city.readings(A, "temperature")[-1] == ("temperature", at(12), 3.5)
    assert value_of(city.broker.retrieve(TERMINAL, A), "temperature") == 3.5


def test_undoing_takes_out_all_that_was_brought_and_created(city):
    done = city.load(TABLE, MAPPING)
    undone = city.act("undo", {"load": done.record["id"]})["undone"]
    assert (undone["readings"], undone["entities"]) == (3, 2)
    assert city.broker.find(TERMINAL, A) is None
    assert city.readings(A, "temperature") == []
    with pytest.raises(Conflict):
        city.act("undo", {"load": done.record["id"]})


def test_undoing_leaves_what_was_measured_since(city):
    done = city.load(TABLE, MAPPING)
    since = prop(7.0, at=datetime(2026, 2, 1, tzinfo=UTC), unit="CEL")
    city.run(city.broker.upsert(TERMINAL, entity("Bench", A, {"temperature": since})))
    undone = city.act("undo", {"load": done.record["id"]})["undone"]
    assert (undone["entities"], undone["staying"]) == (1, 1)
    assert city.readings(A, "temperature")[-1][2] == 7.0
    assert value_of(city.broker.retrieve(TERMINAL, A), "temperature") == 7.0


def test_a_table_that_was_taken_out_is_not_loaded_by_mistake(city):
    done = city.load(TABLE, MAPPING)
    city.act("undo", {"load": done.record["id"]})
    with pytest.raises(Conflict, match="taken out"):
        city.load(TABLE, MAPPING)


def test_readings_are_recorded_when_they_are_loaded(city):
    city.load(TABLE, MAPPING)
    known = to_millis(WallClock().now())
    found = city.store.raw(
        Window(np.array([one.id for one in city.store.series("")], np.int64), observed=True)
    )
    assert len(found.at) == 3
    assert (found.recorded_at <= known).all()


def test_rejects_that_cannot_be_written_are_told(city):
    (city.home / "table.csv.rejects.csv").mkdir()
    with pytest.raises(BadInput, match="rejected cannot be written"):
        city.load(TABLE + "a,yesterday,1,\n", MAPPING)


def test_a_wrong_separator_is_told_as_one(city):
    with pytest.raises(BadInput) as caught:
        city.load(TABLE.replace(",", ";"), MAPPING, dry=True)
    assert 'separator = ";"' in caught.value.hint


def test_a_trial_writes_nothing(city):
    result = city.load(TABLE + "a,yesterday,1,\n", MAPPING, dry=True)
    assert (result.rows, result.readings, result.rejected) == (5, 3, 1)
    assert result.first_wrong == [(6, "time", "it is no time of the format iso", "yesterday")]
    assert result.entities["created"] == 2
    assert (result.since, result.until) == (at(10), at(12))
    assert city.records() == []
    assert city.broker.last_sequence == 0
    assert city.store.series("") == []
    assert not list(city.home.glob("*.rejects.csv"))


class _CutOff:
    """A door that falls shut after so many portions, before or after what came through was kept."""

    def __init__(self, city, portions, *, kept):
        self.city, self.left, self.kept = city, portions, kept

    def act(self, name, said):
        if name == "bring":
            if self.left == 0:
                if self.kept:
                    self.city.act(name, said)
                raise KeyboardInterrupt
            self.left -= 1
        return self.city.act(name, said)


@pytest.mark.parametrize("kept", [False, True])
def test_a_load_that_was_cut_off_goes_on_exactly_once(city, monkeypatch, kept):
    monkeypatch.setattr("cityloom.adapters.duckdb.table_conversion.AT_ONCE", 10)
    rows = [f"a,2026-01-{day:02}T{hour:02}:00:00Z,{day}.{hour}," for day in range(1, 6) for hour in range(20)]
    table = "bench,time,temp,name\n" + "\n".join([*rows, "a,never,1,"]) + "\n"
    with pytest.raises(KeyboardInterrupt):
        city.load(table, MAPPING, door=_CutOff(city, 4, kept=kept))
    (record,) = city.records()
    assert record["rows"] == (50 if kept else 40) and not record["finishedAt"]
    done = city.load(table, MAPPING)
    assert done.record["kept"] == 100 and done.record["known"] == 0
    assert len(city.readings(A, "temperature")) == 100
    # What was wrong is told as if it had not been cut off.
    assert done.rejected == 1
    assert city.load(table, MAPPING).already


class _Twice:
    """A door through which every portion comes twice, as when an answer was lost on the way."""

    def __init__(self, city):
        self.city = city

    def act(self, name, said):
        if name == "bring":
            self.city.act(name, said)
        return self.city.act(name, said)


def test_a_portion_that_comes_twice_is_kept_once(city):
    record = city.load(TABLE, MAPPING, door=_Twice(city)).record
    assert (record["rows"], record["kept"], record["known"]) == (4, 3, 0)


def test_rejected_rows_stand_in_a_file_beside_that_no_spreadsheet_runs(city):
    table = TABLE + "=cmd(),2026-01-01T13:00:00Z,=1+1,\nb,2026-01-01T13:00:00Z,NaN,\n"
    result = city.load(table, MAPPING)
    assert result.rejected == 2
    lines = (city.home / "table.csv.rejects.csv").read_text().splitlines()
    assert lines == ["line,column,reason,cell", "6,temp,it is no number,'=1+1", "7,temp,it is no number,NaN"]


def test_units_are_those_of_the_data_model_and_its_bounds_hold(city):
    mapping = """
type = "WeatherObserved"
id = "urn:ngsi-ld:WeatherObserved:{s}"
[time]
column = "t"
format = "unix"
[readings.temperature]
column = "f"
unit = "FAH"
"""
    result = city.load("s,t,f\nx,1700000000,50\nx,1700000060,5000\n", mapping)
    thing = "urn:ngsi-ld:WeatherObserved:x"
    assert city.readings(thing, "temperature") == [("temperature", 1_700_000_000_000, 10.0)]
    assert result.reasons[0][1].startswith("it is more than")
    assert city.store.series("", attributes=["temperature"])[0].key.unit_code == "CEL"


def test_a_unit_of_another_quantity_is_refused(city):
    mapping = MAPPING.replace('type = "Bench"', 'type = "WeatherObserved"').replace('"CEL"', '"MTR"')
    with pytest.raises(BadInput, match="cannot be turned"):
        city.load(TABLE, mapping)


def test_the_long_form_has_a_row_for_each_reading(city):
    mapping = """
type = "Bench"
id = "urn:ngsi-ld:Bench:{s}"
[time]
columns = ["day", "hour"]
format = "%d.%m.%Y %H:%M"
zone = "Europe/Copenhagen"
[table]
separator = ";"
decimal = ","
thousands = "."
[[readings.temperature]]
column = "value"
unit = "CEL"
when = { what = "T" }
[[readings.weight]]
column = "value"
unit = "KGM"
when = { what = "W" }
"""
    table = (
        "s;day;hour;what;value\na;1.7.2026;12:00;T;-1,5\na;1.7.2026;12:00;W;1.234,5\na;1.7.2026;12:00;X;1\n"
        "a;1.7.2026;12:01;W;12.34\n"
    )
    result = city.load(table, mapping, dry=False)
    noon = to_millis(datetime(2026, 7, 1, 10, tzinfo=UTC))
    assert city.readings(A) == [("temperature", noon, -1.5), ("weight", noon, 1234.5)]
    assert sorted(result.reasons) == [
        ("value", "it is no number", 1),
        ("what", "the mapping has no readings for it", 1),
    ]


@pytest.mark.parametrize(
    ("fold", "expected"),
    [("reject", []), ("first", [0]), ("second", [1])],
)
def test_times_that_came_twice_and_never_are_told(city, fold, expected):
    mapping = MAPPING.replace('zone = "UTC"', f'zone = "Europe/Copenhagen"\nfold = "{fold}"')
    table = "bench,time,temp,name\na,2026-10-25 02:30,1,\na,2026-03-29 02:30,1,\na,2026-03-29 03:30,2,\n"
    result = city.load(table, mapping)
    there = [one for _, one, value in city.readings(A, "temperature") if value == 1]
    assert there == [to_millis(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in expected]
    summer = to_millis(datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    assert summer in [one for _, one, _ in city.readings(A, "temperature")]
    reasons = " ".join(reason for _, reason, _ in result.reasons)
    assert "it never was in Europe/Copenhagen" in reasons
    assert ("it was twice in Europe/Copenhagen" in reasons) == (fold == "reject")


def test_the_last_of_several_rows_about_one_instant_counts(city):
    table = TABLE + "b,2026-01-01T10:00:00Z,4,\nb,2026-01-01T10:00:00Z,5,\n"
    result = city.load(table, MAPPING)
    assert result.repeated == 2
    assert city.readings(B, "temperature") == [("temperature", at(10), 5.0)]


def test_a_column_that_is_not_there_is_named(city):
    with pytest.raises(BadInput, match="no column 'temp', which readings"):
        city.load("bench,time,name\na,2026-01-01T10:00:00Z,x\n", MAPPING)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (('unit = "CEL"', 'unit = "warm"'), "readings.temperature.unit"),
        (('zone = "UTC"', 'zone = "Mars"'), "time.zone"),
        (("[readings.temperature]", "[readings.because]"), "readings.because"),
        (('type = "Bench"', 'type = "Ben ch"'), "type"),
        (('column = "temp"', 'columns = "temp"'), "readings"),
    ],
)
def test_a_mapping_that_is_wrong_names_the_key(city, change, place):
    with pytest.raises(BadConfig) as raised:
        city.load(TABLE, MAPPING.replace(*change))
    assert f"mapping.toml: {place}" in (raised.value.where or "")


# Who may


def _actor(role, **more):
    said = ROLES[role]
    return Actor(id=role, roles=frozenset({role}), permissions=said.permissions, clearance=said.clearance)


@pytest.mark.parametrize("role", ["citizen", "device", "operator", "planner", "auditor", "security_operator"])
def test_who_lacks_the_permission_does_nothing(city, role):
    city.actor = _actor(role)
    with pytest.raises(NotAllowed):
        city.load(TABLE, MAPPING)
    city.actor = ANONYMOUS
    for name, said in (("undo", {"load": "x"}), ("settle", {"load": "x"})):
        with pytest.raises(NotAllowed):
            city.act(name, said)
    assert city.store.loads() == []


def test_an_engineer_loads_what_an_engineer_may_write(city):
    city.actor = _actor("engineer")
    assert city.load(TABLE, MAPPING).record["by"] == "engineer"
    with pytest.raises(BadInput, match="may not write"):
        city.load(TABLE, MAPPING.replace("Bench", "Alert"), "alerts.csv")
    assert city.store.series("", types=["Alert"]) == []


def test_a_table_about_something_else_of_the_same_id_is_refused(city):
    city.load(TABLE, MAPPING)
    with pytest.raises(BadInput, match="it is a Bench"):
        city.load(TABLE, MAPPING.replace('type = "Bench"', 'type = "Tree"'), "trees.csv")


def test_readings_never_reach_an_entity_that_one_may_not_see(city):
    secret = entity("Bench", A, {"name": prop("hidden")})
    city.run(city.broker.create(TERMINAL, secret, information_class=InformationClass.SECURITY))
    city.actor = _actor("engineer")
    with pytest.raises((NotFound, BadInput)):
        city.load(TABLE, MAPPING)
    assert city.store.series("", attributes=["temperature"]) == []


def test_readings_take_the_class_of_their_entity(city):
    secret = entity("Bench", A, {"name": prop("hidden")})
    city.run(city.broker.create(TERMINAL, secret, information_class=InformationClass.SECURITY))
    city.load(TABLE, MAPPING)
    by_entity = {
        one.key.entity_id: one.information_class for one in city.store.series("", attributes=["temperature"])
    }
    assert by_entity == {A: InformationClass.SECURITY, B: InformationClass.OPEN}
    assert city.history.series(ANONYMOUS, None, ["temperature"])[0].key.entity_id == B


def _somebody(name, role="engineer"):
    return msgspec.structs.replace(_actor(role), id=name)


def test_a_load_is_whose_began_it(city):
    """Others with the same right neither add to it, nor end it, nor take it out."""
    city.actor = _somebody("anna")
    _begun(city)
    good = {"id": B, "type": ["Bench"], "attrs": {"x": [{"type": "Property", "value": 1}]}}
    portion = {"load": "x", "first": 0, "end": 9, "series": [], "file": f"portion-{'0' * 32}.parquet"}
    acts = [
        ("begin", {"record": {"id": "x", "number": 0, "name": "x", "by": "", "startedAt": 1}}),
        ("entities", {"load": "x", "documents": [good]}),
        ("bring", {"portion": portion}),
        ("settle", {"load": "x"}),
        ("undo", {"load": "x"}),
    ]
    city.actor = _somebody("bo")
    for name, said in acts:
        with pytest.raises(NotAllowed, match="somebody else"):
            city.act(name, said)
    assert city.broker.last_sequence == 0
    assert not city.store.find_load("x").finished_at
    city.actor = _somebody("cleo", "administrator")
    city.act("settle", {"load": "x"})
    city.actor = _somebody("anna")
    assert city.act("undo", {"load": "x"})["record"]["undoneAt"]


def test_entities_are_written_for_a_load_that_was_begun_alone(city):
    good = {"id": B, "type": ["Bench"], "attrs": {"x": [{"type": "Property", "value": 1}]}}
    with pytest.raises(NotFound):
        city.act("entities", {"load": "never", "documents": [good]})
    assert city.broker.last_sequence == 0


def test_a_load_looks_at_its_own_record_alone(city, monkeypatch):
    """There may be many others, and it is asked for each portion."""
    monkeypatch.setattr(city.store, "loads", None)
    done = city.load(TABLE, MAPPING)
    city.act("undo", {"load": done.record["id"]})


# What somebody says who knows the door and means harm


def _begun(city, name="x", **more):
    return city.act(
        "begin", {"record": {"id": name, "number": 9, "name": name, "by": "me", "startedAt": 1, **more}}
    )


def test_how_far_a_load_is_and_what_it_created_nobody_says_but_the_city(city):
    city.run(city.broker.create(TERMINAL, entity("Bench", A, {"name": prop("stays")})))
    city.actor = _actor("engineer")
    _begun(city, rows=500, kept=500, finishedAt=5, created=[A])
    (kept,) = city.store.loads()
    assert (kept.number, kept.by, kept.rows, kept.kept, kept.finished_at) == (1, "engineer", 0, 0, 0)
    city.actor = TERMINAL
    city.act("undo", {"load": "x"})
    assert city.broker.find(TERMINAL, A) is not None
    with pytest.raises(BadInput, match="too long"):
        _begun(city, "x" * 1000)


@pytest.mark.parametrize(
    "name", ["*", "portion-*.parquet", "portion-????????????????????????????????.parquet"]
)
def test_nobody_brings_readings_of_a_file_that_they_cannot_name(city, name):
    """Such as those of another class that somebody else is bringing now."""
    city.load(TABLE, MAPPING)
    _begun(city)
    said = {"key": ["", A, "copied", "", "Property", ""], "types": ["Bench"], "information_class": 0}
    with pytest.raises(BadInput, match="no portion"):
        city.act("bring", {"portion": {"load": "x", "first": 0, "end": 9, "series": [said], "file": name}})


def test_who_may_not_see_all_of_a_load_does_not_take_it_out(city):
    secret = entity("Bench", A, {"name": prop("hidden")})
    city.run(city.broker.create(TERMINAL, secret, information_class=InformationClass.SECURITY))
    result = city.load(TABLE, MAPPING)
    before = city.readings(A)
    city.actor = msgspec.structs.replace(TERMINAL, clearance=_actor("engineer").clearance)
    with pytest.raises(NotAllowed, match="may not see"):
        city.act("undo", {"load": result.record["id"]})
    assert city.readings(A) == before != []
    assert not any("created" in one for one in city.records())
    city.actor = TERMINAL
    city.act("undo", {"load": result.record["id"]})
    assert city.readings(A) == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": 5},
        {"id": "no uri"},
        {"type": []},
        {"attrs": 5},
        {"attrs": {"type": [{"type": "Property", "value": 1}]}},
        {"attrs": {"x": [{"type": "GeoProperty", "value": {"type": "Point"}}]}},
        {"scope": 5},
    ],
)
def test_what_is_no_entity_never_stands_in_the_city(city, change):
    city.actor = _actor("engineer")
    _begun(city)
    good = {"id": B, "type": ["Bench"], "attrs": {"x": [{"type": "Property", "value": 1}]}}
    with pytest.raises(BadInput):
        city.act("entities", {"load": "x", "documents": [good | change]})
    assert city.broker.last_sequence == 0
    assert city.act("entities", {"load": "x", "documents": [good]})["written"]["created"] == 1


def test_others_have_their_turn_while_a_portion_of_many_entities_is_looked_at(city, monkeypatch):
    monkeypatch.setattr(loading, "TURN_SECONDS", 0.0)
    turns, seen = [], []
    find, bring = city.broker.find, city.loading.bring

    def noted(*said, **more):
        seen.append(len(turns))
        return find(*said, **more)

    async def count():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    async def counted(actor, portion):
        counting = asyncio.create_task(count())
        seen.clear()
        try:
            return await bring(actor, portion)
        finally:
            counting.cancel()

    monkeypatch.setattr(city.broker, "find", noted)
    monkeypatch.setattr(city.loading, "bring", counted)
    rows = "".join(f"{number},2026-01-01T12:00:00Z,1,x\n" for number in range(50))
    city.load(f"bench,time,temp,name\n{rows}", MAPPING)
    # Those of `settle` come after.
    assert len(set(seen[:50])) == 50


@pytest.mark.parametrize(("word", "meant"), [("Nej", False), ("nein", False), ("ja", True), ("0", False)])
def test_truth_is_told_by_the_same_words_of_a_reading_and_of_what_stands(city, word, meant):
    mapping = MAPPING.replace("[attributes.name]", "[attributes.open]\nkind = 'boolean'").replace(
        'unit = "CEL"', "kind = 'boolean'"
    )
    city.load(f"bench,time,temp,name\na,2026-01-01T10:00:00Z,{word},{word}\n", mapping)
    now = city.broker.retrieve(TERMINAL, A)
    assert (value_of(now, "open"), value_of(now, "temperature")) == (meant, meant)
