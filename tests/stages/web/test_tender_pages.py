"""Tenders on pages: bids are ranked, one is awarded, everybody sees the result and nobody the bids."""

from __future__ import annotations

from datetime import timedelta


async def test_a_tender_goes_its_way_from_bids_to_an_award_that_everybody_sees(city, reader_of, visitor):
    planner = await reader_of("planner")
    closed = (city.clock.now() - timedelta(days=3)).date().isoformat()
    came = (city.clock.now() - timedelta(days=5)).date().isoformat()
    fields = {"name_en": "Lights", "procedure": "open", "closes": closed}
    fields |= {"criteria_0_criterion": "Price", "criteria_0_measure": "price", "criteria_0_weight": "100"}
    await planner.done("/plan/tenders/new", fields)
    (tender,) = (await planner.data("/plan/tenders.json"))["records"]
    path = tender["href"]
    for name, price in (("Lys", "100"), ("Glow", "400")):
        bid = {"name_en": name, "tender": tender["id"], "receivedOn": came}
        await planner.done("/plan/bids/new", bid | {"price_amount": price, "price_currency": "DKK"})
    page = await planner.text(path)
    assert page.index("Lys") < page.index("Glow") and "100.00" in page and "25.00" in page
    lys = next(one for one in (await planner.data("/plan/bids.json"))["records"] if one["name"] == "Lys")
    page = await planner.done(f"{path}/award", {"bid": lys["id"], "reason": ""})
    assert "Nothing was changed." in page and (await visitor.get(path)).status_code == 404
    award = {"bid": lys["id"], "reason": "It costs a quarter."}
    assert (await visitor.send(f"{path}/award", award)).status_code in (401, 403, 404)
    await planner.done(f"{path}/award", award)
    page = await visitor.text(path)
    assert "It costs a quarter." in page and "Glow" in page and "Lys" in page
    assert (await visitor.data("/plan/bids.json"))["records"] == []
    for language in ("en", "da"):
        reader = await reader_of("planner", name=f"reader-{language}", language=language)
        assert "Glow" in await reader.text(path)
