"""The register of devices: who may deliver, with which credentials, and what their numbers mean."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest

import msgspec

from cityloom.access.audit import AuditLog
from cityloom.access.authority import require
from cityloom.access.ownership import OWNED_TYPES, PROVENANCE
from cityloom.context.broker import Broker
from cityloom.kernel.actor import CITY, Actor
from cityloom.kernel.errors import BadInput, Conflict, NotFound
from cityloom.kernel.time import Clock, WallClock
from cityloom.ngsild.model import Instance, entity, prop, rel
from cityloom.sensing.certificates import read_certificate
from cityloom.sensing.model import Device, DeviceRecord, Profile, Waiting
from cityloom.sensing.mqtt.topics import filter_is_valid
from cityloom.sensing.ports import DeviceStore
from cityloom.sensing.waiting import WaitingList

#: A device's id stands in topics and in its Entity's URN.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_URN = re.compile(r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]{1,500}")
#: Told to everybody who is refused, so that nobody learns which ids exist.
REFUSAL = "This device is not admitted, or its token or certificate is wrong"
_TOKEN_PREFIX = "clt_"  # noqa: S105 - marks a token as one of CityLoom's, for those who scan for leaks


class Claim(msgspec.Struct, frozen=True):
    """What somebody who connects says of itself."""

    address: str
    client_id: str = ""
    username: str = ""
    password: str = ""
    #: SHA-256 of the client certificate that TLS has verified, in hex.
    fingerprint: str = ""

    @property
    def name(self) -> str:
        return self.username or self.client_id


class DeviceRegistry:
    """Admits, refuses and revokes devices. Questions are answered from memory; commands are durable."""

    def __init__(
        self,
        store: DeviceStore,
        broker: Broker,
        clock: Clock,
        audit: AuditLog | None = None,
        *,
        open_access: bool = False,
    ) -> None:
        """`clock` tells the city's time; `open_access` lets everybody in, for trials on one machine."""
        self._store = store
        self._broker = broker
        self._clock = clock
        # Admission is an act of people of today, also in a city that replays its past.
        self._wall = WallClock()
        self._audit = audit
        self._open_access = open_access
        self._records: dict[str, DeviceRecord] = {}
        self._by_token: dict[str, str] = {}
        self._by_fingerprint: dict[str, str] = {}
        self._waiting = WaitingList()
        self._on_revoked: list[Callable[[str], None]] = []
        self._on_certificate: list[Callable[[str], None]] = []

    async def start(self) -> None:
        """Load what is kept."""
        for record in await asyncio.to_thread(self._store.load):
            self._remember(record)

    # Those who carry messages ask

    def authenticate(self, claim: Claim) -> Device | None:
        """The device that this is, or None; then it is noted among those who want to join."""
        device = self._by_credentials(claim)
        if device is not None:
            return device
        if self._open_access:
            return Device(claim.name or "guest", publishes=("#",))
        if claim.name not in self._records:
            self._waiting.note(claim.name, claim.address, self._wall.now())
        return None

    def device_for_token(self, token: str) -> Device | None:
        """The device that holds this token, for those who show nothing else."""
        return self._valid(self._by_token.get(_digest(token)))

    def find(self, device_id: str) -> Device | None:
        """The admitted device with this id; None when there is none or it is revoked."""
        return self._valid(device_id)

    def certificates(self) -> list[str]:
        """The certificates (PEM) of all admitted devices that have one."""
        return [
            record.certificate
            for record in self._records.values()
            if record.certificate and record.revoked_at is None
        ]

    def on_revoked(self, tell: Callable[[str], None]) -> None:
        """`tell` is called with the id of a device that must not go on with its old credentials."""
        self._on_revoked.append(tell)

    def on_certificate(self, tell: Callable[[str], None]) -> None:
        """`tell` is called with each new certificate (PEM)."""
        self._on_certificate.append(tell)

    # People ask

    def known(self, actor: Actor) -> list[DeviceRecord]:
        """All devices, by id; credentials are digests only."""
        require(actor, "devices:admit")
        return [self._records[name] for name in sorted(self._records)]

    def waiting(self, actor: Actor) -> list[Waiting]:
        """Who wants to join; the last to ask comes first."""
        require(actor, "devices:admit")
        return self._waiting.newest()

    async def admit(self, actor: Actor, device: Device, *, certificate: str = "") -> str:
        """Let a device in. Returns its token, which is shown this once.

        With a certificate (PEM) it may also, or only, show that. Raises BadInput, Conflict when the id is
        taken, NotAllowed.
        """
        require(actor, "devices:admit")
        check_device(device)
        standing = self._records.get(device.id)
        if standing is not None and standing.revoked_at is None:
            raise Conflict(
                f"The device {device.id} is admitted already",
                hint="Give it a new token instead, or revoke it first.",
                where="id",
            )
        pem, fingerprint = read_certificate(certificate, self._wall.now()) if certificate else ("", "")
        self._check_free(fingerprint)
        token = _new_token()
        record = DeviceRecord(
            device=device,
            admitted_at=self._wall.now(),
            admitted_by=actor.id,
            token_digest=_digest(token),
            fingerprint=fingerprint,
            certificate=pem,
        )
        await self._keep(actor, "device.admit", record)
        self._waiting.forget(device.id)
        await self._write_entity(device, "admitted", actor)
        if pem:
            for tell in self._on_certificate:
                tell(pem)
        return token

    async def change(self, actor: Actor, device: Device) -> None:
        """Another name, profile or grant for a device. Raises NotFound, BadInput, NotAllowed."""
        require(actor, "devices:admit")
        check_device(device)
        record = msgspec.structs.replace(self._admitted(device.id), device=device)
        await self._keep(actor, "device.change", record)
        await self._write_entity(device, None, actor)
        self._tell_revoked(device.id)

    async def renew_token(self, actor: Actor, device_id: str) -> str:
        """A new token, shown this once; the old one opens nothing from now on."""
        require(actor, "devices:admit")
        token = _new_token()
        record = msgspec.structs.replace(self._admitted(device_id), token_digest=_digest(token))
        await self._keep(actor, "device.renew-token", record)
        self._tell_revoked(device_id)
        return token

    async def revoke(self, actor: Actor, device_id: str) -> None:
        """Shut a device out, at once; what it has reported stays."""
        require(actor, "devices:admit")
        record = msgspec.structs.replace(self._admitted(device_id), revoked_at=self._wall.now())
        await self._keep(actor, "device.revoke", record)
        self._tell_revoked(device_id)
        await self._write_entity(record.device, "revoked", actor)

    def _by_credentials(self, claim: Claim) -> Device | None:
        if claim.fingerprint:
            device = self._valid(self._by_fingerprint.get(claim.fingerprint))
            if device is not None and claim.username in ("", device.id):
                return device
        record = self._records.get(claim.name)
        if record is None or not claim.password:
            return None
        if not compare_digest(record.token_digest, _digest(claim.password)):
            return None
        return self._valid(claim.name)

    def _valid(self, device_id: str | None) -> Device | None:
        record = self._records.get(device_id) if device_id else None
        return record.device if record is not None and record.revoked_at is None else None

    def _admitted(self, device_id: str) -> DeviceRecord:
        record = self._records.get(device_id)
        if record is None or record.revoked_at is not None:
            raise NotFound(
                f"There is no admitted device {device_id!r}", hint="See the list of devices.", where="id"
            )
        return record

    def _check_free(self, fingerprint: str) -> None:
        holder = self._by_fingerprint.get(fingerprint) if fingerprint else None
        if holder is not None:
            raise Conflict(
                f"This certificate belongs to the device {holder}",
                hint="Each device has a certificate of its own.",
                where="certificate",
            )

    async def _keep(self, actor: Actor, action: str, record: DeviceRecord) -> None:
        if self._audit is not None:
            await self._audit.record(actor, action, record.device.entity_id)
        await asyncio.to_thread(self._store.save, record)
        self._remember(record)

    def _remember(self, record: DeviceRecord) -> None:
        device_id = record.device.id
        old = self._records.get(device_id)
        if old is not None:
            self._by_token.pop(old.token_digest, None)
            self._by_fingerprint.pop(old.fingerprint, None)
        self._records[device_id] = record
        if record.revoked_at is None:
            self._by_token[record.token_digest] = device_id
            if record.fingerprint:
                self._by_fingerprint[record.fingerprint] = device_id

    def _tell_revoked(self, device_id: str) -> None:
        for tell in self._on_revoked:
            tell(device_id)

    async def _write_entity(self, device: Device, state: str | None, actor: Actor) -> None:
        attributes: dict[str, Instance] = {
            "name": prop(device.name or device.id),
            "dataOrigin": prop("entered"),
        }
        if state is not None:
            attributes["deviceState"] = prop(state, at=self._clock.now())
        profile = device.profile
        if profile is not None:
            attributes["controlledAsset"] = rel(profile.entity_id)
            if profile.measures:
                attributes["controlledProperty"] = prop(
                    sorted({measure.attribute for measure in profile.measures.values()})
                )
        await self._broker.upsert(
            CITY, entity("Device", device.entity_id, attributes), trace=f"device:by {actor.id}"
        )


def check_device(device: Device) -> None:
    """Raises BadInput naming what is wrong with a device's id, grants or profile."""
    if not _ID.fullmatch(device.id):
        raise BadInput(
            f"{device.id[:70]!r} cannot be a device's id",
            hint="Use up to 64 letters, digits, dots, colons, dashes and underscores.",
            where="id",
        )
    for granted in device.publishes:
        if not filter_is_valid(granted) or granted.startswith("$"):
            raise BadInput(
                f"{granted[:70]!r} is not an MQTT topic filter",
                hint="Write a filter such as city/+/readings or city/#.",
                where="publishes",
            )
    if device.profile is not None:
        _check_profile(device.profile)


def _check_profile(profile: Profile) -> None:
    if not _TYPE.fullmatch(profile.entity_type):
        raise BadInput(
            f"{profile.entity_type[:70]!r} cannot be a type",
            hint="Use the name of a data model, such as WeatherObserved.",
            where="profile.entity_type",
        )
    if not _URN.fullmatch(profile.entity_id):
        raise BadInput(
            f"{profile.entity_id[:70]!r} is not the id of an Entity",
            hint=f"Write a URN such as urn:ngsi-ld:{profile.entity_type}:farm-7.",
            where="profile.entity_id",
        )
    if profile.entity_type != "Device" and profile.entity_type in OWNED_TYPES:
        raise BadInput(
            f"A device does not report on the type {profile.entity_type}",
            hint="Such entities belong to a room of the city; choose a type that is measured.",
            where="profile.entity_type",
        )
    for field, measure in profile.measures.items():
        if not _TYPE.fullmatch(measure.attribute) or measure.attribute in PROVENANCE:
            raise BadInput(
                f"{measure.attribute[:70]!r} cannot be an attribute",
                hint="Use the name in the data model, such as temperature.",
                where=f"profile.measures.{field}",
            )


def _new_token() -> str:
    return _TOKEN_PREFIX + secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    """Tokens are 256 random bits, so one round of a hash keeps them; passwords of people need argon2id."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
