"""The window that a convolution or a pool slides over its input."""

from typing import NamedTuple

from devices.mcu.compiler.draft import refuse, text
from devices.mcu.program import Pair, Shape
from edgekit.onnxio.network import Operator as Node

__all__ = ["Window", "integers", "window"]


class Window(NamedTuple):
    """Height and width of each; ``pads``: top, left, bottom, right. ``outputs``: how many positions there are."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: tuple[int, int, int, int]
    outputs: Pair


def integers(node: Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """An attribute that is a list of whole numbers."""
    found = node.attributes.get(name, default)
    return tuple(int(each) for each in found) if isinstance(found, tuple) else default


def window(node: Node, shape: Shape, kernel: Pair, axes: int, border: tuple[int, int, int, int]) -> Window:
    """The window of a node over an input (height, width, channels); ``border``: pads of a Pad before it.

    ``axes``: over how many of them the node goes; over one, the height is 1.
    """
    stride, dilation = (_pair(integers(node, name, (1,) * axes)) for name in ("strides", "dilations"))
    reach = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True))
    padded = (shape[0] + border[0] + border[2], shape[1] + border[1] + border[3])
    pads = _pads(node, axes, padded, reach, stride)
    total = tuple(own + other for own, other in zip(pads, border, strict=True))
    outputs = []
    for axis in range(2):
        room = shape[axis] + total[axis] + total[axis + 2] - reach[axis]
        count = room // stride[axis] + 1
        if node.attributes.get("ceil_mode") and room % stride[axis] and count * stride[axis] < shape[axis] + total[axis]:
            count += 1
        if room < 0:
            refuse(node, f"its window of {reach[axis]} is larger than its input of {shape[axis]} with pads")
        outputs.append(count)
    if max(*kernel, *stride, *dilation, *total) > 255:
        refuse(node, f"expected kernel, strides, dilations and pads up to 255, got {kernel}, {stride}, {dilation}, {total}")
    return Window(kernel, stride, dilation, (total[0], total[1], total[2], total[3]), (outputs[0], outputs[1]))


def _pads(node: Node, axes: int, shape: tuple[int, ...], reach: tuple[int, ...], stride: Pair) -> tuple[int, int, int, int]:
    """Top, left, bottom and right, stated or as ``auto_pad`` has them."""
    automatic = text(node, "auto_pad", "NOTSET")
    if automatic in ("NOTSET", ""):
        given = integers(node, "pads", (0,) * (2 * axes))
        if min(given, default=0) < 0:
            refuse(node, f"expected pads of at least 0, got {given}")
        return (given[0], given[1], given[2], given[3]) if axes == 2 else (0, given[0], 0, given[1])
    if automatic == "VALID":
        return 0, 0, 0, 0
    need = [max((-(-size // step) - 1) * step + far - size, 0) for size, step, far in zip(shape, stride, reach, strict=True)]
    small = [each // 2 for each in need]
    large = [each - less for each, less in zip(need, small, strict=True)]
    first, last = (small, large) if automatic == "SAME_UPPER" else (large, small)
    return first[0], first[1], last[0], last[1]


def _pair(values: tuple[int, ...]) -> Pair:
    return (values[0], values[1]) if len(values) == 2 else (1, values[0])
