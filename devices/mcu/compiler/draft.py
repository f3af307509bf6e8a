"""A Program while it is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from devices.mcu.compiler.entries import Constant, Curve, Entry, Outside, Pending, Placed, Places
from devices.mcu.compiler.moves import loops
from devices.mcu.program import Buffer, Bytes, Map, Move, Operator
from edgekit.errors import GraphError
from edgekit.onnxio.network import Attribute
from edgekit.onnxio.network import Operator as Node

__all__ = [
    "QUANTIZE",
    "Draft",
    "Padded",
    "arranged",
    "contiguous",
    "copied",
    "mapped",
    "order_of",
    "placed_in_order",
    "planar",
    "refuse",
    "text",
    "whole",
]


QUANTIZE = "quantize the network first: edgekit quantize net.onnx --data frames.npz -o net8.onnx"
"""What to do with what is in float."""


class Padded(NamedTuple):
    """What a buffer holds within a border: pads are those before and behind each axis of the inner tensor."""

    inner: Placed
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int
    outer: Places


@dataclass(eq=False)
class Draft:
    """Buffers and operators so far, and what each tensor of the network stands for.

    ``scales`` of float inputs are those with which the host quantizes them. ``unsigned`` names the tensors that are uint8 in
    the network: the board sees their numbers less 128.
    """

    opset: int
    entries: dict[str, Entry] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    padded: dict[int, Padded] = field(default_factory=dict)
    scales: dict[str, tuple[float, int]] = field(default_factory=dict)
    copies: dict[tuple[int, bytes], int] = field(default_factory=dict)
    unsigned: set[str] = field(default_factory=set)

    def copy(self) -> "Draft":
        """The same draft, to be gone on with apart from this one."""
        return replace(
            self,
            entries=dict(self.entries),
            buffers=list(self.buffers),
            operators=list(self.operators),
            padded=dict(self.padded),
            scales=dict(self.scales),
            copies=dict(self.copies),
            unsigned=set(self.unsigned),
        )

    def buffer(self, name: str, nbytes: int) -> int:
        """The index of a new buffer."""
        self.buffers.append(Buffer(name, nbytes))
        return len(self.buffers) - 1

    def new(self, name: str, shape: Sequence[int], axes: Sequence[int] | None = None) -> Placed:
        """A new buffer whose elements lie in the order of ``axes`` of the declared shape; None: in their own."""
        axes = range(len(shape)) if axes is None else axes
        places = np.arange(prod(shape)).reshape([shape[axis] for axis in axes])
        return Placed(self.buffer(name, prod(shape)), places.transpose(np.argsort(axes)))

    def entry(self, node: Node, index: int) -> Entry:
        """An input of a node."""
        if not self.has(node, index):
            refuse(node, f"its input {index} is left out, expected a tensor")
        return self.entries[node.inputs[index]]

    def has(self, node: Node, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(node.inputs) and node.inputs[index] != ""

    def held(self, node: Node, index: int) -> Curve:
        """An input that is a dequantized activation."""
        entry = self.entry(node, index)
        if isinstance(entry, Curve) and entry.scaling is not None:
            return entry
        refuse(node, _float_reason(node.inputs[index], entry))

    def constant(self, node: Node, index: int) -> Constant:
        """An input that is known now."""
        entry = self.entry(node, index)
        if isinstance(entry, Constant):
            return entry
        refuse(node, f"input {node.inputs[index]} is computed, expected a constant")

    def value(self, node: Node, name: str, index: int, *, default: Any = None) -> Any:
        """A setting that older ONNX operators have as an attribute, and newer ones as an input at ``index``."""
        if name in node.attributes:
            return node.attributes[name]
        return self.constant(node, index).values if self.has(node, index) else default

    def integers(self, node: Node, name: str, index: int) -> tuple[int, ...] | None:
        """The same of whole numbers."""
        found = self.value(node, name, index)
        return None if found is None else tuple(int(each) for each in np.ravel(found))


def refuse(node: Node, reason: str) -> NoReturn:
    """Say that a node cannot run on a microcontroller."""
    raise GraphError(f"node {node.name} ({node.op}): {reason}")


def planar(node: Node, places: Places) -> Places:
    """An image of one or two axes, declared N C W or N C H W, as N C H W with one frame."""
    if places.ndim not in (3, 4) or places.shape[0] != 1:
        refuse(node, f"expected one frame of 3 or 4 axes, N C W or N C H W, got shape {places.shape}")
    return places if places.ndim == 4 else places[:, :, None, :]


def _float_reason(name: str, entry: Entry) -> str:
    match entry:
        case Outside():
            return f"it reads {name} in float, expected int8 behind a QuantizeLinear; {QUANTIZE}"
        case Pending():
            return f"it reads {name}, which node {entry.node} makes in float, expected a QuantizeLinear in between; {QUANTIZE}"
        case Curve():
            return f"it reads {name}, a function in float, expected a QuantizeLinear in between; {QUANTIZE}"
        case Placed():
            return f"it reads {name} in int8 without its scale, expected a DequantizeLinear in between"
        case _:
            return f"{name} is a constant, expected an activation in int8"


def order_of(places: Places) -> tuple[int, ...]:
    """The axes of a tensor as they lie in memory, the outermost first; axes of one element stay where they can."""
    if not places.size:
        return tuple(range(places.ndim))
    first = places[(0,) * places.ndim]
    steps = []
    for axis, size in enumerate(places.shape):
        at = tuple(1 if other == axis else 0 for other in range(places.ndim))
        steps.append(int(places[at] - first) if size > 1 else 0)
    filled = list(steps)
    for axis in range(len(steps) - 1, -1, -1):
        if filled[axis] == 0:
            filled[axis] = filled[axis + 1] if axis + 1 < len(steps) else 1
    return tuple(sorted(range(places.ndim), key=lambda axis: (-filled[axis], axis)))


def whole(draft: Draft, placed: Placed) -> bool:
    """Whether a tensor is each byte of its buffer once."""
    flat = placed.places.ravel()
    return flat.size == draft.buffers[placed.buffer].nbytes and bool((np.bincount(flat, minlength=flat.size) == 1).all())


def arranged(draft: Draft, node: Node, placed: Placed, axes: Sequence[int]) -> int:
    """A buffer that holds a tensor alone, in the order of ``axes``; the bytes are moved where they lie otherwise."""
    return placed_in_order(draft, node, placed, placed.places.transpose(axes).ravel())


def placed_in_order(draft: Draft, node: Node, placed: Placed, flat: Places) -> int:
    """A buffer that holds the bytes at ``flat``, one after the other."""
    size = draft.buffers[placed.buffer].nbytes
    if flat.size == size and np.array_equal(flat, np.arange(size)):
        return placed.buffer
    key = placed.buffer, flat.tobytes()
    if key not in draft.copies:
        draft.copies[key] = draft.buffer(f"{node.name}_{draft.buffers[placed.buffer].name}", flat.size)
        copied(draft, node, placed.buffer, draft.copies[key], flat, np.arange(flat.size))
    return draft.copies[key]


def contiguous(draft: Draft, node: Node, placed: Placed) -> Placed:
    """The same tensor alone in a buffer, in the order in which it lies."""
    if whole(draft, placed):
        return placed
    axes = order_of(placed.places)
    buffer = arranged(draft, node, placed, axes)
    shape = [placed.places.shape[axis] for axis in axes]
    return Placed(buffer, np.arange(placed.places.size).reshape(shape).transpose(np.argsort(axes)))


def copied(draft: Draft, node: Node, source: int, target: int, at_in: Places, at_out: Places, *, table: Bytes | None = None) -> None:
    """Add the moves that bring bytes of one buffer to places of another."""
    found = loops(at_in.ravel(), at_out.ravel())
    if len(found) > 64:
        refuse(node, f"its bytes are moved in {len(found)} ways, expected at most 64; arrange the tensor otherwise")
    for each in found:
        draft.operators.append(Move(name=node.name, input=source, output=target, table=table, **each._asdict()))


def mapped(draft: Draft, node: Node, placed: Placed, table: NDArray[np.int8]) -> Placed:
    """Each number of a tensor through a table."""
    if np.array_equal(table, np.arange(-128, 128)):
        return placed
    if whole(draft, placed):
        size = placed.places.size
        output = draft.buffer(node.outputs[0], size)
        draft.operators.append(Map(name=node.name, input=placed.buffer, output=output, count=size, table=table))
        return Placed(output, placed.places)
    made = draft.new(node.outputs[0], placed.places.shape, order_of(placed.places))
    copied(draft, node, placed.buffer, made.buffer, placed.places, made.places, table=table)
    return made


def text(node: Node, name: str, default: str) -> str:
    """An attribute that is a word."""
    found: Attribute = node.attributes.get(name, default)
    return str(found)
