"""Clients that write in every way the city offers, and what they were told: over HTTP and over MQTT.

Each thing that is written has a `Track`: the states that were asked for, one after another, and the last of
them that was acknowledged. Whatever is there later must be that one or one that was sent after it.
"""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cityloom.sensing.mqtt import packets as mqtt
from cityloom.sensing.mqtt.encoding import encode

ENTITIES = "/ngsi-ld/v1/entities"
BATCH = "/ngsi-ld/v1/entityOperations/upsert"
SUBSCRIPTIONS = "/ngsi-ld/v1/subscriptions"
CONTEXTS = "/ngsi-ld/v1/jsonldContexts"
#: Readings of a device that wait for their acknowledgement.
WINDOW = 20
#: Entities of one batch.
MANY = 5

State = int | None


@dataclass
class Track:
    """One thing's states, in the order in which they were asked for; None: it is not there."""

    states: list[State] = field(default_factory=lambda: [None])
    acknowledged: int = 0

    def ask(self, state: State) -> int:
        self.states.append(state)
        return len(self.states) - 1

    def lost(self, acknowledged: int, found: State) -> bool:
        """Whether what is found is older than what was acknowledged, or never was asked for."""
        return found not in self.states[acknowledged:]

    def settle(self, found: State) -> None:
        """Go on from what is found."""
        self.states, self.acknowledged = [found], 0


class Ledger:
    """All that the clients asked for and were told. Each track is written by one thread alone."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        #: Acknowledged writes by the way they came.
        self.told: dict[str, int] = {}

    def track(self, name: str) -> Track:
        return self.tracks.setdefault(name, Track())

    def snapshot(self) -> dict[str, int]:
        """The acknowledged state of each thing at this moment."""
        return {name: track.acknowledged for name, track in list(self.tracks.items())}

    def count(self, way: str) -> None:
        self.told[way] = self.told.get(way, 0) + 1

    @property
    def acknowledged(self) -> int:
        return sum(self.told.copy().values())


class Refused(Exception):
    """The city said no to what it had to take."""


class HttpClient:
    """Writes by turns in all ways that HTTP offers, until the city is gone."""

    def __init__(self, number: int, address: str, ledger: Ledger) -> None:
        self._number = number
        self._ledger = ledger
        where = urlsplit(address)
        self._line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
        #: What this city offers beside entities.
        self._registers = self._offered()

    def run(self) -> None:
        self._have_counter()
        for number in itertools.count():
            self._patch()
            self._patch()
            self._upsert()
            self._come_and_go(number)
            if "subscriptions" in self._registers and number % 3 == 0:
                self._subscribe(number)
            if "contexts" in self._registers and number % 3 == 1:
                self._add_context()

    def close(self) -> None:
        self._line.close()

    def _offered(self) -> set[str]:
        found = set()
        if self._ask("GET", SUBSCRIPTIONS)[0] == 200:
            found.add("subscriptions")
        if self._ask("POST", CONTEXTS, [])[0] == 400:
            found.add("contexts")
        return found

    def _have_counter(self) -> None:
        name = f"urn:ngsi-ld:Counter:{self._number}"
        if self._ledger.track(name).states[-1] is None:
            self._write("POST", ENTITIES, entity(name, 0), {name: 0}, "create")

    def _patch(self) -> None:
        name = f"urn:ngsi-ld:Counter:{self._number}"
        count = (self._ledger.track(name).states[-1] or 0) + 1
        value = {"count": {"type": "Property", "value": count}}
        self._write("PATCH", f"{ENTITIES}/{name}/attrs", value, {name: count}, "patch")

    def _upsert(self) -> None:
        names = [f"urn:ngsi-ld:Many:{self._number}-{one}" for one in range(MANY)]
        count = (self._ledger.track(names[0]).states[-1] or 0) + 1
        wanted = dict.fromkeys(names, count)
        self._write("POST", BATCH, [entity(name, count) for name in names], wanted, "batch")

    def _come_and_go(self, number: int) -> None:
        name = f"urn:ngsi-ld:Guest:{self._number}-{number % 4}"
        if self._ledger.track(name).states[-1] is None:
            self._write("POST", ENTITIES, entity(name, number), {name: number}, "create")
        else:
            self._write("DELETE", f"{ENTITIES}/{name}", None, {name: None}, "delete")

    def _subscribe(self, number: int) -> None:
        name = f"urn:ngsi-ld:Subscription:{self._number}-{number % 4}"
        if self._ledger.track(name).states[-1] is None:
            wanted = {
                "id": name,
                "type": "Subscription",
                "subscriptionName": str(number),
                "entities": [{"type": "Nothing"}],
                "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}},
            }
            self._write("POST", SUBSCRIPTIONS, wanted, {name: number}, "subscribe")
        else:
            self._write("DELETE", f"{SUBSCRIPTIONS}/{name}", None, {name: None}, "unsubscribe")

    def _add_context(self) -> None:
        """Its name is the city's to choose, so that it is tracked once it is known."""
        context = {"@context": {"term": "https://terms.example/term"}}
        status, location = self._ask("POST", CONTEXTS, context)
        if status != 201 or not location:
            raise Refused(f"POST {CONTEXTS}: {status}")
        track = self._ledger.track(location.rsplit("/", 1)[-1])
        track.acknowledged = track.ask(1)
        self._ledger.count("context")

    def _write(self, method: str, path: str, body: object, wanted: dict[str, State], way: str) -> None:
        tracks = [self._ledger.track(name) for name in wanted]
        asked = [track.ask(state) for track, state in zip(tracks, wanted.values(), strict=True)]
        status, _ = self._ask(method, path, body)
        if status not in (200, 201, 204):
            raise Refused(f"{method} {path}: {status}")
        for track, index in zip(tracks, asked, strict=True):
            track.acknowledged = index
        self._ledger.count(way)

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        content = None if body is None else json.dumps(body)
        self._line.request(method, path, content, {"content-type": "application/json"} if content else {})
        answer = self._line.getresponse()
        answer.read()
        return answer.status, answer.getheader("location", "")


class Meter:
    """A device that sends readings by QoS 1, some at once."""

    def __init__(self, number: int, port: int, ledger: Ledger) -> None:
        self._name = f"urn:ngsi-ld:Meter:{number}"
        self._number = number
        self._ledger = ledger
        self._line = socket.create_connection(("127.0.0.1", port), 20)
        self._line.sendall(encode(mqtt.Connect(f"meter-{number}", mqtt.V311, keep_alive=60), mqtt.V311))
        if self._take(4) != b"\x20\x02\x00\x00":
            raise Refused("MQTT CONNECT")

    def run(self) -> None:
        track = self._ledger.track(self._name)
        count = track.states[-1] or 0
        while True:
            asked = []
            for number in range(1, WINDOW + 1):
                count += 1
                asked.append(track.ask(count))
                payload = json.dumps({"count": count}).encode()
                packet = mqtt.Publish(f"city/Meter/{self._number}", payload, qos=1, packet_id=number)
                self._line.sendall(encode(packet, mqtt.V311))
            for index in asked:
                if self._take(4)[:2] != b"\x40\x02":
                    raise Refused("MQTT PUBLISH")
                track.acknowledged = index
                self._ledger.count("reading")

    def close(self) -> None:
        self._line.close()

    def _take(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self._line.recv(size - len(found))
            if not more:
                raise ConnectionError("the city hung up")
            found += more
        return found


class Load:
    """Clients of both kinds, each in a thread of its own, until the city is gone."""

    def __init__(self, ledger: Ledger, http_clients: int = 6, meters: int = 2) -> None:
        self.ledger = ledger
        self._http_clients = http_clients
        self._meters = meters
        self._threads: list[threading.Thread] = []
        #: What ended a client before the city was gone.
        self.refusals: list[str] = []

    def begin(self, address: str, mqtt_port: int) -> None:
        self.refusals.clear()
        made: Iterator[HttpClient | Meter] = itertools.chain(
            (HttpClient(number, address, self.ledger) for number in range(self._http_clients)),
            (Meter(number, mqtt_port, self.ledger) for number in range(self._meters)),
        )
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in made]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until each client has seen that the city is gone."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client waits for a city that is gone"

    def _run(self, client: HttpClient | Meter) -> None:
        try:
            client.run()
        except Refused as refused:
            self.refusals.append(str(refused))
        except (OSError, http.client.HTTPException):
            return  # the city is gone
        finally:
            client.close()


def entity(name: str, count: int) -> dict[str, object]:
    kind = name.split(":")[2]
    return {"id": name, "type": kind, "count": {"type": "Property", "value": count}}
