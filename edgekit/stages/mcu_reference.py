"""The golden answers of a microcontroller's stage: its program, run in NumPy."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from devices.mcu.compiler import compile_segment
from devices.mcu.reference import run
from edgekit.graph import Tensor

__all__ = ["reference"]

Arrays = Mapping[str, NDArray[np.generic]]


def reference(onnx: bytes, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Callable[[Arrays], Arrays]:
    """What a board has to compute of a segment, bit for bit."""
    program = compile_segment(onnx, inputs, outputs)
    return lambda frame: run(program, frame)
