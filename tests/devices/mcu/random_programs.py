"""Random programs of small tensors, in which every operator and every trap of a memory plan turns up.

Skips that cross, Add(x, x), constants and broadcast operands, concat (also through tables), pads, splits, transpositions, depthwise
with several outputs, odd channels, several inputs and outputs, an input that is an output, a tensor that nobody reads.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu import program as p

__all__ = ["random_inputs", "random_program"]

Shape = tuple[int, int, int]


class Draft:
    """A program that grows: the shape of each buffer by its index, and the operators so far."""

    def __init__(self, seed: int):
        self.draw = np.random.default_rng(seed)
        self.shapes: list[Shape] = []
        self.buffers: list[p.Buffer] = []
        self.operators: list[p.Operator] = []

    def integer(self, low: int, high: int) -> int:
        """A number in [low, high]."""
        return int(self.draw.integers(low, high + 1))

    def number(self) -> int:
        return self.integer(-128, 127)

    def bytes(self, *shape: int) -> p.Bytes:
        return self.draw.integers(-128, 128, shape).astype(np.int8)

    def chance(self, share: float) -> bool:
        return bool(self.draw.random() < share)

    def buffer(self, shape: Shape) -> int:
        self.shapes.append(shape)
        self.buffers.append(p.Buffer(f"t{len(self.buffers)}", math.prod(shape)))
        return len(self.buffers) - 1

    def add(self, kind: type[Any], **fields: Any) -> None:
        self.operators.append(kind(name=f"{kind.__name__.lower()}{len(self.operators)}", **fields))

    def tensor(self) -> int:
        """A buffer to read, more often one of the last."""
        if self.chance(0.6):
            return self.integer(max(0, len(self.buffers) - 2), len(self.buffers) - 1)
        return self.integer(0, len(self.buffers) - 1)

    def clamp(self) -> dict[str, int]:
        if self.chance(0.7):
            return {"low": -128, "high": 127}
        low, high = sorted((self.number(), self.number()))
        return {"low": low, "high": high}


def multiplier_of(real: float) -> tuple[int, int]:
    """Multiplier and shift of a positive number."""
    fraction, shift = math.frexp(real)
    multiplier = round(fraction * 2**31)
    return (multiplier, shift) if multiplier < 2**31 else (2**30, shift + 1)


def channel_scales(draft: Draft, channels: int, terms: int) -> dict[str, p.Words]:
    """Bias, multiplier and shift of each output, so that sums of ``terms`` products fill the range of int8; now and then beyond it."""
    most = 2.0 if draft.chance(0.1) else 60 / (73 * 73 * math.sqrt(terms))
    pairs = [multiplier_of(most * (0.2 + draft.draw.random())) for _ in range(channels)]
    if draft.chance(0.1):
        pairs[0] = (0, 0)
    return {
        "bias": draft.draw.integers(-20000, 20000, channels).astype(np.int32),
        "multiplier": np.array([m for m, _ in pairs], np.int32),
        "shift": np.array([s for _, s in pairs], np.int32),
    }


def window(draft: Draft, size: int, most: int) -> tuple[int, int, int, int]:
    """Kernel, stride, padding before, and output size along one axis, where every window lies partly inside."""
    kernel = draft.integer(1, min(most, size + 1))
    stride = draft.integer(1, 3)
    before = draft.integer(0, kernel - 1)
    after = draft.integer(0, kernel - 1)
    out = max(1, (size + before + after - kernel) // stride + 1)
    while (out - 1) * stride - before >= size:
        out -= 1
    return kernel, stride, before, out


def convolution(draft: Draft, source: int) -> None:
    height, width, channels = draft.shapes[source]
    depthwise = draft.chance(0.4)
    if draft.chance(0.4) and not depthwise:
        axes = [(1, 1, 0, height), (1, 1, 0, width)]
    else:
        axes = [window(draft, size, 4) for size in (height, width)]
    dilation = [draft.integer(1, 2) if kernel > 1 and stride == 1 else 1 for kernel, stride, _, _ in axes]
    pads = [before * d for (_, _, before, _), d in zip(axes, dilation, strict=True)]
    divisors = [each for each in range(1, channels + 1) if channels % each == 0]
    groups = channels if depthwise else int(draft.draw.choice(divisors)) if draft.chance(0.3) else 1
    made = groups * draft.integer(1, 2 if depthwise else 9 if groups == 1 else 3)
    kernel = [axis[0] for axis in axes]
    out_shape = (axes[0][3], axes[1][3], made)
    draft.add(
        p.Depthwise if depthwise else p.Conv,
        input=source,
        output=draft.buffer(out_shape),
        in_shape=(height, width, channels),
        out_shape=out_shape,
        stride=(axes[0][1], axes[1][1]),
        dilation=tuple(dilation),
        pads=tuple(pads),
        groups=groups,
        weights=draft.bytes(made, *kernel, channels // groups),
        zero_in=draft.number(),
        zero_out=draft.number(),
        **channel_scales(draft, made, math.prod(kernel) * channels // groups),
        **draft.clamp(),
    )


def dense(draft: Draft, source: int) -> None:
    height, width, channels = draft.shapes[source]
    rows = height * width if draft.chance(0.3) else 1
    taken = height * width * channels // rows
    made = draft.integer(1, 20)
    draft.add(
        p.Dense,
        input=source,
        output=draft.buffer((1, rows, made)),
        rows=rows,
        weights=draft.bytes(made, taken),
        zero_in=draft.number(),
        zero_out=draft.number(),
        **channel_scales(draft, made, taken),
        **draft.clamp(),
    )


def second(draft: Draft, source: int) -> tuple[int | p.Bytes, int]:
    """The second operand of an Add or Mul and how many elements it has: the same tensor, another one, a smaller one, a constant."""
    shape = draft.shapes[source]
    count = math.prod(shape)
    alike = [index for index, each in enumerate(draft.shapes) if math.prod(each) == count and index != source]
    smaller = [index for index, each in enumerate(draft.shapes) if count % math.prod(each) == 0 and math.prod(each) < count]
    if alike and draft.chance(0.6):
        return alike[draft.integer(0, len(alike) - 1)], count
    if smaller and draft.chance(0.5):
        chosen = smaller[draft.integer(0, len(smaller) - 1)]
        return chosen, math.prod(draft.shapes[chosen])
    if draft.chance(0.4):
        return source, count
    held = (1, shape[2], count)[draft.integer(0, 2)]
    return draft.bytes(held), held


def addition(draft: Draft, source: int) -> None:
    shape = draft.shapes[source]
    other, other_count = second(draft, source)
    scales = [0.05 + draft.draw.random() for _ in range(3)]
    twice = 2 * max(scales[:2])
    pairs = [multiplier_of(scales[0] / twice), multiplier_of(scales[1] / twice), multiplier_of(twice / (2**20 * scales[2]))]
    draft.add(
        p.Add,
        input=source,
        other=other,
        output=draft.buffer(shape),
        count=math.prod(shape),
        other_count=other_count,
        multipliers=tuple(m for m, _ in pairs),
        shifts=tuple(s for _, s in pairs),
        zeros=(draft.number(), draft.number(), draft.number()),
        **draft.clamp(),
    )


def product(draft: Draft, source: int) -> None:
    shape = draft.shapes[source]
    other, other_count = second(draft, source)
    multiplier, shift = multiplier_of(0.001 + 0.02 * draft.draw.random())
    draft.add(
        p.Mul,
        input=source,
        other=other,
        output=draft.buffer(shape),
        count=math.prod(shape),
        other_count=other_count,
        multiplier=multiplier,
        shift=shift,
        zeros=(draft.number(), draft.number(), draft.number()),
        **draft.clamp(),
    )


def pool(draft: Draft, source: int) -> None:
    height, width, channels = draft.shapes[source]
    axes = [(height, 1, 0, 1), (width, 1, 0, 1)] if draft.chance(0.2) else [window(draft, size, 4) for size in (height, width)]
    out_shape = (axes[0][3], axes[1][3], channels)
    fields: dict[str, Any] = {
        "input": source,
        "output": draft.buffer(out_shape),
        "in_shape": (height, width, channels),
        "out_shape": out_shape,
        "kernel": (axes[0][0], axes[1][0]),
        "stride": (axes[0][1], axes[1][1]),
        "pads": (axes[0][2], axes[1][2]),
        **draft.clamp(),
    }
    if draft.chance(0.4):
        return draft.add(p.Maximum, **fields)
    zero_in = draft.number()
    most = axes[0][0] * axes[1][0]
    if draft.chance(0.5):
        real = 0.3 + draft.draw.random()
        fields |= {"scales": tuple(multiplier_of(real / n) for n in range(1, most + 1)), "zero_in": zero_in, "zero_out": draft.number()}
    else:
        fields |= {"scales": None, "zero_in": zero_in, "zero_out": zero_in}
    draft.add(p.Average, whole=draft.chance(0.5), **fields)


def mapped(draft: Draft, source: int) -> None:
    shape = draft.shapes[source]
    draft.add(p.Map, input=source, output=draft.buffer(shape), count=math.prod(shape), table=draft.bytes(256))


def softmax(draft: Draft, source: int) -> None:
    shape = draft.shapes[source]
    multiplier, shift = multiplier_of((0.02 + 0.3 * draft.draw.random()) * 2**26)
    draft.add(
        p.Softmax,
        input=source,
        output=draft.buffer(shape),
        rows=shape[0] * shape[1],
        count=shape[2],
        multiplier=multiplier,
        shift=shift,
        least=-(31 * 2**26 // 2**shift),
    )


def table_or_none(draft: Draft) -> p.Bytes | None:
    return draft.bytes(256) if draft.chance(0.4) else None


def concat(draft: Draft, source: int) -> None:
    """Along channels, of two or three tensors of one height and width; the same tensor may stand there twice."""
    height, width, _ = draft.shapes[source]
    alike = [index for index, each in enumerate(draft.shapes) if each[:2] == (height, width)]
    parts = [source, *(alike[draft.integer(0, len(alike) - 1)] for _ in range(draft.integer(1, 2)))]
    total = sum(draft.shapes[part][2] for part in parts)
    output, at = draft.buffer((height, width, total)), 0
    for part in parts:
        run = draft.shapes[part][2]
        draft.add(
            p.Move,
            input=part,
            output=output,
            at_in=0,
            at_out=at,
            run=run,
            counts=(1, 1, height, width),
            steps_in=(0, 0, width * run, run),
            steps_out=(0, 0, width * total, total),
            table=table_or_none(draft),
        )
        at += run


def padded(draft: Draft, source: int) -> None:
    height, width, channels = draft.shapes[source]
    top, bottom, left, right = (draft.integer(0, 2) for _ in range(4))
    wide = width + left + right
    output = draft.buffer((height + top + bottom, wide, channels))
    draft.add(p.Fill, output=output, value=draft.number())
    draft.add(
        p.Move,
        input=source,
        output=output,
        at_in=0,
        at_out=(top * wide + left) * channels,
        run=width * channels,
        counts=(1, 1, 1, height),
        steps_in=(0, 0, 0, width * channels),
        steps_out=(0, 0, 0, wide * channels),
        table=table_or_none(draft),
    )


def split(draft: Draft, source: int) -> None:
    """Channels into two tensors, of which one may be left unread."""
    height, width, channels = draft.shapes[source]
    at = draft.integer(1, channels - 1) if channels > 1 else 0
    for begin, stop in ((0, at), (at, channels)):
        if begin < stop:
            draft.add(
                p.Move,
                input=source,
                output=draft.buffer((height, width, stop - begin)),
                at_in=begin,
                at_out=0,
                run=stop - begin,
                counts=(1, 1, 1, height * width),
                steps_in=(0, 0, 0, channels),
                steps_out=(0, 0, 0, stop - begin),
                table=table_or_none(draft),
            )


def transposed(draft: Draft, source: int) -> None:
    """To width, channels, height."""
    height, width, channels = draft.shapes[source]
    draft.add(
        p.Move,
        input=source,
        output=draft.buffer((width, channels, height)),
        at_in=0,
        at_out=0,
        run=1,
        counts=(1, width, channels, height),
        steps_in=(0, channels, 1, width * channels),
        steps_out=(0, channels * height, height, 1),
        table=table_or_none(draft),
    )


KINDS: tuple[Callable[[Draft, int], None], ...] = (
    *(convolution,) * 4,
    *(addition,) * 3,
    dense,
    product,
    pool,
    pool,
    mapped,
    softmax,
    concat,
    concat,
    padded,
    split,
    transposed,
)


def random_program(seed: int, *, most: int = 10) -> p.Program:
    """A program of at most ``most`` operations, each of one or a few operators; the same for the same seed."""
    draft = Draft(seed)
    entries = [draft.buffer((draft.integer(1, 8), draft.integer(1, 8), draft.integer(1, 9))) for _ in range(2 if draft.chance(0.3) else 1)]
    for _ in range(draft.integer(1, most)):
        source = draft.tensor()
        if math.prod(draft.shapes[source]) > 4000:
            source = 0
        KINDS[draft.integer(0, len(KINDS) - 1)](draft, source)
    read = {index for operator in draft.operators for index in reads(operator)}
    made = [index for index in range(len(entries), len(draft.buffers))]
    unread = [index for index in made if index not in read and not draft.chance(0.2)]
    others = [index for index in (*entries, *made) if index not in unread and draft.chance(0.08)]
    outputs = [*unread, *others] or made[-1:]
    return p.Program(
        buffers=tuple(draft.buffers),
        operators=tuple(draft.operators),
        inputs=tuple(end(draft, index) for index in entries),
        outputs=tuple(end(draft, index) for index in outputs),
    )


def reads(operator: p.Operator) -> tuple[int, ...]:
    """The buffers that an operator reads."""
    read = () if isinstance(operator, p.Fill) else (operator.input,)
    other = getattr(operator, "other", None)
    return (*read, other) if isinstance(other, int) else read


def end(draft: Draft, index: int) -> p.End:
    return p.End(draft.buffers[index].name, index, (1, *draft.shapes[index]), "int8", (0, 1, 2, 3))


def random_inputs(program: p.Program, seed: int) -> list[NDArray[np.int8]]:
    """The bytes of every input of a program."""
    draw = np.random.default_rng(seed)
    return [draw.integers(-128, 128, program.buffers[each.buffer].nbytes).astype(np.int8) for each in program.inputs]
