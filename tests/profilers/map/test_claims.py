"""Which nodes a kernel claims, where neither names nor tensors tell it directly; and claims that cannot be."""

import pytest

from edgekit.graph import Graph, Node
from profilers.map.anchors import find_anchors
from profilers.map.claims import Original, claim
from tests.profilers.drawing import CHAIN, draw, drawn, graph, mapped


def claims(original: Graph, optimized: str) -> list[str]:
    """Each kernel with the names of the nodes that it claims, such as ``c1_nchwc: c1 r1``."""
    nodes = draw(optimized)
    found = claim(Original(original), nodes, find_anchors(original, nodes))
    return [f"{node.name}: {' '.join(original.nodes[place].name for place in sorted(own))}" for node, own in zip(nodes, found, strict=True)]


SHORTCUT = graph(
    "c1:Conv x>a  r1:Relu a>b",
    "c2:Conv b>c",
    "cs:Conv x>d  s:Add c,d>e  r2:Relu e>y",
)
"""A residual block whose sum is in the unit of its shortcut."""


def test_the_kernel_that_reads_the_other_side_of_a_sum_has_the_sum() -> None:
    blocked = "b_nchwc:Conv x>t1  {}  Out:ReorderOutput t3>y"
    main_last = blocked.format("d_nchwc:Conv x>t2  c_nchwc:Conv t1,t2>t3")
    assert claims(SHORTCUT, main_last) == ["b_nchwc: c1 r1", "d_nchwc: cs", "c_nchwc: c2 s r2", "Out: "]
    assert drawn(mapped(SHORTCUT, main_last)) == ["b_nchwc 0", "d_nchwc 2", "c_nchwc 1+2", "Out 2"]
    shortcut_last = blocked.format("c_nchwc:Conv t1>t2  d_nchwc:Conv x,t2>t3")
    assert claims(SHORTCUT, shortcut_last) == ["b_nchwc: c1 r1", "c_nchwc: c2", "d_nchwc: cs s r2", "Out: "]


def test_the_other_side_of_a_sum_may_come_by_way_of_a_move() -> None:
    moved = "b_nchwc:Conv x>t1  d:FusedConv x>d  In:ReorderInput d>t2  c_nchwc:Conv t1,t2>t3  Out:ReorderOutput t3>y"
    assert claims(SHORTCUT, moved)[3:] == ["c_nchwc: c2 s r2", "Out: "]


def test_a_kernel_computes_nothing_that_it_has_no_output_for() -> None:
    swish = graph("c:Conv x>a  s:Sigmoid a>b  m:Mul a,b>y")
    assert claims(swish, "a_nchwc:Conv x>t1  m/QuickGeluFusion/:QuickGelu t1>t2  Out:ReorderOutput t2>y")[:2] == [
        "a_nchwc: c",
        "m/QuickGeluFusion/: s m",
    ]


TWINS = graph(
    "c1:Conv x,v>a  r1:Relu a>b",
    "c2:Conv x,w>c  r2:Relu c>d",
    "j:Concat b,d>e  k:Conv e>y",
)
"""Two branches that compute the same, as where all weights are alike."""


@pytest.mark.parametrize("optimized", ["c1:FusedConv x,v>b  j:Concat b,b>e  k:Conv e>y", "b_nchwc:Conv x,v>t  j:Concat t,t>e  k:Conv e>y"])
def test_nodes_that_were_computed_once_for_both_go_to_that_kernel(optimized: str) -> None:
    mapping = mapped(TWINS, optimized)
    assert claims(TWINS, optimized)[0].endswith(": c1 r1 c2 r2")
    assert drawn(mapping)[1:] == ["j 2", "k 2"]
    assert (mapping.claimed, mapping.spanning, mapping.coverage) == (6, 1, 1.0)


def test_nodes_that_differ_are_no_twins() -> None:
    other = graph("c1:Conv x,v>a", "c2:ConvTranspose x,w>c", "j:Concat a,c>y")
    assert claims(other, "c1:Conv x,v>a  j:Concat a,a>y") == ["c1: c1", "j: c2 j"]
    inputs = Graph("net", "d", draw("c1:Conv x,v>a  c2:Conv z,v>c  j:Concat a,c>y"), TWINS.units[:1], (), (), ("x", "z"), ("y",))
    assert claims(inputs, "c1:Conv x,v>a  j:Concat a,a>y") == ["c1: c1", "j: c2 j"]


def test_a_kernel_that_never_gets_what_its_nodes_read_lowers_the_coverage() -> None:
    #   r2 reads c2's tensor in the original, but the kernel named after it reads only c1's
    mapping = mapped(CHAIN, "c1:FusedConv x>b  c2:Conv b>c  y:Clip b>y")
    assert drawn(mapping) == ["c1 0", "c2 1"]
    assert mapping.coverage == pytest.approx(2 / 3)


def test_a_move_made_anew_for_each_reader_contradicts_nothing() -> None:
    original = graph("m:MatMul x>a  t:Transpose a>b  s1:Slice b>c  s2:Slice b>d", "n:MatMul c,d>y")
    pushed = "m:MatMul x>a  s1:Slice a>s1  T1:Transpose s1>c  s2:Slice a>s2  T2:Transpose s2>d  n:MatMul c,d>y"
    assert claims(original, pushed) == ["m: m", "s1: t s1", "T1: ", "s2: s2", "T2: ", "n: n"]
    assert mapped(original, pushed).coverage == 1.0


def test_a_node_that_no_kernel_claims_lowers_the_coverage_unless_it_is_folded() -> None:
    original = graph("c1:Conv x>a  u:Relu a>unread", "c2:Conv a>y")
    mapping = mapped(original, "c1:Conv x>a  c2:Conv a>y")
    assert (mapping.claimed, mapping.folded, mapping.coverage) == (2, 1, 1.0)
    two = Graph("net", "digest", original.nodes, original.units, (), (), ("x",), ("unread", "y"))
    mapping = mapped(two, "c1:Conv x>a  c2:Conv a>y")
    assert (mapping.claimed, mapping.folded, mapping.coverage) == (2, 0, pytest.approx(2 / 3))


def test_a_provider_that_swallows_a_subgraph_claims_all_within_it() -> None:
    original = graph("c1:Conv x>a  r1:Relu a>b", "c2:Conv b>c  r2:Relu c>d", "n:NonMaxSuppression d>e", "g:Gather b,e>y")
    swallowed = "TRT_0:TRTKernel_0 x>b,d  Memcpy:MemcpyToHost d>t  n:NonMaxSuppression t>e  Memcpy_token_1:MemcpyToHost b>u  g:Gather u,e>y"
    mapping = mapped(original, swallowed)
    assert drawn(mapping) == ["TRT_0 0+1", "Memcpy 0+1", "n 2", "Memcpy_token_1 0+1", "g 3"]
    assert (mapping.claimed, mapping.coverage) == (6, 1.0)


def test_a_tensor_copied_off_a_device_is_still_known() -> None:
    there = "k0:FusedConv x>b_CUDAExecutionProvider  k1:FusedConv b_CUDAExecutionProvider>y_CUDAExecutionProvider"
    mapping = mapped(CHAIN, f"{there}  M:MemcpyToHost y_CUDAExecutionProvider>y")
    assert drawn(mapping) == ["k0 0", "k1 1", "M 1"]


def test_the_time_of_a_spanning_kernel_divides_as_the_multiplications_do() -> None:
    nodes = (Node("c1", "Conv", ("x",), ("a",), macs=30), Node("c2", "Conv", ("a",), ("b",), macs=90), Node("s", "Relu", ("b",), ("y",)))
    original = Graph("net", "digest", nodes, graph("p:P x>a", "q:Q a>b", "r:R b>y").units, (), (), ("x",), ("y",))
    (kernel,) = mapped(original, "subgraph_0:TRTKernel_0 x>y").kernels
    assert (kernel.units, kernel.shares) == ((0, 1, 2), (0.25, 0.75, 0.0))
    assert mapped(CHAIN, "subgraph_0:TRTKernel_0 x>y").kernels[0].shares == ()
