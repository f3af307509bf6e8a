import numpy as np
import pytest

from edgekit.cluster import Cluster, Link
from edgekit.device import Device
from edgekit.graph import Node
from edgekit.objectives import OBJECTIVES
from edgekit.plan import CLIENT, Memory
from edgekit.profiles import Profiles
from partitioner.alternatives import relayed
from partitioner.board_memory import cap
from partitioner.cost import price
from partitioner.cuts.chain import cuts
from partitioner.footprints import Footprints
from partitioner.solve.labels import chains
from partitioner.tabulation import tabulate
from tests.partitioner.instances import TELLING, graph_of, points_of, profile_of, random_instance


@pytest.mark.parametrize("seed", range(60))
def test_labels_and_price_agree(seed):
    graph, cluster, profiles, order = random_instance(seed, exact=False)
    names = [name for name in order if name in profiles]
    kinds = tuple((name,) for name in names)
    places = cuts(graph, Footprints(graph))
    tables = tabulate(places, cluster, profiles, kinds)
    found = chains(tables, TELLING)
    columns = [OBJECTIVES.index(objective) for objective in TELLING]
    for hops, costs in zip(found.chains, found.costs, strict=True):
        cost = price(relayed(places, tables, kinds, hops), graph, cluster, profiles)
        assert points_of([cost], TELLING)[0] == pytest.approx(tuple(costs[columns]), rel=1e-9)


def test_the_cap_of_a_host_is_the_smallest_of_its_devices():
    devices = (Device("a", host="box", memory_bytes=9), Device("b", host="box", memory_bytes=5), Device("c", host="box"), Device("d"))
    assert [cap(Cluster(devices), Memory(host, 0)) for host in ("box", "d")] == [5, np.inf]


def test_media_of_a_single_link_need_no_sum_of_their_own():
    units = [[Node("n0", "Op", ("x",), ("t",))], [Node("n1", "Op", ("t",), ("y",))]]
    graph = graph_of(units, dict.fromkeys("xty", 1))
    profiles = Profiles(tuple(profile_of(graph, name, [1.0, 1.0]) for name in "ab"))

    def shared(*links):
        cluster = Cluster((Device("a"), Device("b")), links)
        return len(tabulate(cuts(graph, Footprints(graph)), cluster, profiles, (("a",), ("b",))).per_message.shared)

    assert shared(Link("a", "b", media=("wifi",)), Link("*", "*")) == 0
    assert shared(Link("*", "*", media=("wifi",))) == 1
    assert shared(Link(CLIENT, "*", send_s_per_byte=1e-9), Link("*", "*")) == 1
    assert shared(Link("*", CLIENT, receive_s_per_message=1e-5), Link("*", "*")) == 1
