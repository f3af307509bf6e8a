"""The description of one edge of a graph."""

from math import prod

from msgspec import Struct

from edgekit.quantity import Count, Name

__all__ = ["ITEMSIZE", "Tensor"]

ITEMSIZE = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 2,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
}
"""Bytes of one element for each numpy type that may travel between stages."""


class Tensor(Struct, frozen=True, forbid_unknown_fields=True):
    """One edge of the graph; the description, not the data.

    ``shape`` is None where it depends on the data, ``dtype`` is a numpy name, or an ONNX type
    ("string", "sequence", "bfloat16", …) that cannot travel between stages.
    """

    name: Name
    shape: tuple[Count, ...] | None
    dtype: str

    @property
    def travels(self) -> bool:
        """Whether the tensor can cross from one stage to another."""
        return self.shape is not None and self.dtype in ITEMSIZE

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes; 0 where the shape or the type is not known."""
        return prod(self.shape or ()) * ITEMSIZE[self.dtype] if self.travels else 0
