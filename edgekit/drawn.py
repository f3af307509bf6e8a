"""Made-up inputs, seeded: what a network runs on where nobody has given frames."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Tensor

__all__ = ["sample_inputs"]

DRAWN = 1 << 14
"""Values of an input that are drawn at once."""

NO_BOUNDS: Mapping[str, tuple[int, int]] = {}


def sample_inputs(
    tensors: tuple[Tensor, ...], seed: int = 0, legal: Mapping[str, tuple[int, int]] = NO_BOUNDS
) -> dict[str, NDArray[np.generic]]:
    """Inputs for tensors of any type: standard normal, or whole numbers within bounds.

    ``legal``: by name the least value of a tensor, and the first that is too large (see ``onnxio.legal``);
    without them whole numbers and booleans are 0 or 1.
    """
    draw = np.random.default_rng(seed)
    return {tensor.name: _drawn(draw, tensor, legal.get(tensor.name)) for tensor in tensors}


def _drawn(draw: np.random.Generator, tensor: Tensor, bounds: tuple[int, int] | None) -> NDArray[np.generic]:
    if tensor.dtype.startswith("float") and bounds is None:
        return _normal(draw, tensor)
    return np.asarray(draw.integers(*(bounds or (0, 2)), tensor.shape or ())).astype(tensor.dtype)


def _normal(draw: np.random.Generator, tensor: Tensor) -> NDArray[np.generic]:
    """In pieces: a draw is twice as wide as what is kept of it, and must not show in the memory that a model takes."""
    values = np.empty(tensor.shape or (), tensor.dtype)
    flat = values.reshape(-1)
    for begin in range(0, flat.size, DRAWN):
        piece = flat[begin : begin + DRAWN]
        piece[:] = draw.standard_normal(piece.size)
    return values
