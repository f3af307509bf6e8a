"""What a network needs of a machine's memory, before anybody has measured it."""

from typing import NamedTuple

from edgekit.graph import Graph
from edgekit.graph.arena import lifetimes, live_bytes, packed_bytes
from edgekit.stages.onnxruntime_memory import ONNXRUNTIME_MEMORY
from partitioner.footprints import Footprints

__all__ = ["Needs", "needs"]


class Needs(NamedTuple):
    """Bytes of a network in one stage.

    Attributes:
        weight_bytes: of its distinct weights.
        live_bytes, arena_bytes: of activations: no arena is smaller than the one, and the other really holds them.
        load_bytes, run_bytes: what onnxruntime is predicted to add to its process at the most, with the margin.
    """

    weight_bytes: int
    live_bytes: int
    arena_bytes: int
    load_bytes: int
    run_bytes: int


def needs(graph: Graph) -> Needs:
    """What the whole network needs."""
    count, predicted, margin = len(graph.units), Footprints(graph).needs(ONNXRUNTIME_MEMORY), ONNXRUNTIME_MEMORY.margin
    tensors = lifetimes(graph, 0, count)
    load, run = (round((1 + margin) * int(table[0, count])) for table in predicted)
    return Needs(graph.segment(0, count).weight_bytes, live_bytes(tensors), packed_bytes(tensors), load, run)
