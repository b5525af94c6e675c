"""Tables as they come, and as somebody makes them who means harm."""

import gzip
import io
import zipfile
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityloom.adapters.duckdb import table_cells
from cityloom.adapters.xlsx.workbook import write_sheet
from cityloom.kernel.errors import BadInput
from cityloom.kernel.time import to_millis
from cityloom.sensing.table_meaning import ReadingColumn, TableForm
from cityloom.sensing.table_rules import Rule

MAPPING = """
type = "Bench"
id = "urn:ngsi-ld:Bench:{bench}"
[time]
column = "time"
zone = "UTC"
[readings.temperature]
column = "temp"
kind = "number"
[readings.note]
column = "note"
kind = "text"
"""
HEADER = "bench,time,temp,note\n"
A = "urn:ngsi-ld:Bench:a"
NOON = to_millis(datetime(2026, 1, 1, 12, tzinfo=UTC))


def _row(temp="", note="", bench="a", time="2026-01-01T12:00:00Z"):
    return f"{bench},{time},{temp},{note}\n"


@pytest.mark.parametrize(
    "cell", ["NaN", "inf", "-Infinity", "1e999", "1_000", "0x10", "1 000", "1,5", "½", "--1"]
)
def test_what_is_no_number_is_told_as_none(city, cell):
    cell = f'"{cell}"'
    result = city.load(HEADER + _row(cell), MAPPING)
    assert [reason for _, reason, _ in result.reasons] == ["it is no number"]
    assert city.readings(A) == []


def test_a_whole_number_too_large_to_be_exact_is_not_rounded_in_silence(city):
    result = city.load(HEADER + _row(2**53 + 1) + _row("1e30", time="2026-01-01T12:00:01Z"), MAPPING)
    assert "too large to be kept exactly" in result.reasons[0][1]
    assert [value for _, _, value in city.readings(A)] == [1e30]


def test_missing_is_not_zero(city):
    mapping = MAPPING.replace("[time]", '[table]\nmissing = ["NA", "-999"]\n[time]')
    table = (
        HEADER + _row("NA") + _row("-999", time="2026-01-01T12:00:01Z") + _row(0, time="2026-01-01T12:00:02Z")
    )
    result = city.load(table, mapping)
    assert (result.rejected, city.readings(A)) == (0, [("temperature", NOON + 2000, 0.0)])


def test_a_nul_is_told(city):
    result = city.load(HEADER + _row(1, "a\0b"), MAPPING)
    assert result.reasons == [("note", "it has a NUL in it", 1)]


def test_rows_that_are_none_are_told_with_their_line(city):
    table = (
        HEADER
        + _row(1)
        + "a,2026-01-01T12:00:01Z\n"
        + _row(2, "x,y")
        + _row("z", time="2026-01-01T12:00:02Z")
    )
    result = city.load(table, MAPPING)
    lines = (city.home / "table.csv.rejects.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["3", "4", "5"]
    assert [value for _, _, value in city.readings(A, "temperature")] == [1.0]
    assert result.rejected == 3


def test_a_formula_is_a_text_and_stays_one(city):
    city.load(HEADER + _row(1, "=HYPERLINK(0)"), MAPPING)
    assert ("note", NOON, "=HYPERLINK(0)") in city.readings(A)


@pytest.mark.parametrize("bench", ["a b", "<script>", '""', "a\tb", "é" * 300, "'; DROP TABLE reading; --"])
def test_what_cannot_be_an_id_is_told(city, bench):
    result = city.load(HEADER + _row(1, bench=bench), MAPPING)
    assert result.rejected == 1 and city.store.series("") == []


def test_names_and_texts_are_no_sql(city):
    table = """b'"ench,t'); DROP TABLE x; --,temp\na,2026-01-01T12:00:00Z,1\n"""
    mapping = """
type = "Bench"
id = "urn:ngsi-ld:Bench:'{b'\\"ench}"
[time]
column = "t'); DROP TABLE x; --"
[readings.temperature]
column = "temp"
when = { temp = "1' OR '1'='1" }
[[readings.weight]]
column = "temp"
when = { temp = "1" }
"""
    city.load(table, mapping)
    assert city.readings("urn:ngsi-ld:Bench:'a") == [("weight", NOON, 1.0)]


def test_a_header_of_a_million_columns_is_refused(city):
    with pytest.raises(BadInput, match="columns"):
        city.load(",".join(f"c{n}" for n in range(1_000_000)) + "\n1\n", MAPPING)


@pytest.mark.parametrize("table", ["", "\n", "\0\0\0", "bench,bench,time,temp,note\n"])
def test_what_is_no_table_is_refused(city, table):
    with pytest.raises(BadInput):
        city.load(table, MAPPING)


def test_letters_of_another_encoding_are_told(city):
    table = (HEADER + _row(1, "kø") + _row(2, "k", time="2026-01-01T12:00:01Z")).encode("latin-1")
    assert city.load(table, MAPPING).reasons[0][1].startswith("the letters are not in the encoding")
    there = city.load(table, MAPPING.replace("[time]", '[table]\nencoding = "latin-1"\n[time]'))
    assert there.rejected == 0 and ("note", NOON, "kø") in city.readings(A)
    with pytest.raises(BadInput, match="not in cp1252"):
        city.load(table + b"\x81", MAPPING.replace("[time]", '[table]\nencoding = "cp1252"\n[time]'))


def test_packed_tables_are_read_and_broken_ones_refused(city):
    packed = gzip.compress((HEADER + _row(1.5)).encode())
    city.load(packed, MAPPING, "table.csv.gz")
    assert city.readings(A) == [("temperature", NOON, 1.5)]
    with pytest.raises(BadInput, match="cannot be read"):
        city.load(packed[:-20], MAPPING, "cut.csv.gz")


def test_parquet_keeps_its_types(city):
    path = city.home / "made.parquet"
    duckdb.execute(
        f"""COPY (SELECT 'a' AS bench, TIMESTAMPTZ '2026-01-01 13:00:00+01' AS time, 1.25::FLOAT AS temp,
        'x' AS note) TO '{path}' (FORMAT parquet)"""
    )
    city.load(path.read_bytes(), MAPPING, "table.parquet")
    assert city.readings(A) == [("note", NOON, "x"), ("temperature", NOON, 1.25)]
    with pytest.raises(BadInput, match="cannot be read"):
        city.load(b"PAR1" + bytes(100) + b"PAR1", MAPPING, "broken.parquet")


# Workbooks


def _workbook(rows, *, extra=None):
    parts = {
        "xl/workbook.xml": '<workbook><sheets><sheet name="Data" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="rId1" Target="worksheets/s.xml"/>'
        "</Relationships>",
        "xl/styles.xml": '<styleSheet><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
        "</styleSheet>",
        "xl/sharedStrings.xml": "<sst><si><t>bench</t><rPh><t>how it is said</t></rPh></si>"
        "<si><t>ti</t><t>me</t></si></sst>",
        "xl/worksheets/s.xml": f"<worksheet><sheetData>{rows}</sheetData></worksheet>",
        **(extra or {}),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, text)
    return packed.getvalue()


ROWS = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>'
    '<c r="C1" t="inlineStr"><is><t>temp</t></is></c><c r="D1" t="str"><v>note</v></c></row>'
    '<row r="3"><c r="A3" t="inlineStr"><is><t>a</t></is></c><c r="B3" s="1"><v>46023.5</v></c>'
    '<c r="C3"><v>1.5</v></c><c r="D3" t="b"><v>1</v></c></row>'
)


def test_a_workbook_is_read_with_its_dates(city):
    city.load(_workbook(ROWS), MAPPING, "table.xlsx")
    assert city.readings(A) == [("note", NOON, "true"), ("temperature", NOON, 1.5)]


@pytest.mark.parametrize(
    "extra",
    [
        {"xl/worksheets/s.xml": "<worksheet>" + "<row/>" * 20_000_000},
        {"xl/sharedStrings.xml": '<!DOCTYPE x [<!ENTITY a "aaa">]><sst><si><t>&a;</t></si></sst>'},
        {"xl/worksheets/s.xml": "<worksheet><row>"},
        {"xl/worksheets/s.xml": '<worksheet><row><c r="ZZZ1"><v>1</v></c></row></worksheet>'},
    ],
    ids=["bomb", "entities", "broken", "wide"],
)
def test_a_workbook_that_means_harm_is_refused(tmp_path, extra):
    path = tmp_path / "bad.xlsx"
    path.write_bytes(_workbook(ROWS, extra=extra))
    with pytest.raises(BadInput, match="no workbook"):
        write_sheet(path, "", tmp_path / "out.csv")


def test_a_workbook_with_damaged_packing_is_refused(tmp_path):
    book, path = _workbook(ROWS), tmp_path / "bad.xlsx"
    begin = book.index(b"xl/worksheets/s.xml") + len("xl/worksheets/s.xml")
    path.write_bytes(book[:begin] + b"\xff" * 20 + book[begin + 20 :])
    with pytest.raises(BadInput, match="no workbook"):
        write_sheet(path, "", tmp_path / "out.csv")


def test_a_sheet_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "book.xlsx"
    path.write_bytes(_workbook(ROWS))
    with pytest.raises(BadInput, match="no sheet 'Other'"):
        write_sheet(path, "Other", tmp_path / "out.csv")


# Cells


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.integers().map(str),
        st.text(alphabet="0123456789.,-+eE _x", max_size=12),
        st.text(max_size=8),
    ),
    decimal=st.sampled_from(".,"),
)
def test_a_number_is_what_python_reads_or_nothing(text, decimal):
    form = TableForm(decimal=decimal)
    cell = text.replace(".", decimal) if decimal == "," and "," not in text else text
    said = cell.strip(" ") or None
    sql = table_cells.reading(table_cells.number("c", form), "c", ReadingColumn(column="c"), Rule())
    value, reason = duckdb.execute(
        f"SELECT {sql.value}, {sql.reason} FROM (SELECT ?::VARCHAR AS c)", [said]
    ).fetchone()
    if said is None:
        assert value is None and reason is None
        return
    try:
        expected = float(said.replace(",", ".") if decimal == "," and "." not in said else said)
    except ValueError:
        expected = None
    if expected is None or expected in (float("inf"), float("-inf")) or expected != expected or "_" in said:
        assert reason is not None
    elif reason is None:
        assert value == expected
    else:
        assert abs(expected) >= 2**53 or not said.isascii() or said != said.strip()
