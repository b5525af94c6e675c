"""What is kept of requests: how many, how long, and of the slow ones their shape and no value."""

from types import SimpleNamespace

from cityloom.web.request_tally import MOST_SLOW, RequestTally, group_of, shape_of, summed

QUERIED = SimpleNamespace(method="GET", path="/entities")
CREATED = SimpleNamespace(method="POST", path="/entities")
SECRET = (
    b"id=urn:ngsi-ld:Person:anna&q=name==%22Anna%22&type=Person,Home&options=keyValues"
    b"&anna=1&idPattern=anna.*"
)


def scope(operation=None, query=b"", path="/ngsi-ld/v1/entities", method="GET"):
    state = {} if operation is None else {"operation": operation}
    return {"state": state, "query_string": query, "path": path, "method": method}


def test_answers_are_counted_by_operation_and_status():
    tally = RequestTally()
    for seconds in (0.001, 0.002):
        tally.note(scope(QUERIED), 200, seconds)
    tally.note(scope(QUERIED), 400, 0.001)
    tally.note(scope(CREATED), 201, 0.004)
    # Whatever somebody calls it: no row of its own.
    tally.note(scope(method="INVENTED"), 404, 0.001)
    tally.note_beside(scope(path="/sta/v1.1/Things"), 200, 0.001)
    tally.note_beside(scope(path="/anything/at/all", method="INVENTED"), 405, 0.001)
    counted = {key: durations.count for key, durations in tally.answered.items()}
    assert counted == {
        ("GET", "/entities", 200): 2,
        ("GET", "/entities", 400): 1,
        ("POST", "/entities", 201): 1,
        ("", "", 404): 1,
        ("GET", "sensorthings", 200): 1,
        ("", "page", 405): 1,
    }
    grouped = {name: durations.count for name, durations in summed(tally.answered).items()}
    assert grouped == {"entities_read": 3, "entities_write": 1, "unknown": 1, "sensorthings": 1, "page": 1}


def test_a_query_by_post_reads():
    assert group_of("POST", "/entityOperations/query") == "entityOperations_read"
    assert group_of("POST", "/temporal/entityOperations/query") == "temporal_read"
    assert group_of("DELETE", "/subscriptions/{subscriptionId}") == "subscriptions_write"


def test_of_a_slow_request_no_value_is_kept():
    tally = RequestTally()
    tally.note(scope(QUERIED, SECRET), 200, 3.0)
    (slow,) = tally.slowest()
    assert slow.types == ("Person", "Home")
    assert slow.seconds == 3.0
    assert "anna" not in repr(slow).lower()
    assert "q (12 characters)" in slow.asked
    assert "another parameter (1 characters)" in slow.asked


def test_the_slowest_are_kept_and_quick_ones_are_not():
    tally = RequestTally()
    for number in range(3 * MOST_SLOW):
        tally.note(scope(QUERIED), 200, 0.3 + number)
        tally.note(scope(QUERIED), 200, 0.01)
    kept = [one.seconds for one in tally.slowest()]
    assert kept == sorted((0.3 + number for number in range(2 * MOST_SLOW, 3 * MOST_SLOW)), reverse=True)


def test_what_was_slow_long_ago_is_forgotten(monkeypatch):
    tally = RequestTally()
    tally.note(scope(QUERIED), 200, 9.0)
    monkeypatch.setattr("cityloom.web.request_tally.SLOW_KEPT_S", -1.0)
    assert tally.slowest() == []


def test_a_flood_of_parameters_is_not_read():
    assert shape_of(b"&".join(b"a=1" for _ in range(5000))) == (("too many parameters",), ())
