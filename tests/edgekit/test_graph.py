import pytest

from edgekit.errors import PlanError
from edgekit.graph import Graph, Node, Tensor, Unit


def graph(text: str, inputs: str, outputs: str, weights: str = "", unknown: str = "", constant: str = "") -> Graph:
    """A graph from lines ``name: inputs > outputs``, each node a unit of its own, each tensor of four floats."""
    nodes = []
    for line in text.strip().splitlines():
        name, _, rest = line.strip().partition(": ")
        read, _, made = rest.partition(" > ")
        nodes.append(Node(name, "Op", tuple(read.split()), tuple(made.split()), macs=10, constant=name in constant.split()))
    names = [*inputs.split(), *(name for node in nodes for name in node.outputs)]
    return Graph(
        "test",
        "digest",
        tuple(nodes),
        tuple(Unit(i, i + 1) for i in range(len(nodes))),
        tuple(Tensor(name, None if name in unknown.split() else (4,), "float32") for name in names),
        tuple(Tensor(name, (2,), "float32") for name in weights.split()),
        tuple(inputs.split()),
        tuple(outputs.split()),
    )


def crossing(g: Graph) -> list[str]:
    return [" ".join(tensor.name for tensor in cut.tensors) for cut in g.cuts]


def names(tensors: tuple[Tensor, ...]) -> str:
    return " ".join(tensor.name for tensor in tensors)


def test_a_chain_is_crossed_by_one_tensor_at_each_cut() -> None:
    g = graph("a: x w > p\nb: p > q\nc: q > y", "x", "y", weights="w")
    assert crossing(g) == ["x", "p", "q", "y"]
    assert [cut.nbytes for cut in g.cuts] == [16, 16, 16, 16]
    assert g.candidates == (1, 2)


def test_a_skip_connection_crosses_every_cut_between_its_ends() -> None:
    g = graph("a: x > p\nb: p > q\nc: q > r\nd: r p > y", "x", "y")
    assert crossing(g) == ["x", "p", "p q", "p r", "y"]
    middle = g.segment(2, 3)
    assert (names(middle.inputs), names(middle.outputs)) == ("q", "r")  # p passes over


def test_a_segment_hands_out_only_what_later_units_read() -> None:
    g = graph("a: x > p side\nb: p > q\nc: q side > y", "x", "y")
    assert names(g.segment(0, 1).outputs) == "p side"
    assert names(g.segment(0, 2).outputs) == "side q"
    assert names(g.segment(0, 3).outputs) == "y"
    assert names(g.segment(1, 3).inputs) == "p side"


def test_an_unused_output_crosses_nothing_but_takes_memory() -> None:
    g = graph("a: x > p mask\nb: p > y", "x", "y")
    assert crossing(g) == ["x", "p", "y"]
    assert g.step_bytes == (48, 32)
    assert g.peak_bytes(1, 2) == 32
    assert g.peak_bytes(0, 2) == 48
    assert g.peak_bytes(1, 1) == 0


def test_an_unused_input_is_not_sent() -> None:
    g = graph("a: x > y", "x spare", "y")
    assert crossing(g) == ["x", "y"]


def test_a_late_input_is_relayed_until_it_is_read() -> None:
    g = graph("a: x > p\nb: p > q\nc: q late > y", "x late", "y")
    assert crossing(g) == ["x late", "late p", "late q", "y"]
    assert names(g.segment(0, 2).inputs) == "x"
    assert names(g.segment(2, 3).inputs) == "late q"


def test_an_early_output_is_relayed_to_the_end_and_outputs_keep_their_order() -> None:
    g = graph("a: x > early\nb: early > q\nc: q > z", "x", "z early")
    assert crossing(g) == ["x", "early", "early q", "z early"]
    assert names(g.segment(1, 3).outputs) == "z"
    assert names(g.segment(0, 3).outputs) == "z early"


def test_an_input_that_is_also_an_output_passes_over_every_segment() -> None:
    g = graph("a: x > y", "x", "y x")
    assert crossing(g) == ["x", "y x"]
    assert names(g.segment(0, 1).outputs) == "y"


def test_constants_never_cross_and_bring_their_weights_along() -> None:
    g = graph("k: w > c\na: x c > p\nb: p c v > y", "x", "y", weights="w v other", constant="k")
    assert crossing(g) == ["x", "x", "p", "y"]
    assert names(g.segment(0, 2).weights) == "w"
    assert names(g.segment(2, 3).weights) == "w v"  # in the order of the graph
    assert g.segment(2, 3).weight_bytes == 16


def test_constants_behind_constants_bring_their_weights_along() -> None:
    g = graph("k: w > c\nl: c v > d\na: x > p\nb: p d > y", "x", "y", weights="w v", constant="k l")
    assert names(g.segment(2, 3).weights) == ""
    assert names(g.segment(3, 4).weights) == "w v"


def test_a_constant_output_is_made_by_the_last_segment_alone() -> None:
    g = graph("k: w > c\na: x > p\nb: p > y", "x", "y c", weights="w", constant="k")
    assert crossing(g) == ["x", "x", "p", "y c"]
    assert names(g.segment(2, 3).outputs) == "y c"
    assert names(g.segment(2, 3).weights) == "w"
    assert names(g.segment(0, 2).outputs) == "p"


def test_a_weight_that_is_an_output_belongs_to_the_last_segment() -> None:
    g = graph("a: x > p\nb: p > y", "x", "y w", weights="w")
    assert crossing(g) == ["x", "p", "y w"]
    assert names(g.segment(1, 2).weights) == "w"


def test_a_random_source_is_sent_like_any_tensor() -> None:
    g = graph("noise:  > n\na: x > p\nb: p n > y", "x", "y")
    assert crossing(g) == ["x", "x n", "n p", "y"]


def test_a_cut_through_a_data_dependent_shape_says_why_not() -> None:
    g = graph("a: x > p\nb: p > q\nc: q > y", "x", "y", unknown="p")
    assert [cut.obstacle for cut in g.cuts] == [None, "p has a shape that depends on the data", None, None]
    assert g.candidates == (2,)


def test_a_cut_through_strings_says_why_not() -> None:
    g = graph("a: x > p\nb: p > y", "x", "y")
    strings = Graph(
        g.name, g.digest, g.nodes, g.units, (*g.tensors[:1], Tensor("p", (4,), "string"), *g.tensors[2:]), (), g.inputs, g.outputs
    )
    assert strings.cuts[1].obstacle == "p is of type string, which cannot be sent"
    assert strings.cuts[1].nbytes == 0


DIAMOND = """
    stem: x > s
    left: s > l
    right: s w > r
    join: l r > y
    """


def test_units_may_stand_in_another_order_in_which_nothing_comes_before_what_it_reads() -> None:
    g = graph(DIAMOND, "x", "y", "w")
    other = g.in_order((0, 2, 1, 3))
    assert [node.name for node in other.nodes] == ["stem", "right", "left", "join"]
    assert [set(each.split()) for each in crossing(other)] == [{"x"}, {"s"}, {"s", "r"}, {"l", "r"}, {"y"}]
    assert other.digest == g.digest and other.order == (0, 2, 1, 3)
    assert names(other.segment(1, 2).weights) == "w"
    assert other.in_order((0, 2, 1, 3)) is other and other.in_order(()) == g and g.in_order((0, 1, 2, 3)) is g
    assert g.unit_edges == ((0, 1), (0, 2), (1, 3), (2, 3))


def test_an_order_that_cannot_be_is_refused() -> None:
    g = graph(DIAMOND, "x", "y", "w")
    with pytest.raises(PlanError, match="unit 1 comes before unit 0, which it reads"):
        g.in_order((1, 0, 2, 3))
    with pytest.raises(PlanError, match="the order names 3 units, expected each of 4 once"):
        g.in_order((0, 1, 2, 2))


def test_work_adds_up_over_segments() -> None:
    g = graph("a: x > p\nb: p > q\nc: q > y", "x", "y")
    assert g.mac_sums() == (0, 10, 20, 30)
    assert g.segment(1, 3).macs == 20
    assert g.macs == 30


def test_a_unit_may_hold_several_nodes() -> None:
    g = graph("a: x > p\nb: p > q\nc: q > y", "x", "y")
    g = Graph(g.name, g.digest, g.nodes, (Unit(0, 2), Unit(2, 3)), g.tensors, (), g.inputs, g.outputs)
    assert crossing(g) == ["x", "q", "y"]
    assert [node.name for node in g.unit_nodes(0)] == ["a", "b"]
    assert g.step_bytes == (48, 32)


def typed(nodes: str, types: str) -> Graph:
    """A graph of nodes ``Op inputs>output``, where Conv multiplies; types ``name:dtype`` of its tensors and weights."""
    made = []
    for text in nodes.split("  "):
        op, edges = text.split()
        read, output = edges.split(">")
        made.append(Node(output, op, tuple(read.split(",")), (output,), macs=10 if op == "Conv" else 0))
    tensors = tuple(Tensor(name, (4,), dtype) for name, dtype in (pair.split(":") for pair in types.split()))
    return Graph("test", "digest", tuple(made), tuple(Unit(i, i + 1) for i in range(len(made))), tensors, (), ("x",), ("y",))


@pytest.mark.parametrize(
    ("nodes", "types", "precision"),
    [
        ("Conv x,w>y", "x:float32 w:float32", "fp32"),
        ("Cast x>h  Conv h,w>g  Cast g>y", "x:float32 h:float16 w:float16", "fp16"),
        ("QuantizeLinear x,s>q  DequantizeLinear q,s>d  DequantizeLinear w,s>e  Conv d,e>y", "x:float32 q:uint8 w:int8 d:float32", "int8"),
        ("DequantizeLinear w,s>e  Conv x,e>y", "x:float32 w:int8 e:float32", "fp32"),  # weights alone: multiplied in fp32
        ("Conv x,w>a  QuantizeLinear a,s>q  DequantizeLinear q,s>d  Conv d,w>b  Conv q,w>y", "x:float32 a:float32 q:int8", "int8"),
        ("Relu x>y", "x:float16", "fp32"),  # nothing is multiplied
    ],
)
def test_the_precision_is_that_of_what_most_multiplications_read(nodes: str, types: str, precision: str) -> None:
    assert typed(nodes, types).precision == precision
