from hypothesis import given
from hypothesis import strategies as st

from edgekit.graph import Node
from edgekit.graph.unit_rule import group


def nodes(text: str) -> list[Node]:
    """Nodes from lines ``Op inputs > outputs``, named by their first output; ``!`` before the operator marks a constant."""
    made = []
    for line in text.strip().splitlines():
        left, _, right = line.strip().partition(" > ")
        op, *read = left.split()
        outputs = right.split()
        made.append(Node(outputs[0], op.lstrip("!"), tuple(read), tuple(outputs), constant=op.startswith("!")))
    return made


def drawn(text: str, outputs: str = "y") -> str:
    """The units of a text as node names, a bar between them."""
    ordered, units = group(nodes(text), outputs.split())
    return " | ".join(" ".join(node.name for node in ordered[unit.start : unit.stop]) for unit in units)


def test_a_convolution_takes_its_activation() -> None:
    assert drawn("Conv x w > a\nBatchNormalization a s t m v > b\nRelu b > c\nMaxPool c > d\nConv d u > y") == "a b c | d | y"


def test_swish_stays_whole() -> None:
    assert drawn("Conv x w > a\nSigmoid a > s\nMul a s > m\nConv m u > y") == "a s m | y"


def test_gelu_and_a_norm_behind_it_stay_whole() -> None:
    text = """
        MatMul x w > a
        Div a k > d
        Erf d > e
        Add e one > f
        Mul a f > g
        Mul g half > h
        ReduceMean h > mean
        Sub h mean > c
        Pow c two > p
        ReduceMean p > v
        Sqrt v > r
        Div c r > n
        MatMul n u > y"""
    assert drawn(text) == "a d e f g h mean c p v r n | y"


def test_a_residual_sum_joins_the_latest_convolution() -> None:
    assert drawn("Conv x w > a\nConv a v > b\nConv b u > c\nAdd c a > s\nRelu s > r\nConv r t > y") == "a | b | c s r | y"


def test_a_projected_residual_joins_one_of_both_convolutions() -> None:
    assert drawn("MaxPool x > a\nConv a v > b\nConv a u > c\nAdd b c > s\nRelu s > y") == "a | b | c s y"


def test_a_sum_does_not_join_a_convolution_that_others_read() -> None:
    assert drawn("Conv x w > a\nConv a v > b\nAdd a b > s\nConv b t > c\nAdd s c > y") == "a | b | s | c y"


def test_joining_a_convolution_that_waits_for_the_sum_elsewhere_makes_no_cycle() -> None:
    assert drawn("Conv x w > a\nRelu a > b\nMaxPool b > p\nAdd a p > y") == "a | b | p | y"


def test_a_sum_of_light_units_begins_one() -> None:
    assert drawn("MaxPool x > a\nAveragePool x > b\nAdd a b > y") == "a | b | y"


def test_an_input_of_the_graph_is_no_unit() -> None:
    assert drawn("MatMul x w > a\nAdd a mask > b\nSoftmax b > c\nMatMul c z > y") == "a b c | y"


def test_a_quantized_network_is_cut_between_q_and_dq() -> None:
    text = """
        QuantizeLinear x > q0
        DequantizeLinear q0 > d0
        !DequantizeLinear w > dw
        Conv d0 dw > c
        Relu c > r
        QuantizeLinear r > q1
        DequantizeLinear q1 > d1
        MaxPool d1 > p
        QuantizeLinear p > q2
        DequantizeLinear q2 > y"""
    assert drawn(text) == "q0 | dw d0 c r q1 | d1 p q2 y"


def test_a_quantized_sum_takes_both_its_dequantizers() -> None:
    text = """
        QuantizeLinear x > q0
        DequantizeLinear q0 > d0
        DequantizeLinear q0 > d1
        Conv d0 w > c
        QuantizeLinear c > q1
        DequantizeLinear q1 > d2
        Add d1 d2 > s
        QuantizeLinear s > y"""
    assert drawn(text) == "q0 | d0 c q1 | d1 d2 s y"


def test_a_stream_that_goes_on_beside_a_norm_is_cut_before_the_norm() -> None:
    text = """
        MatMul x w > a
        Add a x > stream
        LayerNormalization stream > n
        MatMul n u > b
        Add b stream > s
        LayerNormalization s > n2
        MatMul n2 v > c
        Add c s > y"""
    assert drawn(text) == "a stream | n | b s | n2 | c y"


def test_a_dense_block_is_cut_before_its_norm() -> None:
    assert drawn("Conv x w > a\nBatchNormalization a > n\nRelu n > r\nConv r u > b\nConcat a b > y") == "a | n r | b | y"


def test_constants_stand_in_the_unit_that_reads_them_first() -> None:
    text = """
        !Constant > k
        !Constant > l
        !Mul k l > m
        Conv x w > a
        Conv a m > b
        Reshape b l > c
        Conv c k > y"""
    assert drawn(text) == "a | k l m b c | y"


def test_a_constant_output_stands_in_the_last_unit() -> None:
    assert drawn("!Constant > k\nConv x w > a\nConv a w > y", "y k") == "a | k y"


def test_a_graph_of_constants_is_one_unit() -> None:
    assert drawn("!Constant > k\n!Constant > l\n!Add k l > y") == "k l y"


def test_branches_are_ordered_by_their_first_node() -> None:
    assert drawn("Conv x w > a\nConv x u > b\nRelu a > c\nRelu b > d\nConcat c d > y") == "a c | b d | y"


OPS = ["Conv", "MatMul", "Relu", "Add", "Mul", "MaxPool", "Concat", "DequantizeLinear", "QuantizeLinear", "ReduceMean", "Split", "Constant"]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[str]]:
    """Random networks with several inputs and outputs, constants, dead ends and tensors that many read."""
    tensors = ["x0", "x1", "w"]
    constant = {"w"}
    made = []
    for index in range(draw(st.integers(1, 25))):
        op = draw(st.sampled_from(OPS))
        count = {"Constant": 0, "Conv": 1, "MatMul": 2, "Add": 2, "Mul": 2, "Concat": 3}.get(op, 1)
        recent = st.integers(max(0, len(tensors) - 6), len(tensors) - 1)
        inputs = tuple(tensors[draw(recent)] for _ in range(count))
        outputs = (f"t{index}", f"u{index}") if op == "Split" else (f"t{index}",)
        still = constant.issuperset(inputs)
        made.append(Node(f"n{index}", op, inputs, outputs, constant=still))
        tensors += outputs
        constant.update(outputs if still else ())
    outputs = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=3, unique=True))
    return made, outputs


@given(graphs())
def test_units_cover_the_nodes_once_in_topological_order(case: tuple[list[Node], list[str]]) -> None:
    made, outputs = case
    ordered, units = group(made, outputs)
    assert sorted(node.name for node in ordered) == sorted(node.name for node in made)
    assert [unit.start for unit in units] == [0, *(unit.stop for unit in units[:-1])]
    assert units[-1].stop == len(made)
    makers = {name for node in made for name in node.outputs}
    seen: set[str] = set()
    for node in ordered:  # units are contiguous, so an order of the nodes also orders the units without a cycle
        assert makers.intersection(node.inputs) <= seen
        seen.update(node.outputs)


@given(graphs())
def test_grouping_what_is_grouped_changes_nothing(case: tuple[list[Node], list[str]]) -> None:
    made, outputs = case
    once = group(made, outputs)
    assert group(once[0], outputs) == once


@given(graphs())
def test_a_heavy_operator_is_alone_among_its_kind(case: tuple[list[Node], list[str]]) -> None:
    ordered, units = group(*case)
    for unit in units:
        heavy = [node for node in ordered[unit.start : unit.stop] if node.op in ("Conv", "MatMul") and not node.constant]
        assert len(heavy) <= 1
