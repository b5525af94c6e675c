"""Values among an alert's reasons."""

from __future__ import annotations

from cityloom.ngsild.model import entity, json_value, prop, rel, text

ALERT = "urn:ngsi-ld:Alert:1"


async def test_alert_page_shows_a_value_among_its_reasons_with_its_unit(city, reader_of):
    reason = {"about": "type:WeatherObserved", "attribute": "temperature", "value": -1.5, "unitCode": "CEL"}
    attributes = {
        "severity": prop("high"),
        "description": text(en="Frost", da="Frost"),
        "status": prop("open"),
        "because": json_value([reason]),
    }
    await city.write(entity("Alert", ALERT, attributes))
    page = await (await reader_of("operator")).text(f"/alerts/{ALERT}")
    shown = page.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "1.5 °C" in shown


async def test_an_alert_leads_to_the_services_that_rest_on_what_it_is_about(city, reader_of, visitor):
    planner, operator = await reader_of("planner"), await reader_of("operator")
    counters = {"name_en": "Counters", "category": "sensors", "madeOf_0_part": "TrafficFlowObserved"}
    await planner.done("/plan/infrastructure/new", counters)
    (item,) = (await planner.data("/plan/infrastructure.json"))["records"]
    signals = {"name_en": "Signals", "critical": "true", "owner": "Roads", "dependsOn": item["id"]}
    await planner.done("/plan/processes/new", signals)
    (service,) = (await planner.data("/plan/processes.json"))["records"]
    for one in (item, service):
        await planner.done(one["href"], {"act": "publish"})
    street = "urn:ngsi-ld:TrafficFlowObserved:1"
    await city.write(entity("TrafficFlowObserved", street, {"intensity": prop(3)}))
    attributes = {
        "severity": prop("high"),
        "description": text(en="Silent", da="Tavs"),
        "status": prop("open"),
        "alertSource": rel(street),
    }
    await city.write(entity("Alert", ALERT, attributes))
    page = await operator.text(f"/alerts/{ALERT}")
    assert "Services that rest on it" in page and "Signals" in page and "Roads" in page
    found = (await operator.data(f"/alerts/{ALERT}.json"))["services"]
    assert [(one["name"], one["steps"], one["critical"]) for one in found] == [
        ("Signals", 1, True),
        ("Counters", 0, False),
    ]
    page = await operator.text(f"/plan/dependencies?fails={street}")
    assert "Counters → Signals" in page
    # Which parts fail together is nobody's business outside, however open the services are.
    assert (await visitor.data(f"/plan/dependencies.json?fails={street}"))["rests"] == []
    assert "TrafficFlowObserved" not in (await visitor.get(item["href"] + ".json")).text
