"""A day's work with ngsildclient: python ngsildclient_day.py HOST PORT

Prints what the library made of each answer, as one line of JSON.
"""

import json
import sys

from ngsildclient import Client, Entity

TYPE = "AirQualityObserved"


def observed(number, no2=22.0):
    one = Entity(TYPE, f"Square{number}")
    one.prop("NO2", no2, unitcode="GP")
    one.rel("refDevice", f"Sensor:{number}")
    one.gprop("location", (56.1, 10.2))
    return one


def single(client, said):
    one = observed(1)
    said["created"] = [bool(client.create(one)), client.exists(one)]
    read = client.get(one.id)
    said["read"] = [read.type, read["NO2"]["value"], read["refDevice"]["object"]]
    read["NO2"]["value"] = 30
    said["upserted"] = bool(client.upsert(read))
    said["changed"] = client.get(one.id)["NO2"]["value"]
    said["deleted"] = [bool(client.delete(one)), client.exists(one)]


def several(client, said):
    said["created_many"] = bool(client.create(*[observed(number, 10.0 * number) for number in range(1, 8)]))
    said["upserted_many"] = bool(client.upsert(*[observed(number, 1.0) for number in range(7, 10)]))
    said["counted"] = client.count(type=TYPE)
    said["queried"] = len(client.query(type=TYPE, q="NO2>35"))
    said["head"] = len(client.query_head(type=TYPE, n=3))
    client.delete_where(type=TYPE, q="NO2>35")
    said["left"] = client.count(type=TYPE)
    said["types"] = client.types.list()
    said["contexts"] = client.contexts.list()
    client.drop(TYPE)
    said["dropped"] = client.count(type=TYPE)


def main(host, port):
    said = {}
    with Client(host, int(port)) as client:
        single(client, said)
        several(client, said)
    print(json.dumps(said))


main(*sys.argv[1:])
