"""Sums, pools, functions, softmax, concat and what only arranges elements, against onnxruntime on the same inputs."""

from typing import Any

import numpy as np
import pytest

from devices.mcu.program import Add, Average, Maximum, Move, Mul, Program, Softmax
from tests.devices.mcu.onnx_networks import Nodes, compared

SHAPE = (1, 4, 5, 6)
X = {"x": ("int8", SHAPE)}
XY = {**X, "y": ("int8", SHAPE)}


def kinds(program: Program) -> list[str]:
    return [type(operator).__name__ for operator in program.operators]


def one(net: Nodes, made: str, scale: float = 0.04, zero: int = -3, **inputs: Any) -> Program:
    """A network whose result is quantized once, compared with onnxruntime."""
    return compared(net.model(inputs or X, [(net.q(made, scale, zero), "int8")]))


@pytest.mark.parametrize("op", ["Add", "Mul"])
@pytest.mark.parametrize("shape", [SHAPE, (1, 4, 1, 1), (1, 1, 5, 6), (1, 1, 1, 1), (1, 4, 5, 1), (6,)])
@pytest.mark.parametrize("first", [True, False])
def test_operands_of_any_shape_fit_each_other(op: str, shape: tuple[int, ...], first: bool) -> None:
    net = Nodes()
    ends = [net.dq("x", 0.03, 9), net.dq("y", 0.02, -100)]
    program = one(net, net.node(op, *(ends if first else ends[::-1])), x=("int8", SHAPE), y=("int8", shape))
    assert kinds(program)[-1] == op


@pytest.mark.parametrize("op", ["Add", "Mul", "Sub"])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (4, 1, 1), (), (5, 6), SHAPE])
@pytest.mark.parametrize("first", [True, False])
def test_a_constant_may_stand_on_either_side(op: str, shape: tuple[int, ...], first: bool) -> None:
    net = Nodes()
    numbers = net.weight(net.random.integers(-128, 128, shape, np.int8))
    constant = net.node("DequantizeLinear", numbers, net.weight(np.float32(0.02)), net.weight(np.int8(-7)))
    ends = [net.dq("x", 0.03, 9), constant]
    if op == "Sub" and not first and shape != ():
        return  # a constant less a tensor is refused
    program = one(net, net.node(op, *(ends if first else ends[::-1])))
    assert kinds(program) == (["Map"] if shape == () else ["Mul" if op == "Mul" else "Add"])


def test_a_constant_per_channel_is_stored_once() -> None:
    net = Nodes()
    numbers = net.weight(np.arange(4, dtype=np.int8).reshape(4, 1, 1))
    constant = net.node("DequantizeLinear", numbers, net.weight(np.float32(0.5)), net.weight(np.int8(0)))
    (mul,) = one(net, net.node("Mul", net.dq("x", 0.03, 9), constant)).operators
    assert isinstance(mul, Mul) and mul.other_count == 4


@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_a_tensor_meets_itself(op: str) -> None:
    net = Nodes()
    assert kinds(one(net, net.node(op, net.dq("x", 0.03, 9), net.dq("x", 0.03, 9)))) == ["Map"]


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_sums_with_their_own_scales_are_the_same(op: str, dtype: str) -> None:
    net = Nodes()
    shift = 128 if dtype == "uint8" else 0
    parts = [net.weight(each) for each in (np.float32(0.03), np.array(9 + shift, dtype), np.float32(0.02), np.array(shift, dtype))]
    out = [net.weight(np.float32(0.05)), net.weight(np.array(shift - 50, dtype))]
    made = net.node(op, "x", *parts[:2], "y", *parts[2:], *out, domain="com.microsoft")
    ends = {"x": (dtype, SHAPE), "y": (dtype, (1, 4, 1, 1))}
    compared(net.model(ends, [(made, dtype)]))


def test_relu_behind_a_sum_is_its_clamp() -> None:
    net = Nodes()
    made = net.node("Relu", net.node("Add", net.dq("x", 0.03, 9), net.dq("y", 0.02, 0)))
    (add,) = one(net, made, 0.03, -60, **XY).operators
    assert isinstance(add, Add) and add.low == -60


WINDOWS = [
    {"kernel_shape": [2, 3]},
    {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 2, 0, 1]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [2, 4], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [2, 2], "strides": [2, 4], "ceil_mode": 1},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("included", [0, 1])
@pytest.mark.parametrize("same", [True, False])
def test_an_average_counts_what_it_is_told_to(window: dict[str, Any], included: int, same: bool) -> None:
    if included and "ceil_mode" in window:
        return
    net = Nodes()
    made = net.node("AveragePool", net.dq("x", 0.04, -3), count_include_pad=included, **window)
    (average,) = one(net, made, *((0.04, -3) if same else (0.03, 20))).operators
    assert isinstance(average, Average) and (average.scales is None) is same


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("quantized", [True, False])
def test_a_maximum_sees_only_what_is_inside(window: dict[str, Any], quantized: bool) -> None:
    net = Nodes()
    made = net.node("MaxPool", "x" if quantized else net.dq("x", 0.04, -3), **window)
    program = compared(net.model(X, [(made if quantized else net.q(made, 0.04, -3), "int8")], 13), 0)
    assert [type(operator) for operator in program.operators] == [Maximum]


def test_a_border_of_zeros_goes_into_the_average() -> None:
    net = Nodes()
    x = net.node("Pad", net.dq("x", 0.04, -3), net.weight(np.array([0, 0, 1, 2, 0, 0, 0, 1])))
    (average,) = one(net, net.node("AveragePool", net.dq(net.q(x, 0.04, -3), 0.04, -3), kernel_shape=[3, 3])).operators
    assert isinstance(average, Average) and average.whole and average.pads == (1, 2)


@pytest.mark.parametrize("axes", [[2, 3], [2], [3], [1], [-1, -2], [1, 2]])
@pytest.mark.parametrize("keep", [0, 1])
def test_a_mean_goes_over_any_axes(axes: list[int], keep: int) -> None:
    net = Nodes()
    program = one(net, net.node("ReduceMean", net.dq("x", 0.04, -3), axes=axes, keepdims=keep), 0.03, 5)
    assert isinstance(program.operators[-1], Average)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_a_pool_goes_over_the_whole_image(op: str) -> None:
    net = Nodes()
    assert len(one(net, net.node(op, net.dq("x", 0.04, -3))).operators) == 1


def test_pools_with_their_own_scales_are_the_same() -> None:
    for op, attributes in (("QLinearAveragePool", {"kernel_shape": [2, 3], "strides": [2, 1]}), ("QLinearGlobalAveragePool", {})):
        net = Nodes()
        ends = [net.weight(each) for each in (np.float32(0.04), np.uint8(100), np.float32(0.03), np.uint8(90))]
        made = net.node(op, "x", *ends, domain="com.microsoft", **attributes)
        compared(net.model({"x": ("uint8", SHAPE)}, [(made, "uint8")]))


FUNCTIONS = [
    ("Relu", {}),
    ("LeakyRelu", {"alpha": 0.1}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("HardSigmoid", {}),
    ("HardSwish", {}),
    ("Elu", {}),
    ("Erf", {}),
    ("Softplus", {}),
]


@pytest.mark.parametrize(("op", "attributes"), FUNCTIONS)
@pytest.mark.parametrize("zero", [-128, 30])
def test_a_function_of_one_number_is_a_table(op: str, attributes: dict[str, Any], zero: int) -> None:
    net = Nodes()
    assert kinds(one(net, net.node(op, net.dq("x", 0.04, zero), **attributes), 0.03)) == ["Map"]


def test_clip_and_prelu_are_tables() -> None:
    net = Nodes()
    made = net.node("Clip", net.dq("x", 0.04, 3), net.weight(np.float32(0)), net.weight(np.float32(6)))
    assert kinds(one(net, made, 0.025, -128)) == ["Map"]
    net = Nodes()
    assert kinds(one(net, net.node("PRelu", net.dq("x", 0.04, 3), net.weight(np.float32([0.25]))))) == ["Map"]


def test_what_is_composed_of_functions_is_one_table() -> None:
    net = Nodes()
    x = net.dq("x", 0.04, 3)
    assert kinds(one(net, net.node("Mul", x, net.node("Sigmoid", x)), 0.03, -120)) == ["Map"]
    net = Nodes()
    x = net.dq("x", 0.04, 3)
    inner = net.node("Div", x, net.weight(np.float32(np.sqrt(2))))
    inner = net.node("Add", net.node("Erf", inner), net.weight(np.float32(1)))
    made = net.node("Mul", net.node("Mul", x, inner), net.weight(np.float32(0.5)))
    assert kinds(one(net, made, 0.03, -120)) == ["Map"]


@pytest.mark.parametrize(("op", "attributes"), [("QLinearSigmoid", {}), ("QLinearLeakyRelu", {"alpha": 0.2})])
def test_functions_with_their_own_scales_are_the_same(op: str, attributes: dict[str, Any]) -> None:
    net = Nodes()
    ends = [net.weight(each) for each in (np.float32(0.04), np.uint8(100), np.float32(1 / 128), np.uint8(50))]
    compared(net.model({"x": ("uint8", SHAPE)}, [(net.node(op, "x", *ends, domain="com.microsoft", **attributes), "uint8")]))


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("opset", [11, 17])
def test_softmax_takes_each_row_alone(axis: int, opset: int) -> None:
    net = Nodes()
    made = net.node("Softmax", net.dq("x", 0.1, 3), axis=axis)
    program = compared(net.model(X, [(net.q(made, 1 / 256, -128), "int8")], opset))
    assert isinstance(program.operators[-1], Softmax)
    rows = {11: {1: 1, 2: 4, -1: 20}, 17: {1: 30, 2: 24, -1: 20}}[opset][axis]
    assert program.operators[-1].rows == rows


def test_softmax_over_channels_moves_nothing_and_takes_other_scales() -> None:
    net = Nodes()
    program = one(net, net.node("Softmax", net.dq("x", 0.1, 3), axis=1), 1 / 255, -128)
    assert kinds(program) == ["Softmax", "Map"]
    net = Nodes()
    ends = [net.weight(each) for each in (np.float32(0.1), np.uint8(100), np.float32(1 / 256), np.uint8(0))]
    made = net.node("QLinearSoftmax", "x", *ends, domain="com.microsoft", axis=1, opset=13)
    assert kinds(compared(net.model({"x": ("uint8", SHAPE)}, [(made, "uint8")]))) == ["Softmax"]


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("own", [True, False])
def test_concat_brings_its_inputs_to_one_scale(axis: int, own: bool) -> None:
    net = Nodes()
    shape = [*SHAPE]
    shape[axis] = 3
    ends = {"x": ("int8", SHAPE), "y": ("int8", tuple(shape))}
    if own:
        parts = [net.weight(each) for each in (np.float32(0.03), np.int8(9), np.float32(0.04), np.int8(-3))]
        made = net.node("QLinearConcat", *parts[2:], "x", *parts[:2], "y", *parts[2:], domain="com.microsoft", axis=axis)
        program = compared(net.model(ends, [(made, "int8")]))
    else:
        program = one(net, net.node("Concat", net.dq("x", 0.03, 9), net.dq("y", 0.04, -3), axis=axis), **ends)
    first, second = program.operators
    assert isinstance(first, Move) and isinstance(second, Move)
    assert first.table is not None and second.table is None


def test_a_tensor_is_concatenated_with_itself() -> None:
    net = Nodes()
    compared(net.model(X, [(net.node("Concat", "x", "x", axis=1), "int8")]), 0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_pads_that_nothing_takes_are_written(value: float) -> None:
    net = Nodes()
    pads = net.weight(np.array([0, 0, 1, 2, 0, 1, 0, 3]))
    assert kinds(one(net, net.node("Pad", net.dq("x", 0.04, -3), pads, net.weight(np.float32(value))))) == ["Fill", "Move"]


ARRANGED = [
    ("Transpose", {"perm": [0, 2, 3, 1]}, None, ()),
    ("Transpose", {"perm": [3, 0, 1, 2]}, None, ()),
    ("Reshape", {}, [1, 20, 6], ()),
    ("Reshape", {}, [1, 4, -1], ()),
    ("Reshape", {}, [0, 2, 10, 6], ()),
    ("Flatten", {"axis": 2}, None, ()),
    ("Slice", {}, [1, 0], ([3, 6], [1, 3], [1, 2])),
    ("Slice", {}, [-1], ([-6], [2], [-2])),
    ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, None, ()),
    ("DepthToSpace", {"blocksize": 2}, None, ()),
    ("Gather", {"axis": 1}, [2, 0], ()),
    ("Unsqueeze", {}, [1], ()),
]


@pytest.mark.parametrize(("op", "attributes", "given", "more"), ARRANGED, ids=str)
@pytest.mark.parametrize("pooled", [True, False])
def test_elements_keep_their_declared_order(op: str, attributes: dict[str, Any], given: Any, more: Any, pooled: bool) -> None:
    net = Nodes()
    inputs = [net.weight(np.array(each, np.int64)) for each in ([given] if given else []) + [*more]]
    x = net.node("MaxPool", "x", kernel_shape=[1, 1]) if pooled else "x"
    compared(net.model(X, [(net.node(op, x, *inputs, **attributes), "int8")]), 0)


def test_transposes_around_an_image_in_order_vanish() -> None:
    net = Nodes()
    x = net.node("Transpose", net.dq(net.q("x", 0.05, 7), 0.05, 7), perm=[0, 3, 1, 2])
    y = net.q(net.node("Relu", net.node("Conv", x, net.kernels(3, 4, 3, 2))), 0.06, -128)
    y = net.node("Transpose", net.dq(y, 0.06, -128), perm=[0, 2, 3, 1])
    program = compared(net.model({"x": ("float32", (1, 5, 6, 4))}, [(y, "float32")]))
    assert kinds(program) == ["Conv"]
    assert program.inputs[0].axes == program.outputs[0].axes == (0, 1, 2, 3)


def test_float_that_is_transposed_before_it_is_quantized_compiles() -> None:
    net = Nodes()
    x = net.q(net.node("Transpose", "x", perm=[0, 3, 1, 2]), 0.05, 7)
    y = net.dq(net.q(net.node("Conv", net.dq(x, 0.05, 7), net.kernels(3, 4, 3, 2)), 0.06, -8), 0.06, -8)
    assert kinds(compared(net.model({"x": ("float32", (1, 5, 6, 4))}, [(y, "float32")]))) == ["Conv"]


@pytest.mark.parametrize("sizes", [[1, 3], None])
def test_the_parts_of_a_split_go_their_ways(sizes: list[int] | None) -> None:
    net = Nodes()
    inputs = [net.weight(np.array(sizes))] if sizes else []
    first = net.node("Split", "x", *inputs, outputs=2, axis=1)
    second = f"{first}_1"
    y = net.q(net.node("Sigmoid", net.dq(first, 0.04, 3)), 1 / 256, -128)
    program = compared(net.model(X, [(y, "int8"), (second, "int8")]))
    assert kinds(program) == ["Move", "Move"]


def test_another_scale_is_a_table_and_the_same_is_nothing() -> None:
    net = Nodes()
    assert kinds(one(net, net.dq("x", 0.05, 3))) == ["Map"]
    net = Nodes()
    x = net.node("MaxPool", "x", kernel_shape=[2, 2])
    assert kinds(one(net, net.dq(x, 0.04, -3))) == ["Maximum"]


def test_an_output_that_is_an_input_is_a_copy() -> None:
    net = Nodes()
    y = net.node("Reshape", "x", net.weight(np.array([1, 20, 6])))
    assert kinds(compared(net.model(X, [(y, "int8")]), 0)) == ["Move"]


def test_what_nobody_reads_is_dropped_and_two_outputs_may_be_one() -> None:
    net = Nodes()
    y = net.node("MaxPool", "x", kernel_shape=[2, 2])
    flat = net.node("Flatten", y)
    net.node("MaxPool", "x", kernel_shape=[3, 3])
    program = compared(net.model(X, [(y, "int8"), (flat, "int8")]), 0)
    assert kinds(program)[0] == "Maximum" and kinds(program).count("Maximum") == 1


@pytest.mark.parametrize("scale", ["DequantizeLinear", "QuantizeLinear"])
def test_scales_may_stand_in_constant_nodes_without_a_zero(scale: str) -> None:
    net = Nodes()
    size = net.node("Constant", value_float=0.05)
    x = net.node("DequantizeLinear", "x", size)
    y = net.node("QuantizeLinear", net.node("Relu", x), size) if scale == "QuantizeLinear" else net.q(net.node("Relu", x), 0.05, 0)
    compared(
        net.model({"x": ("uint8" if scale == "QuantizeLinear" else "int8", SHAPE)}, [(y, "uint8" if scale == "QuantizeLinear" else "int8")])
    )


@pytest.mark.parametrize("number", [0, 200])
def test_a_constant_in_uint8_beyond_int8_is_moved_into_it(number: int) -> None:
    net = Nodes()
    numbers = net.weight(np.array([[[number]], [[255]], [[200]], [[number + 10]]], np.uint8))
    constant = net.node("DequantizeLinear", numbers, net.weight(np.float32(0.01)))
    assert kinds(one(net, net.node("Mul", net.dq("x", 0.03, 9), constant), 0.08)) == ["Mul"]


def test_multipliers_above_one_are_exact() -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.5, 7), net.kernels(3, 4, 1, 1, scale=0.5))
    one(net, made, 0.01, 0)
    net = Nodes()
    one(net, net.node("Mul", net.dq("x", 0.5, 7), net.dq("y", 0.5, 0)), 0.01, 0, **XY)
