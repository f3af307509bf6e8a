"""Convolutions, fully connected operators and their weights, against onnxruntime on the same inputs."""

from typing import Any

import numpy as np
import pytest

from devices.mcu.compiler import compile_segment
from devices.mcu.program import Conv, Dense, Depthwise, Maximum, Move, Program
from edgekit.errors import GraphError
from tests.devices.mcu.onnx_networks import Nodes, compared

X = {"x": ("int8", (1, 4, 7, 10))}


def convolved(shape: tuple[int, ...], *kernels: int, axis: int | None = 0, opset: int = 17, **attributes: Any) -> Program:
    """A Conv between DequantizeLinear and QuantizeLinear, with a bias, compared with onnxruntime."""
    net = Nodes()
    bias = net.weight(net.random.uniform(-2, 2, kernels[0]).astype(np.float32))
    made = net.node("Conv", net.dq("x", 0.05, 7), net.kernels(*kernels, axis=axis), bias, **attributes)
    y = net.q(made, 0.09, -11)
    return compared(net.model({"x": ("int8", shape)}, [(y, "int8")], opset))


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 0, 1, 1], "strides": [2, 2]},
        {"pads": [2, 0, 1, 1], "strides": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"pads": [2, 0, 1, 3], "dilations": [2, 1]},
        {"auto_pad": "VALID", "dilations": [1, 3]},
    ],
    ids=str,
)
@pytest.mark.parametrize("group", [1, 2, 4])
def test_a_convolution_keeps_to_its_pads_strides_and_dilations(group: int, attributes: dict[str, Any]) -> None:
    program = convolved((1, 4, 7, 10), 8, 4 // group, 3, 2, group=group, **attributes)
    assert [type(operator) for operator in program.operators] == [Depthwise if group == 4 else Conv]


@pytest.mark.parametrize(("channels", "outputs", "group"), [(1, 3, 1), (2, 2, 1), (2, 4, 2), (6, 6, 2), (3, 9, 3), (2, 2, 2)])
def test_depthwise_is_told_by_its_groups(channels: int, outputs: int, group: int) -> None:
    program = convolved((1, channels, 5, 6), outputs, channels // group, 3, 3, group=group)
    depthwise = group == channels > 1
    assert [type(operator) for operator in program.operators] == [Depthwise if depthwise else Conv]


@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 3]}, {"pads": [1, 2, 0, 1]}], ids=str)
@pytest.mark.parametrize("axis", [0, None])
def test_a_kernel_of_one_pixel_may_stride_and_pad(attributes: dict[str, Any], axis: int | None) -> None:
    convolved((1, 3, 5, 8), 5, 3, 1, 1, axis=axis, **attributes)


def test_a_convolution_over_one_axis_has_height_one() -> None:
    program = convolved((1, 3, 20), 6, 3, 5, pads=[1, 3], strides=[2])
    (conv,) = program.operators
    assert isinstance(conv, Conv) and conv.in_shape == (1, 20, 3) and conv.out_shape == (1, 10, 6)
    assert program.inputs[0].axes == program.outputs[0].axes == (0, 2, 1)


@pytest.mark.parametrize("bound", ["Relu", "Clip", "both"])
def test_bounds_behind_a_convolution_are_its_clamp(bound: str) -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.05, 7), net.kernels(3, 4, 2, 3))
    if bound != "Clip":
        made = net.node("Relu", made)
    if bound != "Relu":
        made = net.node("Clip", made, net.weight(np.float32(-1)), net.weight(np.float32(1.5)))
    y = net.q(made, 0.02, -3)
    (conv,) = compared(net.model(X, [(y, "int8")])).operators
    assert isinstance(conv, Conv)
    assert (conv.low, conv.high) == {"Relu": (-3, 127), "Clip": (-53, 72), "both": (-3, 72)}[bound]


def test_a_bound_beyond_the_range_leaves_the_range() -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.05, 7), net.kernels(3, 4, 2, 3))
    y = net.q(net.node("Clip", made, net.weight(np.float32(0)), net.weight(np.float32(6))), 0.01, -128)
    (conv,) = compared(net.model(X, [(y, "int8")])).operators
    assert isinstance(conv, Conv) and (conv.low, conv.high) == (-128, 127)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_convolution_with_its_own_scales_is_the_same(dtype: str) -> None:
    net = Nodes()
    shift = 128 if dtype == "uint8" else 0
    x = [net.weight(np.float32(0.05)), net.weight(np.array(7 + shift, dtype))]
    kernels = net.weight(net.random.integers(-63, 64, (6, 4, 3, 3), np.int8))  # in uint8, onnxruntime saturates larger sums on some CPUs
    scales = net.weight(net.random.uniform(0.005, 0.02, 6).astype(np.float32))
    y = [net.weight(np.float32(0.09)), net.weight(np.array(shift - 11, dtype))]
    bias = net.weight(net.random.integers(-3000, 3000, 6).astype(np.int32))
    made = net.node("QLinearConv", "x", *x, kernels, scales, net.weight(np.zeros(6, np.int8)), *y, bias, pads=[1, 0, 1, 2])
    compared(net.model({"x": (dtype, (1, 4, 7, 10))}, [(made, dtype)]))


def test_unsigned_weights_around_128_are_signed_ones() -> None:
    net = Nodes()
    numbers = net.weight(net.random.integers(1, 256, (5, 4, 3, 3), np.uint8))
    kernels = net.node("DequantizeLinear", numbers, net.weight(np.float32(0.01)), net.weight(np.uint8(128)))
    y = net.q(net.node("Conv", net.dq("x", 0.05, 7), kernels), 0.09, -11)
    compared(net.model(X, [(y, "int8")]))


def test_a_network_in_uint8_from_float_to_float_compiles() -> None:
    net = Nodes()
    x = net.dq(net.q("x", 0.04, 120, "uint8"), 0.04, 120, "uint8")
    made = net.q(net.node("Relu", net.node("Conv", x, net.kernels(5, 4, 3, 3))), 0.05, 0, "uint8")
    y = net.dq(made, 0.05, 0, "uint8")
    program = compared(net.model({"x": ("float32", (1, 4, 7, 10))}, [(y, "float32")]))
    (start,), (end,) = program.inputs, program.outputs
    assert (start.dtype, start.zero, end.dtype, end.zero) == ("float32", -8, "float32", -128)
    assert start.scale == pytest.approx(0.04) and end.scale == pytest.approx(0.05)


@pytest.mark.parametrize("negative", [False, True])
def test_batch_normalization_goes_into_the_weights(negative: bool) -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.05, 7), net.kernels(5, 4, 3, 2))
    scale, bias, mean = (net.random.uniform(0.5, 2, 5).astype(np.float32) for _ in range(3))
    scale[2:4] = (-0.7, 0.0) if negative else (0.6, 0.8)
    numbers = [net.weight(each) for each in (scale, bias, mean, net.random.uniform(0.5, 2, 5).astype(np.float32))]
    y = net.q(net.node("Relu", net.node("BatchNormalization", made, *numbers)), 0.06, -128)
    program = compared(net.model(X, [(y, "int8")]))
    assert len(program.operators) == 1


def test_a_sum_per_channel_in_float_is_a_bias() -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.05, 7), net.kernels(5, 4, 3, 2))
    made = net.node("Add", made, net.weight(np.linspace(-1, 1, 5, dtype=np.float32).reshape(5, 1, 1)))
    y = net.q(made, 0.06, 3)
    assert len(compared(net.model(X, [(y, "int8")])).operators) == 1


@pytest.mark.parametrize("pad_value", [0.0, 0.5])
def test_a_border_of_zeros_goes_into_the_convolution(pad_value: float) -> None:
    net = Nodes()
    pads = net.weight(np.array([0, 0, 1, 0, 0, 0, 0, 3]))
    x = net.node("Pad", net.dq("x", 0.05, 7), pads, net.weight(np.float32(pad_value)))
    x = net.dq(net.q(x, 0.05, 7), 0.05, 7)
    y = net.q(net.node("Conv", x, net.kernels(5, 4, 3, 2), strides=[2, 2], pads=[1, 1, 1, 0]), 0.06, 3)
    program = compared(net.model(X, [(y, "int8")]))
    kinds = [type(operator).__name__ for operator in program.operators]
    assert kinds == (["Conv"] if pad_value == 0 else ["Fill", "Move", "Conv"])


@pytest.mark.parametrize("across", [0, 1])
@pytest.mark.parametrize("axis", ["outputs", None])
def test_gemm_takes_its_weights_either_way(across: int, axis: str | None) -> None:
    net = Nodes()
    shape = (6, 12) if across else (12, 6)
    kernels = net.kernels(*shape, axis=None if axis is None else 1 - across)
    bias = net.weight(net.random.integers(-2000, 2000, 6).astype(np.int32))
    bias = net.node("DequantizeLinear", bias, net.weight(np.float32(0.05 * 0.01)))
    y = net.q(net.node("Gemm", net.dq("x", 0.05, 7), kernels, bias, transB=across), 0.09, -11)
    program = compared(net.model({"x": ("int8", (1, 12))}, [(y, "int8")]))
    assert [type(operator) for operator in program.operators] == [Dense]


def test_gemm_with_alpha_and_beta_is_scaled() -> None:
    net = Nodes()
    bias = net.weight(net.random.uniform(-1, 1, 6).astype(np.float32))
    y = net.q(net.node("Gemm", net.dq("x", 0.05, 7), net.kernels(12, 6, axis=1), bias, alpha=0.5, beta=2.0), 0.05, 0)
    compared(net.model({"x": ("int8", (1, 12))}, [(y, "int8")]))


@pytest.mark.parametrize("shape", [(1, 12), (5, 12), (1, 3, 12), (1, 2, 3, 12)])
@pytest.mark.parametrize("axis", [1, None])
def test_matmul_multiplies_every_row(shape: tuple[int, ...], axis: int | None) -> None:
    net = Nodes()
    y = net.q(net.node("MatMul", net.dq("x", 0.05, 7), net.kernels(12, 6, axis=axis)), 0.09, -11)
    compared(net.model({"x": ("int8", shape)}, [(y, "int8")]))


def test_matmul_with_its_own_scales_is_the_same() -> None:
    net = Nodes()
    matrix = net.weight(net.random.integers(-127, 128, (12, 6), np.int8))
    scales, zeros = net.weight(net.random.uniform(0.005, 0.02, 6).astype(np.float32)), net.weight(np.zeros(6, np.int8))
    ends = [net.weight(each) for each in (np.float32(0.05), np.int8(7), np.float32(0.09), np.int8(-11))]
    y = net.node("QLinearMatMul", "x", *ends[:2], matrix, scales, zeros, *ends[2:])
    compared(net.model({"x": ("int8", (3, 12))}, [(y, "int8")]))


@pytest.mark.parametrize("across", [0, 1])
def test_gemm_with_its_own_scales_is_the_same(across: int) -> None:
    net = Nodes()
    matrix = net.weight(net.random.integers(-127, 128, (6, 12) if across else (12, 6), np.int8))
    scales = net.random.uniform(0.005, 0.02, 6).astype(np.float32)
    bias = net.weight(net.random.integers(-2000, 2000, 6).astype(np.int32))
    ends = [net.weight(each) for each in (np.float32(0.05), np.int8(7), np.float32(0.09), np.int8(-11))]
    inputs = ["x", *ends[:2], matrix, net.weight(scales), net.weight(np.zeros(6, np.int8)), bias, *ends[2:]]
    y = net.node("QGemm", *inputs, domain="com.microsoft", transB=across)
    compared(net.model({"x": ("int8", (1, 12))}, [(y, "int8")]))


@pytest.mark.parametrize("flat", ["Flatten", "Reshape"])
def test_the_weights_follow_the_order_of_a_flat_image(flat: str) -> None:
    net = Nodes()
    made = net.q(net.node("Conv", net.dq("x", 0.05, 7), net.kernels(5, 4, 3, 2)), 0.09, -11)
    made = net.node(flat, made, *([net.weight(np.array([1, -1]))] if flat == "Reshape" else []))
    y = net.q(net.node("Gemm", net.dq(made, 0.09, -11), net.kernels(6, 225, axis=0), transB=1), 0.2, 5)
    program = compared(net.model(X, [(y, "int8")]))
    assert [type(operator) for operator in program.operators] == [Conv, Dense]


def test_an_image_whose_rows_are_mixed_is_moved_first() -> None:
    net = Nodes()
    made = net.node("MaxPool", "x", kernel_shape=[2, 2])
    y = net.q(net.node("MatMul", net.dq(made, 0.09, -11), net.kernels(9, 6, axis=1)), 0.09, 5)
    program = compared(net.model(X, [(y, "int8")]))
    assert [type(operator) for operator in program.operators] == [Maximum, Move, Dense]


def test_float_weights_on_a_grid_are_taken_and_others_refused() -> None:
    net = Nodes()
    grid = net.random.integers(-127, 128, (6, 12)) * net.random.uniform(0.01, 0.02, (6, 1))
    y = net.q(net.node("Gemm", net.dq("x", 0.05, 7), net.weight(grid.astype(np.float32)), transB=1), 0.09, -11)
    compared(net.model({"x": ("int8", (1, 12))}, [(y, "int8")]))
    net = Nodes()
    free = net.weight(net.random.normal(size=(6, 12)).astype(np.float32))
    y = net.q(net.node("Gemm", net.dq("x", 0.05, 7), free, transB=1), 0.09, -11)
    with pytest.raises(GraphError, match=r"node Gemm_1 \(Gemm\): w0 is in float, expected int8; quantize"):
        compile_segment(net.model({"x": ("int8", (1, 12))}, [(y, "int8")]))


def test_weights_that_the_network_quantizes_itself_are_constants() -> None:
    net = Nodes()
    scales, zeros = net.weight(np.full(5, 0.01, np.float32)), net.weight(np.zeros(5, np.int8))
    kernels = net.node("QuantizeLinear", net.weight(net.random.uniform(-1, 1, (5, 4, 3, 3)).astype(np.float32)), scales, zeros, axis=0)
    kernels = net.node("DequantizeLinear", kernels, scales, zeros, axis=0)
    y = net.q(net.node("Conv", net.dq("x", 0.05, 7), kernels), 0.06, 3)
    compared(net.model(X, [(y, "int8")]))


def test_weights_that_are_transposed_keep_their_scales() -> None:
    net = Nodes()
    kernels = net.node("Transpose", net.kernels(6, 12, axis=0), perm=[1, 0])
    y = net.q(net.node("MatMul", net.dq("x", 0.05, 7), kernels), 0.09, -11)
    compared(net.model({"x": ("int8", (3, 12))}, [(y, "int8")]))
