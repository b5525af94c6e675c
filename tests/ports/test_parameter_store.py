"""Every store of learned parameters keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest

from cityloom.adapters.memory.parameters import MemoryParameterStore
from cityloom.adapters.npz.parameters import NpzParameterStore
from cityloom.kernel.errors import BadInput, NotReady
from cityloom.services.contract import Trained

LEARNED = Trained(
    {"profile": np.arange(6.0).reshape(2, 3), "ids": np.array(["a", "b"])}, {"since": "2014-08-01"}
)


@pytest.fixture(params=["memory", "npz"])
def store(request, tmp_path):
    return MemoryParameterStore() if request.param == "memory" else NpzParameterStore(tmp_path / "learned")


def test_load_of_a_service_that_has_learned_nothing_is_none(store):
    assert store.load("traffic") is None


def test_load_gives_what_save_was_given(store):
    store.save("traffic", LEARNED)
    kept = store.load("traffic")
    assert kept.provenance == {"since": "2014-08-01"}
    assert sorted(kept.arrays) == ["ids", "profile"]
    assert kept.arrays["profile"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert kept.arrays["ids"].tolist() == ["a", "b"]
    assert store.load("parking") is None


def test_save_replaces_what_was_there(store):
    store.save("traffic", LEARNED)
    store.save("traffic", Trained({"slope": np.array([0.5])}, {}))
    kept = store.load("traffic")
    assert list(kept.arrays) == ["slope"]
    assert kept.provenance == {}


def test_save_keeps_a_copy(store):
    arrays = {"slope": np.array([1.0, 2.0])}
    store.save("traffic", Trained(arrays, {}))
    arrays["slope"][0] = 99.0
    assert store.load("traffic").arrays["slope"].tolist() == [1.0, 2.0]


def test_npz_load_of_a_damaged_file_says_what_to_do(tmp_path):
    store = NpzParameterStore(tmp_path)
    store.save("traffic", LEARNED)
    whole = (tmp_path / "traffic.npz").read_bytes()
    (tmp_path / "traffic.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="Remove the file"):
        store.load("traffic")


def test_npz_save_that_fails_leaves_the_earlier_file(tmp_path, monkeypatch):
    store = NpzParameterStore(tmp_path)
    store.save("traffic", LEARNED)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(NotReady, match="cannot be kept"):
        store.save("traffic", Trained({"slope": np.array([0.5])}, {}))
    assert store.load("traffic").provenance == {"since": "2014-08-01"}


def test_npz_refuses_arrays_that_would_run_code_when_read(tmp_path):
    store = NpzParameterStore(tmp_path)
    with pytest.raises(BadInput, match="numbers or texts"):
        store.save("traffic", Trained({"evil": np.array([{"a": 1}], dtype=object)}, {}))
    assert store.load("traffic") is None
