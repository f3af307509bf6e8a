"""A network in another precision; the only importer of onnxruntime.quantization and of its conversion to fp16.

    int8    x ── Q ── DQ ── Conv ── Q ── DQ ──▶     weights in 8 bits for each channel, activations by their range on given data
    fp16    x ── Cast ── Conv ── Cast ──▶           every weight and activation

Inputs and outputs stay what they were, so that whoever sends frames and reads results need not know.
"""

import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import GraphError
from edgekit.graph import Graph
from edgekit.machine import Machine
from edgekit.onnxio import LARGE, Model, masking, normalise, read
from edgekit.telemetry import decline

__all__ = ["Scheme", "int8_scheme", "to_fp16", "to_int8"]

Arrays = Mapping[str, NDArray[np.generic]]

VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


class Scheme(NamedTuple):
    """How 8 bits are used: whether activations have a sign, whether weights keep to 7 bits; and for which machines that is right."""

    signed: bool
    seven_bits: bool
    reason: str


def int8_scheme(machines: Sequence[Machine]) -> Scheme:
    """What suits all of the machines that the network shall run on.

    Products of unsigned activations and signed weights are summed in pairs in 16 bits by AVX2 and AVX-512, which saturate
    there unless weights keep to 7 bits; VNNI and ARM sum in 32 bits. ARM has kernels for signed activations
    (onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    """
    x86 = [machine for machine in machines if machine.architecture.lower() in ("x86_64", "amd64", "i686")]
    if machines and not x86:
        return Scheme(True, False, "signed activations, 8-bit weights, as ARM kernels take them")
    if all(VNNI.intersection(machine.features) for machine in x86):
        return Scheme(False, False, "unsigned activations, 8-bit weights, as x86 with VNNI takes them")
    return Scheme(False, True, "unsigned activations, 7-bit weights, as x86 without VNNI would saturate with 8")


def to_int8(model: Model, frames: Iterable[Arrays], scheme: Scheme) -> bytes:
    """A normalised network with static QDQ quantization; ``frames`` are inputs as it will see them, which set the ranges.

    Masks, and what else is far larger than the activations it is added to, stay in fp32 (see ``onnxio.masks``).

    Raises:
        GraphError: it is not in fp32, has nothing to quantize, or onnxruntime cannot quantize it.
    """
    graph, held = _fp32(model), list(frames)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, _apart():
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        source, prepared, made = (Path(folder, name) for name in ("net.onnx", "prepared.onnx", "int8.onnx"))
        source.write_bytes(model.serialized)
        try:
            quant_pre_process(source, prepared, skip_symbolic_shape=True)  # folds normalisations into convolutions
            quantize_static(
                prepared,
                made,
                _Reader(held),
                nodes_to_exclude=masking(prepared, _large(held)),
                quant_format=QuantFormat.QDQ,
                per_channel=graph.opset >= 13,  # before that a DequantizeLinear has one scale only
                reduce_range=scheme.seven_bits,
                activation_type=QuantType.QInt8 if scheme.signed else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # onnxruntime's tools raise what they like
            raise GraphError(f"{graph.name} cannot be quantized: {_one_line(error)}; keep it in fp32") from error
        data = normalise(made)
    return _of_precision("int8", data, graph)


def to_fp16(model: Model) -> bytes:
    """A normalised network whose weights and activations are fp16.

    Raises:
        GraphError: it is not in fp32, has nothing to convert, or onnxruntime cannot convert it.
    """
    graph = _fp32(model)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, _apart():
        from onnxruntime.transformers.float16 import convert_float_to_float16

        source = Path(folder, "net.onnx")
        source.write_bytes(model.serialized)
        try:  # the shapes are known already
            made: Any = convert_float_to_float16(str(source), keep_io_types=True, disable_shape_infer=True)
        except Exception as error:  # onnxruntime's tools raise what they like
            raise GraphError(f"{graph.name} cannot be converted to fp16: {_one_line(error)}; keep it in fp32") from error
        data = normalise(bytes(made.SerializeToString()))
    return _of_precision("fp16", data, graph)


def _large(frames: Sequence[Arrays]) -> set[str]:
    """The inputs that hold values as large as those of masks."""
    floats = ((name, values) for frame in frames for name, values in frame.items() if values.dtype.kind == "f" and values.size)
    return {name for name, values in floats if not float(np.abs(values.astype(np.float64)).max()) < LARGE}


class _Reader:
    """Frames one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, frames: Iterable[Arrays]):
        self._frames = iter(frames)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        frame = next(self._frames, None)
        return dict(frame) if frame is not None else None


def _fp32(model: Model) -> Graph:
    graph = read(model)
    if graph.precision != "fp32":
        raise GraphError(f"expected a network in fp32, got {graph.name} in {graph.precision}; pass the one that it was made of")
    return graph


def _of_precision(precision: str, data: bytes, source: Graph) -> bytes:
    """The network, if it has become one of that precision."""
    if read(data).precision != precision:
        ops = ", ".join(sorted({node.op for node in source.nodes}))
        raise GraphError(f"{source.name} has nothing to compute in {precision} (expected Conv, MatMul or Gemm, got {ops}); keep it in fp32")
    return data


@contextmanager
def _apart() -> Iterator[None]:
    """onnxruntime's tools log advice, warn of infinite values in masks, and need a folder of theirs on the search path.

    They put it there once, when the first of them is imported; the next one may be imported after it was taken off again.
    """
    decline()
    before, disabled = list(sys.path), logging.root.manager.disable
    logging.disable()
    tools = find_spec("onnxruntime.transformers")
    sys.path += list(tools.submodule_search_locations or ()) if tools else []
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        sys.path[:] = before
        logging.disable(disabled)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200].rstrip('.')}"
