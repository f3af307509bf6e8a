"""Inputs of a network as one writes them in Python: shapes, or example values."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

from edgekit.errors import UsageError
from edgekit.shapes import parse_input

__all__ = ["Input", "inputs_of"]

EXAMPLE = 'write (1, 3, 224, 224), "1x3x224x224", {"ids": np.zeros((1, 16), np.int64)} or a list'


class Input(NamedTuple):
    """An argument of a network's ``forward``.

    name: None where its place in the order says which one it is.
    dtype: the type of its values; None: that of the network's ``input_dtype``, else of its weights.
    value: an example tensor or array; None where only shape and type are known.
    """

    name: str | None
    shape: tuple[int, ...]
    dtype: str | None = None
    value: Any = None


def inputs_of(given: object) -> tuple[Input, ...]:
    """The inputs that a shape, a text, an array, a list of these or a dict by name describes.

    >>> inputs_of((1, 3, 8, 8))
    (Input(name=None, shape=(1, 3, 8, 8), dtype=None, value=None),)
    >>> [each.shape for each in inputs_of(["1x3", (1, 4)])]
    [(1, 3), (1, 4)]

    Raises:
        UsageError: it is none of them, or a size is not positive.
    """
    if isinstance(given, Mapping):
        return tuple(_input(each)._replace(name=_name(name)) for name, each in given.items())
    if isinstance(given, Sequence) and not isinstance(given, str) and not _is_shape(given):
        return tuple(map(_input, given))
    return (_input(given),)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise UsageError(f"expected names of inputs as texts, got {name!r}; {EXAMPLE}")
    return name


def _input(given: object) -> Input:
    if isinstance(given, str):
        return Input(*parse_input(given))
    if isinstance(given, Sequence) and _is_shape(given):
        return Input(None, _sizes(given, given))
    shape = getattr(given, "shape", None)
    if isinstance(shape, Sequence) and hasattr(given, "dtype"):  # an array or a tensor
        return Input(None, _sizes(shape, given), value=given)
    raise UsageError(f"expected a shape or an example of an input, got {given!r:.60}; {EXAMPLE}")


def _is_shape(given: Sequence[object]) -> bool:
    return len(given) > 0 and all(isinstance(size, Integral) for size in given)


def _sizes(shape: Sequence[Any], given: object) -> tuple[int, ...]:
    sizes = tuple(map(int, shape))
    if any(size < 1 for size in sizes):
        raise UsageError(f"expected positive sizes, got {given!r:.60}; {EXAMPLE}")
    return sizes
