"""The guide to reports of indicators names addresses that answer, and tables that can be brought."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2

from cityloom.ngsild.model import entity, text
from cityloom.web.pages.value_import import columns_of
from stages.web.small_city import SmallCity

GUIDE = (Path(__file__).parents[2] / "docs/guides/report_and_compare_indicators.md").read_text(
    encoding="utf-8"
)
ROLES = {"sheet": "planner", "import": "planner", "verify": "auditor", "verification/1": "auditor"}


async def _reader(city, role):
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=city.site), base_url="http://city.test")
    if role:
        client.cookies.set("cityloom_session", await city.session(role, role), domain="city.test")
    return client


async def test_every_address_of_the_guide_answers_and_its_table_is_taken():
    city = await SmallCity(frameworks=("u4ssc",)).start()
    await city.indicators.publish()
    readers = {role: await _reader(city, role) for role in ("", "planner", "auditor")}
    page = (await readers["auditor"].get("/indicators/u4ssc/verification")).text
    token = re.findall(r'name="form_token" value="([^"]+)"', page)[-1]
    path = "/indicators/u4ssc/verification"
    assert (await readers["auditor"].post(path, data={"form_token": token})).status_code == 303
    addresses = set(re.findall(r"`(/[a-z][^` ]*)`", GUIDE))
    assert len(addresses) > 10
    for address in addresses:
        role = next((role for part, role in ROLES.items() if f"/{part}" in address), "")
        answer = await readers[role].get(address)
        assert answer.status_code == 200, (address, answer.status_code)
    districts, table = re.findall(r"```csv\n(.*?)```", GUIDE, re.DOTALL)
    for name in ("North end", "South end"):
        key = f"urn:ngsi-ld:District:{name[:5].lower()}"
        await city.write(entity("District", key, {"name": text(en=name)}))
    page = (await readers["planner"].get("/indicators/u4ssc/import")).text
    token = re.findall(r'name="form_token" value="([^"]+)"', page)[-1]
    looked = await readers["planner"].post(
        "/indicators/u4ssc/import",
        data={"form_token": token, "act": "look", "columns": "", "city": ""},
        files={"file": ("districts.csv", districts.encode(), "text/csv")},
    )
    assert "2 values would be entered" in looked.text and "South end" in looked.text
    page = (await readers["planner"].get("/indicators/u4ssc/compare")).text
    token = re.findall(r'name="form_token" value="([^"]+)"', page)[-1]
    files = {"file": ("cities.csv", table.encode(), "text/csv")}
    fields = {"form_token": token, "act": "bring", "columns": ""}
    brought = await readers["planner"].post("/indicators/u4ssc/compare", data=fields, files=files)
    assert brought.status_code == 200 and "Karmøy" in brought.text and "31.2" in brought.text
    assert columns_of("city=REF_AREA") == {"city": "REF_AREA"}
    await city.stop()
