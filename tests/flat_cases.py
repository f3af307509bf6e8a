"""One .tflite file for each operator and for what its parameters can be."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.litert import Given, flat, schema

RANDOM = np.random.default_rng(11)
SAME, VALID = 0, 1
RELU, RELU6 = 1, 3
UNARY = {
    "sigmoid": ("LOGISTIC", None, (0.06, 7), (1 / 256, -128)),
    "tanh": ("TANH", None, (0.03, -20), (1 / 128, 0)),
    "hard-swish": ("HARD_SWISH", "HardSwishOptionsT", (0.05, 3), (0.027, -110)),
    "hard-swish, wide": ("HARD_SWISH", "HardSwishOptionsT", (0.11, 40), (0.2, -90)),
    "gelu": ("GELU", "GeluOptionsT", (0.04, 11), (0.021, -120)),
    "gelu by tanh": ("GELU", "GeluOptionsT", (0.04, 11), (0.021, -120)),
    "leaky": ("LEAKY_RELU", "LeakyReluOptionsT", (0.06, -9), (0.047, -50)),
    "relu": ("RELU", None, (0.06, -9), (0.047, -128)),
    "relu6": ("RELU6", None, (0.06, -9), (6 / 255, -128)),
    "other scale": ("QUANTIZE", "QuantizeOptionsT", (0.06, -9), (0.047, -50)),
}


def made(kind: str, **fields: Any) -> Any:
    """Options of an operator."""
    options = getattr(schema(), kind)()
    for name, value in fields.items():
        setattr(options, name, value)
    return options


def image(shape: tuple[int, ...], scale: float = 0.05, zero: int = -3) -> Given:
    return Given(shape, scale, zero)


def weights(shape: tuple[int, ...], axis: int, each: bool = True) -> Given:
    values = RANDOM.integers(-127, 128, shape)
    count = shape[axis] if each else 1
    return Given(shape, RANDOM.uniform(0.002, 0.009, count), [0] * count, values, "int8", axis)


def bias(kernel: Given, scale: float, count: int) -> Given:
    scales = np.asarray(kernel.scales, np.float32) * np.float32(scale)
    return Given((count,), scales, [0] * len(scales), RANDOM.integers(-900, 900, count), "int32")


def numbers(*values: int) -> Given:
    return Given((len(values),), values=np.array(values), dtype="int32")


def conv(
    size: tuple[int, int, int, int], kernel: tuple[int, int], outputs: int, stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1), padding: int = SAME, activation: int = 0, groups: int = 1, each: bool = True,
) -> bytes:  # fmt: skip
    options = made(
        "Conv2DOptionsT", padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
        dilationWFactor=dilation[1], fusedActivationFunction=activation,
    )  # fmt: skip
    held = weights((outputs, *kernel, size[3] // groups), 0, each)
    out = _extent(size, kernel, stride, dilation, padding)
    tensors = [image(size), held, bias(held, 0.05, outputs), image((size[0], *out, outputs), 0.06, 5)]
    return flat("CONV_2D", options, tensors, [0, 1, 2], [3])


def depthwise(
    size: tuple[int, int, int, int], kernel: tuple[int, int], times: int = 1, stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1), padding: int = SAME, activation: int = 0,
) -> bytes:  # fmt: skip
    outputs = size[3] * times
    options = made(
        "DepthwiseConv2DOptionsT", padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
        dilationWFactor=dilation[1], fusedActivationFunction=activation, depthMultiplier=times,
    )  # fmt: skip
    held = weights((1, *kernel, outputs), 3)
    out = _extent(size, kernel, stride, dilation, padding)
    tensors = [image(size), held, bias(held, 0.05, outputs), image((size[0], *out, outputs), 0.03, -11)]
    return flat("DEPTHWISE_CONV_2D", options, tensors, [0, 1, 2], [3])


def _extent(
    size: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: int
) -> tuple[int, int]:
    reach = [(kernel[axis] - 1) * dilation[axis] for axis in (0, 1)] if padding == VALID else [0, 0]
    return (-(-(size[1] - reach[0]) // stride[0]), -(-(size[2] - reach[1]) // stride[1]))


def dense(rows: tuple[int, ...], outputs: int, each: bool, activation: int = 0) -> bytes:
    options = made("FullyConnectedOptionsT", fusedActivationFunction=activation, keepNumDims=len(rows) > 2)
    held = weights((outputs, rows[-1]), 0, each)
    tensors = [image(rows), held, bias(held, 0.05, outputs), image((*rows[:-1], outputs), 0.04, 20)]
    return flat("FULLY_CONNECTED", options, tensors, [0, 1, 2], [3])


def both(code: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], constant: bool = False, activation: int = 0) -> bytes:
    """ADD, SUB or MUL."""
    options = made(f"{code.capitalize()}OptionsT", fusedActivationFunction=activation)
    other = image(shapes[1], 0.021, 30)
    if constant:
        other = other._replace(values=RANDOM.integers(-128, 128, shapes[1]))
    return flat(code, options, [image(shapes[0]), other, image(shapes[0], 0.07, -14)], [0, 1], [2])


def pool(
    code: str, size: tuple[int, int, int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: int, activation: int = 0
) -> bytes:
    options = made(
        "Pool2DOptionsT", padding=padding, strideH=stride[0], strideW=stride[1], filterHeight=kernel[0], filterWidth=kernel[1],
        fusedActivationFunction=activation,
    )  # fmt: skip
    out = _extent(size, kernel, stride, (1, 1), padding)
    return flat(code, options, [image(size), image((size[0], *out, size[3]))], [0], [1])


def mean(shape: tuple[int, ...], axes: tuple[int, ...], keep: bool, scale: float = 0.05, zero: int = -3) -> bytes:
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)
    tensors = [image(shape), numbers(*axes), image(out, scale, zero)]
    return flat("MEAN", made("ReducerOptionsT", keepDims=keep), tensors, [0, 1], [2])


def softmax(shape: tuple[int, ...], scale: float) -> bytes:
    tensors = [image(shape, scale, 4), image(shape, 1 / 256, -128)]
    return flat("SOFTMAX", made("SoftmaxOptionsT", beta=1.0), tensors, [0], [1])


def unary(name: str, shape: tuple[int, ...] = (1, 4, 8, 8)) -> bytes:
    code, kind, before, after = UNARY[name]
    fields = {"leaky": {"alpha": 0.2}, "gelu by tanh": {"approximate": True}}.get(name, {})
    options = made(kind, **fields) if kind else None
    return flat(code, options, [image(shape, *before), image(shape, *after)], [0], [1])


def moving(code: str, options: Any, before: tuple[int, ...], after: tuple[int, ...], *others: Given) -> bytes:
    tensors = [image(before), *others, image(after)]
    return flat(code, options, tensors, range(len(others) + 1), [len(others) + 1])


def concatenation(axis: int) -> bytes:
    a, b = (1, 3, 4, 2), tuple(5 if at == axis else size for at, size in enumerate((1, 3, 4, 2)))
    out = tuple(size + 5 if at == axis else size for at, size in enumerate(a))
    return flat("CONCATENATION", made("ConcatenationOptionsT", axis=axis), [image(a), image(b), image(out)], [0, 1], [2])


def split() -> bytes:
    axis = Given((), values=np.array(3), dtype="int32")
    tensors = [axis, image((1, 3, 2, 6)), image((1, 3, 2, 3)), image((1, 3, 2, 3))]
    return flat("SPLIT", made("SplitOptionsT", numSplits=2), tensors, [0, 1], [2, 3])


CASES: dict[str, Callable[[], bytes]] = {
    "conv 1×1": lambda: conv((1, 5, 4, 7), (1, 1), 9),
    "conv 1×1, stride 2": lambda: conv((1, 6, 5, 3), (1, 1), 4, (2, 2)),
    "conv 3×3, same, stride 2, even": lambda: conv((1, 8, 6, 3), (3, 3), 5, (2, 2), activation=RELU),
    "conv 3×2, valid, strides unlike": lambda: conv((1, 9, 7, 2), (3, 2), 4, (2, 1), padding=VALID, activation=RELU6),
    "conv 5×5, same, small image": lambda: conv((1, 3, 4, 2), (5, 5), 3),
    "conv, dilated": lambda: conv((1, 9, 10, 2), (3, 3), 3, dilation=(2, 3)),
    "conv, one scale": lambda: conv((1, 5, 5, 3), (3, 3), 4, each=False),
    "conv, grouped": lambda: conv((1, 5, 6, 8), (3, 3), 6, groups=2),
    "depthwise 3×3": lambda: depthwise((1, 7, 5, 6), (3, 3), activation=RELU6),
    "depthwise, stride 2, even": lambda: depthwise((1, 8, 6, 5), (3, 3), stride=(2, 2)),
    "depthwise, two outputs a channel": lambda: depthwise((1, 6, 5, 3), (3, 3), 2, padding=VALID),
    "depthwise of one channel": lambda: depthwise((1, 8, 7, 1), (3, 3), 8, (2, 2), activation=RELU6),
    "depthwise, dilated": lambda: depthwise((1, 9, 8, 3), (3, 3), dilation=(2, 2)),
    "dense": lambda: dense((1, 33), 10, False),
    "dense, a scale for each output": lambda: dense((1, 20), 7, True, RELU),
    "dense of three rows": lambda: dense((3, 17), 5, False),
    "add": lambda: both("ADD", ((1, 4, 5, 3), (1, 4, 5, 3))),
    "add, relu": lambda: both("ADD", ((1, 4, 5, 3), (1, 4, 5, 3)), activation=RELU),
    "add of a constant": lambda: both("ADD", ((1, 4, 5, 3), (3,)), True),
    "mul": lambda: both("MUL", ((1, 4, 5, 3), (1, 4, 5, 3))),
    "mul of a constant": lambda: both("MUL", ((1, 4, 5, 3), (1, 1, 1, 3)), True, RELU6),
    "average 2×2": lambda: pool("AVERAGE_POOL_2D", (1, 6, 8, 3), (2, 2), (2, 2), VALID),
    "average 3×2, same": lambda: pool("AVERAGE_POOL_2D", (1, 7, 6, 3), (3, 2), (2, 2), SAME, RELU),
    "average of the whole": lambda: pool("AVERAGE_POOL_2D", (1, 3, 5, 4), (3, 5), (1, 1), VALID),
    "maximum 3×3, same": lambda: pool("MAX_POOL_2D", (1, 7, 6, 3), (3, 3), (2, 2), SAME),
    "maximum 2×2, relu": lambda: pool("MAX_POOL_2D", (1, 6, 6, 2), (2, 2), (2, 2), VALID, RELU),
    "mean": lambda: mean((1, 5, 4, 6), (1, 2), False),
    "mean of one axis": lambda: mean((1, 5, 4, 6), (1,), True),
    "mean, kept, rescaled": lambda: mean((1, 5, 4, 6), (1, 2), True, 0.031, 12),
    "softmax": lambda: softmax((1, 10), 0.09),
    "softmax of two": lambda: softmax((1, 2), 0.0047),
    "softmax of rows": lambda: softmax((5, 7), 0.31),
    **{name: lambda name=name: unary(name) for name in UNARY},  # type: ignore[misc]
    "reshape": lambda: moving("RESHAPE", None, (1, 3, 4, 2), (1, 24), numbers(1, 24)),
    "transpose": lambda: moving("TRANSPOSE", None, (1, 3, 4, 2), (1, 2, 3, 4), numbers(0, 3, 1, 2)),
    "pad": lambda: moving(
        "PAD", None, (1, 3, 4, 2), (1, 6, 5, 2), Given((4, 2), values=np.array([[0, 0], [1, 2], [0, 1], [0, 0]]), dtype="int32")
    ),
    "concatenation of channels": lambda: concatenation(3),
    "concatenation of rows": lambda: concatenation(1),
    "split": split,
    "slice": lambda: moving("SLICE", None, (1, 5, 4, 3), (1, 2, 4, 2), numbers(0, 1, 0, 1), numbers(-1, 2, -1, 2)),
    "strided slice": lambda: moving(
        "STRIDED_SLICE", made("StridedSliceOptionsT", shrinkAxisMask=1, endMask=8), (1, 7, 4, 3), (3, 4, 2),
        numbers(0, 1, 0, 1), numbers(1, 7, 4, 0), numbers(1, 2, 1, 1),
    ),
}  # fmt: skip
