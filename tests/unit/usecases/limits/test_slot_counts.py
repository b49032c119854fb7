"""Counts by name and slot: exact within the window, and forgotten after it."""

from hypothesis import given
from hypothesis import strategies as st

from broker.usecases.limits.slot_counts import SlotCounts

KEPT = 14
names = st.sampled_from(["a", "b", "c", "d"])
additions = st.lists(st.tuples(names, st.integers(0, 3), st.integers(-1, 2)), max_size=60)


@given(additions)
def test_every_slot_of_the_window_is_counted_exactly(script: list[tuple[str, int, int]]) -> None:
    counts, slot = SlotCounts(KEPT), 100
    added: list[tuple[str, int, int]] = []
    for name, later, count in script:
        slot += later
        counts.add(name, slot, count)
        added.append((name, slot, count))
        window = range(slot - KEPT + 1, slot + 2)
        for each in "abcd":
            expected = [sum(c for n, s, c in added if (n, s) == (each, place)) for place in window]
            assert expected == counts.of(each, window)


def test_what_is_older_than_the_window_is_forgotten_though_nobody_asks_for_it() -> None:
    counts = SlotCounts(KEPT)
    for number in range(1000):
        counts.add(f"once-{number}", 100)
    held = len(counts)
    for _ in range(1000):
        counts.add("always", 100 + KEPT)

    assert (1000, 1) == (held, len(counts))


def test_a_name_that_is_in_use_for_ever_does_not_grow() -> None:
    counts = SlotCounts(KEPT)
    for slot in range(1000):
        counts.add("always", slot)

    assert KEPT == sum(counts.of("always", range(1000)))
