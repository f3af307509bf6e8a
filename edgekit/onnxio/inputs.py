"""The inputs of a model, with the shapes that the user fixes."""

from collections.abc import Mapping
from typing import Any

from edgekit.errors import GraphError

__all__ = ["fix_inputs"]

Shape = tuple[int, ...]


def fix_inputs(graph: Any, given: Mapping[str | None, Shape]) -> None:
    """Set every input's shape, from ``given`` where the model leaves it open; weights are no inputs.

    The key None means the only input. A symbol such as ``batch`` that one given shape settles holds for the other inputs.

    Raises:
        GraphError: an input stays open, an unknown name, or a given shape that contradicts the model.
    """
    weights = {weight.name for weight in graph.initializer} | {weight.values.name for weight in graph.sparse_initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    shapes = _by_name(given, [value.name for value in inputs], weights)
    for value in graph.input:
        if not value.type.HasField("tensor_type"):
            raise GraphError(
                f"input {value.name}: expected a tensor, got a {value.type.WhichOneof('value')}; export the model with tensor inputs"
            )
    symbols: dict[str, int] = {}
    for value in graph.input:
        if value.name in shapes:
            symbols |= _bind(value, shapes[value.name])
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim in dims:
            if dim.dim_param in symbols:
                dim.dim_value = symbols[dim.dim_param]
        if not value.type.tensor_type.HasField("shape") or any(not dim.HasField("dim_value") for dim in dims):
            raise GraphError(_open_input(value))


def _by_name(given: Mapping[str | None, Shape], names: list[str], weights: set[str]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for name, shape in given.items():
        if name is None:
            if len(names) != 1:
                raise GraphError(f"--input without a name: expected one input, the model has {', '.join(names)}; say which, as in NAME:1x3")
            name = names[0]
        if name not in names:
            reason = "is a weight" if name in weights else "is not an input"
            raise GraphError(f"--input {name}: it {reason} of the model; its inputs are {', '.join(names)}")
        if any(size < 1 for size in shape):
            raise GraphError(f"--input {name}: expected sizes of at least 1, got {_times(shape)}")
        shapes[name] = tuple(shape)
    return shapes


def _bind(value: Any, shape: Shape) -> dict[str, int]:
    """Fix one input; the symbols that this settles."""
    tensor = value.type.tensor_type
    if tensor.HasField("shape"):
        if len(tensor.shape.dim) != len(shape):
            raise GraphError(f"--input {value.name}: expected {_dims(value)}, got {_times(shape)}; give {len(tensor.shape.dim)} sizes")
        for dim, size in zip(tensor.shape.dim, shape, strict=True):
            if dim.HasField("dim_value") and dim.dim_value != size:
                raise GraphError(f"--input {value.name}: expected {_dims(value)}, got {_times(shape)}; only open sizes can be chosen")
    tensor.shape.SetInParent()
    symbols = {dim.dim_param: size for dim, size in zip(tensor.shape.dim, shape, strict=False) if dim.dim_param}
    del tensor.shape.dim[:]
    for size in shape:
        tensor.shape.dim.add(dim_value=size)
    return symbols


def _open_input(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    usual = ("1", "3", "224", "224") if len(dims) in (0, 4) else ("1",) * len(dims)
    known = [str(dim.dim_value) if dim.HasField("dim_value") else "" for dim in dims] or [""] * len(usual)
    example = "x".join(size or default for size, default in zip(known, usual, strict=True))
    return f"input {value.name}: expected a fixed shape, got {_dims(value)}; add it, as in --input {value.name}:{example}"


def _dims(value: Any) -> str:
    if not value.type.tensor_type.HasField("shape"):
        return "a shape of unknown rank"
    dims = value.type.tensor_type.shape.dim
    return f"({', '.join(str(dim.dim_value) if dim.HasField('dim_value') else dim.dim_param or '?' for dim in dims)})"


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))
