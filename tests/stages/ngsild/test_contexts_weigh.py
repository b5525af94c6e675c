"""How much memory senders of @contexts may take."""

import gc

import pytest

from cityloom.ngsild.contexts import Context, ContextResolver
from cityloom.web.ngsild.contexts_in_use import MAX_KEPT_BYTES, ContextsInUse


def large(number: int) -> dict[str, str]:
    """Another @context for each number: a third of a megabyte."""
    return {f"t{term}": f"https://x.example/{number}/{term}" for term in range(9_000)}


def test_resolve_keeps_few_contexts_that_are_large():
    resolver = ContextResolver()
    for number in range(40):
        assert resolver.resolve(large(number)).expand("t1") == f"https://x.example/{number}/1"
    gc.collect()
    alive = [found for found in gc.get_objects() if isinstance(found, Context) and found.size > 9_000]
    assert len(alive) <= 16


def test_resolve_keeps_many_contexts_that_are_small():
    resolver = ContextResolver()
    first = [resolver.resolve({"a": f"https://x.example/{number}"}) for number in range(400)]
    again = [resolver.resolve({"a": f"https://x.example/{number}"}) for number in range(400)]
    assert all(one is other for one, other in zip(first, again, strict=True))


async def test_address_keeps_contexts_of_bodies_up_to_a_size():
    contexts = ContextsInUse()
    for number in range(60):
        used = await contexts.use(large(number))
        newest = contexts.address(used, "").rpartition("/")[2]
    kept = [one.local_id for one in contexts.stored_of("")]
    assert kept[-1] == newest
    assert 1 < len(kept) <= MAX_KEPT_BYTES / 300_000


@pytest.mark.parametrize("headers", [["<" * 8_000] * 4, ["<a>;" + 'a="' * 2_000] * 4])
def test_context_link_reads_a_hostile_header_in_one_pass(headers, no_hang):
    from cityloom.web.ngsild.negotiation import context_link

    with no_hang():
        for _ in range(200):
            assert context_link(headers) is None
