"""Learned parameters as `<service>.npz` in a folder of the city's."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import msgspec
import numpy as np

from cityloom.adapters.files.whole_files import sync_folder
from cityloom.kernel.errors import BadInput, NotReady, StorageFull
from cityloom.services.contract import Trained

#: The array that holds the provenance as JSON; no parameter can be called so.
_PROVENANCE = "__provenance__"
_NO_SPACE = 28
_Provenance = msgspec.json.Decoder(dict[str, str])


class NpzParameterStore:
    """A `ParameterStore` of one file a service. Written beside and renamed, so a file is whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, service: str) -> Trained | None:
        """Raises BadInput when the file is damaged."""
        path = self._path(service)
        try:
            with np.load(path, allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files if name != _PROVENANCE}
                provenance = _Provenance.decode(kept[_PROVENANCE].tobytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, msgspec.DecodeError) as error:
            raise BadInput(
                f"What service {service} learned cannot be read: {error}",
                hint="Remove the file; the service learns again from history.",
                where=str(path),
            ) from error
        return Trained(arrays, provenance)

    def save(self, service: str, trained: Trained) -> None:
        """Raises StorageFull, NotReady, BadInput (arrays of objects); the earlier file stays as it was."""
        path = self._path(service)
        beside = path.with_suffix(".new")
        told = np.frombuffer(msgspec.json.encode(dict(trained.provenance)), dtype=np.uint8)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **{_PROVENANCE: told}, **dict(trained.arrays))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync_folder(self._folder)
        except ValueError as error:
            raise BadInput(
                f"What service {service} learned is not kept: {error}",
                hint="Let `train` return arrays of numbers or texts.",
                where=service,
            ) from error
        except OSError as error:
            kind = StorageFull if error.errno == _NO_SPACE else NotReady
            raise kind(
                f"What service {service} learned cannot be kept: {error}",
                hint="Make room, or check the folder's rights; it learns again at its next training.",
                where=str(path),
            ) from error

    def _path(self, service: str) -> Path:
        return self._folder / f"{service}.npz"
