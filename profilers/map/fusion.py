"""Which nodes of a unit run as one kernel: learned from what a device was seen to fuse, by a rule where nothing like it was seen.

    unit       Conv ── BatchNormalization ── Sigmoid ─┐         signature   Conv, BatchNormalization 0, Sigmoid 1, Mul 1 2
                                        └─── Mul ─────┘         kernels     0 0 1 2

A signature names the operators of a unit in order, with the positions of those that feed each; what makes constants is passed
over, as it is computed once when a model is loaded. What is fused may also depend on what stands around: so behind an @ come the
operators that feed the unit, and whether its channels, and those that it reads, come in eights, as blocked layouts want them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from edgekit.graph import Graph, Node
from edgekit.graph.unit_rule import HEAVY

__all__ = ["FOLDED", "Fusions", "learn", "live", "parts", "signature", "written"]

AROUND, GROUPED = "@", "grouped"
FOLDED = -1
"""Stands for the kernel of a node that has none."""

_TAILS = frozenset({"BatchNormalization", "Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh"})
_SUMS = frozenset({"Add", "Sum"})
"""What a convolution takes in where nothing was learned; sums only where it is computed in blocks."""

Fusions = Mapping[str, tuple[int, ...]]
"""For each signature, the kernel of each node: the position of that kernel's first node, or FOLDED."""


def live(graph: Graph, index: int) -> list[int]:
    """The positions of a unit's nodes, without those that make constants."""
    unit = graph.units[index]
    return [place for place in range(unit.start, unit.stop) if not graph.nodes[place].constant]


def signature(graph: Graph, index: int) -> str:
    """The operators of a unit with the edges between them, and what stands around; sizes play no other part."""
    nodes = [graph.nodes[place] for place in live(graph, index)]
    maker: dict[str, int] = {}
    words = []
    for place, node in enumerate(nodes):
        groups = [GROUPED] if _grouped(graph, node) else []
        words.append(" ".join([node.op, *groups, *(str(maker[name]) for name in node.inputs if name in maker)]))
        maker |= dict.fromkeys(node.outputs, place)
    read_names = dict.fromkeys(name for node in nodes for name in node.inputs if name)
    outside = [name for name in read_names if name not in maker and not graph.is_constant(name)]
    feeding = [graph.makers[name].op if name in graph.makers else "" for name in outside]
    read = [graph.tensor(name).shape for name in outside]
    made = [graph.tensor(name).shape for node in nodes[:1] for name in node.outputs]
    eights = ["8" if shape and len(shape) > 1 and shape[1] % 8 == 0 else "-" for shape in (*read[:1], *made[:1])]
    return f"{', '.join(words)} {AROUND} {' '.join([*sorted(feeding), *eights])}"


def written(kernels: Sequence[int]) -> str:
    """The kernel of each node as a word that a file holds."""
    return " ".join(map(str, kernels))


def learn(seen: Iterable[tuple[str, str]]) -> Fusions:
    """For each signature, and for each without what stands around, what was seen most often."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for unit, kernels in seen:
        counts[unit][kernels] += 1
        counts[_alone(unit)][kernels] += 1
    best = {unit: min(found, key=lambda word: (-found[word], word)) for unit, found in counts.items()}
    return {unit: tuple(map(int, kernels.split())) for unit, kernels in best.items()}


def _alone(unit: str) -> str:
    return unit.partition(f" {AROUND} ")[0]


def parts(graph: Graph, fusions: Fusions) -> list[tuple[int, tuple[int, ...]]]:
    """The kernels of a graph in order: each with its unit and the positions of its nodes."""
    found = []
    for index in range(len(graph.units)):
        places, unit_signature = live(graph, index), signature(graph, index)
        kernels = fusions.get(unit_signature) or fusions.get(_alone(unit_signature)) or _by_rule(graph, places)
        members: dict[int, list[int]] = defaultdict(list)
        for place, kernel in zip(places, kernels, strict=True):
            if kernel != FOLDED:
                members[kernel].append(place)
        found += [(index, tuple(positions)) for _, positions in sorted(members.items())]
    return found


def _grouped(graph: Graph, node: Node) -> bool:
    """Whether it is a convolution of several groups with several channels each, which blocked layouts seldom take."""
    if node.op != "Conv":
        return False
    read, weight = (graph.tensor(name).shape or () for name in node.inputs[:2])
    return len(read) > 1 and len(weight) > 1 and 1 < weight[1] < read[1]


def _by_rule(graph: Graph, places: Sequence[int]) -> list[int]:
    """A convolution takes in what follows it and only it, and what scales or shifts it; all else is a kernel of its own."""
    nodes = [graph.nodes[place] for place in places]
    readers = Counter(name for node in nodes for name in node.inputs)
    owner: dict[str, int] = {}
    kernels = []
    for place, node in enumerate(nodes):
        feeding = {owner[name] for name in node.inputs if name in owner}
        home = min(feeding, default=place)
        lone = all(readers[name] == 1 for name in node.inputs if name in owner)
        scaled = node.op == "Mul" and all(name in owner or graph.is_constant(name) for name in node.inputs)
        added = node.op in _SUMS and not _grouped(graph, nodes[home])
        takes = nodes[home].op in HEAVY and "Conv" in nodes[home].op and (node.op in _TAILS or scaled or added)
        kernel = home if len(feeding) == 1 and lone and takes else place
        kernel = FOLDED if node.op in ("Dropout", "Identity") else kernel
        kernels.append(kernel)
        owner |= dict.fromkeys(node.outputs, home if kernel == FOLDED else kernel)
    return kernels
