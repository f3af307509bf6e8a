"""How a network's kernels add up to it: what the sum is regressed on, so that what all predictions have in common is learned.

A network runs without the profiler that its kernels were timed with, it finds in the caches what the one before left there, and its
kernels are alike: where one is predicted too high, so are the others.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.samples import Fused
from profilers.predict.features import ELEMENT_BYTES, kind, moved, weight_bytes

__all__ = ["describe"]

Vector = NDArray[np.float64]

MAIN = ("Conv", "Conv point", "Conv depthwise", "Product of weights")


def describe(kernels: Sequence[Fused], seconds: Sequence[float]) -> tuple[Vector, Vector]:
    """The terms of a network's time (its kernels' sum, and their number), and what tells how far the sum will be off."""
    total = sum(seconds)
    shares: dict[str, float] = defaultdict(float)
    for kernel, spent in zip(kernels, seconds, strict=True):
        shares[kind(kernel)] += spent / total
    widest = max(map(moved, kernels))
    sizes = np.log2([total / len(kernels), total, 1 + weight_bytes(kernels) / 2**20, 1 + ELEMENT_BYTES * widest / 2**20])
    return np.array([total, float(len(kernels))]), np.array([*sizes, *(shares[name] for name in MAIN)])
