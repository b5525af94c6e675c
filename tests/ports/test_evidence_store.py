"""The suite of the port EvidenceStore: every adapter passes it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from cityloom.adapters.files.evidence import FileEvidenceStore
from cityloom.adapters.memory.evidence import MemoryEvidenceStore
from cityloom.kernel.errors import StorageFull

DATA = b"%PDF-1.7 figures"


@pytest.fixture(params=["memory", "files"])
def store(request, tmp_path):
    return MemoryEvidenceStore() if request.param == "memory" else FileEvidenceStore(tmp_path / "evidence")


def test_put_names_a_file_by_its_content(store):
    digest = store.put(DATA)
    assert digest == sha256(DATA).hexdigest() == store.put(DATA)
    assert store.get(digest) == DATA


def test_put_keeps_different_files_apart(store):
    one, other = store.put(b"one"), store.put(b"other")
    assert (store.get(one), store.get(other)) == (b"one", b"other")


@pytest.mark.parametrize("digest", ["", "0" * 64, "../../etc/passwd", "A" * 64])
def test_get_of_what_is_not_there_is_none(store, digest):
    assert store.get(digest) is None


def test_files_keeps_them_over_a_restart(tmp_path):
    digest = FileEvidenceStore(tmp_path).put(DATA)
    assert FileEvidenceStore(tmp_path).get(digest) == DATA


def test_files_does_not_give_out_what_was_tampered_with(tmp_path):
    store = FileEvidenceStore(tmp_path)
    digest = store.put(DATA)
    (tmp_path / digest[:2] / digest).write_bytes(b"%PDF-1.7 other figures")
    assert store.get(digest) is None
    store.put(DATA)  # the same file again mends it
    assert store.get(digest) == DATA


def test_files_leaves_nothing_behind_on_a_full_disk(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    store = FileEvidenceStore(tmp_path)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFull):
        store.put(DATA)
    assert store.get(sha256(DATA).hexdigest()) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
