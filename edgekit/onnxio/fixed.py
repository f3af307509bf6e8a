"""The shape of an ONNX type."""

from typing import Any

__all__ = ["fixed_shape"]


def fixed_shape(kind: Any) -> tuple[int, ...] | None:
    """The shape of an ONNX type, or None where any of it is open."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None
