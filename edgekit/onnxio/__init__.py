"""ONNX files: their import, the Graph in them, and stage models cut out of them. No other room imports onnx."""

from typing import TYPE_CHECKING

from edgekit.imports import postpone

if TYPE_CHECKING:
    from edgekit.onnxio.batches import batched
    from edgekit.onnxio.codec_nodes import coded
    from edgekit.onnxio.exposure import exposed, weight
    from edgekit.onnxio.file_bytes import Model, load
    from edgekit.onnxio.layer_rows import Layer, draft
    from edgekit.onnxio.legal import legal
    from edgekit.onnxio.masks import LARGE, masking
    from edgekit.onnxio.normalise import normalise
    from edgekit.onnxio.onnx_graph import kernel_nodes, read
    from edgekit.onnxio.pixels import with_pixels
    from edgekit.onnxio.stage_model import cut
    from edgekit.onnxio.tflite import from_tflite
    from edgekit.onnxio.trial_frames import frames, reaching, refused, try_out
    from edgekit.onnxio.twin_cuts import paired
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
    "from_tflite",
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

postpone(__name__)
