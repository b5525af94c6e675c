"""The manifest of a city service: what it needs, what wakes it, what it may write and whom it tells.

Plain TOML, read before any code of the service runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from cityloom.kernel.actor import InformationClass
from cityloom.kernel.errors import BadConfig, BadInput, BrokenPlugin, fault_of
from cityloom.services.schedule import parse_duration, parse_time_of_day

SettingValue: TypeAlias = float | str | bool
_CLASSES = {item.label: item for item in InformationClass}


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """What a manifest says beyond its form is a mistake, and is named."""


class Window(_Strict, frozen=True):
    """A named view on the Entities of one type. Nothing else of them can be seen.

    `attributes` are seen in their current state; those named in `series` also as a matrix over the last
    `history`, one column a `step` (and over `training` when the service trains). `datasets` names the
    datasetIds beside the default one whose matrices are wanted.
    """

    name: str
    type: str
    attributes: tuple[str, ...]
    series: tuple[str, ...] = ()
    history: str = ""
    training: str = ""
    step: str = ""
    datasets: tuple[str, ...] = ()
    #: Readings come more rarely than steps, so that an empty step is no missing reading.
    sparse: bool = False

    @property
    def history_length(self) -> timedelta:
        return parse_duration(self.history, where=f"needs.{self.name}.history")

    @property
    def training_length(self) -> timedelta:
        return parse_duration(self.training, where=f"needs.{self.name}.training")

    @property
    def step_length(self) -> timedelta:
        return parse_duration(self.step, where=f"needs.{self.name}.step")


class WakesOn(_Strict, frozen=True):
    """What wakes the service, by the city's time."""

    #: A regular schedule: an ISO 8601 duration; its slots are whole multiples since 1970 in UTC.
    every: str = ""
    #: Local times of day: ["18:00"].
    at: tuple[str, ...] = ()
    #: Entity types whose changes wake it.
    changes: tuple[str, ...] = ()
    #: How long after a slot it decides, so that the slot's readings are in.
    delay: str = ""

    @property
    def every_length(self) -> timedelta | None:
        return parse_duration(self.every, where="wakes-on.every") if self.every else None

    @property
    def delay_length(self) -> timedelta:
        return parse_duration(self.delay, where="wakes-on.delay") if self.delay else timedelta(0)

    @property
    def times_of_day(self) -> tuple[time, ...]:
        return tuple(parse_time_of_day(text, where="wakes-on.at") for text in self.at)


class Training(_Strict, frozen=True):
    """When parameters are learned again: every so often, by the city's time."""

    every: str
    #: The first training waits until history reaches back this far; before, shipped parameters serve.
    wants: str

    @property
    def every_length(self) -> timedelta:
        return parse_duration(self.every, where="training.every")

    @property
    def wanted_length(self) -> timedelta:
        return parse_duration(self.wants, where="training.wants")


class Written(_Strict, frozen=True):
    """What the service may write: attributes of Entities of a type."""

    type: str
    attributes: tuple[str, ...]


class DatedValue(_Strict, frozen=True):
    """A setting's value since a day, and who says so."""

    since: date
    value: SettingValue
    source: str


class Setting(_Strict, frozen=True):
    """A number, word or switch that people may change. Values are dated; the past stays computable."""

    help: dict[str, str]
    values: tuple[DatedValue, ...]
    unit: str = ""

    def value_on(self, day: date) -> DatedValue:
        """The value in force on a day; before the first one, the first one."""
        ordered = sorted(self.values, key=lambda item: item.since)
        return next((item for item in reversed(ordered) if item.since <= day), ordered[0])


class Manifest(_Strict, frozen=True, kw_only=True):
    """A whole manifest. Words for people are in `messages/<language>.toml`, a title in each among them."""

    id: str
    title: str
    owner: str
    kind: Literal["service"] = "service"
    #: The most secret information class it sees; what it writes is at least as secret.
    sees: Literal["open", "internal", "security"] = "open"
    #: Where it belongs among a city's services; "" where nobody has said. Planning has words for each.
    domain: Literal[
        "", "administration", "education", "health", "safety", "realEstate", "transport", "utilities"
    ] = ""
    needs: tuple[Window, ...]
    wakes_on: WakesOn
    writes: tuple[Written, ...] = ()
    #: Alerts it may raise, as "category/subCategory".
    alerts: tuple[str, ...] = ()
    #: Audiences it tells.
    tells: tuple[str, ...] = ()
    #: Commands it may wish for, by name.
    commands: tuple[str, ...] = ()
    settings: dict[str, Setting] = {}
    training: Training | None = None
    #: Seconds of the machine's time a decision may take.
    deadline_s: float = 30.0

    @property
    def information_class(self) -> InformationClass:
        return _CLASSES[self.sees]

    def window(self, name: str) -> Window:
        """The declared window of that name. Raises BrokenPlugin."""
        for item in self.needs:
            if item.name == name:
                return item
        raise BrokenPlugin(
            f"services/{self.id} looked at {name!r}, which it does not declare",
            hint=f"Declared under needs are: {', '.join(item.name for item in self.needs) or 'none'}.",
            where="manifest.toml: needs",
        )


def read_manifest(raw: Mapping[str, Any], *, where: str) -> Manifest:
    """A manifest from its TOML. Raises BrokenPlugin naming the key and the cure."""
    try:
        manifest = msgspec.convert(dict(raw), Manifest, str_keys=True)
    except msgspec.ValidationError as error:
        message, place = fault_of(error)
        raise BrokenPlugin(
            message,
            hint="Correct the manifest; docs/guides/add_a_service.md tells what stands in it.",
            where=f"{where}: {place or 'top'}",
        ) from None
    _check(manifest, where)
    return manifest


def settings_on(
    manifest: Manifest, day: date, overrides: Mapping[str, SettingValue] | None = None
) -> dict[str, SettingValue]:
    """The settings in force on a day; the city's own values (`city.toml`) stand over the manifest's."""
    return {name: item.value_on(day).value for name, item in manifest.settings.items()} | dict(
        overrides or {}
    )


def check_overrides(manifest: Manifest, overrides: Mapping[str, Any]) -> None:
    """Refuse a city's settings that the service does not have. Raises BadConfig."""
    for name, value in overrides.items():
        setting = manifest.settings.get(name)
        place = f"city.toml: services.{manifest.id}.{name}"
        if setting is None:
            known = ", ".join(manifest.settings) or "none"
            raise BadConfig(
                f"services/{manifest.id} has no setting {name!r}", hint=f"Known: {known}.", where=place
            )
        if _kind(value) is not _kind(setting.values[0].value):
            raise BadConfig(
                f"{value!r} is not of the setting's kind",
                hint=f"Write it like {setting.values[0].value!r}.",
                where=place,
            )


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The calendar day in the city."""
    return at.astimezone(zone).date()


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


def _check(manifest: Manifest, where: str) -> None:
    _refuse_duplicates([item.name for item in manifest.needs], f"{where}: needs")
    try:
        for window in manifest.needs:
            _check_window(window, f"{where}: needs.{window.name}")
        _check_times(manifest)
    except BadInput as error:
        raise BrokenPlugin(error.message, hint=error.hint, where=f"{where}: {error.where}") from None
    wakes = manifest.wakes_on
    if not (wakes.every or wakes.at or wakes.changes):
        raise BrokenPlugin(
            "Nothing wakes it", hint="Give `every`, `at` or `changes`.", where=f"{where}: wakes-on"
        )
    for alert in manifest.alerts:
        if alert.count("/") != 1:
            raise BrokenPlugin(
                f"{alert!r} is not category/subCategory",
                hint="Write it as weather/frost.",
                where=f"{where}: alerts",
            )
    for name, setting in manifest.settings.items():
        if not setting.values:
            raise BrokenPlugin(
                "A setting has no value", hint="Give at least one, dated.", where=f"{where}: settings.{name}"
            )


def _check_window(window: Window, where: str) -> None:
    missing = [name for name in window.series if name not in window.attributes]
    if missing:
        raise BrokenPlugin(
            f"{missing[0]!r} has a series but is not among the attributes", hint="Add it.", where=where
        )
    lengths = {"history": window.history, "step": window.step}
    if window.series:
        optional = {"training": window.training} if window.training else {}
        for name, text in (lengths | optional).items():
            parse_duration(text, where=f"needs.{window.name}.{name}")
    elif any(lengths.values()) or window.training or window.datasets:
        raise BrokenPlugin(
            "It has a history but names no series", hint="Name the attributes in `series`.", where=where
        )


def _check_times(manifest: Manifest) -> None:
    wakes, training = manifest.wakes_on, manifest.training
    durations = {"wakes-on.every": wakes.every, "wakes-on.delay": wakes.delay}
    if training is not None:
        # Both are mandatory, so an empty one must not pass.
        parse_duration(training.every, where="training.every")
        parse_duration(training.wants, where="training.wants")
    for place, text in durations.items():
        if text:
            parse_duration(text, where=place)
    for text in wakes.at:
        parse_time_of_day(text, where="wakes-on.at")


def _refuse_duplicates(names: list[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BrokenPlugin(f"{name!r} is there twice", hint="Rename one of them.", where=where)
