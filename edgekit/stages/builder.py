"""The build half of an engine: how its artifacts are made, on the machine of the client, from segments of a network.

    [project.entry-points."edgekit.builders"]
    hailo = "edgekit_hailo.compiler:BUILDER"

    BUILDER = Builder(compiled, refusal, packages=("hailort",))

An engine without a builder gets each segment as ONNX. The run half of the same name, which stands on the device, is in
``edgekit.runtime.engine.engine``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.graph import Graph, Tensor
from edgekit.memory_model import UNSTATED, MemoryModel
from edgekit.onnxio import Model

__all__ = ["Builder"]

Arrays = Mapping[str, NDArray[np.generic]]


class Builder(NamedTuple):
    """What an engine says of itself before anything runs.

    Attributes:
        make: (segment as ONNX, variant, inputs, outputs) → the artifact that the engine opens.
        cannot_run: (graph, unit, variant, model) → why the engine cannot run this unit; empty: it can.
        variants: (default, execution providers of the device, cores) → the variants that are worth a measurement.
        packages: what has to be installed on the device.
        reference: (segment as ONNX, inputs, outputs) → a function of a frame that computes what the engine has to, bit for bit; None:
            onnxruntime computes it, and the engine may differ within tolerances.
        memory: (graph, variant, model) → what segments take of the device's memory where that was not measured.
    """

    make: Callable[[bytes, Variant, tuple[Tensor, ...], tuple[Tensor, ...]], bytes] = lambda onnx, variant, inputs, outputs: onnx
    cannot_run: Callable[[Graph, int, Variant, Model], str] | None = None
    variants: Callable[[Variant, Sequence[str], int], tuple[Variant, ...]] = lambda default, providers, cores: (default,)
    packages: tuple[str, ...] = ()
    memory: Callable[[Graph, Variant, Model], MemoryModel] = lambda graph, variant, model: UNSTATED
    reference: Callable[[bytes, tuple[Tensor, ...], tuple[Tensor, ...]], Callable[[Arrays], Arrays]] | None = None
