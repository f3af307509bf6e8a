"""Operators of TensorFlow Lite that move numbers and compute none."""

from collections.abc import Callable

import numpy as np

from edgekit.onnxio.flat_file import FlatOperator
from edgekit.onnxio.flat_nodes import FIRST, Nodes, refuse

__all__ = ["MOVES"]


def _integers(nodes: Nodes, operator: FlatOperator, position: int) -> list[int]:
    """The numbers of an input that has to be constant, in a row."""
    tensor = nodes.tensor(operator, position)
    if tensor.values is None:
        refuse(operator, f"expected constant numbers, got {tensor.name}, which is computed")
    return [int(each) for each in tensor.values.reshape(-1)]


def _reshape(nodes: Nodes, operator: FlatOperator) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the shape of the output is known."""
    shape = nodes.file.tensors[operator.outputs[0]].shape
    nodes.moved(operator, "Reshape", others=[nodes.constant(np.array(shape, np.int64), "shape")])


def _transpose(nodes: Nodes, operator: FlatOperator) -> None:
    nodes.moved(operator, "Transpose", perm=_integers(nodes, operator, 1))


def _concatenation(nodes: Nodes, operator: FlatOperator) -> None:
    if operator.options is not None and operator.options.FusedActivationFunction():
        refuse(operator, "expected no activation within it")
    rank = len(nodes.tensor(operator, 0).shape)
    first = rank == 4 and nodes.is_first(operator)
    axis = operator.options.Axis() % rank
    read = nodes.numbers if nodes.same_scale(operator) else nodes.reals
    inputs = [read(operator, position, first) for position in range(len(operator.inputs))]
    nodes.write(operator, "Concat", inputs, first=first, axis=FIRST.index(axis) if first else axis)


def _pad(nodes: Nodes, operator: FlatOperator) -> None:
    tensor = nodes.tensor(operator, 0)
    pairs = np.array(_integers(nodes, operator, 1)).reshape(-1, 2)
    first = len(pairs) == 4 and nodes.is_first(operator)
    pads = nodes.constant((pairs[list(FIRST)] if first else pairs).T.reshape(-1), "pads")
    if len(operator.inputs) > 2:
        fill = _integers(nodes, operator, 2)[0] if tensor.dtype != "float32" else nodes.tensor(operator, 2).values
    else:
        fill = tensor.zeros[0] if len(tensor.zeros) else 0
    border = nodes.constant(np.asarray(fill, tensor.dtype).reshape(()), "border")
    if len(operator.inputs) > 2 and not nodes.same_scale(operator):
        refuse(operator, "expected a border with the scale of the tensor")
    nodes.moved(operator, "Pad", others=[pads, border], first=first)


def _split(nodes: Nodes, operator: FlatOperator) -> None:
    """SPLIT reads the axis first, then the tensor; SPLIT_V the tensor, sizes and the axis."""
    sized = operator.code == "SPLIT_V"
    source = 0 if sized else 1
    rank = len(nodes.tensor(operator, source).shape)
    axis = _integers(nodes, operator, 2 if sized else 0)[0] % rank
    start = 0
    for output, index in enumerate(operator.outputs):
        size = nodes.file.tensors[index].shape[axis]
        _sliced(nodes, operator, ([start], [start + size], [axis], [1]), source, output)
        start += size


def _sliced(
    nodes: Nodes, operator: FlatOperator, bounds: tuple[list[int], list[int], list[int], list[int]], source: int = 0, output: int = 0
) -> None:
    """A part of an input: starts, ends, axes and steps."""
    names = [nodes.constant(np.array(each, np.int64), "slice") for each in bounds]
    read = nodes.numbers if nodes.same_scale(operator) else nodes.reals
    nodes.write(operator, "Slice", [read(operator, source), *names], first=False, output=output)


def _slice(nodes: Nodes, operator: FlatOperator) -> None:
    begins, sizes = _integers(nodes, operator, 1), _integers(nodes, operator, 2)
    shape = nodes.tensor(operator, 0).shape
    ends = [shape[axis] if size == -1 else begin + size for axis, (begin, size) in enumerate(zip(begins, sizes, strict=True))]
    _sliced(nodes, operator, (begins, ends, list(range(len(shape))), [1] * len(shape)))


def _strided_slice(nodes: Nodes, operator: FlatOperator) -> None:
    options, shape = operator.options, nodes.tensor(operator, 0).shape
    begins, ends, steps = (_integers(nodes, operator, position) for position in (1, 2, 3))
    if options.EllipsisMask() or options.NewAxisMask() or min(steps) < 1:
        refuse(operator, "expected steps from 1 on, no ellipsis and no new axis")
    axes = list(range(len(begins)))
    starts = [0 if options.BeginMask() >> axis & 1 else begins[axis] for axis in axes]
    stops = [shape[axis] if options.EndMask() >> axis & 1 else ends[axis] for axis in axes]
    for axis in axes:
        if options.ShrinkAxisMask() >> axis & 1:
            starts[axis] %= shape[axis]
            stops[axis] = starts[axis] + 1
    read = nodes.numbers if nodes.same_scale(operator) else nodes.reals
    names = [nodes.constant(np.array(each, np.int64), "slice") for each in (starts, stops, axes, steps)]
    made = nodes.add("Slice", [read(operator, 0), *names])
    wanted = nodes.constant(np.array(nodes.file.tensors[operator.outputs[0]].shape, np.int64), "shape")
    nodes.write(operator, "Reshape", [made, wanted], first=False)


MOVES: dict[str, Callable[[Nodes, FlatOperator], None]] = {
    "CONCATENATION": _concatenation,
    "EXPAND_DIMS": _reshape,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
}
"""By the name of the operator in TensorFlow Lite."""
