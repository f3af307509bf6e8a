"""Which original nodes each optimised kernel computes: those it is anchored at, and those that can only be its own.

    original    a = Conv x ── Add a,b ── Relu       kernels   Conv x       anchored at a
                b = Conv y ──┘                                Conv y, a    anchored at b: reads a, so has the Add and the Relu

No node is claimed twice, and a claim that the optimised graph contradicts is found out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from edgekit.graph import Graph, Node
from profilers.map.anchors import Anchor
from profilers.map.common_subexpressions import find_twins

__all__ = ["MOVES", "Original", "claim", "contradicted", "edges"]

DROPPED = frozenset({"Dropout", "Identity"})
"""Operators that onnxruntime removes, so that no kernel stands for them."""

MOVES = frozenset(
    """
    Cast DequantizeLinear Flatten MemcpyFromHost MemcpyToHost QuantizeLinear ReorderInput ReorderOutput Reshape Squeeze
    Transpose Unsqueeze
    """.split()
)
"""Operators that onnxruntime puts in on its own, to hand a tensor on in another form."""


class Original:
    """The original nodes by position: their unit, what feeds them, and what reads them."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes = graph.nodes
        self.before, self.after = edges(graph.nodes)
        self.unit = [index for index, unit in enumerate(graph.units) for _ in range(unit.start, unit.stop)]

    def behind(self, start: Iterable[int], barred: set[int]) -> set[int]:
        """What ``start`` depends on, up to barred and constant nodes; without what onnxruntime removes."""
        found: set[int] = set()
        stack = [source for position in start for source in self.before[position]]
        while stack:
            position = stack.pop()
            if not (position in barred or position in found or self.nodes[position].constant):
                found.add(position)
                stack += self.before[position]
        return {position for position in found if self.nodes[position].op not in DROPPED}

    def made_by(self, position: int) -> set[int]:
        """The nodes that compute what a node reads; removed ones are looked through, constants left out."""
        found: set[int] = set()
        for source in self.before[position]:
            if self.nodes[source].op in DROPPED:
                found |= self.made_by(source)
            elif not self.nodes[source].constant:
                found.add(source)
        return found

    def leaving(self, claimed: set[int]) -> set[int]:
        """Of the nodes that one kernel claims, those that others read."""
        return {position for position in claimed if not claimed.issuperset(self.after[position])}

    @property
    def folded(self) -> set[int]:
        """The nodes that need no kernel: constants, those that onnxruntime removes, and those that no output depends on."""
        wanted = {position for position, node in enumerate(self.nodes) if set(node.outputs) & set(self.graph.outputs)}
        needed = wanted | self.behind(wanted, set())
        return {i for i, node in enumerate(self.nodes) if i not in needed or node.constant or node.op in DROPPED}


def claim(original: Original, optimized: Sequence[Node], anchors: Sequence[Anchor]) -> list[set[int]]:
    """Positions of the original nodes that each kernel claims; none is claimed twice.

    1. Where it is anchored; of several kernels anchored at one node the first has it, the others hand on what it computed.
    2. Where only a name told that, what follows within its unit, and sums with what else it reads; no more than its outputs tell of.
    3. For moves that bear the tensor of another operator: that, if no kernel computes it.
    4. What leads there and has no kernel of its own.
    5. The twins of what it claims, which were computed once for both.
    """
    claims: list[set[int]] = [set() for _ in optimized]
    owner: dict[int, int] = {}
    moving = {i for i, anchor in enumerate(anchors) if _only_moves(original, optimized[i], anchor)}
    _claim_anchors(claims, anchors, set(range(len(optimized))) - moving, owner)
    feeders = _feeders(optimized, [index for index, anchor in enumerate(anchors) if anchor.positions and index not in moving])
    for index, anchor in enumerate(anchors):
        if anchor.open and index not in moving:
            _claim_ahead(original, claims[index], index, set(feeders[index]), owner)
            _give_back(original, claims[index], set(anchor.positions), len(optimized[index].outputs), owner)
    _claim_anchors(claims, anchors, moving, owner)
    twins: dict[int, int] = {}
    for claimed, feeding in zip(claims, feeders, strict=True):
        handed = {place: times for feeder, times in feeding.items() for place in original.leaving(claims[feeder])}
        twins |= find_twins(original.graph, claimed | original.behind(claimed, set(owner)), handed, set(owner))
    for index, claimed in enumerate(claims):
        claimed |= original.behind(claimed, set(owner) | set(twins))
        owner |= dict.fromkeys(claimed, index)
    for twin, computed in twins.items():
        if computed in owner:
            claims[owner[computed]].add(twin)
    return claims


def _only_moves(original: Original, node: Node, anchor: Anchor) -> bool:
    """Whether a kernel hands on what some other operator computed, as a reorder does that bears the tensor of a convolution."""
    return node.op in MOVES and bool(anchor.positions) and all(original.nodes[place].op != node.op for place in anchor.positions)


def _claim_anchors(claims: list[set[int]], anchors: Sequence[Anchor], kernels: set[int], owner: dict[int, int]) -> None:
    for index in sorted(kernels):
        claims[index] |= {position for position in anchors[index].positions if position not in owner}
        owner |= dict.fromkeys(claims[index], index)


def _claim_ahead(original: Original, claimed: set[int], index: int, feeders: set[int], owner: dict[int, int]) -> None:
    """Claim what reads ``claimed``, if all that it reads besides comes from kernels that feed this one.

    Within the kernel's own units, which runtimes usually fuse; into another's only with a sum whose other side it reads.
    """
    home = {original.unit[position] for position in claimed}
    stack = [reader for position in claimed for reader in original.after[position]]
    while stack:
        position = stack.pop()
        makers = {owner.get(source) for source in original.made_by(position)}
        own = makers <= feeders | {index} and (original.unit[position] in home or bool(makers & feeders))
        if original.nodes[position].op in DROPPED:
            stack += original.after[position]
        elif own and position not in owner and not original.nodes[position].constant:
            claimed.add(position)
            owner[position] = index
            home.add(original.unit[position])
            stack += original.after[position]


def _give_back(original: Original, claimed: set[int], anchored: set[int], outputs: int, owner: dict[int, int]) -> None:
    """Give back what was claimed ahead until no more tensors leave the kernel than it has outputs.

    The sigmoid of x · sigmoid(x) reads the convolution alone, but is not the convolution's, or that would hand on two.
    """
    for position in sorted(claimed - anchored, reverse=True):
        if len(original.leaving(claimed)) <= outputs:
            return
        claimed.discard(position)
        del owner[position]


def _feeders(optimized: Sequence[Node], computing: Sequence[int]) -> list[Counter[int]]:
    """The computing kernels whose tensors each kernel reads, and how often; also by way of kernels that compute nothing."""
    known = set(computing)
    feeders: list[Counter[int]] = []
    for sources in edges(optimized)[0]:
        found: Counter[int] = Counter()
        for source in sources:
            found.update([source] if source in known else feeders[source])
        feeders.append(found)
    return feeders


def contradicted(original: Original, optimized: Sequence[Node], claims: Sequence[set[int]]) -> set[int]:
    """The kernels that claim a node, but do not get what that node reads from the kernel that claims its maker.

    A move may be made anew for each of its readers, or be exchanged with what follows: what it leads to is not looked at.
    """
    owner = {position: index for index, claimed in enumerate(claims) for position in claimed}
    behind: list[int] = []
    for sources in edges(optimized)[0]:
        behind.append(0)
        for source in sources:
            behind[-1] |= behind[source] | 1 << source
    wrong = set()
    for position, index in owner.items():
        for source in original.made_by(position):
            maker = owner.get(source, index)
            if maker != index and not behind[index] >> maker & 1 and original.nodes[source].op not in MOVES:
                wrong.add(index)
    return wrong


def edges(nodes: Sequence[Node]) -> tuple[list[list[int]], list[list[int]]]:
    """For each node by position: the nodes that feed it, and those that read it."""
    maker = {name: position for position, node in enumerate(nodes) for name in node.outputs if name}
    feeding = [[maker[name] for name in node.inputs if name in maker] for node in nodes]
    reading: list[list[int]] = [[] for _ in nodes]
    for position, sources in enumerate(feeding):
        for source in sources:
            reading[source].append(position)
    return feeding, reading
