"""The unit rule: nodes that runtimes usually fuse are one unit, by a rule that is the same on every device."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

from edgekit.graph import Node, Unit

__all__ = ["HEAVY", "group"]

_HEAVY = """
Conv ConvTranspose ConvInteger DeformConv Einsum FusedConv FusedGemm FusedMatMul Gemm MatMul MatMulInteger MatMulNBits
QGemm QLinearConv QLinearMatMul
"""
HEAVY = frozenset(_HEAVY.split())
"""Operators whose kernels take a tail of light ones into themselves."""

MERGING = frozenset({"Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Sub", "Sum", "Where"})
"""Light operators that a heavy one absorbs although another unit feeds them too, as in Conv, Add, Relu."""

_ACTIVATIONS = """
BiasGelu Celu Clip Cos Elu Erf Exp FastGelu Gelu HardSigmoid HardSwish Hardmax LeakyRelu Log LogSoftmax Mish QuickGelu Relu
Selu Shrink Sigmoid Sin Softmax Softplus Softsign Swish Tanh ThresholdedRelu
"""
_NORMS = """
BatchNormalization Dropout GroupNormalization InstanceNormalization LayerNormalization LpNormalization
MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
"""
_ELEMENTWISE = """
Abs And Ceil Equal Floor Greater GreaterOrEqual Identity IsInf IsNaN Less LessOrEqual Mod Neg Not Or Pow Reciprocal Round
Sign Sqrt Xor DequantizeLinear DynamicQuantizeLinear QuantizeLinear
"""
_ARRANGEMENTS = """
Cast CastLike Concat DepthToSpace Flatten Gather Reshape Shape Size Slice SpaceToDepth Split Squeeze Transpose Unsqueeze
"""
LIGHT = MERGING.union(*(words.split() for words in (_ACTIVATIONS, _NORMS, _ELEMENTWISE, _ARRANGEMENTS)))
"""Operators that cost little and join the unit that feeds them; pooling and resizing are none, for cuts around them differ in bytes."""


def group(nodes: Sequence[Node], outputs: Iterable[str]) -> tuple[tuple[Node, ...], tuple[Unit, ...]]:
    """Reorder ``nodes`` (topologically ordered, names unique) so that units are contiguous, and say where each begins.

    Constant nodes belong to the unit of their first consumer. For the others, in order:

    1. a DequantizeLinear with a single consumer goes forward into its consumer's unit, so that a quantized
       network is cut between Q and DQ, with int8 on the wire; that consumer begins a unit;
    2. a light node whose inputs all come from one unit joins it: ``x * sigmoid(x)``, GELU and LayerNorm stay whole;
    3. a merging node joins the latest of its producers whose unit a heavy node began and hands out nothing else;
    4. any other node begins a unit.

    Last, a unit is split behind a tensor that others read too and through which alone its front feeds its back:

        MatMul ─ Add ─ x ─┬─ LayerNorm ─▶      units  MatMul Add | LayerNorm, as cutting at x sends one tensor,
                          └──────────────▶            and cutting behind the LayerNorm sends two

    No rule gives a unit an edge back to itself, so the units are acyclic; grouping twice changes nothing.
    Weights and inputs of the graph are names that no node makes, and play no part.
    """
    live = [node for node in nodes if not node.constant]
    edges = _Edges(live, frozenset(outputs))
    units = [part for members in _join(live, edges) for part in _split(members, edges)]
    ordered = [list(unit) for unit in _order(units, edges)]
    for node, position in _place_constants(nodes, ordered):
        ordered[position].insert(0, node)
    bounds = [0]
    for unit in ordered:
        bounds.append(bounds[-1] + len(unit))
    flat = tuple(node for unit in ordered for node in unit)
    return flat, tuple(Unit(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False))


class _Edges:
    """Who makes and who reads each tensor, among nodes that are not constant."""

    def __init__(self, live: Sequence[Node], outputs: frozenset[str]):
        self.outputs = outputs
        self.index = {node.name: i for i, node in enumerate(live)}
        self.maker = {name: node for node in live for name in node.outputs if name}
        self.readers: dict[str, list[Node]] = defaultdict(list)
        for node in live:
            for name in dict.fromkeys(node.inputs):
                self.readers[name].append(node)
        self.useful: set[str] = set()
        """Names of nodes that some output of the graph depends on."""
        for node in reversed(live):
            if any(name in outputs or any(r.name in self.useful for r in self.readers[name]) for name in node.outputs if name):
                self.useful.add(node.name)

    def fed_by(self, node: Node) -> list[str]:
        """The inputs that other nodes make."""
        return [name for name in dict.fromkeys(node.inputs) if name in self.maker]

    def goes_forward(self, node: Node) -> bool:
        if node.op != "DequantizeLinear":
            return False
        readers = [reader for name in node.outputs for reader in self.readers[name]]
        return len(readers) == 1 and not self.outputs.intersection(node.outputs)


def _join(live: Sequence[Node], edges: _Edges) -> list[list[Node]]:
    """Apply rules 1 to 4; the members of each unit, in their order."""
    unit_of: dict[str, int] = {}
    members: list[list[Node]] = []
    roots: list[Node] = []
    for node in live:
        if edges.goes_forward(node):
            continue
        makers = [edges.maker[name] for name in edges.fed_by(node)]
        forward = [maker for maker in makers if maker.name not in unit_of]
        home = None if forward or node.op not in LIGHT or not makers else _home(node, edges, unit_of, members, roots)
        if home is None:
            home = len(members)
            members.append([])
            roots.append(node)
        for member in (*_behind(forward, edges, unit_of), node):
            unit_of[member.name] = home
            members[home].append(member)
    return members


def _behind(forward: Sequence[Node], edges: _Edges, unit_of: dict[str, int]) -> list[Node]:
    """The nodes that wait for their consumer, with those that wait for them, in order."""
    waiting: dict[str, Node] = {}
    stack = list(forward)
    while stack:
        node = stack.pop()
        waiting[node.name] = node
        makers = (edges.maker[name] for name in edges.fed_by(node))
        stack += [maker for maker in makers if maker.name not in unit_of and maker.name not in waiting]
    return sorted(waiting.values(), key=lambda node: edges.index[node.name])


def _home(node: Node, edges: _Edges, unit_of: dict[str, int], members: list[list[Node]], roots: list[Node]) -> int | None:
    """The unit that a light node joins by rule 2 or 3."""
    tensors = sorted(edges.fed_by(node), key=lambda name: edges.index[edges.maker[name].name], reverse=True)
    homes = [unit_of[edges.maker[name].name] for name in tensors]
    if len(set(homes)) == 1:
        return homes[0]
    if node.op not in MERGING or node.name not in edges.useful:
        return None
    for name, home in zip(tensors, homes, strict=True):
        if roots[home].op in HEAVY and _handed_out(members[home], node, edges) == {name}:
            return home
    return None


def _handed_out(unit: Sequence[Node], node: Node, edges: _Edges) -> set[str]:
    """Tensors that leave the unit, ``{its input}`` where ``node`` alone reads it; readers that nothing depends on do not count."""
    inside = {member.name for member in unit}
    leaving: set[str] = set()
    for name in (name for member in unit for name in member.outputs if name):
        outside = {reader.name for reader in edges.readers[name] if reader.name in edges.useful} - inside
        if name in edges.outputs or outside - {node.name}:
            leaving |= {name, ""}  # someone else reads it, too
        elif outside:
            leaving.add(name)
    return leaving


def _split(unit: list[Node], edges: _Edges) -> list[list[Node]]:
    """Split a unit where one tensor alone goes on inside it, if that tensor also leaves the unit."""
    place = {node.name: i for i, node in enumerate(unit)}
    last: dict[str, int] = {}
    shared: set[str] = set()
    for name in (name for node in unit for name in node.outputs if name):
        places = [place.get(reader.name, len(unit)) for reader in edges.readers[name]]
        places += [len(unit)] * (name in edges.outputs)
        last[name] = max(places, default=-1)
        if last[name] == len(unit) and min(places) < len(unit):
            shared.add(name)
    parts: list[list[Node]] = [[]]
    alive: set[str] = set()
    for i, node in enumerate(unit):
        alive = {name for name in alive if last[name] >= i}
        if len(alive) == 1 and alive <= shared and any(place.get(r.name, -1) >= i for name in alive for r in edges.readers[name]):
            parts.append([])
        parts[-1].append(node)
        alive |= {name for name in node.outputs if name}
    return parts


def _order(units: Sequence[Sequence[Node]], edges: _Edges) -> list[Sequence[Node]]:
    """Topological order of the units; of those that are ready, the one whose first node came first."""
    home = {node.name: i for i, unit in enumerate(units) for node in unit}
    before = [{home[edges.maker[name].name] for node in unit for name in edges.fed_by(node)} - {i} for i, unit in enumerate(units)]
    after: dict[int, list[int]] = defaultdict(list)
    for i, sources in enumerate(before):
        for source in sources:
            after[source].append(i)
    waits = [len(sources) for sources in before]
    first = [min(edges.index[node.name] for node in unit) for unit in units]
    ready = [(first[i], i) for i, count in enumerate(waits) if count == 0]
    heapify(ready)
    ordered = []
    while ready:
        _, i = heappop(ready)
        ordered.append(units[i])
        for successor in after[i]:
            waits[successor] -= 1
            if waits[successor] == 0:
                heappush(ready, (first[successor], successor))
    return ordered


def _place_constants(nodes: Sequence[Node], units: list[list[Node]]) -> list[tuple[Node, int]]:
    """The unit of each constant node, last node first; where nothing reads it, the last unit."""
    constants = [node for node in nodes if node.constant]
    if constants and not units:
        units.append([])
    wanted: dict[str, int] = {}
    for position in range(len(units) - 1, -1, -1):
        wanted |= dict.fromkeys((name for node in units[position] for name in node.inputs), position)
    placed = []
    for node in reversed(constants):
        position = min((wanted[name] for name in node.outputs if name in wanted), default=len(units) - 1)
        placed.append((node, position))
        for name in node.inputs:
            wanted[name] = min(position, wanted.get(name, position))
    return placed
