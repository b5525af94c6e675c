"""Values from files go the way of values that are typed: with evidence, and verified by a second person."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import cityloom_catalogue
from cityloom.indicators.evidence import Upload, type_of_values
from cityloom.indicators.exchange import workbook as workbooks
from cityloom.indicators.exchange.files import read_values
from cityloom.indicators.exchange.reported import bounds_of
from cityloom.indicators.framework import point_id, read_framework
from cityloom.indicators.importing import MOST_VALUES
from cityloom.indicators.model import Entry
from cityloom.kernel.actor import ANONYMOUS
from cityloom.kernel.errors import BadInput, NotAllowed

FRAMEWORKS = Path(next(iter(cityloom_catalogue.__path__))) / "frameworks"
ZONE = ZoneInfo("Europe/Copenhagen")
INTERNET = point_id("u4ssc", "EC:ICT:ICT:1C", "")
DUST = point_id("u4ssc", "EN:EN:AQ:1C", "pm2.5")
TABLE = """city,indicator,period,value,point,numerator,denominator,source
Aston,EC:ICT:ICT:1C,2013,91.5,,,,the statistics office
Aston,EC: ICT: ICT: 1C,2012,90,,,,
Aston,EN:EN:AQ:1C,2013,8.25,pm2.5,,,
Aston,EC:I:WS:1C,2013,,,400,500,
Aston,EC:I:UP:2A,2013,yes,compact,,,
Aston,EC:ICT:ICT:2C,2013,,,,,
Aston,EC:P:EM:1C,2013,140,,,,
Aston,EC:P:EM:2C,2015,14,,,,
Aston,XX,2013,14,,,,
Aston,EC:I: WS:1C,2013,81,,,,
Aston,SC:EH:H:1C,long ago,14,,,,
"""


@pytest.fixture
async def room(city):
    made = city.indicators(read_framework(FRAMEWORKS / "u4ssc"))
    await made.publish()
    return made


def upload(text, name="values.csv"):
    data = text if isinstance(text, bytes) else text.encode()
    return Upload(name=name, media_type=type_of_values(data), data=data)


async def bring(room, actor, text, **more):
    file = upload(text)
    return await room.import_values(actor, "u4ssc", read_values(file.data, file.name), file, **more)


async def test_values_of_a_file_are_entered_with_it_as_evidence(room, planner, auditor):
    plan = await bring(room, planner, TABLE)
    assert [one.point.code for one in plan.planned] == [
        "EC:ICT:ICT:1C",
        "EC:ICT:ICT:1C",
        "EN:EN:AQ:1C",
        "EC:I:WS:1C",
        "EC:I:UP:2A",
    ]
    found = room.summary(ANONYMOUS, INTERNET)
    assert (found.value, found.source, found.entered_by) == (91.5, "the statistics office", planner.id)
    assert (found.since, found.until) == (
        datetime(2012, 12, 31, 23, tzinfo=UTC),
        datetime(2013, 12, 31, 23, tzinfo=UTC),
    )
    assert (found.method, found.verified, found.remark) == ("manual", False, "values.csv line 2")
    (file,) = found.evidence
    assert (file.name, file.media_type, file.public) == ("values.csv", "text/csv", False)
    _, content = await room.evidence(auditor, INTERNET, file.digest)
    assert content == TABLE.encode()
    assert room.summary(ANONYMOUS, point_id("u4ssc", "EC:I:WS:1C", "")).value == 80
    assert room.summary(ANONYMOUS, point_id("u4ssc", "EC:I:UP:2A", "compact")).value is True
    assert room.summary(ANONYMOUS, DUST).source == "values.csv"


async def test_what_is_left_out_says_why(room, planner):
    plan = await bring(room, planner, TABLE)
    assert {one.what: one.why for one in plan.left_out} == {
        "EC:ICT:ICT:2C": "not reported",
        "EC:P:EM:1C": "A percentage lies between 0 and 100",
        "EC:P:EM:2C": "the period is not over",
        "XX": "not in the framework",
        "EC:I: WS:1C": "stands twice, by another of its names",
        "SC:EH:H:1C": "'long ago' is no period",
    }
    assert all(one.place.startswith("values.csv line ") for one in plan.left_out)


async def test_a_second_person_verifies_what_was_imported(room, planner, auditor):
    await bring(room, auditor, TABLE)
    with pytest.raises(NotAllowed):
        await room.verify(auditor, INTERNET)
    await bring(room, planner, TABLE.replace("91.5", "92.5"))
    assert (await room.verify(auditor, INTERNET)).verified


async def test_earlier_periods_go_into_the_past(city, room, planner):
    await bring(room, planner, TABLE)
    await city.stage.reached(city.broker.last_sequence)
    readings = city.history.raw(ANONYMOUS, INTERNET, ["kpiValue"])
    assert [(one.at.astimezone(ZONE).year, one.value) for one in readings] == [(2013, 90), (2014, 91.5)]


async def test_a_newer_value_stays(room, planner):
    now = {"since": datetime(2014, 1, 1, tzinfo=UTC), "until": datetime(2014, 7, 1, tzinfo=UTC)}
    await room.enter(planner, INTERNET, Entry(value=95.0, source="somebody", **now))
    plan = await bring(room, planner, TABLE)
    assert [one.why for one in plan.left_out].count("a newer value stands") == 2
    assert room.summary(ANONYMOUS, INTERNET).value == 95


async def test_looking_enters_nothing(city, room, planner):
    before = city.broker.last_sequence
    rows = read_values(TABLE.encode(), "values.csv")
    plan = await room.plan_import(planner, "u4ssc", rows, source="values.csv")
    assert len(plan.planned) == 5
    assert city.broker.last_sequence == before


async def test_who_may_not_enter_may_not_import(room, planner):
    rows = read_values(TABLE.encode(), "values.csv")
    with pytest.raises(NotAllowed):
        await room.plan_import(ANONYMOUS, "u4ssc", rows, source="values.csv")
    with pytest.raises(NotAllowed):
        await room.import_values(ANONYMOUS, "u4ssc", rows, upload(TABLE))


async def test_a_file_of_several_cities_asks_which(room, planner):
    text = TABLE + "Beeham,EC:ICT:ICT:1C,2013,50,,,,\n"
    with pytest.raises(BadInput, match="Aston, Beeham"):
        await bring(room, planner, text)
    await bring(room, planner, text, city="Beeham")
    assert room.summary(ANONYMOUS, INTERNET).value == 50
    with pytest.raises(BadInput, match="has no 'Ceewick'"):
        await bring(room, planner, text, city="Ceewick")


async def test_too_many_values_are_refused(room, planner):
    head = "city,indicator,period,value\n"
    many = head + "".join(f"Aston,I{one},2013,1\n" for one in range(MOST_VALUES + 1))
    with pytest.raises(BadInput, match="too many"):
        await bring(room, planner, many)


# Periods


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        ("2013", (2013, 1, 1), (2014, 1, 1)),
        ("2013-12", (2013, 12, 1), (2014, 1, 1)),
        ("2013-Q4", (2013, 10, 1), (2014, 1, 1)),
        ("2013Q1", (2013, 1, 1), (2013, 4, 1)),
        ("2013-S2", (2013, 7, 1), (2014, 1, 1)),
        ("2013-02-03/2013-02-28", (2013, 2, 3), (2013, 3, 1)),
    ],
)
def test_a_period_has_its_bounds(period, since, until):
    assert bounds_of(period, UTC, "") == (datetime(*since, tzinfo=UTC), datetime(*until, tzinfo=UTC))


@pytest.mark.parametrize(
    "period",
    [
        *("", "13", "2013-13", "2013-02-30/2013-03-01", "2013/2014", "0999"),
        *("2014-01-01/2013-12-31", "0001-01-01/0001-01-02", "9999-01-01/9999-12-31"),
    ],
)
def test_what_is_no_period_is_refused(period):
    with pytest.raises(BadInput):
        bounds_of(period, UTC, "line 1")


# Workbooks


def workbook(rows, *, shared=True, extra=b"", sheet=None, packed=zipfile.ZIP_DEFLATED):
    """A workbook as spreadsheet programs write it."""
    texts: list[str] = []

    def cell(at, value):
        if isinstance(value, bool):
            return f'<c r="{at}" t="b"><v>{int(value)}</v></c>'
        if isinstance(value, int | float):
            return f'<c r="{at}"><v>{value}</v></c>'
        if not shared:
            return f'<c r="{at}" t="inlineStr"><is><t>{value}</t></is></c>'
        texts.append(value)
        return f'<c r="{at}" t="s"><v>{len(texts) - 1}</v></c>'

    lines = "".join(
        f'<row r="{number}">'
        + "".join(
            cell(f"{chr(65 + column)}{number}", value)
            for column, value in enumerate(row)
            if value is not None
        )
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as book:
        text = f"<worksheet {space}><sheetData>{lines}</sheetData></worksheet>"
        book.writestr("xl/worksheets/sheet1.xml", extra + (text.encode() if sheet is None else sheet))
        if shared:
            said = "".join(f"<si><t>{one}</t><rPh><t>zzz</t></rPh></si>" for one in texts)
            book.writestr("xl/sharedStrings.xml", f"<sst {space}>{said}</sst>")
    return file.getvalue()


def damaged(book):
    """With bytes in the packed sheet that nothing is packed to."""
    begin = book.index(b"sheet1.xml") + len("sheet1.xml")
    return book[:begin] + b"\xff" * 20 + book[begin + 20 :]


ROWS = [
    ["city", "indicator", "period", "value", "point"],
    ["Aston", "EC:ICT:ICT:1C", 2013, 91.5, None],
    ["Aston", "EC:I:UP:2A", "2013", True, "compact"],
    ["Aston", "EC:ICT:ICT:2C", 2013, None, None],
]


@pytest.mark.parametrize("shared", [True, False])
def test_a_workbook_is_read(shared):
    found = read_values(workbook(ROWS, shared=shared), "kpis.xlsx")
    assert [(one.city, one.code, one.period, one.value, one.point) for one in found] == [
        ("Aston", "EC:ICT:ICT:1C", "2013", 91.5, ""),
        ("Aston", "EC:I:UP:2A", "2013", True, "compact"),
        ("Aston", "EC:ICT:ICT:2C", "2013", None, ""),
    ]
    assert found[1].place == "kpis.xlsx line 3"


def test_the_first_sheet_is_the_one_that_stands_first():
    file = io.BytesIO(workbook([["what", "ever"]], shared=False))
    with zipfile.ZipFile(io.BytesIO(workbook(ROWS, shared=False))) as other:
        sheet = other.read("xl/worksheets/sheet1.xml")
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(file, "a") as book:
        book.writestr("xl/worksheets/sheet2.xml", sheet)
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns:r="{office}"><sheets><sheet name="Moved here" sheetId="2" r:id="b"/>'
            '<sheet name="Older" sheetId="1" r:id="a"/></sheets></workbook>',
        )
        links = (("a", "worksheets/sheet1.xml"), ("b", "/xl/worksheets/sheet2.xml"))
        told = "".join(f'<Relationship Id="{one}" Target="{part}"/>' for one, part in links)
        book.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{told}</Relationships>")
    assert [one.city for one in read_values(file.getvalue(), "kpis.xlsx")] == ["Aston"] * 3


DAYS = """<styleSheet><numFmts><numFmt numFmtId="170" formatCode="[Red]yyyy\\-mm\\-dd"/><numFmt numFmtId="171"
 formatCode="0.0&quot; days&quot;"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/>
<xf numFmtId="22"/><xf numFmtId="170"/><xf numFmtId="171"/></cellXfs></styleSheet>"""


@pytest.mark.parametrize(("counts_from", "serial"), [("", 46023), ('<workbookPr date1904="1"/>', 44561)])
def test_a_day_in_a_workbook_is_a_day(counts_from, serial):
    cells = [f'<c r="{column}1" s="{style}"><v>{serial}</v></c>' for style, column in enumerate("ABCDE")]
    cells[2] = f'<c r="C1" s="2"><v>{serial}.5</v></c>'
    file = io.BytesIO(workbook([[]], sheet=f"<worksheet><row>{''.join(cells)}</row></worksheet>".encode()))
    with zipfile.ZipFile(file, "a") as book:
        book.writestr("xl/styles.xml", DAYS)
        book.writestr("xl/workbook.xml", f"<workbook>{counts_from}</workbook>")
    ((_, row),) = workbooks.rows_of(file.getvalue(), "days.xlsx")
    assert row == [str(serial), "2026-01-01", "2026-01-01T12:00:00", "2026-01-01", str(serial)]


async def test_a_workbook_is_imported(room, planner):
    file = upload(workbook(ROWS), "kpis.xlsx")
    await room.import_values(planner, "u4ssc", read_values(file.data, file.name), file)
    assert room.summary(ANONYMOUS, INTERNET).value == 91.5
    assert room.summary(ANONYMOUS, INTERNET).evidence[0].media_type.endswith("sheet")


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 no zip at all",
        workbook(ROWS)[:-30],
        workbook(ROWS, extra=ENTITIES),
        workbook(ROWS, sheet=b"<worksheet><sheetData><row>"),
        workbook(ROWS, sheet=b'<worksheet><c r="ZZZ99"><v>1</v></c></worksheet>'),
        workbook(ROWS, sheet=b'<worksheet><c r="A1" t="s"><v>99</v></c></worksheet>'),
        workbook(ROWS, sheet=b'<worksheet><c r="A1" t="s"><v>' + b"9" * 5000 + b"</v></c></worksheet>"),
        workbook(ROWS, sheet=b'<worksheet><c r="A' + b"9" * 5000 + b'"><v>1</v></c></worksheet>'),
        damaged(workbook(ROWS)),
        workbook(ROWS, packed=zipfile.ZIP_BZIP2),
        workbook(ROWS, sheet=b'<worksheet><c r="A1" t="e"><v>#REF!</v></c></worksheet>'),
        workbook(ROWS, sheet=b"<worksheet/>"),
        workbook([["city", "value"], ["Aston", 1]]),
    ],
)
def test_a_broken_or_hostile_workbook_is_told_in_words(data):
    with pytest.raises(BadInput) as error:
        read_values(data, "kpis.xlsx")
    assert "kpis.xlsx" in (error.value.where or "")


JSON_STAT = {
    "id": ["indicator", "time"],
    "size": [1, 1],
    "value": [1.0],
    "dimension": {"indicator": {"category": {"index": ["a"]}}, "time": {"category": {"index": ["2013"]}}},
}


@pytest.mark.parametrize(
    "change",
    [
        {"size": [1]},
        {"size": [2, 1]},
        {"size": [100_000, 100_000]},
        {"size": [0, 1]},
        {"id": ["x", "y"]},
        {"dimension": {}},
        {"value": "many"},
        {"dimension": {"indicator": {"category": {"index": 5}}}},
        {"dimension": {"indicator": {"category": {"index": None}}}},
    ],
)
def test_broken_json_stat_is_told_in_words(change):
    with pytest.raises(BadInput):
        read_values(json.dumps(JSON_STAT | change).encode(), "x.json")


def test_a_sheet_of_endless_cells_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(workbooks, "MOST_CELLS", 8)
    with pytest.raises(BadInput, match="more than 8 cells"):
        read_values(workbook(ROWS), "kpis.xlsx")


def test_the_product_of_endless_dimensions_is_not_worked_out(monkeypatch):
    # Of numbers without an end it takes minutes, in which nothing else of the process goes on.
    monkeypatch.setattr("math.prod", lambda _: pytest.fail("it is"))
    for size in (2**64 - 1, 1):
        wide = {"id": ["x"] * 10_000, "size": [size] * 10_000}
        with pytest.raises(BadInput):
            read_values(json.dumps(JSON_STAT | wide).encode(), "x.json")


def test_deep_json_is_told_in_words():
    deep = json.dumps(JSON_STAT).replace('["a"]', "[" * 100_000 + "]" * 100_000)
    with pytest.raises(BadInput):
        read_values(deep.encode(), "x.json")


def test_json_stat_without_a_place_is_of_the_city_that_asks():
    (row,) = read_values(json.dumps(JSON_STAT).encode(), "x.json")
    assert (row.city, row.code, row.period, row.value) == ("", "a", "2013", 1.0)
