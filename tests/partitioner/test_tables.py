import numpy as np
import pytest

from edgekit.cluster import Cluster, Link
from edgekit.device import Device
from edgekit.front import OBJECTIVES
from edgekit.graph import Node
from edgekit.plan import CLIENT
from partitioner.alternatives import relayed
from partitioner.cost import price
from partitioner.labels import Limits, chains
from partitioner.tables import cap, tabulate, weight_table
from tests.partitioner.instances import graph_of, points_of, profile_of, random_instance


def test_a_shared_weight_counts_once_in_each_segment_that_uses_it():
    #   unit      0       1       2
    #   weights   a       b       a          a = 4 bytes, b = 40 bytes
    units = [[Node(f"n{i}", "Op", (source, weight), (made,))] for i, (source, weight, made) in enumerate(["xat", "tbu", "uay"])]
    graph = graph_of(units, dict.fromkeys("xtuy", 1), {"a": 1, "b": 10})
    assert weight_table(graph).tolist() == [
        [0, 4, 44, 44],
        [0, 0, 40, 44],
        [0, 0, 0, 4],
        [0, 0, 0, 0],
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_weight_table_is_that_of_the_graphs_own_segments(seed):
    graph = random_instance(seed)[0]
    table, count = weight_table(graph), len(graph.units)
    for start in range(count):
        for stop in range(start + 1, count + 1):
            assert table[start, stop] == graph.segment(start, stop).weight_bytes


@pytest.mark.parametrize("seed", range(60))
def test_labels_and_price_agree(seed):
    graph, cluster, profiles, order = random_instance(seed, exact=False)
    names = [name for name in order if name in profiles]
    tables = tabulate(graph, cluster, profiles, names, weight_table(graph))
    found = chains(tables, OBJECTIVES, Limits(np.inf, np.inf, np.inf, tables.caps, np.zeros(len(names))))
    for stages, costs in zip(found.chains, found.costs, strict=True):
        cost = price(relayed(graph, tables, profiles, stages), graph, cluster, profiles)
        assert points_of([cost], OBJECTIVES)[0] == pytest.approx(tuple(costs), rel=1e-9)


def test_the_cap_of_a_host_is_the_smallest_of_its_devices():
    devices = (Device("a", host="box", memory_bytes=9), Device("b", host="box", memory_bytes=5), Device("c", host="box"), Device("d"))
    assert [cap(Cluster(devices), host) for host in ("box", "d")] == [5, np.inf]


def test_media_of_a_single_link_need_no_sum_of_their_own():
    units = [[Node("n0", "Op", ("x",), ("t",))], [Node("n1", "Op", ("t",), ("y",))]]
    graph = graph_of(units, dict.fromkeys("xty", 1))
    profiles = {name: profile_of(graph, name, [1.0, 1.0]) for name in "ab"}

    def shared(*links):
        cluster = Cluster((Device("a"), Device("b")), links)
        return len(tabulate(graph, cluster, profiles, ["a", "b"], weight_table(graph)).shared_s_per_byte)

    assert shared(Link("a", "b", media=("wifi",)), Link("*", "*")) == 0
    assert shared(Link("*", "*", media=("wifi",))) == 1
    assert shared(Link(CLIENT, "*", send_s_per_byte=1e-9), Link("*", "*")) == 1
