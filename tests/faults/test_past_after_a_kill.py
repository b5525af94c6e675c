"""What was written to the past and acknowledged is there after kill -9, each instance once."""

import signal

from tests.running_city import RunningCity, ask

API = "/ngsi-ld/v1/temporal/entities"
ID = "urn:ngsi-ld:Vehicle:1"


def _body(first, count):
    instances = [
        {"type": "Property", "value": n, "observedAt": f"2026-03-01T{n // 60:02}:{n % 60:02}:00Z"}
        for n in range(first, first + count)
    ]
    return {"id": ID, "type": "Vehicle", "speed": instances}


def _write(city, method, path, **body):
    reply = city.web.request(method, path, headers=city.as_terminal, **body)
    assert reply.status_code in (201, 204), reply.text


def _values(city):
    reply = city.web.get(f"{API}/{ID}", headers=city.as_terminal)
    assert reply.status_code == 200, reply.text
    return [one["value"] for one in reply.json()["speed"]]


def test_the_past_that_was_acknowledged_survives_each_kill_once(tmp_path):
    home = tmp_path / "city"
    ask("init", "--home", home, "--name", "Past", "--time-zone", "UTC", "--place", "0,0", "--language", "en")
    expected: list[int] = []
    for turn in range(4):
        city = RunningCity(home, "up")
        if expected:
            assert _values(city) == expected
            # Of what is erased after a kill nothing comes back with the next.
            gone = city.web.get(f"{API}/{ID}", headers=city.as_terminal).json()["speed"][0]["instanceId"]
            _write(city, "DELETE", f"{API}/{ID}/attrs/speed/{gone}")
            expected = expected[1:]
        for part in range(5):
            first = 100 * turn + 10 * part
            _write(city, "POST", API, json=_body(first, 10))
            expected += range(first, first + 10)
        city.stop(signal.SIGKILL)
    city = RunningCity(home, "up")
    assert _values(city) == expected
    assert city.stop() == 0
