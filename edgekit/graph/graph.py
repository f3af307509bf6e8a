"""A network as edgekit sees it: nodes in topological order, grouped into units, with every tensor described."""

from collections import Counter
from functools import cached_property
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from edgekit.errors import PlanError
from edgekit.graph.elements import Cut, Held, Node, Segment, Twin, Unit
from edgekit.graph.tensor import Tensor
from edgekit.quantity import Count, Name

__all__ = ["Graph"]

_PRECISION = {"float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
"""What Variant calls the types that are multiplied; whole numbers go by their own name, without sign."""


class Graph(Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="format", tag="edgekit.graph"):
    """A network; ``digest`` names it. Positions are unit indices: cut ``i`` lies before unit ``i``.

    ``order``: where the units stand in another order than their own, the number that each has in that (see ``in_order``).
    ``twins``: precisions that its stages can also run in, as long as its units stand in their own order.
    """

    name: Name
    digest: Name
    nodes: tuple[Node, ...]
    units: tuple[Unit, ...]
    tensors: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    inputs: tuple[Name, ...]
    outputs: tuple[Name, ...]
    opset: Count = 0
    order: tuple[Count, ...] = ()
    twins: tuple[Twin, ...] = ()
    version: int = 1

    def runs_in(self, precision: str, start: int, stop: int) -> bool:
        """Whether units ``[start, stop)`` can run in a precision: in its own, or in that of a twin that can be cut at both ends."""
        if precision == self.precision:
            return True
        ends = {start, stop} - {0, len(self.units)}
        return not self.order and any(twin.precision == precision and ends <= set(twin.cuts) for twin in self.twins)

    def held(self, precision: str, position: int) -> dict[str, Held]:
        """What goes straight from a stage in a precision that stops at a position to the next one: made last, and held by its twin.

        What was made earlier may have come to the stage otherwise, and is sent on as it came.
        """
        twin = next((twin for twin in self.twins if twin.precision == precision), None)
        if twin is None or self.order or not 0 < position < len(self.units):
            return {}
        before = {tensor.name for tensor in self.cuts[position - 1].tensors}
        made = {tensor.name for tensor in self.cuts[position].tensors} - before
        return {each.tensor: each for each in twin.held if each.tensor in made}

    @cached_property
    def unit_edges(self) -> tuple[tuple[int, int], ...]:
        """Which unit makes what which other reads, constants too, as (maker, reader)."""
        makers = {name: unit for unit in range(len(self.units)) for node in self.unit_nodes(unit) for name in node.outputs if name}
        reads = ((name, unit) for unit in range(len(self.units)) for node in self.unit_nodes(unit) for name in node.inputs)
        return tuple(sorted({(makers[name], unit) for name, unit in reads if makers.get(name, unit) != unit}))

    def in_order(self, order: tuple[int, ...]) -> "Graph":
        """The same network with its units in another order, given by the numbers that they have in their own; empty: in their own.

        Raises:
            PlanError: not every unit once, or one comes before what it reads.
        """
        count = len(self.units)
        own = tuple(range(count))
        before = self.order or own
        after = order or own
        if before == after:
            return self
        if tuple(sorted(after)) != own:
            raise PlanError(f"the order names {len(set(after))} units, expected each of {count} once; partition the graph again")
        at = {unit: position for position, unit in enumerate(before)}
        rank = {unit: position for position, unit in enumerate(after)}
        for maker, reader in self.unit_edges:
            if rank[before[maker]] > rank[before[reader]]:
                raise PlanError(f"unit {before[reader]} comes before unit {before[maker]}, which it reads; partition the graph again")
        spans = [self.units[at[unit]] for unit in after]
        stops = tuple(accumulate(span.stop - span.start for span in spans))
        return replace(
            self,
            nodes=tuple(node for span in spans for node in self.nodes[span.start : span.stop]),
            units=tuple(Unit(stop - (span.stop - span.start), stop) for span, stop in zip(spans, stops, strict=True)),
            order=() if after == own else after,
        )

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in (*self.weights, *self.tensors)}

    def tensor(self, name: str) -> Tensor:
        """The tensor or weight called ``name``."""
        return self._by_name[name]

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one run."""
        return sum(node.macs for node in self.nodes)

    @cached_property
    def precision(self) -> str:
        """What most multiplications are done in: fp32, fp16, int8.

        Told by the data that they read, through the DequantizeLinear that a runtime takes into the kernel; so a network whose
        weights alone are quantized is one of fp32.
        """
        dequantized = {name: node.inputs[0] for node in self.nodes if node.op == "DequantizeLinear" for name in node.outputs}
        work: Counter[str] = Counter()
        for node in self.nodes:
            data = self._by_name.get(dequantized.get(node.inputs[0], node.inputs[0])) if node.macs and node.inputs else None
            if data is not None:
                work[_PRECISION.get(data.dtype, data.dtype.removeprefix("u"))] += node.macs
        return work.most_common(1)[0][0] if work else "fp32"

    def unit_nodes(self, index: int) -> tuple[Node, ...]:
        """The nodes of one unit."""
        return self.nodes[self.units[index].start : self.units[index].stop]

    @cached_property
    def _constants(self) -> frozenset[str]:
        """Names that no stage has to send: weights, and what constant nodes make."""
        made = (name for node in self.nodes if node.constant for name in node.outputs)
        return frozenset(made) | {weight.name for weight in self.weights}

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is a weight, or made by constant nodes."""
        return name in self._constants

    @cached_property
    def makers(self) -> dict[str, Node]:
        """For each tensor that a node makes, that node."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def _lifetimes(self) -> dict[str, tuple[int, int]]:
        """For each tensor that may cross: the first and the last cut that it crosses."""
        born = {name: 0 for name in self.inputs}
        last = dict.fromkeys(self.inputs, -1)
        for index in range(len(self.units)):
            for node in self.unit_nodes(index):
                if node.constant:
                    continue
                last |= {name: index for name in node.inputs if name in born}
                born |= {name: index + 1 for name in node.outputs if name}
        last |= dict.fromkeys(self.outputs, len(self.units))
        for name in self.outputs:  # a constant output is made by the last unit
            born.setdefault(name, len(self.units))
        return {name: (first, last[name]) for name, first in born.items() if last.get(name, -1) >= first}

    @cached_property
    def cuts(self) -> tuple[Cut, ...]:
        """Every boundary: ``cuts[0]`` is the graph's inputs, ``cuts[len(units)]`` its outputs.

        A tensor that skips over a segment crosses both its cuts: it is relayed.
        """
        crossing: list[list[Tensor]] = [[] for _ in range(len(self.units) + 1)]
        for name, (first, last) in self._lifetimes.items():
            for position in range(first, last + 1):
                crossing[position].append(self.tensor(name))
        crossing[-1] = [self.tensor(name) for name in dict.fromkeys(self.outputs)]  # in the order that users know
        return tuple(Cut(i, tuple(tensors), _obstacle(tensors)) for i, tensors in enumerate(crossing))

    @cached_property
    def candidates(self) -> tuple[int, ...]:
        """Positions strictly inside the graph where it may be cut."""
        return tuple(cut.position for cut in self.cuts[1:-1] if cut.obstacle is None)

    def segment(self, start: int, stop: int) -> Segment:
        """Units ``[start, stop)``; tensors that only pass over them are left out."""
        inside = self.nodes[self.units[start].start : self.units[stop - 1].stop] if start < stop else ()
        live = [node for node in inside if not node.constant]
        read = {name for node in live for name in node.inputs}
        made = {name for node in live for name in node.outputs}
        outputs = tuple(tensor for tensor in self.cuts[stop].tensors if tensor.name in made or tensor.name in self._constants)
        behind = self._behind(read.union(tensor.name for tensor in outputs))
        return Segment(
            start,
            stop,
            tuple(tensor for tensor in self.cuts[start].tensors if tensor.name in read),
            outputs,
            tuple(self.weights[index] for index in sorted(self._weight_index[name] for name in behind if name in self._weight_index)),
            sum(node.macs for node in inside),
        )

    @cached_property
    def _weight_index(self) -> dict[str, int]:
        return {weight.name: index for index, weight in enumerate(self.weights)}

    @cached_property
    def _constant_makers(self) -> dict[str, Node]:
        return {name: node for node in self.nodes if node.constant for name in node.outputs}

    def _behind(self, names: set[str]) -> set[str]:
        """``names``, and all that the constant nodes behind them read."""
        found = set(names)
        stack = [name for name in names if name in self._constant_makers]
        while stack:
            fresh = set(self._constant_makers[stack.pop()].inputs) - found
            found |= fresh
            stack += [name for name in fresh if name in self._constant_makers]
        return found

    @cached_property
    def step_bytes(self) -> tuple[int, ...]:
        """Bytes of tensors alive while each unit runs: what crosses into it, and all that it makes."""
        made = (
            sum(self.tensor(name).nbytes for node in self.unit_nodes(i) if not node.constant for name in node.outputs if name)
            for i in range(len(self.units))
        )
        return tuple(cut.nbytes + inside for cut, inside in zip(self.cuts, made, strict=False))

    def peak_bytes(self, start: int, stop: int) -> int:
        """A bound of the activation bytes alive at once in units ``[start, stop)``."""
        return max(self.step_bytes[start:stop], default=0)

    def mac_sums(self) -> tuple[int, ...]:
        """Running sum of MACs: ``sums[j] - sums[i]`` is the work of units ``[i, j)``."""
        per_unit = (sum(node.macs for node in self.unit_nodes(i)) for i in range(len(self.units)))
        return tuple(accumulate(per_unit, initial=0))


def _obstacle(tensors: list[Tensor]) -> str | None:
    for tensor in tensors:
        if tensor.shape is None:
            return f"{tensor.name} has a shape that depends on the data"
        if not tensor.travels:
            return f"{tensor.name} is of type {tensor.dtype}, which cannot be sent"
    return None
