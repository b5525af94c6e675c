"""Values among an alert's reasons."""

from __future__ import annotations

from cityloom.ngsild.model import entity, json_value, prop, text

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
