"""The register of devices: who wants to join, who is admitted, and how to connect one."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.units import UNITS
from cityloom.ngsild.model import entity, point, prop, value_of
from cityloom.sensing.host import HTTP_PUSH
from cityloom.sensing.mapping import own_topic
from cityloom.sensing.model import Device, DeviceRecord, Measure, Profile
from cityloom.web.addresses import address
from cityloom.web.forms import Form, WrongForm
from cityloom.web.pages.routing import Pages
from cityloom.web.visit import Visit

ADMIT = "devices:admit"
_FIELDS = ("id", "name", "entityType", "entityId", "measures", "timeField", "publishes", "certificate")
_PLACE = ("latitude", "longitude")


def add(pages: Pages) -> None:
    pages.get("/devices", browse)
    pages.get("/devices/new", show_new, json=False)
    pages.post("/devices/new", admit)
    pages.data("/devices/{id}/arrived.json", arrived)
    pages.get("/devices/{id}", show)
    pages.post("/devices/{id}", handle)


async def browse(visit: Visit) -> Response:
    """Who waits, and who is admitted."""
    visit.require(ADMIT)
    devices = visit.rooms.devices
    data = {
        "waiting": devices.waiting(visit.actor),
        "devices": [_row(visit, record) for record in devices.known(visit.actor)],
    }
    return visit.render("devices.html", data)


def _row(visit: Visit, record: DeviceRecord) -> dict[str, Any]:
    device = record.device
    document = visit.rooms.broker.find(visit.actor, device.entity_id)
    state = value_of(document, "deviceState", "") if document else ""
    return {
        "id": device.id,
        "href": address("devices", device.id),
        "name": device.name or device.id,
        "state": "revoked" if record.revoked_at else state or "admitted",
        "about": device.profile.entity_id if device.profile else "",
        "type": device.profile.entity_type if device.profile else "",
        "gateway": bool(device.publishes),
        "certificate": bool(record.fingerprint),
        "admittedAt": record.admitted_at,
        "revokedAt": record.revoked_at,
    }


async def show_new(visit: Visit) -> Response:
    """The form to admit a device."""
    visit.require(ADMIT)
    form = Form.filled(visit.language, {"id": visit.query("id"), "measures": ""})
    return _form_page(visit, form)


async def admit(visit: Visit) -> Response:
    """Admit a device; its token is shown on the answer, once."""
    form = await visit.form()
    visit.require(ADMIT)
    try:
        device, place = _device(visit, form), _place(visit, form)
        if place is not None and visit.rooms.devices.find(device.id) is None:
            await _put_on_the_map(visit, device, place)
        token = await visit.rooms.devices.admit(
            visit.actor, device, certificate=form.text("certificate", longest=20_000)
        )
    except WrongForm:
        return _form_page(visit, form, status=400)
    except (BadInput, Conflict) as error:
        form.take(error, *_FIELDS)
        return _form_page(visit, form, status=400)
    return _page(visit, device.id, token=token)


def _device(visit: Visit, form: Form) -> Device:
    """What was typed. Raises WrongForm, BadInput."""
    device_id = form.text("id", required=visit.gettext("Give the device an id."), longest=64)
    entity_type = form.text("entityType", longest=64)
    measures = _measures(visit, form)
    form.raise_if_wrong()
    profile = None
    if entity_type:
        profile = Profile(
            entity_type=entity_type,
            entity_id=form.text("entityId", longest=300) or f"urn:ngsi-ld:{entity_type}:{device_id}",
            measures=measures,
            time_field=form.text("timeField", longest=64),
        )
    classes = {one.label: one for one in InformationClass}
    return Device(
        id=device_id,
        name=form.text("name", longest=100),
        profile=profile,
        publishes=tuple(line for line in form.text("publishes", longest=2000).split() if line),
        information_class=classes.get(form.value("class")),
    )


def _place(visit: Visit, form: Form) -> tuple[float, float] | None:
    """Where the thing stands: longitude and latitude. Raises WrongForm."""
    typed = any(form.value(name).strip() for name in _PLACE)
    missing = visit.gettext("A place has a latitude and a longitude.") if typed else ""
    latitude = form.number("latitude", required=missing, least=-90, most=90)
    longitude = form.number("longitude", required=missing, least=-180, most=180)
    if typed and not form.value("entityType").strip():
        form.wrong("entityType", visit.gettext("Say what kind of thing stands there."))
    form.raise_if_wrong()
    return None if latitude is None or longitude is None else (longitude, latitude)


async def _put_on_the_map(visit: Visit, device: Device, place: tuple[float, float]) -> None:
    """Give what the device reports on its place, and its name where it has none. Raises CityError."""
    assert device.profile is not None, "a place asks for a kind of thing"
    attributes = {"location": point(*place)}
    if device.name and visit.rooms.broker.find(visit.actor, device.profile.entity_id) is None:
        attributes["name"] = prop(device.name)
    await visit.rooms.broker.upsert(
        visit.actor,
        entity(device.profile.entity_type, device.profile.entity_id, attributes),
        information_class=device.information_class,
    )


def _measures(visit: Visit, form: Form) -> dict[str, Measure]:
    """Lines such as "t = temperature CEL"."""
    measures: dict[str, Measure] = {}
    for line in form.text("measures", longest=4000).splitlines():
        if not line.strip():
            continue
        field, _, meaning = line.partition("=")
        words = meaning.split()
        if not field.strip() or not words or len(words) > 2 or (len(words) == 2 and words[1] not in UNITS):
            message = visit.gettext(
                "“%(line)s” is not of the form: field = attribute unit", line=line.strip()
            )
            form.wrong("measures", message)
            continue
        measures[field.strip()] = Measure(words[0], words[1] if len(words) == 2 else None)
    return measures


def _form_page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    models = visit.rooms.models
    return visit.render(
        "device-form.html",
        status=status,
        form=form,
        types=models.types(),
        attributes={
            name: sorted(found.attributes) for name in models.types() if (found := models.find(name))
        },
        units=[unit for unit in UNITS.values() if unit.symbol],
        classes=visit.choices(one.label for one in InformationClass),
    )


async def show(visit: Visit) -> Response:
    """One device."""
    visit.require(ADMIT)
    return _page(visit, visit.part("id"))


def _record(visit: Visit, device_id: str) -> DeviceRecord:
    for record in visit.rooms.devices.known(visit.actor):
        if record.device.id == device_id:
            return record
    raise NotFound(f"There is no device {device_id[:64]!r}", hint="See the list of devices.")


def _page(visit: Visit, device_id: str, *, token: str = "") -> Response:
    record = _record(visit, device_id)
    host = visit.request.url.hostname or "localhost"
    shown = token or visit.gettext("TOKEN")
    pushes = [one.id for one in visit.rooms.connectors.statuses() if one.id == HTTP_PUSH.replace("-", "_")]
    return visit.render(
        "device.html",
        {"device": _row(visit, record), "topic": own_topic(device_id)},
        record=record,
        token=token,
        sample=_sample(record.device),
        mqtt=_mqtt_line(visit, record.device, host, shown),
        curl=_curl_line(visit, record.device, shown) if pushes else "",
    )


def _sample(device: Device) -> str:
    fields = list(device.profile.measures) if device.profile and device.profile.measures else ["temperature"]
    inner = ", ".join(f'"{name}": 7.5' for name in fields[:3])
    return "{" + inner + "}"


def _mqtt_line(visit: Visit, device: Device, host: str, token: str) -> str:
    mqtt = visit.rooms.mqtt
    if mqtt is None:
        return ""
    secure = " --tls-use-os-certs" if mqtt.tls else ""
    return (
        f"mosquitto_pub -h {host} -p {mqtt.port}{secure} -V 5 -q 1 -u {device.id} -P {token} "
        f"-t {own_topic(device.id)} -m '{_sample(device)}'"
    )


def _curl_line(visit: Visit, device: Device, token: str) -> str:
    base = str(visit.request.base_url).rstrip("/")
    return (
        f"curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' "
        f"-d '{_sample(device)}' {base}/hooks/http_push"
    )


async def arrived(visit: Visit) -> Response:
    """Whether the device's Entity has a reading: the tick of the dialog."""
    visit.require(ADMIT)
    device = _record(visit, visit.part("id")).device
    document = visit.rooms.broker.find(visit.actor, device.profile.entity_id) if device.profile else None
    readings = document is not None and any(
        "observedAt" in item for instances in document["attrs"].values() for item in instances
    )
    return visit.json({"arrived": readings, "entity": device.profile.entity_id if device.profile else ""})


async def handle(visit: Visit) -> Response:
    """A new token, or the end of a device's admission."""
    form = await visit.form()
    visit.require(ADMIT)
    device_id = visit.part("id")
    act = form.choice("act", ["renew", "revoke"], required=visit.gettext("Choose what to do."))
    form.raise_if_wrong()
    if act == "renew":
        return _page(visit, device_id, token=await visit.rooms.devices.renew_token(visit.actor, device_id))
    await visit.rooms.devices.revoke(visit.actor, device_id)
    return visit.redirect("/devices", visit.gettext("The device is shut out. What it reported stays."))
