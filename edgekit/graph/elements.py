"""What a graph is made of: nodes, units, cuts, segments, and twins in other precisions."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.graph.tensor import Tensor
from edgekit.quantity import Count, Name

__all__ = ["Cut", "Held", "Node", "Segment", "Twin", "Unit"]


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """One operator. ``inputs`` holds names of tensors and weights, also those a subgraph captures.

    A ``constant`` node depends on no graph input and is deterministic; each stage that needs it gets a copy. ``module`` is the
    torch module that it comes from, such as ``blocks.3.down.0``; empty where that is not known.
    """

    name: Name
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: Count = 0
    constant: bool = False
    module: str = ""


class Unit(Struct, frozen=True, forbid_unknown_fields=True):
    """Nodes ``[start, stop)`` of the graph that belong together; the smallest thing that is moved."""

    start: Count
    stop: Annotated[int, Meta(ge=1)]


class Cut(Struct, frozen=True):
    """The boundary before unit ``position``, and what crosses it.

    ``obstacle`` says why the graph cannot be cut here; None where it can.
    """

    position: int
    tensors: tuple[Tensor, ...]
    obstacle: str | None = None

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors)


class Segment(Struct, frozen=True):
    """Units ``[start, stop)`` with what they read, what they make for others, and the weights they use."""

    start: int
    stop: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    macs: int

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights)


class Held(Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor that a network in int8 has in whole numbers: value = (number - zero) · scale, with a sign or without."""

    tensor: Name
    dtype: Literal["uint8", "int8"]
    scale: Annotated[float, Meta(gt=0)]
    zero: Annotated[int, Meta(ge=-128, le=255)]


class Twin(Struct, frozen=True, forbid_unknown_fields=True):
    """The same network in another precision, and the positions where stages of the two can meet.

    ``held``: of what crosses there, that which every stage of it makes and reads in whole numbers.
    """

    precision: Name
    digest: Name
    cuts: tuple[Count, ...]
    held: tuple[Held, ...] = ()
