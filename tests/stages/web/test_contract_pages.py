"""Contracts on pages: written, concluded, settled, disputed, decided, paid; each by whom it is for."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_every_page import check

from cityloom.kernel.actor import InformationClass
from cityloom.ngsild.model import entity, prop

LIGHTS = "urn:ngsi-ld:KeyPerformanceIndicator:city:lights"


@pytest.fixture
async def lit(city):
    """A month of values for one indicator."""
    for day in range(31):
        at = datetime(2026, 2, 28, 23, tzinfo=UTC) + timedelta(days=day + 1)
        at -= timedelta(hours=1) if at >= datetime(2026, 3, 29, 1, tzinfo=UTC) else timedelta(0)
        shown = {"name": prop("Lights in order"), "kpiValue": prop(98.0, at=at, unit="P1")}
        await city.write(entity("KeyPerformanceIndicator", LIGHTS, shown), secrecy=InformationClass.OPEN)
    await city.remembered()
    return city


def fields(**changes) -> dict[str, str]:
    plain = {
        "name_en": "Street lighting",
        "name_da": "Gadelys",
        "examiner": "auditor",
        "starts": "2026-03-01",
        "ends": "2026-09-01",
        "every": "month",
        "currency": "DKK",
        "dispute_days": "30",
        "payment_days": "30",
    }
    line = {
        "name_en": "Lights in order",
        "about": LIGHTS,
        "attribute": "kpiValue",
        "unit_code": "P1",
        "method": "mean",
        "every": "P1D",
        "least_coverage": "80",
        "without_data": "hold",
        "direction": "higher",
        "rule": "linear",
        "target": "99",
        "worst": "89",
        "price": "10000",
        "expected": "80",
        "bonus": "1000",
        "malus": "2000.50",
    }
    return {**plain, **{f"line_0_{name}": value for name, value in line.items()}, **changes}


@pytest.fixture
async def office(lit, reader_of):
    """Everybody who has a part, and a contract that is concluded."""
    people = {role: await reader_of(role) for role in ("planner", "auditor", "provider")}
    people["second"] = await reader_of("planner", name="second")
    people["reviewer"] = await reader_of("auditor", name="reviewer")
    people["rival"] = await reader_of("provider", name="rival")
    planner = people["planner"]
    await planner.done("/plan/contracts/parties", {"name": "Lys A/S", "accounts": "provider"})
    people["party"] = (await planner.data("/plan/contracts/parties.json"))["parties"][0]["id"]
    await planner.done("/plan/contracts/new", fields(provider=people["party"]))
    (contract,) = (await planner.data("/plan/contracts.json"))["contracts"]
    people["path"] = contract["href"]
    await people["second"].done(people["path"], {"act": "conclude"})
    return people


async def test_a_contract_goes_its_way_from_terms_to_money(office, visitor):
    path = office["path"]
    march = f"{path}/2026-03-01"
    page = await office["auditor"].text(march)
    assert "10,500\u00a0DKK" in page and "100.0\u00a0%" in page and "Settle and seal it" in page
    page = await office["auditor"].done(march, {"act": "settle"})
    assert "Settled and sealed." in page and "Settle and seal it" not in page
    page = await office["provider"].text(march)
    assert "31 read; of 31 expected, 0 are missing" in page
    # What it was worked out from is kept, is the provider's to see, and comes to the same again.
    assert "it comes to the same" in page and f"{march}/readings.csv?line=1" in page
    kept = await office["provider"].get(f"{march}/readings.csv?line=1")
    assert sha256(kept.content).hexdigest() in page and len(kept.text.splitlines()) == 32
    for reader, line in ((office["rival"], 1), (visitor, 1), (office["provider"], 2)):
        assert (await reader.get(f"{march}/readings.csv?line={line}")).status_code == 404
    await office["provider"].done(march, {"act": "dispute", "reason": "We had a storm."})
    decide = {"act": "decide", "outcome": "stands", "reasons": "No storm was seen."}
    page = await office["reviewer"].done(march, decide)
    assert "No storm was seen." in page
    pay = {"act": "pay", "amount": "10500", "on": "2026-04-10", "reference": "A-17"}
    assert "is owed" in await office["second"].refused(march, {**pay, "amount": "10500.01"})
    page = await office["second"].done(march, pay)
    assert "A-17" in page
    (public,) = (await visitor.data("/plan/contracts.json"))["public"]
    assert (public["paid"], public["provider"]) == ("10500.00", "Lys A/S")
    page = await visitor.text(public["href"])
    assert "10,500\u00a0DKK" in page and "90" in page
    assert "bonus" not in page.lower() and "seal" not in page.lower()
    data = (await office["provider"].get(f"{march}.csv")).text
    assert "Lights in order" in data and data.strip().endswith("10000.00,500.00,0.00,0.00,10500.00")


async def test_from_an_initiative_one_comes_to_its_contracts(office, visitor):
    planner = office["planner"]
    plan = {"name_en": "Brighter streets", "description_en": "x"}
    await planner.done("/initiatives/new", plan)
    (made,) = (await planner.data("/initiatives.json"))["initiatives"]
    sent = fields(provider=office["party"], initiative=made["id"], name_en="Poles")
    await planner.done("/plan/contracts/new", sent)
    found = (await planner.data(f"{made['href']}.json"))["contracts"]
    assert [one["name"] for one in found] == ["Poles"]
    assert "Poles" in await planner.text(made["href"])


async def test_what_is_owed_adds_up(office):
    march = f"{office['path']}/2026-03-01"
    await office["auditor"].done(march, {"act": "settle"})
    for who in ("planner", "auditor", "provider"):
        (owed,) = (await office[who].data("/plan/contracts.json"))["payments"]
        assert owed["outstanding"] == "10500.00"
        assert "10,500\u00a0DKK" in await office[who].text("/plan/contracts")


async def test_the_provider_sees_its_own_and_changes_nothing(office):
    path, provider = office["path"], office["provider"]
    march = f"{path}/2026-03-01"
    page = await provider.text(path)
    assert "Street lighting" in page and "What was done" not in page
    for address, sent in (
        ("/plan/contracts/new", fields(provider=office["party"])),
        (f"{path}/edit", fields(provider=office["party"])),
        (path, {"act": "conclude"}),
        (path, {"act": "discard"}),
        ("/plan/contracts/parties", {"name": "Mine"}),
        (march, {"act": "settle"}),
        (march, {"act": "pay", "amount": "1", "on": "2026-04-10", "reference": "x"}),
    ):
        assert (await provider.send(address, sent)).status_code in (403, 404), address
    for address in ("/plan/contracts/new", f"{path}/edit", "/plan/contracts/parties"):
        assert (await provider.get(address)).status_code == 403
    file = (await provider.data(f"{path}.json"))["id"]
    assert "draft-" in file and "draft-" not in path
    for address in (f"/entities/{file}", f"/follow/{file}", f"/ngsi-ld/v1/entities/{file}"):
        assert (await provider.get(address)).status_code == 404, address


async def test_the_provider_does_not_learn_who_of_the_city_signed_or_excluded(office):
    path, march = office["path"], f"{office['path']}/2026-03-01"
    storm = {"act": "exclude", "since": "2026-03-10", "until": "2026-03-12", "reason": "Storm"}
    await office["planner"].done(path, {**storm, "decision": "Council 7/2026"})
    assert "person:" not in str(await office["provider"].data(f"{path}.json"))
    await office["auditor"].done(path, {"act": "confirm", "exclusion": "0"})
    await office["auditor"].done(march, {"act": "settle"})
    for address in (f"{path}.json", f"{march}.json"):
        assert "Council 7/2026" in str(await office["provider"].data(address))
        assert "person:" not in str(await office["provider"].data(address)), address
        assert "person:" in str(await office["planner"].data(address)), address


async def test_another_provider_and_everybody_else_see_no_file(office, visitor):
    await office["auditor"].done(f"{office['path']}/2026-03-01", {"act": "settle"})
    for reader in (office["rival"], visitor):
        assert (await reader.data("/plan/contracts.json"))["contracts"] == []
        told = await reader.data(f"{office['path']}.json")
        assert "terms" not in told and "exclusions" not in told
        assert told == (await visitor.data("/plan/contracts.json"))["public"][0]
        for address in (f"{office['path']}/2026-03-01", f"{office['path']}/2026-03-01.json"):
            assert (await reader.get(address)).status_code == 404


async def test_what_cannot_be_settled_is_said_at_its_field(office):
    planner = office["planner"]
    said = await planner.refused("/plan/contracts/new", {})
    assert "Give it a name." in said and "Say what is measured." in said and "Name who examines." in said
    wrong = {"line_0_worst": "100"}
    said = await planner.refused("/plan/contracts/new", fields(provider=office["party"], **wrong))
    assert "The worst value is not worse than the target" in said
    answer = await planner.send("/plan/contracts/new", fields(provider=office["party"], **wrong))
    assert 'id="problem-line_0_worst"' in answer.text
    same = fields(provider=office["party"], examiner="provider")
    assert "no examiner" in await planner.refused("/plan/contracts/new", same)


async def test_the_form_shows_what_was_written(office):
    page = await office["planner"].text(f"{office['path']}/edit")
    assert 'value="2000.50"' in page and 'value="auditor"' in page
    changed = fields(provider=office["party"], line_0_rule="bands", line_0_bands="95 = 50; 98 = 80.5")
    page = await office["planner"].done(f"{office['path']}/edit", changed)
    assert "have not been concluded" in page
    assert "95 = 50; 98 = 80.5" in await office["planner"].text(f"{office['path']}/edit")


async def test_excluded_days_are_named_with_their_decision(office):
    sent = {"act": "exclude", "since": "2026-03-10", "until": "2026-03-12", "reason": "Storm"}
    assert "Say where it was decided." in await office["planner"].refused(office["path"], sent)
    page = await office["planner"].done(office["path"], {**sent, "decision": "Council 7/2026"})
    assert "Council 7/2026" in page and "waits for a second person" in page
    assert "Confirm: it does not count" not in page
    for wrong in ("", "1", "x", "²"):
        said = await office["auditor"].refused(office["path"], {"act": "confirm", "exclusion": wrong})
        assert "Nothing waits" in said
    assert "Confirm: it does not count" in await office["auditor"].text(office["path"])
    await office["auditor"].done(office["path"], {"act": "confirm", "exclusion": "0"})
    await office["planner"].done(office["path"], {**sent, "decision": "Council 8/2026"})
    page = await office["second"].done(office["path"], {"act": "drop", "exclusion": "1"})
    assert "Council 7/2026" in page and "waits for a second person" not in page
    page = await office["auditor"].text(f"{office['path']}/2026-03-01")
    assert "28 read; of 28 expected, 0 are missing; 3 in time that does not count" in page


async def test_a_provider_s_accounts_are_changed_with_a_reason_and_taken_back(office):
    address = "/plan/contracts/parties"
    changed = {"party": office["party"], "name": "Lys", "accounts": "rival", "note": "Bought by Rival"}
    page = await office["second"].done(address, changed)
    assert "Bought by Rival" in page and "Second · " in page
    assert (await office["rival"].data("/plan/contracts.json"))["contracts"] != []
    assert "Take back" not in await office["auditor"].text(address)
    (party,) = (await office["planner"].data(f"{address}.json"))["parties"]
    await office["planner"].done(
        address, {"act": "undo", "party": office["party"], "version": party["version"]}
    )
    (party,) = (await office["planner"].data(f"{address}.json"))["parties"]
    assert (party["name"], party["accounts"]) == ("Lys A/S", ["provider"])
    assert [one["did"] for one in party["history"]] == ["undone", "edited", "drafted"]
    assert (await office["rival"].data("/plan/contracts.json"))["contracts"] == []


async def test_pages_are_well_formed_in_both_languages(office, visitor):
    await office["auditor"].done(f"{office['path']}/2026-03-01", {"act": "settle"})
    path = office["path"]
    pages = ["/plan/contracts", path, f"{path}/2026-03-01", f"{path}/2026-04-01", f"{path}/edit"]
    pages += ["/plan/contracts/new", "/plan/contracts/parties"]
    for code in ("en", "da"):
        for reader, some in (
            (office["planner"], pages),
            (office["auditor"], pages[:4]),
            (visitor, pages[:1]),
        ):
            reader.client.headers["accept-language"] = code
            for one in some:
                answer = await reader.get(one)
                assert answer.status_code == 200, (one, answer.text[:800])
                assert len(re.findall(r"<h1[ >]", answer.text)) == 1
                assert check(answer.text) == [], one
