"""Random stacks of plausible blocks: what to run on a device so that its kernels are timed as networks use them.

Kernels timed alone have their weights in the nearest cache and their tensors in the layout they like best. In a stack they
stand as in a network: behind and before others, among weights that push each other out, in blocked layout or out of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from profilers.predict.random_stack import Place, Stack

__all__ = ["draw_stack"]

ALIKE = 2
"""Blocks that a network of few kinds is made of."""

MOST_OF_SIGNALS = 512
"""Channels in networks of signals."""

KINDS = ("vision", "tokens", "signal", "dense")
SHARES = (0.68, 0.16, 0.08, 0.08)


# ---- blocks of vision networks: from one place to the next ---------------------------------------------------------


def _plain(s: Stack, x: Place) -> Place:
    return s.conv(
        x, s.channels(8, 512 if x.area < 900 else 256 if x.area < 4000 else 128), kernel=s.pick(1, 3, 3, 3, 5), stride=s.pick(1, 1, 1, 2)
    )


def _residual(s: Stack, x: Place) -> Place:
    kernel, stride, inner = s.pick(3, 3, 5), s.pick(1, 1, 2), s.channels(8, max(9, x.channels))
    if s.chance(0.5):  # two full ones, or a bottleneck
        out = x.channels if stride == 1 else s.channels(8, 2 * x.channels + 1)
        y = s.conv(s.conv(x, out, kernel=kernel, stride=stride), out, kernel=kernel, act=None)
    else:
        out = x.channels if stride == 1 and s.chance(0.7) else s.channels(16, 4 * x.channels)
        y = s.conv(s.conv(s.conv(x, inner), inner, kernel=3, stride=stride), out, act=None)
    short = x if out == x.channels and stride == 1 else s.conv(x, out, kernel=1, stride=stride, act=None)
    return s.activate(s.plus(y, short), s.act if s.chance(0.8) else None)


def _inverted(s: Stack, x: Place) -> Place:
    wide = x.channels * s.pick(1, 2, 3, 4, 6)
    if s.chance(0.25):
        wide = s.channels(x.channels, 6 * x.channels + 1)
    stride = s.pick(1, 1, 2)
    out = x.channels if stride == 1 and s.chance(0.6) else s.channels(8, 2 * x.channels + 8)
    y = s.conv(x, wide) if wide != x.channels else x
    y = s.conv(y, wide, kernel=s.pick(3, 3, 5, 7), stride=stride, group=wide)
    y = _gate(s, y) if s.chance(0.25) else y
    y = s.conv(y, out, act=None)
    return s.plus(y, x) if stride == 1 and out == x.channels else y


def _gate(s: Stack, x: Place) -> Place:
    """Squeeze and excite."""
    squeezed = Place(s.sketch.add("GlobalAveragePool", [x.name]), x.channels, tuple(1 for _ in x.sides))
    before, s.normalised = s.normalised, False
    gate = s.conv(s.conv(squeezed, max(4, x.channels // s.pick(4, 8, 16)), act="Relu"), x.channels, act=None)
    s.normalised = before
    return s.plus(x, s.activate(gate, str(s.random.choice(("Sigmoid", "HardSigmoid")))), "Mul")


def _separable(s: Stack, x: Place) -> Place:
    return s.conv(s.conv(x, x.channels, kernel=s.pick(3, 3, 5), stride=s.pick(1, 1, 2), group=x.channels), s.channels(8, 3 * x.channels))


def _grouped(s: Stack, x: Place) -> Place:
    group = s.pick(2, 4, 8)
    width = group * s.channels(4, 256 // group)
    x = s.conv(x, width) if x.channels % group or s.chance(0.3) else x
    y = s.conv(x, width, kernel=s.pick(1, 3), stride=s.pick(1, 1, 2), group=group)
    return _shuffle(s, y, group) if s.chance(0.5) else y


def _shuffle(s: Stack, x: Place, group: int) -> Place:
    """Channels interleaved between groups."""
    split = s.reshape(x.name, 1, group, x.channels // group, *x.sides)
    turned = s.sketch.add("Transpose", [split], perm=[0, 2, 1, *range(3, 3 + len(x.sides))])
    return replace(x, name=s.reshape(turned, 1, x.channels, *x.sides))


def _halves(s: Stack, x: Place) -> Place:
    """One half of the channels goes by, the other through a block; then concatenated, and perhaps shuffled."""
    if x.channels % 2:
        x = s.conv(x, x.channels + 1)
    half = x.channels // 2
    if s.chance(0.5):
        names = s.sketch.split("Split", [x.name], 2, axis=1, num_outputs=2)
    else:
        names = [
            s.sketch.add("Slice", [x.name, s.sketch.sizes([begin]), s.sketch.sizes([begin + half]), s.sketch.sizes([1])])
            for begin in (0, half)
        ]
    one, other = (Place(name, half, x.sides) for name in names)
    y = s.conv(s.conv(s.conv(other, half), half, kernel=3, group=half, act=None), half)
    joined = s.concat(one, y)
    return _shuffle(s, joined, 2) if s.chance(0.7) else joined


def _branches(s: Stack, x: Place) -> Place:
    """Several branches, concatenated."""
    most = max(9, x.channels)
    x = s.conv(x, s.channels(8, most)) if s.chance(0.4) else x
    places = [s.conv(x, s.channels(8, most)), s.conv(x, s.channels(8, most), kernel=3)]
    if s.chance(0.4):
        places.append(s.conv(s.conv(x, s.channels(8, most)), s.channels(8, most), kernel=s.pick(3, 5)))
    if s.chance(0.35):
        places.append(s.conv(s.pool(x, str(s.random.choice(("MaxPool", "AveragePool"))), 3, 1, 1), s.channels(8, most)))
    return s.concat(*places)


def _growing(s: Stack, x: Place) -> Place:
    """Normalisation, activation and convolution, whose result is concatenated to what came in, again and again."""
    growth, before = s.channels(8, 48), s.normalised
    for _ in range(s.pick(1, 2, 3)):
        s.normalised = False
        y = s.activate(s.norm(x), "Relu")
        if s.chance(0.6):
            y = s.conv(y, 4 * growth, act=None)
            y = s.activate(s.norm(y), "Relu")
        y = s.conv(y, growth, kernel=3, act=None)
        x = s.concat(x, y)
    if s.chance(0.4):
        x = s.conv(s.activate(s.norm(x), "Relu"), max(4, x.channels // 2), act=None)
        x = s.pool(x, "AveragePool", 2, 2, 0) if min(x.sides) > 3 else x
    s.normalised = before
    return x


def _pooled(s: Stack, x: Place) -> Place:
    op = str(s.random.choice(("MaxPool", "MaxPool", "AveragePool")))
    kernel, stride, pad = ((2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 1, 1))[s.pick(0, 1, 2, 3)]
    x = s.pool(x, op, kernel, stride, pad) if min(x.sides) > 3 else x
    if s.chance(0.15) and len(x.sides) == 2:
        x = replace(x, name=s.sketch.add("LRN", [x.name], size=5))
    return x


Block = Callable[[Stack, Place], Place]
BLOCKS: tuple[Block, ...] = (_plain, _residual, _inverted, _separable, _grouped, _halves, _branches, _growing, _pooled)
BLOCK_SHARES = (0.18, 0.16, 0.18, 0.08, 0.07, 0.08, 0.09, 0.08, 0.08)


def _vision(s: Stack) -> list[str]:
    side = s.among(20, 240)
    x = Place(s.sketch.input((1, 3, side, side)), 3, (side, side))
    if s.chance(0.12):
        patch = s.pick(4, 8, 16)
        width = s.channels(48, 384)
        x = Place(
            s.sketch.add("Conv", [x.name, s.sketch.weight((width, 3, patch, patch))], strides=[patch] * 2), width, (side // patch,) * 2
        )
    else:
        x = s.conv(x, s.channels(8, 96), kernel=s.pick(3, 3, 3, 5, 7, 11), stride=2 if side > 60 else s.pick(1, 2))
        x = _pooled(s, x) if s.chance(0.35) else x
        x = s.conv(x, s.channels(16, 512), kernel=1) if s.chance(0.2) and x.area < 2000 else x
    few = [BLOCKS[int(place)] for place in s.random.choice(len(BLOCKS), ALIKE, p=BLOCK_SHARES)]
    alike = (few, [1 / ALIKE] * ALIKE)  # networks repeat what they are made of
    blocks, shares = alike if s.chance(0.5) else (BLOCKS, BLOCK_SHARES)
    x = _blocks(s, x, s.pick(2, 3, 4, 6, 9, 14, 24), blocks, shares)
    return [_head(s, x)]


def _blocks(s: Stack, x: Place, count: int, blocks: Sequence[Block], shares: Sequence[float]) -> Place:
    for _ in range(count):
        if s.spent or min(x.sides) < 2:
            break
        block = blocks[int(s.random.choice(len(blocks), p=shares))]
        for _ in range(s.pick(1, 1, 2)):
            x = block(s, x) if not s.spent else x
    return x


def _head(s: Stack, x: Place) -> str:
    """Pooled or flattened, then classes; or the tensor as it is."""
    if s.chance(0.15):
        return x.name
    if s.chance(0.6) or x.channels * x.area > 30000:
        name = s.sketch.add("Flatten", [s.sketch.add("GlobalAveragePool", [x.name])])
        fan_in = x.channels
    else:
        name, fan_in = s.sketch.add("Flatten", [x.name]), x.channels * x.area
    for _ in range(s.pick(0, 0, 0, 1, 2)):
        width = min(s.width(64, 4096), max(64, int((s.most_weights - s.weights) / fan_in)))
        name, fan_in = s.gemm(name, fan_in, width), width
    name = s.gemm(name, fan_in, s.pick(10, 100, 1000), act=None)
    return s.sketch.add("Softmax", [name]) if s.chance(0.3) else name


# ---- transformers, signals and plain products ----------------------------------------------------------------------


def _tokens(s: Stack) -> list[str]:
    tokens, heads = s.among(12, 260), s.pick(1, 2, 3, 4, 6, 8, 12)
    depth = s.pick(16, 24, 32, 32, 48, 64, 64)
    width = heads * depth
    if s.chance(0.4):
        patch, side = s.pick(4, 8, 16), max(2, round(tokens**0.5))
        tokens = side * side
        image = s.sketch.input((1, 3, side * patch, side * patch))
        x = s.sketch.add("Conv", [image, s.sketch.weight((width, 3, patch, patch)), s.sketch.weight((width,))], strides=[patch] * 2)
        s.macs += 3.0 * patch * patch * width * tokens
        x = s.sketch.add("Transpose", [s.reshape(x, 1, width, tokens)], perm=[0, 2, 1])
        x = s.sketch.add("Add", [x, s.sketch.weight((1, tokens, width))])
    else:
        x = s.sketch.input((1, tokens, width))
    act = str(s.random.choice(("Gelu", "ErfGelu", "Relu", "Swish")))
    ratio, fused, before = s.pick(2, 3, 4, 4), s.chance(0.6), s.chance(0.8)
    for _ in range(s.pick(1, 2, 3, 4, 6, 12)):
        if s.spent:
            break
        y = _attention(s, _layer_norm(s, x, width) if before else x, tokens, heads, depth, fused)
        x = s.sketch.add("Add", [x, y])
        x = x if before else _layer_norm(s, x, width)
        y = s.linear(_layer_norm(s, x, width) if before else x, tokens, width, ratio * width)
        y = s.activate(Place(y, 0, ()), act).name
        x = s.sketch.add("Add", [x, s.linear(y, tokens, ratio * width, width)])
        x = x if before else _layer_norm(s, x, width)
    x = _layer_norm(s, x, width) if before else x
    if s.chance(0.6):
        x = s.sketch.add("ReduceMean", [x, s.sketch.sizes([1])], keepdims=0)
        x = s.gemm(x, width, s.pick(10, 100, 1000), act=None)
    return [x]


def _layer_norm(s: Stack, x: str, width: int) -> str:
    return s.sketch.add("LayerNormalization", [x, s.sketch.weight((width,)), s.sketch.weight((width,))])


def _attention(s: Stack, x: str, tokens: int, heads: int, depth: int, fused: bool) -> str:
    """Of all tokens to all; queries, keys and values from one product that is split, or from three."""
    width = heads * depth
    if fused:
        every = s.reshape(s.linear(x, tokens, width, 3 * width), 1, tokens, 3, heads, depth)
        every = s.sketch.add("Transpose", [every], perm=[2, 0, 3, 1, 4])
        parts = s.sketch.split("Split", [every], 3, axis=0, num_outputs=3)
        query, key, value = (s.sketch.add("Squeeze", [part, s.sketch.sizes([0])]) for part in parts)
        key = s.sketch.add("Transpose", [key], perm=[0, 1, 3, 2])
    else:
        three = [s.reshape(s.linear(x, tokens, width, width), 1, tokens, heads, depth) for _ in range(3)]
        perms = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        query, key, value = (s.sketch.add("Transpose", [part], perm=perm) for part, perm in zip(three, perms, strict=True))
    scores = s.sketch.add("MatMul", [query, key])
    scores = s.sketch.add("Mul", [scores, s.sketch.number(depth**-0.5)])
    mixed = s.sketch.add("MatMul", [s.sketch.add("Softmax", [scores], axis=-1), value])
    s.macs += 2.0 * tokens * tokens * width
    mixed = s.reshape(s.sketch.add("Transpose", [mixed], perm=[0, 2, 1, 3]), 1, tokens, width)
    return s.linear(mixed, tokens, width, width)


def _signal(s: Stack) -> list[str]:
    s.most_channels = MOST_OF_SIGNALS
    length, channels = s.among(64, 4000), s.pick(1, 2, 6, 16, 40)
    x = Place(s.sketch.input((1, channels, length)), channels, (length,))
    x = s.conv(x, s.channels(8, 128), kernel=s.pick(3, 5, 7, 11, 15), stride=s.pick(1, 2, 4))
    x = _blocks(s, x, s.pick(2, 3, 4, 5, 6), (_plain, _residual, _separable, _pooled), (0.4, 0.3, 0.2, 0.1))
    return [_head(s, x)]


def _dense(s: Stack) -> list[str]:
    batch, fan_in = 1 if s.chance(0.5) else s.among(2, 64), s.among(16, 4000)
    x = s.sketch.input((batch, fan_in))
    for _ in range(s.pick(2, 3, 4, 6)):
        width = min(s.width(16, 4096), max(16, int(1.6e7 / fan_in)))
        x, fan_in = s.gemm(x, fan_in, width, act=str(s.random.choice(("Relu", "Relu", "Tanh", "Sigmoid")))), width
        if s.spent:
            break
    return [s.gemm(x, fan_in, s.pick(1, 10, 100), act=None)]


def draw_stack(seed: int) -> bytes:
    """The model of one random stack, not yet normalised; a seed draws the same one everywhere."""
    stack = Stack(seed)
    stack.limit()
    kind = str(stack.random.choice(KINDS, p=SHARES))
    outputs = {"vision": _vision, "tokens": _tokens, "signal": _signal, "dense": _dense}[kind](stack)
    return stack.sketch.model(outputs)
