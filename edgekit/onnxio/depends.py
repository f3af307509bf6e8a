"""What in a graph is constant, and which shapes depend on the data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.onnxio.file_bytes import subgraphs
from edgekit.onnxio.names import reads

__all__ = ["constant_nodes", "data_shaped"]

_RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Sampling"})

_DATA_SHAPED = frozenset("Compress ImageDecoder NonMaxSuppression NonZero StringNormalizer StringSplit TfIdfVectorizer Unique".split())
"""Operators whose output is as long as the data says."""

_SIZE_INPUTS = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "SequenceAt": (1,),
    "SequenceErase": (1,),
    "SequenceInsert": (2,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"), (1,)),
    **dict.fromkeys(("ReduceProd", "ReduceSum", "ReduceSumSquare"), (1,)),
}
"""Positions of the inputs whose values, not only whose shapes, decide the shape of the output."""


def constant_nodes(nodes: Sequence[Any], weights: Iterable[str]) -> set[str]:
    """Names of the nodes that depend on no input of the graph and are deterministic; ``nodes`` in topological order."""
    settled = set(weights)
    found = set()
    for node in nodes:
        if not _is_random(node) and settled.issuperset(reads(node)):
            found.add(node.name)
            settled.update(node.output)
    return found


def data_shaped(graph: Any, known: set[str]) -> set[str]:
    """Tensors whose shape may follow from the values of inputs; those ``known`` have been proven not to."""
    trail = _Trail({value.name for value in graph.input}, set(), known)
    _follow(graph, trail)
    return trail.shaped


@dataclass
class _Trail:
    """Names whose values follow from the inputs' values, and names whose shapes do; subgraphs share them with what is around."""

    varying: set[str]
    shaped: set[str]
    known: set[str]

    def mark(self, name: str, varies: bool, shaped: bool) -> None:
        if name and shaped and name not in self.known:
            self.shaped.add(name)
        if name and (varies or name in self.shaped):
            self.varying.add(name)


def _follow(graph: Any, trail: _Trail) -> None:
    for node in graph.node:
        if node.op_type == "If":
            _follow_branches(node, trail)
        elif any(subgraphs(node)):
            _follow_body(node, trail)
        else:
            _follow_node(node, trail)


def _follow_node(node: Any, trail: _Trail) -> None:
    moved = not trail.shaped.isdisjoint(node.input)
    varies = moved or _is_random(node) or not trail.varying.isdisjoint(node.input)
    sizes = [node.input[i] for i in _SIZE_INPUTS.get(node.op_type, ()) if i < len(node.input)]
    shaped = moved or (varies and node.op_type in _DATA_SHAPED) or not trail.varying.isdisjoint(sizes)
    for name in node.output:
        trail.mark(name, varies if node.op_type not in ("Shape", "Size") else moved, shaped)


def _follow_branches(node: Any, trail: _Trail) -> None:
    chosen = node.input[0] in trail.varying
    for branch in subgraphs(node):
        _follow(branch, trail)
        for name, inner in zip(node.output, branch.output, strict=False):
            trail.mark(name, chosen or inner.name in trail.varying, chosen or inner.name in trail.shaped)


def _follow_body(node: Any, trail: _Trail) -> None:
    """A Loop or Scan: what one iteration makes is what the next one reads, until nothing new is marked."""
    (body,) = subgraphs(node)
    is_loop = node.op_type == "Loop"  # Loop reads (trips, go, state…), its body (i, go, state…), which makes (go, state…, rows…)
    while True:
        before = len(trail.varying), len(trail.shaped)
        for outer, inner in zip(node.input, body.input, strict=False):
            if not is_loop or inner is not body.input[0]:
                trail.mark(inner.name, outer in trail.varying, outer in trail.shaped)
        _follow(body, trail)
        for made, read in zip(body.output, body.input[1:] if is_loop else body.input, strict=False):
            trail.mark(read.name, made.name in trail.varying, made.name in trail.shaped)
        if before == (len(trail.varying), len(trail.shaped)):
            break
    ends = {*node.input[:1], body.output[0].name, body.input[1].name} if is_loop else set()
    open_ended = not trail.varying.isdisjoint(ends)
    for name, inner in zip(node.output, body.output[1:] if is_loop else body.output, strict=False):
        trail.mark(name, open_ended or inner.name in trail.varying, open_ended or inner.name in trail.shaped)


def _is_random(node: Any) -> bool:
    if node.op_type in _RANDOM or (node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]):
        return True
    return any(_is_random(inner) for graph in subgraphs(node) for inner in graph.node)
