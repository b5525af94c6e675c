"""The register of devices: who is let in, who waits, who is shut out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cityloom.access.audit import AuditLog
from cityloom.adapters.memory.accounts import MemoryAuditStore
from cityloom.kernel.actor import CITY
from cityloom.kernel.errors import BadInput, Conflict, NotAllowed, NotFound
from cityloom.ngsild.model import value_of
from cityloom.sensing.certificates import read_certificate
from cityloom.sensing.devices import Claim, DeviceRegistry
from cityloom.sensing.model import Device, Measure, Profile
from cityloom.sensing.waiting import WaitingList

PROFILE = Profile(
    "WeatherObserved", "urn:ngsi-ld:WeatherObserved:farm-7", {"t": Measure("temperature", "CEL")}
)
FARM = Device("farm-7", "Farm 7", PROFILE)
NOON = datetime(2026, 4, 12, 12, 0, tzinfo=UTC)


def certificate(days=30, name="farm-7"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def claim(name="farm-7", token="", **more):
    return Claim(address="192.0.2.7", username=name, password=token, **more)


async def test_admit_gives_a_token_that_lets_the_device_in(registry, engineer):
    token = await registry.admit(engineer, FARM)
    assert registry.authenticate(claim(token=token)) == FARM
    assert registry.device_for_token(token) == FARM
    assert registry.authenticate(claim(token=token[:-1])) is None
    assert registry.authenticate(claim()) is None


async def test_admit_takes_the_client_id_where_there_is_no_user_name(registry, engineer):
    token = await registry.admit(engineer, FARM)
    assert registry.authenticate(Claim("192.0.2.7", client_id="farm-7", password=token)) == FARM


async def test_admit_keeps_no_token_that_could_be_read(registry, engineer, device_store):
    token = await registry.admit(engineer, FARM)
    assert token.startswith("clt_")
    assert token not in repr(device_store.load())


async def test_admit_writes_the_device_as_an_entity(registry, engineer, broker):
    await registry.admit(engineer, FARM)
    written = broker.retrieve(CITY, "urn:ngsi-ld:Device:farm-7")
    assert value_of(written, "deviceState") == "admitted"
    assert value_of(written, "controlledAsset") == PROFILE.entity_id
    assert value_of(written, "controlledProperty") == ["temperature"]


async def test_admit_refuses_a_taken_id_a_taken_certificate_and_people_without_leave(
    registry, engineer, citizen
):
    pem = certificate()
    await registry.admit(engineer, FARM, certificate=pem)
    with pytest.raises(Conflict, match="farm-7 is admitted already"):
        await registry.admit(engineer, FARM)
    with pytest.raises(Conflict, match="belongs to the device farm-7"):
        await registry.admit(engineer, Device("farm-8"), certificate=pem)
    with pytest.raises(NotAllowed):
        await registry.admit(citizen, Device("farm-9"))


@pytest.mark.parametrize(
    ("device", "where"),
    [
        (Device("a/b"), "id"),
        (Device(""), "id"),
        (Device("x" * 65), "id"),
        (Device("a#"), "id"),
        (Device("a", publishes=("a/#/b",)), "publishes"),
        (Device("a", publishes=("$SYS/#",)), "publishes"),
        (Device("a", profile=Profile("Weather Observed", "urn:a:b")), "profile.entity_type"),
        (Device("a", profile=Profile("WeatherObserved", "farm 7")), "profile.entity_id"),
        (
            Device("a", profile=Profile("WeatherObserved", "urn:a:b", {"t": Measure("a b")})),
            "profile.measures.t",
        ),
    ],
)
async def test_admit_names_what_is_wrong_with_a_device(registry, engineer, device, where):
    with pytest.raises(BadInput) as caught:
        await registry.admit(engineer, device)
    assert caught.value.where == where


async def test_authenticate_notes_an_unknown_device_among_those_who_want_to_join(registry, engineer):
    for _ in range(3):
        assert registry.authenticate(claim("farm-8", "whatever")) is None
    (waiting,) = registry.waiting(engineer)
    assert (waiting.name, waiting.address, waiting.count) == ("farm-8", "192.0.2.7", 3)
    await registry.admit(engineer, Device("farm-8"))
    assert registry.waiting(engineer) == []


async def test_authenticate_does_not_list_a_known_device_with_a_wrong_token(registry, engineer):
    await registry.admit(engineer, FARM)
    registry.authenticate(claim(token="wrong"))
    assert registry.waiting(engineer) == []


async def test_authenticate_takes_a_registered_certificate_in_place_of_a_token(registry, engineer):
    pem = certificate()
    await registry.admit(engineer, FARM, certificate=pem)
    _, fingerprint = read_certificate(pem, NOON)
    assert registry.authenticate(claim(fingerprint=fingerprint)) == FARM
    assert registry.authenticate(Claim("192.0.2.7", client_id="any", fingerprint=fingerprint)) == FARM
    assert registry.authenticate(claim("farm-8", fingerprint=fingerprint)) is None
    assert registry.authenticate(claim(fingerprint="00" * 32)) is None
    assert registry.certificates() == [pem]


@pytest.mark.parametrize("pem", ["nonsense", certificate(days=-1)])
async def test_admit_refuses_what_is_no_certificate_of_today(registry, engineer, pem):
    with pytest.raises(BadInput, match=r"not a certificate|lapsed"):
        await registry.admit(engineer, FARM, certificate=pem)


async def test_revoke_shuts_a_device_out_at_once_and_for_good(
    registry, engineer, broker, device_store, clock
):
    told = []
    registry.on_revoked(told.append)
    pem = certificate()
    token = await registry.admit(engineer, FARM, certificate=pem)
    await registry.revoke(engineer, "farm-7")
    _, fingerprint = read_certificate(pem, NOON)
    for asking in (registry, DeviceRegistry(device_store, broker, clock)):
        await asking.start()
        assert asking.authenticate(claim(token=token, fingerprint=fingerprint)) is None
        assert asking.device_for_token(token) is None
        assert asking.certificates() == []
    assert told == ["farm-7"]
    assert value_of(broker.retrieve(CITY, FARM.entity_id), "deviceState") == "revoked"
    with pytest.raises(NotFound):
        await registry.revoke(engineer, "farm-7")


async def test_admit_lets_a_revoked_device_come_back_with_new_credentials(registry, engineer):
    old = await registry.admit(engineer, FARM)
    await registry.revoke(engineer, "farm-7")
    new = await registry.admit(engineer, FARM)
    assert registry.authenticate(claim(token=old)) is None
    assert registry.authenticate(claim(token=new)) == FARM


async def test_renew_token_makes_the_old_one_worthless(registry, engineer):
    old = await registry.admit(engineer, FARM)
    new = await registry.renew_token(engineer, "farm-7")
    assert registry.device_for_token(old) is None
    assert registry.device_for_token(new) == FARM


async def test_change_gives_a_device_another_profile_and_keeps_its_token(registry, engineer):
    token = await registry.admit(engineer, FARM)
    renamed = Device("farm-7", "Farm seven")
    await registry.change(engineer, renamed)
    assert registry.authenticate(claim(token=token)) == renamed


async def test_start_finds_the_devices_of_the_last_time(registry, engineer, broker, device_store, clock):
    token = await registry.admit(engineer, FARM)
    again = DeviceRegistry(device_store, broker, clock)
    await again.start()
    assert again.authenticate(claim(token=token)) == FARM
    assert [record.device.id for record in again.known(engineer)] == ["farm-7"]


async def test_open_access_lets_everybody_in_and_publish_everywhere(device_store, broker, clock):
    registry = DeviceRegistry(device_store, broker, clock, open_access=True)
    assert registry.authenticate(claim("anybody")) == Device("anybody", publishes=("#",))


async def test_admit_and_revoke_stand_in_the_audit_log(device_store, broker, clock, engineer):
    store = MemoryAuditStore()
    registry = DeviceRegistry(device_store, broker, clock, AuditLog(store))
    await registry.admit(engineer, FARM)
    await registry.revoke(engineer, "farm-7")
    assert [(entry.action, entry.subject) for entry in store.read(0, 9)] == [
        ("device.admit", "urn:ngsi-ld:Device:farm-7"),
        ("device.revoke", "urn:ngsi-ld:Device:farm-7"),
    ]


def test_waiting_list_is_bounded_and_forgets_who_was_silent_longest():
    waiting = WaitingList(most=3)
    for name in ("a", "b", "c", "a", "d"):
        waiting.note(name, f"192.0.2.{name}", NOON)
    assert [entry.name for entry in waiting.newest()] == ["d", "a", "c"]


def test_waiting_list_lets_no_address_push_the_others_out():
    waiting = WaitingList(most=10, most_from_one_address=2)
    waiting.note("quiet", "192.0.2.1", NOON)
    for number in range(20):
        waiting.note(f"loud-{number}", "192.0.2.2", NOON)
    assert [entry.name for entry in waiting.newest()] == ["loud-19", "loud-18", "quiet"]


def test_waiting_list_shows_no_control_characters_and_no_endless_names():
    waiting = WaitingList()
    waiting.note("a\x1b[31m" + "x" * 500, "192.0.2.1", NOON)
    (entry,) = waiting.newest()
    assert entry.name.startswith("a\ufffd[31m")
    assert len(entry.name) == 128
