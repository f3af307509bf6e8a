"""Micro-networks: a few layers of one kind in a row, in the sizes that networks are made of."""

from collections.abc import Iterator
from typing import NamedTuple

from edgekit.onnxio import Layer

__all__ = ["Micro", "micro_networks"]


class Micro(NamedTuple):
    """One micro-network: its name, the shape of its input, its layers."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]


_DENSE = ((16, 112, 2), (64, 56, 2), (128, 28, 2), (256, 14, 2), (512, 7, 2))
_DEEP = ((32, 112, 2), (96, 56, 3), (144, 56, 3), (192, 28, 4), (576, 14, 4), (960, 7, 4))
_POINT = ((16, 96, 112, 1), (24, 144, 56, 2), (32, 192, 28, 2), (96, 576, 14, 2), (160, 960, 7, 2), (64, 256, 56, 1), (256, 1024, 14, 2))
_ROWS = ((197, 192, 768, 2), (197, 192, 576, 2), (64, 512, 512, 2), (1, 512, 512, 4), (1, 1280, 1000, 1), (1, 2048, 2048, 2))
"""Rows, width, width between, how many pairs; the last has 64 MiB of weights, more than most caches hold."""


def micro_networks() -> Iterator[Micro]:
    """About forty, of 0.05 to 50 ms on a desktop core each."""
    for channels, size, count in _DENSE:
        yield Micro(f"conv {channels} at {size}", (1, channels, size, size), (_conv(channels, channels, 3),) * count)
    yield Micro("conv 3 to 32 at 224", (1, 3, 224, 224), (_conv(3, 32, 3, stride=2),))
    for channels, size, count in _DEEP:
        yield Micro(f"depthwise {channels} at {size}", (1, channels, size, size), (_conv(channels, channels, 3, groups=channels),) * count)
    yield Micro("depthwise 144 at 56, stride 2", (1, 144, 56, 56), (_conv(144, 144, 3, groups=144, stride=2),))
    for narrow, wide, size, count in _POINT:
        pair = (_conv(narrow, wide, 1), _conv(wide, narrow, 1))
        yield Micro(f"pointwise {narrow} to {wide} at {size}", (1, narrow, size, size), pair * count)
    for rows, width, between, count in _ROWS:
        pair = (Layer("MatMul", ((width, between),)), Layer("MatMul", ((between, width),)))
        yield Micro(f"gemm {rows} × {width} × {between}", (rows, width), pair * count)
    yield from _moving()


def _moving() -> Iterator[Micro]:
    """What only moves and changes elements."""
    for channels, size in ((64, 56), (256, 56), (96, 14)):
        yield Micro(f"sums of {channels} at {size}", (1, channels, size, size), (Layer("Add", again=True), Layer("Relu")) * 4)
    for width in (192, 768):
        yield Micro(f"norms of {width}", (1, 197, width), (Layer("LayerNormalization", ((width,), (width,))),) * 6)
    yield Micro("softmax of 197", (1, 3, 197, 197), (Layer("Softmax"),) * 4)
    yield Micro("gelu of 768", (1, 197, 768), (Layer("Gelu"),) * 3)
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    for channels, size in ((64, 112), (64, 56), (256, 14)):
        yield Micro(f"pools of {channels} at {size}", (1, channels, size, size), (Layer("MaxPool", attributes=window),) * 2)
    yield Micro("pool of all of 1280 at 7", (1, 1280, 7, 7), (Layer("GlobalAveragePool"),))
    for heads, width in ((3, 64), (12, 64)):
        # a Reshape between them keeps two Transposes from becoming one
        turned = Layer("Transpose", attributes={"perm": [0, 2, 1, 3]})
        again = Layer("Reshape", whole=(1, heads, 197, width))
        yield Micro(f"transposes of {heads} × 197 × {width}", (1, heads, 197, width), (turned, again) * 4)


def _conv(channels: int, out: int, size: int, groups: int = 1, stride: int = 1) -> Layer:
    around = size // 2
    attributes = {"kernel_shape": [size, size], "group": groups, "strides": [stride, stride], "pads": [around] * 4}
    return Layer("Conv", ((out, channels // groups, size, size), (out,)), attributes)
