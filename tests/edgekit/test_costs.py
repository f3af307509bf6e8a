"""Plain numbers become nouns that can be partitioned."""

import pytest
from msgspec import structs

from edgekit.cluster import Link
from edgekit.costs import Costs, DeviceCost, SegmentCost, UnitCost, nouns
from edgekit.errors import FormatError
from edgekit.files import decode, encode
from edgekit.plan import Memory, Stage, chain
from partitioner.cost import price
from partitioner.solve.exact import solve

#   input ─1000▶ a ─500▶ b ─40▶ c ─8▶        and a ─500▶ c, past b
COSTS = Costs(
    units=(UnitCost("a", 500, resident_bytes=70), UnitCost("b", 40, resident_bytes=20), UnitCost("c", 8, ("a", "b"), 10)),
    devices=(
        DeviceCost("pi", (0.2, 0.4, 0.1), 2, memory_bytes=100_000, joules=7.0, idle_w=2.0),
        DeviceCost("nano", (0.1, 0.2, 0.05), segments=(SegmentCost(1, 3, 0.22, 999),), joules=14.0, idle_w=4.0),
    ),
    links=(Link("*", "*", 0.001, 1e4), Link("pi", "nano", 0.001, 2e4)),
    input_bytes=1000,
)


def test_the_file_holds_what_the_noun_does() -> None:
    assert decode(encode(COSTS), Costs) == COSTS


def test_units_are_cut_where_the_numbers_say() -> None:
    graph, cluster, profiles = nouns(COSTS)
    assert [cut.nbytes for cut in graph.cuts] == [1000, 500, 540, 8]
    assert [device.name for device in cluster.devices] == ["pi-1", "pi-2", "nano"]
    assert profiles["nano"].compute_s(1, 3) == (0.22, "estimated")
    assert profiles["pi-1"].compute_s(0, 2)[0] == pytest.approx(0.6)
    assert profiles["pi-1"].active_w * profiles["pi-1"].compute_s(0, 1)[0] == pytest.approx(2.0)
    for link in (cluster.link("pi-1", "nano"), cluster.link("pi-2", "nano")):
        assert link is not None and link.bytes_per_s == 2e4


def test_memory_is_what_the_numbers_say_and_the_rings_of_links() -> None:
    graph, cluster, profiles = nouns(COSTS)
    split = chain(graph, (Stage(0, 1, ("nano",)), Stage(1, 3, ("pi-1",))))
    #   a alone holds 70 bytes beside 64 buffers of 1000 and 64 of 500; b and c hold 30 beside 64 of 500 and 64 of 8
    assert price(split, graph, cluster, profiles).memory == (Memory("nano", 96_070), Memory("pi-1", 32_542))
    measured = chain(graph, (Stage(0, 1, ("pi-1",)), Stage(1, 3, ("nano",))))
    assert price(measured, graph, cluster, profiles).memory[1] == Memory("nano", 999 + 64 * 508)


def test_energy_is_that_of_the_work_and_of_waiting_for_the_next_frame() -> None:
    graph, cluster, profiles = nouns(COSTS)
    front = solve(graph, cluster, profiles, objectives=("energy",))
    cost = front.plans[0].predicted
    assert cost is not None and front.plans[0].describe() == "pi-1[0:3]"
    assert cost.energy_j == pytest.approx(7.0 + 2.0 * 0.7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": (UnitCost("a", 1, ("b",)), UnitCost("b", 1))}, "unit a is named twice, or reads one that does not come before it"),
        ({"units": (UnitCost("a", 1), UnitCost("a", 1))}, "unit a is named twice"),
        ({"results": ("z",)}, "results z: expected names of units"),
        ({"devices": (DeviceCost("pi", (1.0,)),), "links": ()}, "pi has seconds of 1 units, there are 3"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        nouns(structs.replace(COSTS, **change))
