"""The build half of onnxruntime: it loads segments as ONNX, and every execution provider of the device is worth a try."""

from collections.abc import Sequence

from msgspec.structs import replace

from edgekit.device import SUFFIX, Variant
from edgekit.stages.builder import Builder
from edgekit.stages.onnxruntime_memory import ONNXRUNTIME_MEMORY

__all__ = ["BUILDER"]

EACH = 8
"""Up to so many cores each number of threads is tried."""

_THREADED = ("ACL", "ArmNN", "CPU", "Dnnl", "OpenVINO", "Xnnpack")
"""Providers that compute on the threads of the session."""

_REMOTE = ("Azure",)
"""Providers that compute elsewhere."""


def _thread_counts(cores: int) -> tuple[int, ...]:
    """Numbers of threads to try.

    >>> _thread_counts(4), _thread_counts(16)
    ((1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8, 12, 16))
    """
    return tuple(count for count in range(1, cores + 1) if count <= EACH or count % 4 == 0 or count == cores)


def _variants(default: Variant, providers: Sequence[str], cores: int) -> tuple[Variant, ...]:
    """Every provider, with each number of threads where it computes on them."""
    found: list[Variant] = []
    for provider in providers:
        short = provider.removesuffix(SUFFIX)
        if short not in _REMOTE:
            counts = _thread_counts(cores) if short in _THREADED else (default.threads,)
            found += [replace(default, provider=provider, threads=threads) for threads in counts]
    return tuple(found)


BUILDER = Builder(variants=_variants, packages=("onnxruntime",), memory=lambda graph, variant, model: ONNXRUNTIME_MEMORY)
