"""Placements by themselves: pairs that hold, heights that are proven, budgets that are kept."""

import numpy as np

from devices.mcu.placement import Item, place


def drawn(seed: int, count: int) -> tuple[list[Item], dict[tuple[int, int], int]]:
    """Items, and overlaps of some that end where another one begins."""
    draw = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        first = int(draw.integers(0, 6))
        items.append(Item(int(draw.integers(1, 60)), first, first + int(draw.integers(0, 4))))
    meeting = [(i, o) for i, one in enumerate(items) for o, other in enumerate(items) if one.last == other.first and one.first < one.last]
    return items, {(i, o): int(draw.integers(-8, items[o].nbytes + 1)) for i, o in meeting if i != o and draw.random() < 0.5}


def holds(items: list[Item], overlaps: dict[tuple[int, int], int], offsets: tuple[int, ...]) -> bool:
    for i, one in enumerate(items):
        for j, other in enumerate(items[:i]):
            together = one.first <= other.last and other.first <= one.last
            disjoint = offsets[i] >= offsets[j] + other.nbytes or offsets[j] >= offsets[i] + one.nbytes
            over = any(pair in overlaps and offsets[pair[0]] - offsets[pair[1]] >= overlaps[pair] for pair in ((i, j), (j, i)))
            if together and not disjoint and not over:
                return False
    return True


def test_what_is_alive_together_shares_no_byte_but_for_overlaps() -> None:
    for seed in range(80):
        items, overlaps = drawn(seed, 9)
        placement = place(items, overlaps, 0)
        assert holds(items, overlaps, placement.offsets), seed
        assert all(offset % 4 == 0 for offset in placement.offsets)
        assert placement.nbytes == max(offset + item.nbytes for offset, item in zip(placement.offsets, items, strict=True))


def test_a_height_that_is_proven_is_found_by_no_lower_search() -> None:
    for seed in range(40):
        items, overlaps = drawn(seed, 8)
        placement = place(items, overlaps, 0)
        assert placement.least == placement.nbytes
        lower = place(items, overlaps, 0, below=placement.nbytes)
        assert (lower.offsets, lower.nbytes) == ((), placement.nbytes)


def test_a_search_without_budget_keeps_what_stacking_finds() -> None:
    for seed in range(40):
        items, overlaps = drawn(seed, 9)
        quick, best = place(items, overlaps, 0, nodes=0), place(items, overlaps, 0)
        assert holds(items, overlaps, quick.offsets)
        assert quick.least <= best.nbytes <= quick.nbytes


def test_nothing_takes_nothing() -> None:
    assert place([], {}, 0) == ((), 0, 0)
