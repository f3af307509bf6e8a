"""Evolved choices: near the front that there is, in the same way each time, from where the search was broken off."""

import json
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.runtime.origin import environment
from partitioner.evolve import evolve
from partitioner.solve.dominance import front

SPACE = {"cut": range(40), "precision": ["fp32", "int8"], "batch": [1, 2, 4, 8]}


def costs(choice):
    """Seconds and loss, which do not add up over variables; a large batch behind a late cut cannot be."""
    if choice["batch"] == 8 and choice["cut"] > 30:
        return None
    quick = 0.4 if choice["precision"] == "int8" else 1.0
    seconds = quick * abs(choice["cut"] - 17) / choice["batch"] + 0.3 * choice["batch"]
    return seconds, (0.0 if choice["precision"] == "fp32" else 0.01 * (40 - choice["cut"])) + 0.001 * choice["batch"]


def exact():
    everything = [costs(dict(zip(SPACE, values, strict=True))) for values in product(*SPACE.values())]
    points = np.array([point for point in everything if point is not None])
    return sorted(map(tuple, points[front(points)].tolist()))


def test_a_small_space_is_searched_out():
    found = evolve(SPACE, costs, 2, evaluations=320, population=32)
    assert {each.costs for each in found} <= set(exact()) or len({each.costs for each in found} & set(exact())) >= 0.8 * len(exact())
    assert [each.costs for each in found] == sorted(each.costs for each in found)
    assert all(costs(each.choice) == each.costs for each in found)


def test_what_is_known_to_be_good_is_never_lost():
    best = {"cut": 17, "precision": "fp32", "batch": 1}
    found = evolve(SPACE, costs, 2, seeds=[best], evaluations=40, population=16)
    assert best in [each.choice for each in found]


def test_a_seed_gives_the_same_search_each_time():
    one, other = (evolve(SPACE, costs, 2, evaluations=100, population=16, seed=3) for _ in range(2))
    assert one == other


def test_a_search_that_was_broken_off_goes_on_without_measuring_twice(tmp_path: Path):
    memory, asked = tmp_path / "memory.json", []

    def measured(choice):
        asked.append(tuple(choice.values()))
        if len(asked) == 60:
            raise KeyboardInterrupt
        return costs(choice)

    with pytest.raises(KeyboardInterrupt):
        evolve(SPACE, measured, 2, evaluations=150, population=16, memory=memory)
    kept = {tuple(choice) for choice, _ in json.loads(memory.read_text())}
    first = len(asked)
    evolve(SPACE, measured, 2, evaluations=150, population=16, memory=memory)
    assert not kept & set(asked[first:]) and len(kept) >= 32
    assert len(json.loads(memory.read_text())) >= 150


def test_processes_evaluate_as_one_does():
    assert evolve(SPACE, costs, 2, evaluations=80, population=16, workers=2) == evolve(SPACE, costs, 2, evaluations=80, population=16)


def test_four_objectives_are_spread_over():
    found = evolve(SPACE, lambda c: (*(costs(c) or (9e9, 9e9)), float(c["batch"]), float(c["cut"])), 4, evaluations=120, population=24)
    assert len(found) > 5


def test_variables_without_values_and_seeds_beside_them_are_refused():
    with pytest.raises(UsageError, match="cut may take no value at all"):
        evolve({"cut": range(0)}, costs, 2)
    with pytest.raises(UsageError, match="a seed has batch = 3, expected one of"):
        evolve(SPACE, costs, 2, seeds=[{"cut": 1, "precision": "fp32", "batch": 3}])


ON_RAY = """
from partitioner.evolve import evolve
from tests.partitioner.test_evolve import SPACE, costs
ways = [evolve(SPACE, costs, 2, evaluations=100, population=16, seed=3, ray=where) for where in ("local", None)]
print(ways[0] == ways[1])
"""


def test_a_ray_cluster_finds_what_one_process_does():
    # in a process of its own: Ray starts others, keeps files where it is told to, by paths that must be short, and says what it does
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ek") as place:
        env = environment() | {"HOME": place, "RAY_TMPDIR": place, "RAY_USAGE_STATS_ENABLED": "0"}
        outcome = subprocess.run([sys.executable, "-c", ON_RAY], env=env, capture_output=True, text=True, timeout=120)
    assert outcome.stdout.strip().endswith("True"), outcome.stderr[-2000:]
