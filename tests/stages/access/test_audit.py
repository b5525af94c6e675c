from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityloom.access.audit import Anchor, AuditLog, digest_of
from cityloom.adapters.memory.accounts import MemoryAuditStore
from cityloom.kernel.actor import ANONYMOUS, Actor
from cityloom.kernel.errors import BadInput, NotAllowed

AUDITOR = Actor(id="person:9", name="Auditor", permissions=frozenset({"audit:read"}))


class Tampered(MemoryAuditStore):
    """A store whose entries can be reached past the port, as somebody with the file could."""

    @property
    def entries(self):
        return self._entries


async def a_log(count: int = 5) -> tuple[AuditLog, Tampered]:
    store = Tampered()
    log = AuditLog(store)
    for number in range(count):
        await log.record(AUDITOR, "thing.done", f"urn:{number}", {"number": number})
    return log, store


async def test_record_chains_each_entry_to_the_one_before():
    _, store = await a_log(2)
    first, second = store.entries
    assert first.previous == "0" * 64
    assert second.previous == first.digest
    assert second.digest == digest_of(second)
    assert (second.actor_id, second.actor_name, second.subject) == ("person:9", "Auditor", "urn:1")


async def test_verify_finds_a_log_sound_that_nobody_touched():
    log, store = await a_log()
    verdict = await log.verify(AUDITOR)
    assert verdict.sound
    assert verdict.entries == 5
    assert verdict.head == Anchor(5, store.entries[-1].digest)
    assert (await AuditLog(MemoryAuditStore()).verify(AUDITOR)).sound


@pytest.mark.parametrize(
    "change",
    [
        {"actor_id": "person:1"},
        {"actor_name": "Somebody"},
        {"action": "thing.undone"},
        {"subject": "urn:9"},
        {"detail": {"number": 3}},
        {"at": None},
    ],
)
async def test_verify_finds_an_altered_entry(change):
    log, store = await a_log()
    if "at" in change:
        change = {"at": store.entries[0].at.replace(year=2001)}
    store.entries[2] = msgspec.structs.replace(store.entries[2], **change)
    verdict = await log.verify(AUDITOR)
    assert not verdict.sound
    assert verdict.broken_at == 3
    assert "altered" in verdict.finding
    assert verdict.entries == 2


async def test_verify_finds_an_altered_entry_with_a_digest_made_to_fit():
    log, store = await a_log()
    forged = msgspec.structs.replace(store.entries[2], action="thing.undone")
    store.entries[2] = msgspec.structs.replace(forged, digest=digest_of(forged))
    verdict = await log.verify(AUDITOR)
    assert verdict.broken_at == 4


async def test_verify_finds_a_removed_entry_and_one_put_in_between():
    log, store = await a_log()
    taken = store.entries.pop(2)
    assert (await log.verify(AUDITOR)).broken_at == 4
    store.entries.insert(2, taken)
    assert (await log.verify(AUDITOR)).sound
    store.entries.insert(3, taken)
    assert not (await log.verify(AUDITOR)).sound


async def test_verify_finds_a_cut_off_end_by_the_anchor_alone():
    log, store = await a_log()
    anchor = await log.head(AUDITOR)
    assert (await log.verify(AUDITOR, anchor=anchor)).sound
    del store.entries[3:]
    assert (await log.verify(AUDITOR)).sound
    verdict = await log.verify(AUDITOR, anchor=anchor)
    assert verdict.broken_at == 5
    await log.record(AUDITOR, "thing.done")
    await log.record(AUDITOR, "thing.done")
    assert not (await log.verify(AUDITOR, anchor=anchor)).sound


async def test_reading_verifying_and_exporting_need_audit_read():
    log, _ = await a_log()
    for actor in (ANONYMOUS, Actor(id="person:1", permissions=frozenset({"accounts:manage"}))):
        with pytest.raises(NotAllowed):
            await log.read(actor)
        with pytest.raises(NotAllowed):
            await log.newest(actor)
        with pytest.raises(NotAllowed):
            await log.verify(actor)
        with pytest.raises(NotAllowed):
            await log.head(actor)
        with pytest.raises(NotAllowed):
            await anext(log.export(actor))


async def test_newest_lists_the_newest_first():
    log, _ = await a_log()
    assert [entry.sequence for entry in await log.newest(AUDITOR, limit=2)] == [5, 4]
    assert [entry.sequence for entry in await log.newest(AUDITOR)] == [5, 4, 3, 2, 1]


async def test_export_is_the_whole_log_and_can_be_verified_by_others():
    from hashlib import sha256
    from json import dumps, loads

    log, _ = await a_log()
    lines = b"".join([part async for part in log.export(AUDITOR)]).splitlines()
    assert len(lines) == 6
    previous = "0" * 64
    for line in lines:
        entry = loads(line)
        shown = entry.pop("digest")
        assert entry["previous"] == previous
        text = dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert sha256(text.encode()).hexdigest() == shown
        previous = shown
    assert loads(lines[-1])["action"] == "audit.export"


@pytest.mark.parametrize("detail", [{"key": object()}, {"text": "\ud800"}, {"long": "x" * 20_000}])
async def test_record_refuses_detail_that_cannot_be_kept(detail):
    log, store = await a_log(0)
    with pytest.raises(BadInput):
        await log.record(AUDITOR, "thing.done", "", detail)
    assert store.entries == []


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda text: text.isprintable()),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
async def test_record_keeps_any_plain_detail_so_that_its_digest_fits(detail):
    log = AuditLog(MemoryAuditStore())
    try:
        await log.record(AUDITOR, "thing.done", "", detail)
    except BadInput:
        return
    assert (await log.verify(AUDITOR)).sound
