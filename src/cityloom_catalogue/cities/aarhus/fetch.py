"""Builds the data pack from the public originals: fetched, checked, converted, put in place whole.

What was fetched stays when the work is broken off: the next run goes on from there.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.sdk import NotReady, Progress
from cityloom_catalogue.cities.aarhus import convert, layout

#: Counts and speeds of one link: int16 of shape (2, layout.STEPS).
Columns = NDArray[np.int16]

#: Where public repositories hand out single files, and the commits whose files are listed.
ORIGIN = "https://raw.githubusercontent.com"
COMMITS = {
    "CityPulse/Resource-Manager": "aa670fa89d5e086a98ade3ccc152518be55abf2e",
    "mhg-local/Smart-City-datasets": "b5edc8b1dd28f00889807f7136c91bb77114d458",
}
LIST = Path(__file__).with_name("originals.csv")
#: Folder inside the pack's own in which converted links wait for the others.
PARTS = ".parts"

_WORKERS = 4
_TIMEOUT_SECONDS = 20.0
_TRIES = 3
#: Until the origin has answered once nobody is made to wait longer, for there may be no internet at all.
_FIRST_TIMEOUT_SECONDS = 6.0
_BLOCK = 65536
_WEATHER_FILES = {
    "temperature_c": "Files/tempm.csv",
    "relative_humidity_pct": "Files/hum.csv",
    "wind_speed_kmh": "Files/wspdm.csv",
    "wind_direction_deg": "Files/wdird.csv",
    "pressure_hpa": "Files/pressurem.csv",
}
_LINKS_FILE = "wrapper_dev/aarhus_traffic/aarhus-traffic-points.json"
_ADDRESS_FILE = "wrapper_dev/aarhus_parking/aarhus_parking-address.csv"
_TRAFFIC_PREFIX = "wrapper_dev/aarhus_traffic/historicdata/trafficData"


class Original(msgspec.Struct, frozen=True):
    """One file of the originals: where it is, and what must arrive."""

    repository: str
    path: str
    bytes: int
    sha256: str

    def address(self, origin: str) -> str:
        return f"{origin}/{self.repository}/{COMMITS[self.repository]}/{urllib.parse.quote(self.path)}"


def originals() -> list[Original]:
    """Every original file that the pack is made of."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return [msgspec.convert(row, Original, strict=False) for row in csv.DictReader(file)]


def build_pack(
    folder: Path,
    progress: Progress,
    *,
    origin: str = ORIGIN,
    listed: Sequence[Original] | None = None,
    pause: float = 1.0,
) -> None:
    """Make the pack in `folder`, skipping what is there already. `pause` seconds stand between tries.

    Raises NotReady when an original cannot be fetched, BadInput when it cannot be converted.
    """
    files = {original.path: original for original in (originals() if listed is None else listed)}
    _make_folder(folder / PARTS)
    tally = _Tally(sum(file.bytes for file in files.values()))
    job = _Job(folder, origin, pause, progress, tally, threading.Event())
    if not (folder / layout.LINKS).exists():
        _write_json(folder / layout.LINKS, convert.links(job.fetch(files[_LINKS_FILE]), _LINKS_FILE))
    job.count(files[_LINKS_FILE])
    _build_parking(job, files)
    _build_weather(job, files)
    _build_events(job, files)
    _build_traffic(job, [file for path, file in files.items() if path.startswith(_TRAFFIC_PREFIX)])


class _Tally:
    """How many bytes of the originals are dealt with. Counted from several threads."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.lock = threading.Lock()


class _Job(msgspec.Struct, frozen=True):
    folder: Path
    origin: str
    pause: float
    progress: Progress
    tally: _Tally
    reached: threading.Event

    def fetch(self, original: Original) -> bytes:
        if self.reached.is_set():
            return fetch(original, self.origin, pause=self.pause)
        body = fetch(original, self.origin, tries=1, timeout=_FIRST_TIMEOUT_SECONDS)
        self.reached.set()
        return body

    def count(self, *done: Original) -> None:
        """Say that these originals are dealt with, now or in an earlier run."""
        with self.tally.lock:
            self.tally.done += sum(original.bytes for original in done)
            self.progress("Aarhus open data", self.tally.done, self.tally.total)


def _build_parking(job: _Job, files: Mapping[str, Original]) -> None:
    records, addresses = files["aarhus_parking.csv"], files[_ADDRESS_FILE]
    if not all((job.folder / name).exists() for name in (layout.PARKING, layout.GARAGES)):
        rows = convert.parking(job.fetch(records), records.path)
        garages = convert.garages(job.fetch(addresses), rows, addresses.path)
        _write_table(job.folder / layout.GARAGES, layout.GARAGE_COLUMNS, garages)
        _write_table(job.folder / layout.PARKING, layout.PARKING_COLUMNS, rows)
    job.count(records, addresses)


def _build_weather(job: _Job, files: Mapping[str, Original]) -> None:
    wanted = {column: files[path] for column, path in _WEATHER_FILES.items()}
    if not (job.folder / layout.WEATHER).exists():
        rows = convert.weather({column: job.fetch(original) for column, original in wanted.items()})
        _write_table(job.folder / layout.WEATHER, layout.WEATHER_COLUMNS, rows)
    job.count(*wanted.values())


def _build_events(job: _Job, files: Mapping[str, Original]) -> None:
    original = files["cultural_events_aarhus.csv"]
    if not (job.folder / layout.EVENTS).exists():
        rows = convert.events(job.fetch(original), original.path)
        _write_table(job.folder / layout.EVENTS, layout.EVENT_COLUMNS, rows)
    job.count(original)


def _build_traffic(job: _Job, files: Sequence[Original]) -> None:
    parts = job.folder / PARTS
    stop = threading.Event()

    def one(original: Original) -> tuple[int, Columns]:
        number = original.path.removeprefix(_TRAFFIC_PREFIX).removesuffix(".csv")
        part = parts / f"{number}.npy"
        columns = _kept(part)
        if columns is None:
            if stop.is_set():
                raise CancelledError
            columns = np.stack(convert.traffic(job.fetch(original), original.path))
            _put(part, lambda file: np.save(file, columns))
        job.count(original)
        return int(number), columns

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="originals") as pool:
        try:
            made = sorted(pool.map(one, files), key=lambda link: link[0])
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    pack: dict[str, Any] = {
        "link_ids": np.array([number for number, _ in made], np.int32),
        "start_utc": np.array(layout.START.strftime("%Y-%m-%dT%H:%M")),
        "step_minutes": np.array(layout.STEP.total_seconds() // 60, np.int64),
        "vehicle_count": np.stack([columns[0] for _, columns in made], axis=-1),
        "average_speed_kmh": np.stack([columns[1] for _, columns in made], axis=-1),
    }
    _put(job.folder / layout.TRAFFIC, lambda file: np.savez_compressed(file, **pack))
    shutil.rmtree(parts, ignore_errors=True)


def _kept(part: Path) -> Columns | None:
    """What an earlier run converted, unless a power cut left it broken."""
    try:
        columns: Columns = np.load(part, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return columns if columns.shape == (2, layout.STEPS) and columns.dtype == np.int16 else None


def fetch(
    original: Original,
    origin: str = ORIGIN,
    *,
    pause: float = 1.0,
    tries: int = _TRIES,
    timeout: float = _TIMEOUT_SECONDS,
) -> bytes:
    """The bytes of an original, checked. Tries again, `pause` seconds apart; `timeout` is for each silence.

    Raises NotReady when the origin cannot be reached or sends something else.
    """
    address = original.address(origin)
    for left in reversed(range(tries)):
        try:
            return _checked(_download(address, original.bytes, timeout), original)
        except urllib.error.HTTPError as error:
            reason: object = f"the answer was {error.code} {error.reason}"
            if error.code in (401, 403, 404, 410, 451):
                break
        except (OSError, http.client.HTTPException, zlib.error, _Different) as error:
            reason = error
        if left:
            time.sleep(pause)
    raise NotReady(
        f"An original of the Aarhus data could not be fetched: {reason}",
        hint="Look at the internet connection and try again; what has arrived is kept. "
        "Or bring the pack by hand, as the city's README says.",
        where=address,
    )


class _Different(Exception):
    """What arrived is not what was asked for."""


def _download(address: str, size: int, timeout: float) -> bytes:
    """At most `size` bytes, packed or not; one byte more is enough to know that it is another file."""
    request = urllib.request.Request(  # noqa: S310 - the address comes from the list in this folder
        address, headers={"Accept-Encoding": "gzip", "User-Agent": "cityloom"}
    )
    body = bytearray()
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - as above
        unpack = _unpacker(answer.headers.get("Content-Encoding", ""))
        while len(body) <= size and (block := answer.read(_BLOCK)):
            body += unpack(block, size + 1 - len(body))
    return bytes(body)


def _unpacker(coding: str) -> Callable[[bytes, int], bytes]:
    if coding == "gzip":
        return zlib.decompressobj(wbits=31).decompress
    if coding in ("", "identity"):
        return lambda block, _: block
    raise _Different(f"it came in the unknown coding {coding!r}")


def _checked(body: bytes, original: Original) -> bytes:
    if len(body) != original.bytes:
        size = f"more than {original.bytes}" if len(body) > original.bytes else str(len(body))
        raise _Different(f"{original.bytes} bytes were expected and {size} came")
    if hashlib.sha256(body).hexdigest() != original.sha256:
        raise _Different("its checksum is another (SHA-256)")
    return body


def _write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    _put(path, lambda file: file.write(text.encode()))


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    raw = text.getvalue().encode()
    if path.suffix == ".gz":
        raw = gzip.compress(raw, mtime=0)
    _put(path, lambda file: file.write(raw))


def _put(path: Path, write: Callable[[Any], object]) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with fresh.open("wb") as file:
            write(file)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> NotReady:
    return NotReady(
        f"The data pack cannot be written: {error.strerror or error}",
        hint="Make room and look at the rights, or set XDG_CACHE_HOME to another folder.",
        where=str(path),
    )
