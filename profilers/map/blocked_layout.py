"""Which kernels are computed in a blocked layout, that holds so many channels of a pixel together (Georganas et al., 2018).

    NCHW     images × channels × height × width
    NCHWc    images × channels / width × height × width × width      onnxruntime on x86: 8 with AVX, 16 with AVX-512

A last block that is not full costs what a full one does; where a kernel of one layout feeds one of the other, all is reordered.
"""

from collections.abc import Sequence

from msgspec import structs

from edgekit.samples import Fused

__all__ = ["WIDTHS", "convolves", "direct", "filled", "groups", "in_blocks", "with_blocks"]

WIDTHS = (16, 8, 4)

_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_FOLLOWING = frozenset({"Add", "BatchNormalization", "Relu", "Sigmoid", "Sum", "Tanh"})
"""These stay in blocks where all that feeds them is in blocks."""

FOURS = 4
"""A multiple of this many channels is put into blocks, what is missing filled up."""


def with_blocks(kernels: Sequence[Fused], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[Fused]:
    """The kernels of a network in order, with the blocks that they and those around them are computed in.

    ``before`` and ``after`` each kernel are those that feed it and read it; below 0 stands for the network's own ends.
    """
    made: list[tuple[int, ...]] = []
    fed: list[tuple[int, ...]] = []
    for kernel, feeding in zip(kernels, before, strict=True):
        fed.append(_common(made, feeding))
        made.append(tuple(width for width in WIDTHS if _blocked(kernel, width, width in fed[-1])))
    read = [tuple(width for width in own if not direct(kernel, width)) for kernel, own in zip(kernels, made, strict=True)]
    return [
        structs.replace(kernel, blocks=made[index], before=fed[index], after=_common(read, after[index]))
        for index, kernel in enumerate(kernels)
    ]


def _common(widths: Sequence[tuple[int, ...]], kernels: Sequence[int]) -> tuple[int, ...]:
    """Those that all of these kernels have; a network's own ends have none."""
    return tuple(width for width in WIDTHS if all(one >= 0 and width in widths[one] for one in kernels))


def _blocked(kernel: Fused, width: int, fed: bool) -> bool:
    """Whether onnxruntime computes it in blocks of so many channels; ``fed``: whether all that feeds it is in such."""
    if not all(len(shape) == 4 for shape in kernel.reads):
        return False
    if convolves(kernel):
        return _convolution(kernel, width)
    op = kernel.ops[-1] if kernel.ops else ""
    whole = all(shape[1] % width == 0 for shape in kernel.reads)
    if op in _POOLS:
        return whole
    if op == "Concat":
        return whole and fed
    return op in _FOLLOWING and len(set(kernel.reads)) == 1 and fed


def _convolution(kernel: Fused, width: int) -> bool:
    weight = kernel.weights[0]
    channels, group = groups(kernel)
    if len(weight) != 4:
        return False
    if group == 1:
        return channels < width or channels % FOURS == 0
    if group == channels == weight[0]:
        return channels % FOURS == 0
    return weight[1] % width == 0 and weight[0] // group % width == 0


def direct(kernel: Fused, width: int) -> bool:
    """Whether it makes blocks of channels too few to be in any."""
    return convolves(kernel) and groups(kernel)[1] == 1 and groups(kernel)[0] < width


def convolves(kernel: Fused) -> bool:
    """Whether it is a convolution whose weights are known."""
    return "Conv" in kernel.ops and bool(kernel.weights) and len(kernel.weights[0]) > 2


def groups(kernel: Fused) -> tuple[int, int]:
    """Channels that come into a convolution, and groups they are in."""
    read = kernel.reads[0] if kernel.reads else ()
    channels = read[1] if len(read) > 1 else kernel.weights[0][1]
    return channels, max(1, channels // max(1, kernel.weights[0][1]))


def in_blocks(kernel: Fused, width: int) -> tuple[int, int]:
    """Channels that come into a convolution and go out, with what fills up their last block where it is computed in blocks."""
    channels, group = groups(kernel)
    made = kernel.weights[0][0]
    if width not in kernel.blocks:
        return channels, made
    return (filled(channels, width) if group == 1 and channels >= width else channels), filled(made, width)


def filled(size: int, width: int) -> int:
    """The size, rounded up to whole blocks."""
    return width * -(-size // width)
