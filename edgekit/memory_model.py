"""How much memory of its device a segment takes: by an engine's equations, or as its planner knows.

    load  =  base + libraries + Σ copies · weights + layout_copies · largest weight with a layout
    run   =  load + what crosses both ends + activation_copies · activations
    peak  =  base + (1 + margin) · (max(load, run) - base)

Copies are those of an operator in ``layouts`` for its weights, and ``weight_copies`` for all
others. Measured segments correct load and run before the margin is added. A table has no such
equations: the peak of a segment is the base and the larger of the two values in its row.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from edgekit.quantity import Bytes, Count, Name, Share

__all__ = ["UNSTATED", "MemoryEquations", "MemoryModel", "MemoryTable", "SegmentBytes"]


class MemoryEquations(Struct, frozen=True, forbid_unknown_fields=True, tag="equations"):
    """The coefficients of an engine whose memory is predicted.

    Attributes:
        weight_copies: how many copies of a weight the engine holds.
        layouts: operators whose weights it puts into another layout, with the copies of them.
        layout_copies: copies of the largest such weight that exist only while it loads.
        activation_copies: how often it allocates the activations that are alive at once.
        least_share: share of the equations that counts at least, also where measured segments took less.
        margin: share that is added to what a process takes beyond its base.
    """

    weight_copies: Count
    layouts: tuple[tuple[Name, Count], ...]
    layout_copies: Count
    activation_copies: Count
    least_share: Share
    margin: Annotated[float, Meta(ge=0)]

    def in_order(self, rank: Mapping[int, int]) -> "MemoryEquations":
        """The model of the graph with its units in another order: the same."""
        return self


class SegmentBytes(Struct, frozen=True, forbid_unknown_fields=True):
    """What units ``[start, stop)`` add to their device: while they load, while they run, and in flash.

    ``in_bytes`` and ``out_bytes``: what the line of a microcontroller carries in and out for one frame, as the board has it.
    ``peak``: the operator that needs the most memory while the units run; empty where nobody tells.
    """

    start: Count
    stop: Count
    load_bytes: Bytes
    run_bytes: Bytes
    flash_bytes: Bytes = 0
    in_bytes: Bytes = 0
    out_bytes: Bytes = 0
    peak: str = ""


class MemoryTable(Struct, frozen=True, forbid_unknown_fields=True, tag="table"):
    """The segments that an engine's planner has placed, exactly; the device cannot run any other."""

    segments: tuple[SegmentBytes, ...]

    def in_order(self, rank: Mapping[int, int]) -> "MemoryTable":
        """The table of the graph with unit u at ``rank[u]``: the segments that are ranges there too."""
        found = []
        for each in self.segments:
            ranks = [rank[unit] for unit in range(each.start, each.stop)]
            start, stop = min(ranks), max(ranks) + 1
            if stop - start == each.stop - each.start:
                found.append(replace(each, start=start, stop=stop))
        return MemoryTable(tuple(found))


MemoryModel = MemoryEquations | MemoryTable

UNSTATED = MemoryEquations(2, (("Conv", 3),), 3, 2, least_share=0.9, margin=0.25)
"""Of a profile that states no model: older ones were all measured with onnxruntime."""
