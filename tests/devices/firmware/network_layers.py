"""The layers of two networks of MLPerf Tiny by their shapes, with random weights; run as a program it prints what each class costs."""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devices.mcu import program as p
from tests.devices.firmware.kernel_bed import BOARD, build, run
from tests.devices.firmware.kernel_cases import Bytes, apart, convolution, dense

__all__ = ["Layer", "mobilenet", "resnet8", "thousands_by_class"]

TICKS_PER_INSTRUCTION = 1.6  # 25 MHz, one instruction in 64 ns: -icount shift=6


class Layer(NamedTuple):
    """A layer: its class, its multiplications (elements where it has none), and what it computes on."""

    kind: str
    work: int
    operator: p.Operator
    buffers: list[Bytes]


def mobilenet(channels: int) -> list[Layer]:
    """MobileNetV1, width 0.25, 96 x 96 pixels; one channel (person_detect) or three."""
    layers, size, c = [_conv(96, channels, 8, 3, 2)], 48, 8
    for stride, made in ((1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *[(1, 128)] * 5, (2, 256), (1, 256)):
        layers.append(_conv(size, c, c, 3, stride, depthwise=True))
        size = -(-size // stride)
        layers.append(_conv(size, c, made, 1, 1))
        c = made
    return [*layers, _average(3, 256), _dense(256, 2)]


def resnet8() -> list[Layer]:
    """ResNet-8 on 32 x 32 pixels."""
    layers = [_conv(32, 3, 16, 3, 1), _conv(32, 16, 16, 3, 1), _conv(32, 16, 16, 3, 1), _add(32, 16)]
    for size, c in ((32, 16), (16, 32)):
        half, made = size // 2, 2 * c
        layers += [_conv(size, c, made, 3, 2), _conv(half, made, made, 3, 1), _conv(size, c, made, 1, 2), _add(half, made)]
    return [*layers, _average(8, 64), _dense(64, 10)]


def thousands_by_class(program: Path, layers: list[Layer]) -> dict[str, tuple[float, float]]:
    """Thousands of instructions of each class on an emulated Cortex-M4, and instructions per multiplication."""
    cases = [apart(layer.operator, layer.buffers) for layer in layers]
    ticks, work = defaultdict(int), defaultdict(int)
    for layer, case, answer in zip(layers, cases, run(program, [each.case for each in cases], machine="mps2-an386"), strict=True):
        assert np.array_equal(answer.arena, case.after), layer.operator.name
        ticks[layer.kind] += answer.ticks
        work[layer.kind] += layer.work
    counts = {kind: ticks[kind] / TICKS_PER_INSTRUCTION for kind in ticks}
    return {kind: (count / 1e3, count / work[kind]) for kind, count in counts.items()}


def _conv(size: int, c: int, made: int, kernel: int, stride: int, *, depthwise: bool = False) -> Layer:
    out = -(-size // stride)
    padding = max(0, (out - 1) * stride + kernel - size)
    kind = "depthwise" if depthwise else "1x1" if kernel == 1 else "first" if c < 4 else "kxk"
    operator, buffers = convolution(
        1,
        size=(size, size),
        channels=(c, made),
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pads=(padding // 2,) * 2,
        after=(padding - padding // 2,) * 2,
        groups=c if depthwise else 1,
        depthwise=depthwise,
    )
    return Layer(kind, out * out * made * kernel * kernel * (1 if depthwise else c), operator, buffers)


def _dense(taken: int, made: int) -> Layer:
    return Layer("dense", taken * made, *dense(1, rows=1, taken=taken, made=made))


def _add(size: int, c: int) -> Layer:
    """The operand with the larger scale has half of it as its multiplier, as converters write it."""
    count = size * size * c
    scales = {"multipliers": (2**30, 1500000000, 1300000000), "shifts": (0, -1, -18), "zeros": (-128, 5, -128)}
    operator = p.Add(name="add", input=0, other=1, output=2, count=count, other_count=count, low=-128, high=127, **scales)
    return Layer("add", count, operator, _numbers(count, count, count))


def _average(size: int, c: int) -> Layer:
    shapes = {"in_shape": (size, size, c), "out_shape": (1, 1, c), "kernel": (size, size), "stride": (1, 1), "pads": (0, 0)}
    ends = {"whole": False, "scales": None, "zero_in": -128, "zero_out": -128, "low": -128, "high": 127}
    return Layer("average", size * size * c, p.Average(name="average", input=0, output=1, **shapes, **ends), _numbers(size * size * c, c))


def _numbers(*counts: int) -> list[Bytes]:
    draw = np.random.default_rng(0)
    return [draw.integers(-128, 128, count).astype(np.int8) for count in counts]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder), BOARD, "-mcpu=cortex-m4")
        for name, layers in (("mobilenet, 1 channel", mobilenet(1)), ("mobilenet, 3 channels", mobilenet(3)), ("resnet8", resnet8())):
            costs = thousands_by_class(built, layers)
            print(f"{name}: {sum(thousand for thousand, _ in costs.values()):.0f} thousand instructions")
            print("".join(f"    {kind:10}{thousand:8.0f}{each:8.2f} each\n" for kind, (thousand, each) in costs.items()), end="")
