"""A quantized segment of a network as a Program for a microcontroller.

    ONNX ─network─▶ nodes ─rules─▶ a draft: buffers and operators ─▶ Program

Each node is looked at once, in order. Views move no bytes, results wait for the QuantizeLinear that
states their scale, and what nothing reads in the end is dropped. Nothing is folded over the ends of
the segment: there each tensor has the form that the network gives it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from devices.mcu.compiler.axes import input_axes
from devices.mcu.compiler.draft import Draft
from devices.mcu.compiler.entries import Constant
from devices.mcu.compiler.rules import applied
from devices.mcu.compiler.segment_ends import checked, closed, opened, scaled_end
from devices.mcu.program import Add, End, Fill, Mul, Operator, Program
from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.onnxio.network import Network, network

__all__ = ["Part", "compile_parts", "compile_segment"]


class Part(NamedTuple):
    """The first nodes of a network as a segment: how many they are, what they read and what they make for others."""

    nodes: int
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]


def compile_segment(onnx: bytes, inputs: Sequence[Tensor] | None = None, outputs: Sequence[Tensor] | None = None) -> Program:
    """The Program of a segment; ``inputs`` and ``outputs``: its ends in the order in which they travel, None: as the model has them.

    Raises:
        GraphError: a node cannot run on a microcontroller; the message names it.
    """
    net = network(onnx)
    part = Part(len(net.operators), net.inputs if inputs is None else inputs, net.outputs if outputs is None else outputs)
    (found,) = compile_parts(net, [part])
    if isinstance(found, GraphError):
        raise found
    return found


def compile_parts(net: Network, parts: Iterable[Part]) -> Iterator[Program | GraphError]:
    """For each part, the shortest first, the Program that ``compile_segment`` gives for it alone, or why there is none.

    A node is looked at once for all parts whose inputs lie in the same order on the board.
    """
    walks: dict[tuple[tuple[str, tuple[int, ...]], ...], _Walk] = {}
    draft = Draft(net.opset, {name: Constant(values) for name, values in net.constants.items()})
    for part in parts:
        try:
            shown = replace(net, operators=net.operators[: part.nodes])
            axes = tuple((each.name, input_axes(draft, shown, each.name, checked(each))) for each in part.inputs)
            if axes not in walks:
                walks[axes] = _Walk(net, draft.copy(), part.inputs, axes)
            yield walks[axes].program(part)
        except GraphError as error:
            yield error


class _Walk:
    """A draft that holds the first nodes of a network, and can take in the next ones."""

    def __init__(self, net: Network, draft: Draft, inputs: Sequence[Tensor], axes: Sequence[tuple[str, tuple[int, ...]]]):
        self._net = net
        self._draft = draft
        self._ends = [opened(self._draft, tensor, found) for tensor, (_, found) in zip(inputs, axes, strict=True)]
        self._nodes = 0

    def program(self, part: Part) -> Program:
        """The Program of a part that holds at least the nodes of those before."""
        for node in self._net.operators[self._nodes : part.nodes]:
            made = applied(self._draft, node)
            self._draft.entries |= {name: entry for name, entry in zip(node.outputs, made, strict=False) if name}
            self._nodes += 1
        draft = self._draft.copy()
        results = [closed(draft, tensor, self._ends) for tensor in part.outputs]
        return _pruned(draft, [scaled_end(draft, end) for end in self._ends], results)


def _pruned(draft: Draft, inputs: Sequence[End], outputs: Sequence[End]) -> Program:
    """The Program without operators and buffers that no output needs."""
    needed = {end.buffer for end in outputs}
    kept: list[Operator] = []
    for operator in reversed(draft.operators):
        if operator.output in needed:
            kept.append(operator)
            needed.update(_reads(operator))
    used = sorted(needed | {end.buffer for end in inputs})
    number = {buffer: index for index, buffer in enumerate(used)}
    return Program(
        buffers=tuple(draft.buffers[buffer] for buffer in used),
        operators=tuple(_renumbered(operator, number) for operator in reversed(kept)),
        inputs=tuple(end._replace(buffer=number[end.buffer]) for end in inputs),
        outputs=tuple(end._replace(buffer=number[end.buffer]) for end in outputs),
    )


def _reads(operator: Operator) -> list[int]:
    if isinstance(operator, Fill):
        return []
    other = [operator.other] if isinstance(operator, Add | Mul) and isinstance(operator.other, int) else []
    return [operator.input, *other]


def _renumbered(operator: Operator, number: Mapping[int, int]) -> Operator:
    if isinstance(operator, Fill):
        return replace(operator, output=number[operator.output])
    if isinstance(operator, Add | Mul) and isinstance(operator.other, int):
        operator = replace(operator, other=number[operator.other])
    return replace(operator, input=number[operator.input], output=number[operator.output])
