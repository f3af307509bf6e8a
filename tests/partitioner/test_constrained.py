"""Label setting against a second, independent method on instances that are too large for brute force."""

import pytest
from msgspec import structs

from edgekit.front import Question
from partitioner.solve.dominance import front
from partitioner.solve.exact import solve
from tests.partitioner.constrained import constrained_front
from tests.partitioner.instances import Dice, large_instance, points_of


@pytest.mark.parametrize("seed", range(200))
def test_two_exact_methods_agree(seed):
    dice = Dice(seed)
    graph, cluster, profiles, order = large_instance(dice.randint(10, 24), dice.randint(2, 5), seed)
    links = tuple(structs.replace(link, bytes_per_s=dice.choice([2e6, 1e7, 1e8])) for link in cluster.links)
    cluster = structs.replace(cluster, links=links)
    found = solve(graph, cluster, profiles, objectives=("latency", "period"), question=Question(order))
    chains = [plan.predicted for plan in (*found.plans, *found.compared) if len(plan.stages) > 1 or len(plan.devices) == 1]
    points = points_of(chains, ("latency", "period"))
    mine = sorted(points[i] for i in front_of(points))
    expected = constrained_front(graph, cluster, profiles, order)
    assert len(mine) == len(expected)
    for point, other in zip(mine, expected, strict=True):
        assert point == pytest.approx(other, rel=1e-9)


def front_of(points):
    import numpy as np

    return front(np.array(points)).tolist()
