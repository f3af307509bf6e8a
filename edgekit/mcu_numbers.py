"""How the tensors at the ends of a segment become the bytes of a microcontroller, and back."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import FrameError

__all__ = ["BoardEnd", "to_board", "to_declared"]

Bytes = NDArray[np.int8]


class BoardEnd(Protocol):
    """An input or output as a Program or an artifact describes it."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> str: ...

    @property
    def axes(self) -> tuple[int, ...]: ...

    @property
    def scale(self) -> float: ...

    @property
    def zero(self) -> int: ...


def to_board(end: BoardEnd, values: NDArray[Any]) -> Bytes:
    """The bytes of an input on the board.

    Raises:
        FrameError: the values are of another shape or type.
    """
    if values.shape != tuple(end.shape) or values.dtype != end.dtype:
        shape, wanted = list(values.shape), list(end.shape)
        raise FrameError(f"input {end.name}: expected {end.dtype} of shape {wanted}, got {values.dtype} of shape {shape}")
    numbers: Bytes = _numbers(end, values).transpose(end.axes).reshape(-1)
    return numbers


def _numbers(end: BoardEnd, values: NDArray[Any]) -> Bytes:
    """Values as int8 numbers; a value halfway between two becomes the even one, as ONNX rounds."""
    if end.dtype == "float32":
        rounded = np.rint(values / np.float32(end.scale)) + end.zero
        values = np.clip(np.nan_to_num(rounded, nan=end.zero), -128, 127)
        return values.astype(np.int8)
    numbers: Bytes = (values.astype(np.int16) - 128).astype(np.int8) if end.dtype == "uint8" else values
    return numbers


def to_declared(end: BoardEnd, data: Bytes) -> NDArray[Any]:
    """An output as its reader expects it, from its bytes on the board."""
    numbers = data.reshape([end.shape[axis] for axis in end.axes]).transpose(np.argsort(end.axes))
    if end.dtype == "float32":
        return (numbers.astype(np.int32) - end.zero).astype(np.float32) * np.float32(end.scale)
    return np.ascontiguousarray(numbers.astype(np.int16) + 128 if end.dtype == "uint8" else numbers).astype(end.dtype)
