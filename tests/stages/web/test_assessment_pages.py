"""Assessments and the library on pages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_every_page import check

from cityloom.ngsild.model import entity, text

HERE = "/plan/assessments"
BOX = {"q_leader": "it_company", "q_money": "private", "q_plan": "technical", "q_focus": "it"}


async def test_a_questionnaire_classifies_and_prints_its_reasons(reader_of, visitor):
    planner = await reader_of("planner")
    page = await planner.done(f"{HERE}/city_category/answer", {**BOX, "e_leader": "The contract of 2024"})
    assert "IT box" in page and "Who began the programme and leads it?" in page and "3 points" in page
    assert "The contract of 2024" in page
    (row,) = (await planner.data(f"{HERE}.json"))["answers"]
    data = await planner.data(f"{row['href']}.json")
    assert data["category"]["id"] == "it_box" and data["result"]["points"] == {"it_box": 9.0}
    assert (await visitor.get(row["href"])).status_code == 404
    await planner.done(row["href"], {"act": "publish"})
    (public,) = (await visitor.data(f"{HERE}.json"))["answers"]
    page = await visitor.text(public["href"])
    assert "IT box" in page and "The contract of 2024" not in page
    page = await planner.done(f"{row['href']}/edit", {**BOX, "q_leader": "many", "q_plan": "separate"})
    assert "Fragmented box" in page and "Saved as a new version" in page
    page = await planner.text(f"{row['href']}?version=1")
    assert "IT box" in page and "CityLoom 1<" not in page.replace(" <", "<")


async def test_wrong_answers_are_told_at_their_question(reader_of):
    planner = await reader_of("planner")
    assert "Nothing is answered" in await planner.refused(f"{HERE}/city_category/answer", {})
    sent = {**BOX, "q_leader": "nobody"}
    assert "no answer to the question" in await planner.refused(f"{HERE}/city_category/answer", sent)
    answer = await planner.send(f"{HERE}/city_category/answer", sent)
    assert 'id="problem-q_leader"' in answer.text
    said = await planner.refused(f"{HERE}/city_category/answer", {"e_leader": "because"})
    assert "leave out the evidence" in said


async def test_drivers_are_drawn_and_cases_without_figures_are_not(reader_of):
    planner = await reader_of("planner")
    asked = ("new_economy", "investment", "energy_use", "climate", "daily_life", "public_services")
    fields = {f"q_{name}": str(place % 5) for place, name in enumerate(asked)}
    page = await planner.done(f"{HERE}/three_drivers/answer", fields)
    assert 'class="diagram"' in page and "not in hand" in page and "Masdar" in page
    picture = re.search(r"<svg[^>]*diagram.*?</svg>", page, re.S)[0]
    assert "Masdar" not in picture and "Loomby" in picture


async def test_other_cities_are_scored_by_the_same_questions_and_drawn_beside(city, reader_of):
    planner = await reader_of("planner")
    other = "urn:ngsi-ld:ComparedCity:suwon"
    await city.write(entity("ComparedCity", other, {"name": text(en="Suwon")}))
    asked = ("new_economy", "investment", "energy_use", "climate", "daily_life", "public_services")
    fields = {f"q_{name}": "2" for name in asked}
    await planner.done(f"{HERE}/three_drivers/answer", {**fields, "subject": other, "q_daily_life": "4"})
    page = await planner.done(f"{HERE}/three_drivers/answer", fields)
    picture = re.search(r"<svg[^>]*diagram.*?</svg>", page, re.S)[0]
    assert "Suwon" in picture and "Loomby" in picture
    assert '<th scope="col" class="num">Suwon</th>' in page


async def test_a_supplier_is_advised_how_to_engage_in_each_box(reader_of):
    planner = await reader_of("planner")
    fields = {"q_products": "4", "q_capital": "3", "q_leaders": "0", "q_shares": "1", "q_whole_projects": "4"}
    page = await planner.done(f"{HERE}/supplier_profile/answer", {**fields, "q_invited": "no"})
    assert "Go alone: its own products fit best here." in page
    assert "<code>offer >= 50</code>" in page
    (row,) = (await planner.data(f"{HERE}.json"))["answers"]
    said = (await planner.data(f"{row['href']}.json"))["advised"]
    assert {one["case"]: one["way"] for one in said} == {
        "it_box": "alone",
        "dream_box": "find_partner",
        "black_box": "wait",
        "fragmented_box": "alone",
    }
    sent = {name: value for name, value in fields.items() if name != "q_capital"} | {"q_products": "0"}
    await planner.done(f"{row['href']}/edit", {**sent, "q_leaders": "4"})
    said = (await planner.data(f"{row['href']}.json"))["advised"]
    # Whether it was invited is not known any more: then nothing is advised.
    assert {one["case"]: one["way"] for one in said} == {
        "it_box": "partner",
        "dream_box": "partner",
        "black_box": "",
        "fragmented_box": "partner",
    }


async def test_the_register_of_cities_has_a_map_of_what_fits(visitor):
    page = await visitor.text("/library/smart_cities_52")
    world, closer = re.findall(r'<svg[^>]*class="diagram".*?</svg>', page, re.S)
    assert world.count("<circle") == 52 and 10 < closer.count("<circle") < 52
    assert "<title>Winnipeg</title>" in world and "<title>Winnipeg</title>" not in closer
    page = await visitor.text("/library/smart_cities_52?country=DK")
    (small,) = re.findall(r'<svg[^>]*class="diagram".*?</svg>', page, re.S)
    assert small.count("<circle") == 2 and ">Kalundborg<" in small
    assert 'class="diagram"' not in await visitor.text("/library/smart_cities_52?q=nowhere")
    page = await visitor.text("/library/success_cases/case-25")
    assert 'class="diagram"' not in page
    data = await visitor.data("/library/smart_cities_52/shanghai.json")
    (cases,) = [one for one in data["sameCountry"] if one["id"] == "success_cases"]
    assert cases["rows"] and cases["rows"][0]["href"].startswith("/library/success_cases/")
    assert "/library/smart_cities_52?country=CN" in await visitor.text("/library/smart_cities_52/shanghai")


async def test_the_registers_are_filtered_and_lie_beside_as_tables(visitor):
    page = await visitor.text("/library/smart_cities_52?area=transport&country=DK")
    assert "0 of 52" in page
    data = await visitor.data("/library/smart_cities_52.json?area=transport")
    assert {one["id"] for one in data["rows"]} == {
        "dakota-county",
        "dublin",
        "lavasa",
        "shenyang",
        "trondheim",
    }
    table = (await visitor.get("/library/smart_cities_52.csv?q=malmo")).content.decode("utf-8-sig")
    assert table.splitlines()[0].startswith("id,name,text,country,area") and len(table.splitlines()) == 2
    page = await visitor.text("/library/success_cases/case-25")
    assert "/plan/assessments/charter_objectives" in page


@pytest.mark.parametrize("code", ["en", "da"])
async def test_pages_are_well_formed(city, reader_of, visitor, code):
    planner = await reader_of("planner", language=code)
    await planner.done(f"{HERE}/secure_places/answer", {"q_purpose": "yes", "q_risks": "no"})
    (row,) = (await planner.data(f"{HERE}.json"))["answers"]
    visitor.client.headers["accept-language"] = code
    pages = [HERE, row["href"], f"{row['href']}/edit"]
    for name in city.rooms.assessments.library.questionnaires:
        pages += [f"{HERE}/{name}", f"{HERE}/{name}/answer"]
    for name, register in city.rooms.assessments.library.registers.items():
        pages += ["/library", f"/library/{name}", f"/library/{name}/{register.rows[0].id}"]
    for one in pages:
        answer = await planner.get(one)
        assert answer.status_code == 200, (one, answer.text[:800])
        assert len(re.findall(r"<h1[ >]", answer.text)) == 1, one
        assert check(answer.text) == [], one
        if "/answers/" not in one and not one.endswith("/answer"):
            assert (await visitor.get(one)).status_code == 200, one
