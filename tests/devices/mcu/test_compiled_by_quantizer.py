"""Networks that onnxruntime's quantizer wrote, in both of its formats, with and without signs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from devices.mcu.compiler import compile_segment
from edgekit.onnxio import normalise
from tests.devices.mcu.onnx_networks import Nodes, compared

SHAPE = (1, 3, 12, 10)


def written() -> bytes:
    """A float network of most operators that the quantizer knows."""
    net = Nodes()

    def conv(x: str, *shape: int, **attributes: Any) -> str:
        weight = net.weight(net.random.normal(0, 0.3, shape).astype(np.float32))
        return net.node("Conv", x, weight, net.weight(net.random.normal(size=shape[0]).astype(np.float32)), **attributes)

    x = net.node("Clip", conv("x", 8, 3, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2]), net.weight(np.float32(0)), net.weight(np.float32(6)))
    y = net.node("LeakyRelu", conv(x, 8, 1, 3, 3, group=8, pads=[1, 1, 1, 1]), alpha=0.1)
    x = net.node("Relu", net.node("Add", x, y))
    gate = net.node("Sigmoid", conv(net.node("GlobalAveragePool", x), 8, 8, 1, 1))
    x = net.node("Concat", net.node("Mul", x, gate), net.node("AveragePool", x, kernel_shape=[1, 1]), axis=1)
    x = net.node("Flatten", net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    weight = net.weight(net.random.normal(0, 0.2, (10, 96)).astype(np.float32))
    x = net.node("Gemm", x, weight, net.weight(np.zeros(10, np.float32)), transB=1)
    return net.model({"x": ("float32", SHAPE)}, [(net.node("Relu", x), "float32")])


class Frames(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        random = np.random.default_rng(5)
        self.frames = iter([{"x": random.normal(size=SHAPE).astype(np.float32)} for _ in range(4)])

    def get_next(self) -> Any:
        return next(self.frames, None)


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator], ids=str)
@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8], ids=str)
def test_what_the_quantizer_writes_compiles(tmp_path: Path, form: Any, activations: Any) -> None:
    source, made = tmp_path / "float.onnx", tmp_path / "made.onnx"
    source.write_bytes(normalise(written()))
    per_channel = activations == QuantType.QInt8
    # onnxruntime saturates the sums of uint8 and int8 on some CPUs, unless weights have 7 bits
    options = {"weight_type": QuantType.QInt8, "per_channel": per_channel, "reduce_range": True}
    quantize_static(source, made, Frames(), quant_format=form, activation_type=activations, **options)
    program = compared(normalise(made), most=3, frames=2)  # steps of one in each layer add up
    kinds = [type(operator).__name__ for operator in program.operators]
    assert kinds.count("Conv") == 2 and kinds.count("Depthwise") == 1 and kinds[-1] in ("Dense", "Map")
    assert compile_segment(normalise(made)).inputs[0].dtype == "float32"
