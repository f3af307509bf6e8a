"""ONNX files: their import, the Graph in them, and stage models cut out of them. No other room imports onnx."""

from edgekit.onnxio.batching import batched
from edgekit.onnxio.coding import coded
from edgekit.onnxio.cutting import cut
from edgekit.onnxio.drafting import Layer, draft
from edgekit.onnxio.exposing import exposed, weight
from edgekit.onnxio.frames import frames, reaching, refused, try_out
from edgekit.onnxio.legal import legal
from edgekit.onnxio.loading import Model, load
from edgekit.onnxio.masks import LARGE, masking
from edgekit.onnxio.normalise import normalise
from edgekit.onnxio.pixels import with_pixels
from edgekit.onnxio.reading import kernel_nodes, read
from edgekit.onnxio.twins import paired
from edgekit.onnxio.windows import window

__all__ = [
    "LARGE",
    "Layer",
    "Model",
    "batched",
    "coded",
    "cut",
    "draft",
    "exposed",
    "frames",
    "kernel_nodes",
    "legal",
    "load",
    "masking",
    "normalise",
    "paired",
    "reaching",
    "read",
    "refused",
    "try_out",
    "weight",
    "window",
    "with_pixels",
]
