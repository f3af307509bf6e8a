"""Down-sets of small graphs against all subsets, loads of their differences against the definition."""

from itertools import chain, combinations
from random import Random

import numpy as np
import pytest

from edgekit.errors import PlanError
from partitioner.cuts.ideals import lattice, merged, serial_loads
from partitioner.solve.labels import chains
from partitioner.solve.uniform_tables import uniform

DIAMOND = [(0, 1), (0, 2), (1, 3), (2, 3)]


def sets_of(found):
    return [frozenset(np.flatnonzero(row).tolist()) for row in found.members]


def random_dag(seed, count=6):
    dice = Random(seed)
    return [(a, b) for a in range(count) for b in range(a + 1, count) if dice.random() < 0.4], dice


def test_a_diamond_can_be_cut_in_six_places() -> None:
    assert [sorted(down) for down in sets_of(lattice(4, DIAMOND))] == [[], [0], [0, 1], [0, 2], [0, 1, 2], [0, 1, 2, 3]]


@pytest.mark.parametrize("seed", range(20))
def test_down_sets_are_those_of_the_definition(seed: int) -> None:
    edges, _ = random_dag(seed)
    subsets = chain.from_iterable(combinations(range(6), size) for size in range(7))
    expected = {frozenset(each) for each in subsets if all(a in each for a, b in edges if b in each)}
    found = lattice(6, edges)
    downs = sets_of(found)
    assert len(downs) == len(expected) and set(downs) == expected
    assert all(found.nested[i, j] == (downs[i] < downs[j]) for i in range(len(downs)) for j in range(len(downs)))


@pytest.mark.parametrize("seed", range(20))
def test_what_a_stage_receives_computes_and_sends_is_counted_once(seed: int) -> None:
    edges, dice = random_dag(seed)
    compute, send = (np.array([float(dice.randint(0, 8)) for _ in range(6)]) for _ in range(2))
    found = lattice(6, edges)
    downs, loads = sets_of(found), serial_loads(found, compute, send, edges)
    for i, before in enumerate(downs):
        for j, after in enumerate(downs):
            stage = after - before
            sent = {a for a, b in edges if a in stage and b not in stage}
            received = {a for a, b in edges if a not in stage and b in stage}
            expected = sum(compute[v] for v in stage) + sum(send[v] for v in sent) + sum(send[v] for v in received)
            assert loads[i, j] == (expected if before < after else np.inf)


@pytest.mark.parametrize("seed", range(20))
def test_the_least_largest_load_is_that_of_all_chains_of_down_sets(seed: int) -> None:
    edges, dice = random_dag(seed)
    compute, send = (np.array([float(dice.randint(0, 8)) for _ in range(6)]) for _ in range(2))
    found = lattice(6, edges)
    loads = serial_loads(found, compute, send, edges)
    for devices in (1, 2, 3):
        best = chains(uniform([(loads, np.zeros_like(loads), devices, np.inf)]), ("period",)).costs[:, 1].min()
        assert best == least(loads, 0, len(loads) - 1, devices)


def least(loads, start, stop, devices):
    if devices == 1:
        return loads[start, stop]
    splits = [max(loads[start, cut], least(loads, cut, stop, devices - 1)) for cut in range(start + 1, stop)]
    return min([loads[start, stop], *splits])


def test_what_has_to_stay_together_is_one_with_all_between() -> None:
    #  0 ─▶ 1 ─▶ 2 ─▶ 3    0 and 2 together: so is 1
    assert merged(4, [(0, 1), (1, 2), (2, 3)], [[0, 2]]) == [0, 0, 0, 1]
    assert merged(3, [(2, 1), (1, 0)], []) == [2, 1, 0]


def test_circles_and_too_many_places_are_refused() -> None:
    with pytest.raises(PlanError, match="form a circle"):
        lattice(2, [(0, 1), (1, 0)])
    with pytest.raises(PlanError, match="more than 100 places"):
        lattice(10, [], most=100)
