"""What a microcontroller cannot run is refused with the node and the reason."""

from typing import Any

import numpy as np
import pytest

from devices.mcu.compiler import compile_segment
from edgekit.errors import GraphError
from tests.devices.mcu.onnx_networks import Nodes

SHAPE = (1, 4, 5, 6)


def refusal(net: Nodes, y: str, dtype: str = "int8", inputs: dict[str, Any] | None = None, opset: int = 17) -> str:
    model = net.model(inputs or {"x": ("int8", SHAPE)}, [(y, dtype)], opset)
    with pytest.raises(GraphError) as error:
        compile_segment(model)
    return str(error.value)


def test_a_float_network_is_told_how_to_be_quantized() -> None:
    net = Nodes()
    y = net.node("Conv", "x", net.weight(np.zeros((2, 4, 1, 1), np.float32)))
    found = refusal(net, y, "float32", {"x": ("float32", SHAPE)})
    assert found.startswith("node Conv_0 (Conv): it reads x in float, expected int8 behind a QuantizeLinear; quantize the network")
    assert "edgekit quantize net.onnx" in found


def test_a_result_in_float_names_both_nodes() -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.1, 0), net.kernels(2, 4, 1, 1))
    found = refusal(net, net.q(net.node("Sigmoid", made), 0.1, 0))
    assert found.startswith("node Sigmoid_3 (Sigmoid): it reads conv_2, which node Conv_2 makes in float, expected a QuantizeLinear")


def test_an_output_in_float_without_a_scale_is_refused() -> None:
    net = Nodes()
    made = net.node("Conv", net.dq("x", 0.1, 0), net.kernels(2, 4, 1, 1))
    assert refusal(net, made, "float32").startswith("node Conv_2 makes output conv_2 in float, expected a QuantizeLinear behind it")


def test_weights_with_a_zero_are_refused() -> None:
    net = Nodes()
    numbers = net.weight(net.random.integers(0, 256, (2, 4, 3, 3), np.uint8))
    kernels = net.node("DequantizeLinear", numbers, net.weight(np.float32(0.1)), net.weight(np.uint8(77)))
    found = refusal(net, net.q(net.node("Conv", net.dq("x", 0.1, 0), kernels), 0.1, 0))
    assert found.startswith("node Conv_2 (Conv): expected symmetric weights, got dequantizelinear_0 whose numbers less their zero are -")


def test_scales_along_the_wrong_axis_are_refused_by_name() -> None:
    net = Nodes()
    found = refusal(net, net.q(net.node("Conv", net.dq("x", 0.1, 0), net.kernels(2, 4, 3, 3, axis=1)), 0.1, 0))
    assert found.startswith("node Conv_2 (Conv): dequantizelinear_1 has scales along another axis than its outputs")


@pytest.mark.parametrize("dtype", ["int16", "uint16"])
def test_sixteen_bits_are_refused(dtype: str) -> None:
    net = Nodes()
    x = net.dq("x", 0.1, 0)
    y = net.dq(net.q(x, 0.01, 0, dtype), 0.01, 0, dtype)
    assert f"expected int8 or uint8, got {dtype}" in refusal(net, net.q(net.node("Relu", y), 0.1, 0), opset=21)


def test_open_shapes_and_batches_are_refused() -> None:
    net = Nodes()
    y = net.node("MaxPool", "x", kernel_shape=[2, 2])
    assert refusal(net, y, inputs={"x": ("int8", ("n", 4, 5, 6))}).startswith("input x has no fixed shape")
    assert refusal(net, y, inputs={"x": ("int8", (2, 4, 5, 6))}).startswith("expected input x of one frame, got shape (2, 4, 5, 6)")


def test_an_operator_without_a_kernel_is_named() -> None:
    net = Nodes()
    y = net.q(net.node("CumSum", net.dq("x", 0.1, 0), net.weight(np.int64(1))), 0.1, 0)
    assert refusal(net, y).startswith("node CumSum_1 (CumSum): a microcontroller has no kernel for this operator")


def test_a_product_of_two_computed_matrices_is_refused() -> None:
    net = Nodes()
    y = net.q(net.node("MatMul", net.dq("x", 0.1, 0), net.node("Transpose", net.dq("x", 0.1, 0), perm=[0, 1, 3, 2])), 0.1, 0)
    assert refusal(net, y).startswith("node MatMul_3 (MatMul): input transpose_2 is computed, expected a constant")


def test_a_window_wholly_in_its_pads_is_refused() -> None:
    net = Nodes()
    y = net.node("MaxPool", "x", kernel_shape=[2, 2], pads=[2, 0, 2, 0])
    assert "lies wholly in its pads" in refusal(net, y)


def test_scales_that_cannot_be_are_refused() -> None:
    net = Nodes()
    assert "expected a scale above 0, got 0.0" in refusal(net, net.q(net.node("Relu", net.dq("x", 0.1, 0)), 0.0, 0))
    net = Nodes()
    y = net.q(net.node("Add", net.dq("x", 1e6, 0), net.dq("y", 1, 0)), 1e-20, 0)
    found = refusal(net, y, inputs={"x": ("int8", SHAPE), "y": ("int8", SHAPE)})
    assert found.startswith("node Add_2: expected scales whose ratio is below 2^30")
    net = Nodes()
    scales, zeros = net.weight(np.full(4, 0.1, np.float32)), net.weight(np.zeros(4, np.int8))
    y = net.q(net.node("Relu", net.node("DequantizeLinear", "x", scales, zeros, axis=1)), 0.1, 0)
    assert "expected one scale for an activation, got 4" in refusal(net, y)


def test_a_bias_beyond_int32_is_refused() -> None:
    net = Nodes()
    bias = net.weight(np.full(2, 1e9, np.float32))
    found = refusal(net, net.q(net.node("Conv", net.dq("x", 0.01, 0), net.kernels(2, 4, 1, 1), bias), 0.1, 0))
    assert "does not fit into int32" in found


def test_a_softmax_finer_than_its_kernel_is_refused() -> None:
    net = Nodes()
    assert "finer than the 1/256" in refusal(net, net.q(net.node("Softmax", net.dq("x", 0.1, 0)), 1 / 1000, -128))


def test_one_input_with_two_scales_is_refused() -> None:
    net = Nodes()
    left, right = net.dq(net.q("x", 0.1, 0), 0.1, 0), net.dq(net.q("x", 0.2, 0), 0.2, 0)
    found = refusal(net, net.q(net.node("Add", left, right), 0.1, 0), inputs={"x": ("float32", SHAPE)})
    assert "input x is quantized with scales 0.1" in found


def test_shapes_that_do_not_fit_are_both_named() -> None:
    net = Nodes()
    y = net.q(net.node("Add", net.dq("x", 0.1, 0), net.dq("y", 0.1, 0)), 0.1, 0)
    found = refusal(net, y, inputs={"x": ("int8", SHAPE), "y": ("int8", (1, 3, 5, 6))})
    assert "expected shapes that fit each other, got (1, 4, 5, 6) and (1, 3, 5, 6)" in found


def test_an_image_of_several_frames_within_is_refused() -> None:
    net = Nodes()
    frames = net.node("Reshape", net.dq("x", 0.1, 0), net.weight(np.array([2, 2, 5, 6])))
    y = net.q(net.node("Conv", frames, net.kernels(2, 2, 3, 3)), 0.1, 0)
    assert "expected one frame of 3 or 4 axes, N C W or N C H W, got shape (2, 2, 5, 6)" in refusal(net, y)
    assert "expected one frame" in refusal(net, net.node("MaxPool", frames, kernel_shape=[2, 2]), "float32")
