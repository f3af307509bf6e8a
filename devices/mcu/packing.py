"""Chunks: the bytes that an operator reads besides its tensors, as the kernels of the firmware want them.

CONV and DENSE: a block for each two output channels of a group; DEPTHWISE: one for each four (firmware/DESIGN.md draws both).
A block holds biases, scales and weights. The zero point of the input is in the bias: bias - zero_in · Σ weights, since the
kernels multiply with the numbers as they are; what lies outside an image counts as zero_in.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu.program import Add, Average, Conv, Dense, Depthwise, Map, Move, Mul, Operator
from edgekit.errors import GraphError

__all__ = ["chunk_of", "scratch_of"]

PAIR, LANES, PIXELS = 2, 4, 4
SCALE = np.dtype([("m", "<i4"), ("shift", "<i4")])
WIDE = 64
"""Taken off the shift where a sum may reach 2^30, which the quick way of scaling does not bear."""
Weights = NDArray[np.int8]


def chunk_of(operator: Operator) -> bytes:
    """The chunk of an operator; empty where it has none."""
    match operator:
        case Depthwise():
            return _depthwise(operator)
        case Conv() | Dense():
            return _pairs(operator)
        case Add(other=np.ndarray() as constant) | Mul(other=np.ndarray() as constant):
            return constant.astype(np.int8).tobytes()
        case Average(scales=tuple() as scales):
            return np.array(scales, "<i4").tobytes()
        case Map(table=np.ndarray() as table) | Move(table=np.ndarray() as table):
            return table.astype(np.int8).tobytes()
    return b""


def scratch_of(operator: Operator) -> int:
    """Bytes of scratch that the kernel of an operator takes: edge_<op>_scratch of the firmware, in Python."""
    match operator:
        case Depthwise():
            height, width = operator.weights.shape[1:3]
            columns = (PIXELS - 1) * operator.stride[1] + (width - 1) * operator.dilation[1] + 1
            strip: int = height * columns * 4
            return strip
        case Conv():
            _, count, taken = _segments(operator).shape
            scratch: int = count * ((taken + 1) // 2) * PIXELS * 4
            return scratch
    return 0


def _segments(operator: Conv | Dense) -> Weights:
    """Weights [outputs, segments, bytes]: what lies together in the input for one output is a segment."""
    outputs = operator.weights.shape[0]
    if isinstance(operator, Dense):
        return operator.weights.reshape(outputs, 1, -1)
    height, width, channels = operator.weights.shape[1:]
    rows = operator.groups == 1 and operator.dilation[1] == 1
    return (
        operator.weights.reshape(outputs, height, width * channels) if rows else operator.weights.reshape(outputs, height * width, channels)
    )


def _paired(segments: Weights) -> Weights:
    """Weights [outputs, words, 2] in the order of the kernels: of four numbers the first and third, the second and fourth; then the
    rest as it lies, a zero after an odd one."""
    outputs, count, taken = segments.shape
    whole = taken // 4 * 4
    order = [*np.arange(whole).reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(-1), *range(whole, taken)]
    even = np.zeros((outputs, count, taken + taken % 2), np.int8)
    even[:, :, :taken] = segments[:, :, order]
    return even.reshape(outputs, -1, 2)


def _pairs(operator: Conv | Dense) -> bytes:
    groups = operator.groups if isinstance(operator, Conv) else 1
    paired = _paired(_segments(operator))
    biases, scales = _sums(operator)
    each, words = len(paired) // groups, paired.shape[1]
    blocks = groups * -(-each // PAIR)
    block = np.dtype([("bias", "<i4", PAIR), ("scale", SCALE, PAIR), ("weights", "i1", (words, 2, PAIR))])
    packed = np.zeros(blocks, block)
    packed["bias"] = _blocks(biases, groups, PAIR)
    packed["scale"] = _blocks(scales, groups, PAIR)
    packed["weights"] = _blocks(paired, groups, PAIR).transpose(0, 2, 3, 1)
    return packed.tobytes()


def _depthwise(operator: Depthwise) -> bytes:
    weights = operator.weights.reshape(len(operator.weights), -1)
    biases, scales = _sums(operator)
    block = np.dtype([("bias", "<i4", LANES), ("scale", SCALE, LANES), ("weights", "i1", (weights.shape[1], LANES))])
    packed = np.zeros(-(-len(weights) // LANES), block)
    packed["bias"] = _blocks(biases, 1, LANES)
    packed["scale"] = _blocks(scales, 1, LANES)
    packed["weights"] = _blocks(weights, 1, LANES).transpose(0, 2, 1)
    return packed.tobytes()


def _blocks(values: NDArray[Any], groups: int, size: int) -> NDArray[Any]:
    """[blocks, size, …] from [channels, …]; what a group lacks in its last block is zero."""
    each = len(values) // groups
    whole = np.zeros((groups, -(-each // size) * size, *values.shape[1:]), values.dtype)
    whole[:, :each] = values.reshape(groups, each, *values.shape[1:])
    return whole.reshape(-1, size, *values.shape[1:])


def _sums(operator: Conv | Dense) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Biases with the zero of the input, and scales, of each output; refused where a sum may leave int32."""
    weights = operator.weights.astype(np.int64).reshape(len(operator.weights), -1)
    biases = operator.bias.astype(np.int64) - operator.zero_in * weights.sum(axis=1)
    most = np.abs(biases) + 128 * np.abs(weights).sum(axis=1)
    if most.max() >= 2**31:
        channel = int(most.argmax())
        raise GraphError(
            f"{operator.name}: the sum of output channel {channel} may reach {most[channel]}, expected less than 2^31; "
            "its bias is too large for its scales: quantize this node again"
        )
    scales = np.zeros(len(weights), SCALE)
    scales["m"], scales["shift"] = operator.multiplier, operator.shift - np.where(most >= 2**30, WIDE, 0)
    return biases.astype(np.int32), scales
