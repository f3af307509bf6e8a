"""What each operator of TensorFlow Lite is in ONNX.

Images go through convolutions and pools with their channels first. What works element by element takes the form that
is there; what depends on the order of axes takes the declared one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.onnxio.flat_file import FlatOperator, FlatTensor
from edgekit.onnxio.flat_moves import MOVES
from edgekit.onnxio.flat_nodes import FIRST, Nodes, refuse

__all__ = ["OPERATORS"]

SAME = 0
NONE, RELU, RELU_N1_TO_1, RELU6 = range(4)
CLIPS = {RELU_N1_TO_1: (-1.0, 1.0), RELU6: (0.0, 6.0)}


def _activated(nodes: Nodes, operator: FlatOperator, values: str, kind: int) -> str:
    """Real values behind an activation that the file has within an operator."""
    if kind == NONE:
        return values
    if kind == RELU:
        return nodes.add("Relu", [values])
    if kind not in CLIPS:
        refuse(operator, f"its activation number {kind} is not known; expected none, RELU, RELU6 or RELU_N1_TO_1")
    bounds = [nodes.constant(np.array(bound, np.float32), "bound") for bound in CLIPS[kind]]
    return nodes.add("Clip", [values, *bounds])


def _fused(operator: FlatOperator) -> int:
    return operator.options.FusedActivationFunction() if operator.options is not None else NONE


def _window(operator: FlatOperator, shape: tuple[int, ...], kernel: tuple[int, int], dilation: tuple[int, int]) -> dict[str, Any]:
    """Strides and pads of a window over [batch, height, width, channels]; SAME pads more behind than before."""
    strides = (operator.options.StrideH(), operator.options.StrideW())
    if min(*strides, *dilation, *kernel) < 1:
        refuse(operator, f"expected strides, dilations and a window from 1 on, got {strides}, {dilation}, {kernel}")
    before, behind = [], []
    for size, length, stride, step in zip(shape[1:3], kernel, strides, dilation, strict=True):
        reach = (length - 1) * step + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0) if operator.options.Padding() == SAME else 0
        before.append(total // 2)
        behind.append(total - total // 2)
    return {"strides": strides, "pads": (*before, *behind)}


def _four_axes(operator: FlatOperator, tensor: FlatTensor) -> tuple[int, ...]:
    if len(tensor.shape) != 4:
        refuse(operator, f"expected a tensor of 4 axes, got {list(tensor.shape)} in {tensor.name}")
    return tensor.shape


def _weights(nodes: Nodes, operator: FlatOperator, axes: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Constant weights, transposed and brought into a shape whose first axis counts outputs."""
    tensor = nodes.tensor(operator, 1)
    if tensor.values is None:
        refuse(operator, f"expected constant weights, got {tensor.name}, which is computed")
    if len(tensor.scales) > 1 and axes[0] != tensor.axis:
        refuse(operator, f"expected the scales of {tensor.name} along axis {axes[0]}, got axis {tensor.axis}")
    name = nodes.constant(tensor.values.transpose(axes).reshape(shape), "weights")
    return nodes.dequantized(operator, tensor, name, 0)


def _bias(nodes: Nodes, operator: FlatOperator) -> list[str]:
    return [nodes.reals(operator, 2)] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else []


def _conv(nodes: Nodes, operator: FlatOperator) -> None:
    shape, (outputs, height, width, channels) = (_four_axes(operator, nodes.tensor(operator, at)) for at in (0, 1))
    groups = shape[3] // channels if channels else 0
    weights = _weights(nodes, operator, FIRST, (outputs, channels, height, width))
    _convolved(nodes, operator, weights, (height, width), groups)


def _depthwise(nodes: Nodes, operator: FlatOperator) -> None:
    shape, (_, height, width, outputs) = (_four_axes(operator, nodes.tensor(operator, at)) for at in (0, 1))
    weights = _weights(nodes, operator, (3, 0, 1, 2), (outputs, 1, height, width))
    _convolved(nodes, operator, weights, (height, width), shape[3])


def _convolved(nodes: Nodes, operator: FlatOperator, weights: str, kernel: tuple[int, int], groups: int) -> None:
    options, shape = operator.options, nodes.tensor(operator, 0).shape
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    window = _window(operator, shape, kernel, dilation)
    inputs = [nodes.reals(operator, 0, True), weights, *_bias(nodes, operator)]
    made = nodes.add("Conv", inputs, kernel_shape=kernel, dilations=dilation, group=groups, **window)
    nodes.finish(operator, _activated(nodes, operator, made, _fused(operator)), first=True)


def _dense(nodes: Nodes, operator: FlatOperator) -> None:
    weights = nodes.tensor(operator, 1)
    if operator.options.WeightsFormat() or len(weights.shape) != 2:
        refuse(operator, "expected weights of two axes, outputs × inputs, in their default format")
    rows = nodes.numbers(operator, 0)
    if nodes.tensor(operator, 0).shape[1:] != weights.shape[1:]:
        wanted = nodes.constant(np.array([-1, weights.shape[1]]), "shape")
        rows = nodes.add("Reshape", [rows, wanted])
    inputs = [
        nodes.dequantized(operator, nodes.tensor(operator, 0), rows, 0),
        _weights(nodes, operator, (0, 1), weights.shape),
        *_bias(nodes, operator),
    ]
    made = nodes.add("Gemm", inputs, transB=1)
    made = _activated(nodes, operator, made, _fused(operator))
    shape = nodes.file.tensors[operator.outputs[0]].shape
    if len(shape) != 2:
        made = nodes.add("Reshape", [made, nodes.constant(np.array(shape), "shape")])
    nodes.finish(operator, made)


def _binary(op: str) -> Callable[[Nodes, FlatOperator], None]:
    def convert(nodes: Nodes, operator: FlatOperator) -> None:
        shapes = [nodes.tensor(operator, position) for position in (0, 1)]
        whole = all(len(each.shape) == 4 or each.values is not None for each in shapes)
        first = whole and any(nodes.is_first(operator, position) for position in (0, 1))
        inputs = [nodes.reals(operator, position, first) for position in (0, 1)]
        made = nodes.add(op, inputs)
        nodes.finish(operator, _activated(nodes, operator, made, _fused(operator)), first=first)

    return convert


def _pool(op: str) -> Callable[[Nodes, FlatOperator], None]:
    def convert(nodes: Nodes, operator: FlatOperator) -> None:
        shape = _four_axes(operator, nodes.tensor(operator, 0))
        kernel = (operator.options.FilterHeight(), operator.options.FilterWidth())
        window = _window(operator, shape, kernel, (1, 1))
        source = nodes.reals(operator, 0, True)
        made = nodes.add(op, [source], kernel_shape=kernel, **window)
        nodes.finish(operator, _activated(nodes, operator, made, _fused(operator)), first=True)

    return convert


def _reduced(op: str) -> Callable[[Nodes, FlatOperator], None]:
    def convert(nodes: Nodes, operator: FlatOperator) -> None:
        given, rank = nodes.tensor(operator, 1).values, len(nodes.tensor(operator, 0).shape)
        if given is None:
            refuse(operator, "expected constant axes, got computed ones")
        axes = sorted({int(axis) % rank for axis in given.reshape(-1)})
        keep = bool(operator.options.KeepDims())
        first = nodes.is_first(operator) and (keep or axes == [1, 2])
        told = sorted(FIRST.index(axis) for axis in axes) if first else axes
        inputs = [nodes.reals(operator, 0, first), nodes.constant(np.array(told), "axes")]
        made = nodes.add(op, inputs, keepdims=int(keep))
        nodes.finish(operator, made, first=first and keep)

    return convert


def _unary(op: str, **attributes: Any) -> Callable[[Nodes, FlatOperator], None]:
    def convert(nodes: Nodes, operator: FlatOperator) -> None:
        first = nodes.is_first(operator)
        source = nodes.reals(operator, 0, first)
        made = nodes.add(op, [source], **attributes)
        nodes.finish(operator, made, first=first)

    return convert


def _leaky(nodes: Nodes, operator: FlatOperator) -> None:
    _unary("LeakyRelu", alpha=float(operator.options.Alpha()))(nodes, operator)


def _gelu(nodes: Nodes, operator: FlatOperator) -> None:
    rounded = operator.options is not None and operator.options.Approximate()
    _unary("Gelu", approximate="tanh" if rounded else "none")(nodes, operator)


def _clipped(kind: int) -> Callable[[Nodes, FlatOperator], None]:
    def convert(nodes: Nodes, operator: FlatOperator) -> None:
        first = nodes.is_first(operator)
        values = nodes.reals(operator, 0, first)
        nodes.finish(operator, _activated(nodes, operator, values, kind), first=first)

    return convert


def _softmax(nodes: Nodes, operator: FlatOperator) -> None:
    if operator.options is not None and operator.options.Beta() != 1:
        refuse(operator, f"expected beta 1, got {operator.options.Beta():g}")
    values = nodes.reals(operator, 0)
    nodes.finish(operator, nodes.add("Softmax", [values], axis=-1))


OPERATORS: dict[str, Callable[[Nodes, FlatOperator], None]] = {
    **MOVES,
    "ADD": _binary("Add"),
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _clipped(NONE),
    "ELU": _unary("Elu"),
    "FULLY_CONNECTED": _dense,
    "GELU": _gelu,
    "HARD_SWISH": _unary("HardSwish"),
    "LEAKY_RELU": _leaky,
    "LOGISTIC": _unary("Sigmoid"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _reduced("ReduceMean"),
    "MUL": _binary("Mul"),
    "QUANTIZE": _clipped(NONE),
    "REDUCE_MAX": _reduced("ReduceMax"),
    "RELU": _clipped(RELU),
    "RELU6": _clipped(RELU6),
    "RELU_N1_TO_1": _clipped(RELU_N1_TO_1),
    "SOFTMAX": _softmax,
    "SUB": _binary("Sub"),
    "TANH": _unary("Tanh"),
}
"""By the name of the operator in TensorFlow Lite."""
