"""Pages of records: written, changed, published, taken back, by the form that their kind makes."""

from __future__ import annotations

import csv
import io

GOALS = "/plan/goals"


async def goal(planner, name: str, **more: str) -> str:
    """A new goal's address."""
    await planner.done(f"{GOALS}/new", {"name_en": name, **more})
    rows = (await planner.data(f"{GOALS}.json"))["records"]
    return next(row["href"] for row in rows if row["name"] == name)


async def test_a_record_goes_from_draft_to_everybody_and_back(city, reader_of, visitor):
    planner = await reader_of("planner")
    assert "Nothing is written down yet" in await planner.text(GOALS)
    assert "Name is missing" in await planner.refused(f"{GOALS}/new", {"name_en": " "})
    path = await goal(planner, "Clean <air>", name_da="Ren luft", note="the council wants it")
    page = await planner.text(path)
    assert "Clean <air>" in page and "the council wants it" in page and "draft" in page
    assert (await visitor.get(path)).status_code == 404
    page = await planner.done(path, {"act": "publish"})
    assert "everybody sees it now" in page and "Undo" in page
    seen = await visitor.text(path)
    assert "Clean <air>" in seen and "the council wants it" not in seen
    version = (await planner.text(f"{path}/edit")).partition('name="version" value="')[2].partition('"')[0]
    fields = {"name_en": "Cleaner air", "description_en": "Below\nthe limit", "version": version}
    assert "changed since" in await planner.done(f"{path}/edit", fields)
    assert "Clean <air>" in await visitor.text(path)
    answer = await planner.send(f"{path}/edit", fields)
    assert answer.status_code == 400 and "somebody else" in answer.text
    await planner.done(path, {"act": "undo"})
    assert (await planner.data(f"{path}.json"))["name"] == "Clean <air>"
    await planner.done(path, {"act": "discard"})
    assert (await visitor.get(path)).status_code == 404
    assert "Clean <air>" in await planner.text(f"{GOALS}?discarded=1")
    await planner.done(path, {"act": "restore"})
    assert "Clean <air>" in await planner.text(GOALS)


async def test_records_lead_to_each_other(reader_of):
    planner = await reader_of("planner")
    air = await goal(planner, "Air")
    lorries = await goal(planner, "Fewer lorries", parent=air.rsplit("/", 1)[1])
    assert f'href="{air}"' in await planner.text(lorries)
    assert f'href="{lorries}"' in await planner.text(air)
    assert "nothing of the kind" in await planner.refused(
        f"{GOALS}/new", {"name_en": "x", "parent": "urn:ngsi-ld:Goal:none"}
    )


async def test_a_list_is_searched_and_taken_along(reader_of, visitor):
    planner = await reader_of("planner")
    path = await goal(planner, "Air", description_en="=SUM(A1)")
    await goal(planner, "Water")
    page = await planner.text(f"{GOALS}?q=wat")
    assert "Water" in page and ">Air<" not in page
    await planner.done(path, {"act": "publish"})
    for reader, count in ((planner, 2), (visitor, 1)):
        answer = await reader.get(f"{GOALS}.csv")
        rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert len(rows) == count
        assert rows[0]["description.en"] == "'=SUM(A1)"


async def test_who_may_not_write_gets_no_form(reader_of):
    operator = await reader_of("operator")
    assert (await operator.get(f"{GOALS}/new")).status_code == 403
    assert (await operator.get("/plan/nonsense")).status_code == 404


async def test_a_table_is_looked_at_and_then_brought(reader_of):
    planner = await reader_of("planner")
    air = await goal(planner, "Air")
    table = ("goals.csv", b"name.en,parent\nQuiet nights,\nTrees,Air\nx,Nothing\n", "text/csv")
    seen = {"seen": f"{GOALS}/import", "files": {"file": table}}
    answer = await planner.send(f"{GOALS}/import", {"act": "look"}, **seen)
    assert "What would be done" in answer.text and "nothing of the kind" in answer.text
    assert len((await planner.data(f"{GOALS}.json"))["records"]) == 1
    answer = await planner.send(f"{GOALS}/import", {"act": "bring"}, **seen)
    assert "What was done" in answer.text
    assert len((await planner.data(f"{GOALS}.json"))["records"]) == 3
    assert "Trees" in await planner.text(air)
    book = await planner.get(f"{GOALS}.xlsx")
    answer = await planner.send(
        f"{GOALS}/import", {"act": "look"}, files={"file": ("goals.xlsx", book.content)}
    )
    assert "as it is: 3" in answer.text
    wrong = {"files": {"file": ("x.csv", b"name.en,colour\nA,red\n")}}
    assert "no field 'colour'" in await planner.refused(f"{GOALS}/import", {"act": "look"}, **wrong)
