"""Kernels of an optimised graph and the units that they come from."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.onnxio import kernel_nodes, normalise, read
from edgekit.runtime.stage.measurement import measure_kernels
from edgekit.runtime.verbs import KernelTime, Measure
from profilers.map.kernels import map_kernels
from tests.profilers.drawing import CHAIN, draw, drawn, graph, mapped

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def test_a_fused_kernel_bears_the_last_tensor_and_claims_what_comes_before() -> None:
    mapping = mapped(CHAIN, "c1:FusedConv x>b  c2:FusedConv b>y")
    assert drawn(mapping) == ["c1 0", "c2 1"]
    assert (mapping.folded, mapping.coverage, mapping.overhead_s) == (0, 1.0, 0.0)


def test_blocked_kernels_bear_a_tensor_as_name_and_reorders_go_with_their_neighbours() -> None:
    mapping = mapped(CHAIN, "ReorderInput:ReorderInput x>t1  b_nchwc:Conv t1>t2  y_nchwc:Conv t2>t3  ReorderOutput:ReorderOutput t3>y", 0.5)
    assert drawn(mapping) == ["ReorderInput 0", "b_nchwc 0", "y_nchwc 1", "ReorderOutput 1"]
    assert mapping.overhead_s == 1.0  # both reorders, also the one that makes an original tensor


def test_a_reorder_in_the_middle_goes_with_what_it_prepares_and_with_what_it_leaves() -> None:
    assert drawn(mapped(CHAIN, "b_nchwc:Conv x>t1  Out:ReorderOutput t1>t2  In:ReorderInput t2>t3  y_nchwc:Conv t3>y")) == [
        "b_nchwc 0",
        "Out 0",
        "In 1",
        "y_nchwc 1",
    ]


def test_a_blocked_kernel_named_before_it_took_in_the_sum_claims_the_sum_of_its_unit() -> None:
    residual = graph("c1:Conv x>a", "c2:Conv a>b  s:Add a,b>c  r:Relu c>d", "c3:Conv d>y")
    mapping = mapped(residual, "a_nchwc:Conv x>t1  b_nchwc:Conv t1,t1>t2  y_nchwc:Conv t2>t3  Out:ReorderOutput t3>y")
    assert drawn(mapping) == ["a_nchwc 0", "b_nchwc 1", "y_nchwc 2", "Out 2"]
    assert mapping.folded == 0


@pytest.mark.parametrize(
    "name", ["c2", "c2_token_12", "c2/MatMulAddFusion", "c2/MatMulScaleFusion//MatmulTransposeFusion/", "c2/duplicated_token_3"]
)
def test_a_kernel_is_known_by_its_name_without_what_optimisers_append(name: str) -> None:
    assert drawn(mapped(CHAIN, f"c1:FusedConv x>b  {name}:QLinearConv b>t1  In:Transpose t1>t2")) == ["c1 0", f"{name} 1", "In 1"]


def test_kernels_without_a_name_get_their_times_in_order_whatever_number_they_go_by() -> None:
    original = graph("d1:Div x>a", "d2:Div a>b", "c1:Conv b>y")
    nodes = draw("Div_0:Div x>a  Div_1:Div a>b  c1:Conv b>y")
    times = (
        KernelTime(name="Div_33", op="Div", seconds=1.0),
        KernelTime(name="Div_36", op="Div", seconds=2.0),
        KernelTime(name="c1", op="Conv", seconds=4.0),
    )
    mapping = map_kernels(original, times, nodes)
    assert [(kernel.units, kernel.seconds) for kernel in mapping.kernels] == [((0,), 1.0), ((1,), 2.0), ((2,), 4.0)]
    assert map_kernels(original, times[1:], nodes).coverage < 1.0  # whose the other is cannot be told


def test_a_name_made_of_the_operator_says_nothing() -> None:
    original = graph("Transpose:Transpose x>a  c1:Conv a>b", "c2:Conv b>y")
    mapping = mapped(original, "Transpose:Transpose x>a  c1:Conv a>b  Transpose_token_3:Transpose b>t1  c2:Conv t1>y")
    assert drawn(mapping) == ["Transpose 0", "c1 0", "Transpose_token_3 1", "c2 1"]


def test_a_kernel_that_claims_nodes_of_two_units_spans_them() -> None:
    original = graph("q:MatMul x>a  m:Mul a>b", "k:MatMul b>c  s:Softmax c>y")
    mapping = mapped(original, "q:MatMul x>a  k/MatMulScaleFusion/:FusedMatMul a>c  s:Softmax c>y")
    assert drawn(mapping) == ["q 0", "k/MatMulScaleFusion/ 0+1", "s 1"]


def test_of_two_kernels_for_one_node_the_first_computes_it() -> None:
    original = graph("c1:Conv x>a", "r:Relu a>b", "c2:Conv b>y")
    mapping = mapped(original, "c1:Conv x>a  r:Relu a>t1  Transpose_token_1:Transpose t1>b  c2:Conv b>y")
    assert drawn(mapping) == ["c1 0", "r 1", "Transpose_token_1 1", "c2 2"]
    assert (mapping.folded, mapping.overhead_s) == (0, 1.0)


def test_constants_and_dropped_nodes_are_folded() -> None:
    original = graph("k:Constant! >w  t:Transpose! w>v  c1:Conv x,v>a  d:Dropout a>b", "c2:Conv b>y")
    mapping = mapped(original, "c1:Conv x,v>a  c2:Conv a>y")
    assert drawn(mapping) == ["c1 0", "c2 1"]
    assert mapping.folded == 3


def test_a_constant_computed_at_run_time_goes_with_its_reader() -> None:
    original = graph("q:DequantizeLinear! >w  c1:Conv x,w>a", "c2:Conv a,w>y")
    mapping = mapped(original, "q:DequantizeLinear >w  q/duplicated:DequantizeLinear >w2  c1:Conv x,w>a  c2:Conv a,w2>y")
    assert drawn(mapping) == ["q 0", "q/duplicated 1", "c1 0", "c2 1"]


def test_a_quantized_kernel_claims_its_unit_from_dequantize_to_quantize() -> None:
    original = graph(
        "q0:QuantizeLinear x>a",
        "d1:DequantizeLinear a>b  c1:Conv b>c  r1:Relu c>d  q1:QuantizeLinear d>e",
        "d2:DequantizeLinear e>f  c2:Conv f>g  q2:QuantizeLinear g>h",
        "d3:DequantizeLinear h>y",
    )
    mapping = mapped(original, "q0:QuantizeLinear x>a  c1_token_1:QLinearConv a>c1  c2_token_2:QLinearConv c1>c2  d3:DequantizeLinear c2>y")
    assert drawn(mapping) == ["q0 0", "c1_token_1 1", "c2_token_2 2", "d3 3"]
    assert mapping.folded == 0


def test_a_kernel_that_computes_the_unknown_is_left_out() -> None:
    mapping = mapped(CHAIN, "c1:FusedConv x>b  magic:Attention b>t1  c2:FusedConv t1>y")
    assert drawn(mapping) == ["c1 0", "c2 1"]
    assert mapping.coverage == pytest.approx(2 / 3)


def test_a_kernel_without_a_time_lowers_the_coverage() -> None:
    mapping = map_kernels(CHAIN, (KernelTime(name="c1", op="FusedConv", seconds=1.0),), draw("c1:FusedConv x>b  c2:FusedConv b>y"))
    assert (drawn(mapping), mapping.coverage) == (["c1 0"], 0.5)


@pytest.mark.parametrize(("seconds", "expected"), [((1.0, 3.0), [1.0, 3.0]), ((2.0,), [2.0, 2.0]), ((1.0, 2.0, 3.0), [2.0, 2.0])])
def test_kernels_of_one_name_share_their_times(seconds: tuple[float, ...], expected: list[float]) -> None:
    times = tuple(KernelTime(name="c", op="Conv", seconds=value) for value in seconds)
    mapping = map_kernels(CHAIN, times, draw("c:Conv x>b  c:Conv b>y"))
    assert [kernel.seconds for kernel in mapping.kernels] == expected


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(len(name)).normal(size=shape).astype(np.float32) * 0.1, name)


def model(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], shape: tuple[int, ...], shape_out: tuple[int, ...]) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape_out)
    net = helper.make_graph(nodes, "net", [x], [y], weights)
    return normalise(helper.make_model(net, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())


def bottlenecks(count: int = 3, channels: int = 16) -> bytes:
    """Expand, depthwise, project and add: the inverted residuals of MobileNetV2, with their normalisation and clipping."""
    nodes, weights, last = [], [numpy_helper.from_array(np.float32(v), n) for n, v in (("low", 0), ("high", 6))], "x"
    for i in range(count):
        start = last
        for step, (out, into, groups) in enumerate([(64, channels, 1), (64, 1, 64), (channels, 64, 1)]):
            name, kernel = f"{i}.{step}", 3 if groups > 1 else 1
            weights += [
                weight(f"{name}.w", out, into, kernel, kernel),
                *(weight(f"{name}.{part}", out) for part in ("scale", "bias", "mean")),
            ]
            weights.append(numpy_helper.from_array(np.ones(out, np.float32), f"{name}.variance"))
            nodes.append(helper.make_node("Conv", [last, f"{name}.w"], [f"{name}.c"], f"{name}/Conv", group=groups, pads=[kernel // 2] * 4))
            statistics = [f"{name}.{part}" for part in ("scale", "bias", "mean", "variance")]
            nodes.append(helper.make_node("BatchNormalization", [f"{name}.c", *statistics], [f"{name}.n"], f"{name}/Norm"))
            last = f"{name}.n"
            if step < 2:
                nodes.append(helper.make_node("Clip", [last, "low", "high"], [f"{name}.r"], f"{name}/Clip"))
                last = f"{name}.r"
        nodes.append(helper.make_node("Add", [start, last], ["y" if i == count - 1 else f"{i}.sum"], f"{i}/Add"))
        last = f"{i}.sum"
    return model(nodes, weights, (1, channels, 16, 16), (1, channels, 16, 16))


def transformer(width: int = 32) -> bytes:
    """LayerNorm, scaled attention of one head, and a GELU written out, with two residuals."""
    line = """
        LayerNormalization x,g,b>n      MatMul n,wq>q0  Add q0,bq>q    MatMul n,wk>k0  Add k0,bk>k    MatMul n,wv>v0  Add v0,bv>v
        Transpose k>kt  Mul q,eighth>qs  MatMul qs,kt>s  Softmax s>p  MatMul p,v>o  MatMul o,wo>o1  Add o1,bo>o2  Add x,o2>r
        LayerNormalization r,g,b>m  MatMul m,w1>h0  Add h0,b1>h
        Div h,root>e0  Erf e0>e1  Add e1,one>e2  Mul h,e2>e3  Mul e3,half>e4   MatMul e4,w2>f0  Add f0,b2>f  Add r,f>y
    """.split()
    nodes = []
    for op, edges in zip(line[::2], line[1::2], strict=True):
        inputs, output = edges.split(">")
        attributes = {"perm": [0, 2, 1]} if op == "Transpose" else {"axis": -1} if op in ("LayerNormalization", "Softmax") else {}
        nodes.append(helper.make_node(op, inputs.split(","), [output], f"{output}/{op}", **attributes))
    numbers = {"eighth": 0.125, "root": 2**0.5, "one": 1.0, "half": 0.5}
    weights = [numpy_helper.from_array(np.float32(value), name) for name, value in numbers.items()]
    weights += [weight(name, width, width) for name in ("wq", "wk", "wv", "wo", "w1", "w2")]
    weights += [weight(name, width) for name in ("g", "b", "bq", "bk", "bv", "bo", "b1", "b2")]
    return model(nodes, weights, (1, 8, width), (1, 8, width))


def quantized() -> bytes:
    """Two convolutions between Quantize and Dequantize, the second with a residual."""
    grid = [
        numpy_helper.from_array(np.float32(0.05), "s"),
        numpy_helper.from_array(np.uint8(128), "z"),
        numpy_helper.from_array(np.int8(0), "zw"),
    ]
    kernels = [numpy_helper.from_array(np.random.default_rng(i).integers(-99, 99, (8, 8, 3, 3)).astype(np.int8), f"w{i}") for i in (1, 2)]
    line = """
        QuantizeLinear x,s,z>x8  DequantizeLinear x8,s,z>xf  DequantizeLinear w1,s,zw>w1f  Conv xf,w1f>a  Relu a>r
        QuantizeLinear r,s,z>r8  DequantizeLinear r8,s,z>rf  DequantizeLinear w2,s,zw>w2f  Conv rf,w2f>c
        QuantizeLinear c,s,z>c8  DequantizeLinear c8,s,z>cf  Add cf,rf>d  QuantizeLinear d,s,z>d8  DequantizeLinear d8,s,z>y
    """.split()
    nodes = []
    for op, edges in zip(line[::2], line[1::2], strict=True):
        inputs, output = edges.split(">")
        nodes.append(helper.make_node(op, inputs.split(","), [output], f"{output}/{op}", **({"pads": [1] * 4} if op == "Conv" else {})))
    return model(nodes, [*grid, *kernels], (1, 8, 16, 16), (1, 8, 16, 16))


def blocked_gelu() -> bytes:
    """A GELU written out behind a convolution that is computed in blocks, as are those around it."""
    numbers = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    weights = [numpy_helper.from_array(np.float32(value), name) for name, value in numbers.items()]
    weights += [weight("w1", 32, 16, 3, 3), weight("w2", 16, 32, 1, 1)]
    line = "Div a,root>g1  Erf g1>g2  Add g2,one>g3  Mul a,g3>g4  Mul g4,half>b  Conv b,w2>c  Add x,c>y".split()
    nodes = [helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1] * 4)]
    for op, edges in zip(line[::2], line[1::2], strict=True):
        inputs, output = edges.split(">")
        nodes.append(helper.make_node(op, inputs.split(","), [output]))
    return model(nodes, weights, (1, 16, 16, 16), (1, 16, 16, 16))


UNMAPPED = pytest.mark.xfail(strict=True, reason="the kernel of a GELU between convolutions that are computed in blocks is not mapped")


def light(name: str) -> bytes:
    return normalise(LIGHT / f"light_{name}.onnx")


@pytest.mark.parametrize(
    "source",
    [
        bottlenecks,
        transformer,
        quantized,
        lambda: light("squeezenet"),
        lambda: light("shufflenet"),
        pytest.param(blocked_gelu, marks=UNMAPPED),
    ],
    ids=["bottlenecks", "transformer", "quantized", "squeezenet", "shufflenet", "blocked gelu"],
)
def test_every_kernel_that_onnxruntime_times_is_mapped_and_every_unit_has_one(source, tmp_path: Path) -> None:
    data = source()
    original = read(data)
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    whole = original.segment(0, len(original.units))
    measured, optimized = measure_kernels(
        Measure(model="net", inputs=whole.inputs, outputs=whole.outputs, mode="kernels", budget_s=0.0, least=2), path, 0
    )
    mapping = map_kernels(original, measured.kernels, kernel_nodes(optimized))
    assert mapping.coverage == 1.0
    assert {kernel.provider for kernel in mapping.kernels} == {"CPUExecutionProvider"}
    assert {unit for kernel in mapping.kernels for unit in kernel.units} == set(range(len(original.units)))
    assert sum(kernel.seconds for kernel in mapping.kernels) == pytest.approx(sum(time.seconds for time in measured.kernels))
    live = sum(not node.constant and node.op not in ("Dropout", "Identity") for node in original.nodes)
    assert mapping.folded <= len(original.nodes) - live  # all that computes left a kernel


def test_the_time_of_a_convolution_goes_to_its_own_unit(tmp_path: Path) -> None:
    original = read(bottlenecks())
    path = tmp_path / "net.onnx"
    path.write_bytes(bottlenecks())
    whole = original.segment(0, len(original.units))
    measured, optimized = measure_kernels(
        Measure(model="net", inputs=whole.inputs, outputs=whole.outputs, mode="kernels", budget_s=0.0, least=2), path, 0
    )
    mapping = map_kernels(original, measured.kernels, kernel_nodes(optimized))
    convolutions = [kernel.units for kernel in mapping.kernels if "Conv" in kernel.op]
    assert convolutions == [(unit,) for unit in range(9)]
