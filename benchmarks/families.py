"""Networks of known families in random widths, depths and resolutions: what predictions are tried on.

Developed on ``DEV``, judged on ``TEST``; none of either is ever sampled. Nothing was tuned on the latter, but the light models
showed that what makes constants has to be passed over where kernels are told from a graph.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the light models are those of the tests

from profilers.predict.random_stack import Place, Stack
from tests.light import NAMES, shipped

__all__ = ["DEV", "TEST", "draw", "light"]


def start(s, side, channels=3):
    return Place(s.sketch.input((1, channels, side, side)), channels, (side, side))


def classes(s, x, count=1000):
    name = s.sketch.add("Flatten", [s.sketch.add("GlobalAveragePool", [x.name])])
    return s.gemm(name, x.channels, count, act=None)


def even(value, step=8):
    return max(step, int(round(value / step)) * step)


def vgg(s):
    """Convolutions of 3×3 and pooling, then three wide products."""
    width, x = s.pick(16, 24, 32, 48, 64), start(s, s.pick(32, 48, 64, 96, 112))
    for stage in range(s.pick(3, 4, 5)):
        for _ in range(s.pick(1, 2, 2, 3)):
            x = s.conv(x, min(512, width * 2**stage), kernel=3)
        x = s.pool(x, "MaxPool", 2, 2, 0)
    name, fan_in = s.sketch.add("Flatten", [x.name]), x.channels * x.area
    for size in (s.pick(256, 512, 1024), s.pick(256, 512)):
        name, fan_in = s.gemm(name, fan_in, size), size
    return s.gemm(name, fan_in, 100, act=None)


def resnet(s):
    """He et al. 2016: basic blocks or bottlenecks."""
    width, deep = even(s.among(16, 64)), s.chance(0.4)
    x = s.pool(s.conv(start(s, s.pick(64, 96, 128, 160, 224)), width, kernel=7, stride=2), "MaxPool", 3, 2, 1)
    for stage in range(4):
        inner = width * 2**stage
        for block in range(s.pick(1, 2, 2, 3)):
            stride, out = (2 if stage and not block else 1), inner * (4 if deep else 1)
            if deep:
                y = s.conv(s.conv(s.conv(x, inner), inner, kernel=3, stride=stride), out, act=None)
            else:
                y = s.conv(s.conv(x, inner, kernel=3, stride=stride), out, kernel=3, act=None)
            short = x if x.channels == out and stride == 1 else s.conv(x, out, kernel=1, stride=stride, act=None)
            x = s.activate(s.plus(y, short))
    return classes(s, x)


def mobilenet(s):
    """Sandler et al. 2018: inverted residuals, activations clipped at 6."""
    s.act = "Clip"
    scale, x = s.random.uniform(0.35, 1.4), start(s, s.pick(96, 128, 160, 192, 224))
    x = s.conv(x, even(32 * scale), kernel=3, stride=2)
    for expand, out, count, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        out = even(out * scale)
        for block in range(max(1, count - s.pick(0, 0, 1))):
            step = stride if not block else 1
            y = s.conv(x, x.channels * expand) if expand > 1 else x
            y = s.conv(s.conv(y, y.channels, kernel=3, stride=step, group=y.channels), out, act=None)
            x = s.plus(y, x) if step == 1 and x.channels == out else y
    return classes(s, s.conv(x, even(1280 * max(1.0, scale))))


def shufflenet(s):
    """Ma et al. 2018: halves of channels, shuffled."""
    s.act = "Relu"
    x = s.pool(s.conv(start(s, s.pick(96, 128, 160, 192, 224)), 24, kernel=3, stride=2), "MaxPool", 3, 2, 1)
    widths = ((48, 96, 192), (116, 232, 464), (176, 352, 704), (64, 144, 320))[s.pick(0, 1, 2, 3)]
    for width, count in zip(widths, (s.pick(2, 3, 4), s.pick(3, 6, 8), s.pick(2, 3, 4)), strict=True):
        half = width // 2
        one = s.conv(s.conv(x, x.channels, kernel=3, stride=2, group=x.channels, act=None), half)
        other = s.conv(s.conv(s.conv(x, half), half, kernel=3, stride=2, group=half, act=None), half)
        x = shuffled(s, s.concat(one, other))
        for _ in range(count - 1):
            names = s.sketch.split("Split", [x.name], 2, axis=1, num_outputs=2)
            one, other = (Place(name, half, x.sides) for name in names)
            y = s.conv(s.conv(s.conv(other, half), half, kernel=3, stride=1, group=half, act=None), half)
            x = shuffled(s, s.concat(one, y))
    return classes(s, s.conv(x, s.pick(512, 1024)))


def shuffled(s, x):
    name = s.reshape(x.name, 1, 2, x.channels // 2, *x.sides)
    name = s.sketch.add("Transpose", [name], perm=[0, 2, 1, 3, 4])
    return replace(x, name=s.reshape(name, 1, x.channels, *x.sides))


def densenet(s):
    """Huang et al. 2017: all that came before is concatenated."""
    growth, normalised = s.pick(12, 16, 24, 32), s.normalised
    s.normalised = False
    x = s.conv(start(s, s.pick(64, 96, 128, 160)), 2 * growth, kernel=7, stride=2, act=None)
    x = s.pool(s.activate(s.norm(x), "Relu"), "MaxPool", 3, 2, 1)
    stages = s.pick(3, 4)
    for stage in range(stages):
        for _ in range(s.pick(2, 4, 6, 8)):
            y = s.conv(s.activate(s.norm(x), "Relu"), 4 * growth, act=None)
            x = s.concat(x, s.conv(s.activate(s.norm(y), "Relu"), growth, kernel=3, act=None))
        if stage < stages - 1:
            x = s.conv(s.activate(s.norm(x), "Relu"), x.channels // 2, act=None)
            x = s.pool(x, "AveragePool", 2, 2, 0)
    s.normalised = normalised
    return classes(s, s.activate(s.norm(x), "Relu"))


def squeezenet(s):
    """Iandola et al. 2016: narrow, then two branches concatenated."""
    s.act, s.normalised, scale = "Relu", False, s.random.uniform(0.5, 1.5)
    x = s.conv(start(s, s.pick(96, 128, 160, 192, 224)), even(64 * scale), kernel=s.pick(3, 7), stride=2)
    x = s.pool(x, "MaxPool", 3, 2, 0)
    for place, narrow in enumerate((16, 16, 32, 32, 48, 48, 64, 64)[: s.pick(5, 6, 8)]):
        x = s.conv(x, even(narrow * scale))
        x = s.concat(s.conv(x, even(4 * narrow * scale)), s.conv(x, even(4 * narrow * scale), kernel=3))
        if place in (1, 3):
            x = s.pool(x, "MaxPool", 3, 2, 0)
    x = s.conv(x, 1000)
    return s.sketch.add("Flatten", [s.sketch.add("GlobalAveragePool", [x.name])])


def vit(s):
    """Dosovitskiy et al. 2021, small: patches, then transformer layers with normalisation first."""
    heads, depth, patch, side = s.pick(2, 3, 4, 6), s.pick(32, 48, 64), s.pick(8, 16), s.pick(4, 7, 8, 10, 14)
    width, tokens = heads * depth, side * side
    x = start(s, side * patch)
    name = s.sketch.add("Conv", [x.name, s.sketch.weight((width, 3, patch, patch)), s.sketch.weight((width,))], strides=[patch] * 2)
    name = s.sketch.add("Transpose", [s.reshape(name, 1, width, tokens)], perm=[0, 2, 1])
    name = s.sketch.add("Add", [name, s.sketch.weight((1, tokens, width))])
    act = ("Gelu", "ErfGelu")[s.pick(0, 1)]

    def norm(name):
        return s.sketch.add("LayerNormalization", [name, s.sketch.weight((width,)), s.sketch.weight((width,))])

    for _ in range(s.pick(2, 3, 4, 6)):
        inner = norm(name)
        parts = []
        for turn in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
            part = s.reshape(s.linear(inner, tokens, width, width), 1, tokens, heads, depth)
            parts.append(s.sketch.add("Transpose", [part], perm=turn))
        scores = s.sketch.add("Mul", [s.sketch.add("MatMul", parts[:2]), s.sketch.number(depth**-0.5)])
        mixed = s.sketch.add("MatMul", [s.sketch.add("Softmax", [scores], axis=-1), parts[2]])
        mixed = s.reshape(s.sketch.add("Transpose", [mixed], perm=[0, 2, 1, 3]), 1, tokens, width)
        name = s.sketch.add("Add", [name, s.linear(mixed, tokens, width, width)])
        wide = s.activate(Place(s.linear(norm(name), tokens, width, 4 * width), 0, ()), act).name
        name = s.sketch.add("Add", [name, s.linear(wide, tokens, 4 * width, width)])
    name = s.sketch.add("ReduceMean", [norm(name), s.sketch.sizes([1])], keepdims=0)
    return s.gemm(name, width, 1000, act=None)


def mlp(s):
    """Products and activations only."""
    batch, fan_in = s.pick(1, 1, 4, 16), s.pick(64, 256, 784, 1024)
    name = s.sketch.input((batch, fan_in))
    for _ in range(s.pick(3, 4, 6, 8)):
        width = even(s.among(128, 2048))
        name, fan_in = s.gemm(name, fan_in, width), width
    return s.gemm(name, fan_in, 10, act=None)


def waves(s):
    """Convolutions over time."""
    length, channels, width = s.pick(256, 500, 1000, 2000), s.pick(1, 6, 12), s.pick(16, 32, 64)
    x = Place(s.sketch.input((1, channels, length)), channels, (length,))
    x = s.conv(x, width, kernel=s.pick(7, 11, 15), stride=2)
    for stage in range(s.pick(3, 4, 5)):
        for _ in range(s.pick(1, 2)):
            y = s.conv(s.conv(x, x.channels, kernel=s.pick(3, 5)), x.channels, kernel=3, act=None)
            x = s.activate(s.plus(y, x))
        x = s.conv(x, min(256, width * 2 ** (stage + 1)), kernel=3, stride=2)
    return classes(s, x, 10)


def efficientnet(s):
    """Tan & Le 2019: inverted residuals with gates."""
    s.act = "Swish"
    scale, x = s.random.uniform(0.5, 1.2), start(s, s.pick(96, 128, 160, 224))
    x = s.conv(x, even(32 * scale), kernel=3, stride=2)
    for expand, out, count, kernel, stride in (
        (1, 16, 1, 3, 1),
        (6, 24, 2, 3, 2),
        (6, 40, 2, 5, 2),
        (6, 80, 2, 3, 2),
        (6, 112, 2, 5, 1),
        (6, 192, 2, 5, 2),
    ):
        out = even(out * scale)
        for block in range(count):
            step = stride if not block else 1
            y = s.conv(x, x.channels * expand) if expand > 1 else x
            y = s.conv(y, y.channels, kernel=kernel, stride=step, group=y.channels)
            gate = Place(s.sketch.add("GlobalAveragePool", [y.name]), y.channels, (1, 1))
            before, s.normalised = s.normalised, False
            gate = s.activate(s.conv(s.conv(gate, max(4, x.channels // 4)), y.channels, act=None), "Sigmoid")
            s.normalised = before
            y = s.conv(s.plus(y, gate, "Mul"), out, act=None)
            x = s.plus(y, x) if step == 1 and x.channels == out else y
    return classes(s, s.conv(x, even(1280 * scale)))


def inception(s):
    """Szegedy et al. 2015: four branches, concatenated."""
    s.act, scale = "Relu", s.random.uniform(0.4, 1.1)
    x = s.pool(s.conv(start(s, s.pick(96, 128, 160, 224)), even(64 * scale), kernel=7, stride=2), "MaxPool", 3, 2, 1)
    x = s.pool(s.conv(s.conv(x, even(64 * scale)), even(192 * scale), kernel=3), "MaxPool", 3, 2, 1)
    for place in range(s.pick(3, 5, 7)):
        one, two, three, four, five, six = (even(v * scale * (1 + place / 4)) for v in (64, 96, 128, 16, 32, 32))
        x = s.concat(
            s.conv(x, one),
            s.conv(s.conv(x, two), three, kernel=3),
            s.conv(s.conv(x, four), five, kernel=5),
            s.conv(s.pool(x, "MaxPool", 3, 1, 1), six),
        )
        x = s.pool(x, "MaxPool", 3, 2, 1) if place in (1, 5) else x
    return classes(s, x)


def resnext(s):
    """Xie et al. 2017: bottlenecks with grouped convolutions."""
    s.act, width = "Relu", s.pick(32, 48, 64)
    x = s.pool(s.conv(start(s, s.pick(96, 128, 160)), width, kernel=7, stride=2), "MaxPool", 3, 2, 1)
    for stage in range(s.pick(3, 4)):
        inner = width * 2**stage
        for block in range(s.pick(1, 2)):
            stride = 2 if stage and not block else 1
            y = s.conv(s.conv(s.conv(x, inner), inner, kernel=3, stride=stride, group=s.pick(2, 4, 8)), 2 * inner, act=None)
            short = x if x.channels == 2 * inner and stride == 1 else s.conv(x, 2 * inner, kernel=1, stride=stride, act=None)
            x = s.activate(s.plus(y, short))
    return classes(s, x)


TEST = {f.__name__: f for f in (vgg, resnet, mobilenet, shufflenet, densenet, squeezenet, vit, mlp, waves)}
DEV = {f.__name__: f for f in (efficientnet, inception, resnext)}


def draw(name, number):
    """The model of one network of a family, not yet normalised."""
    s = Stack(hash_of(name, number))
    s.act = "Relu"
    return s.sketch.model([(TEST | DEV)[name](s)])


def hash_of(name, number):
    return 10_000_000 + 1000 * sum(ord(letter) * (place + 1) for place, letter in enumerate(name)) + number


def light():
    """The light models of the onnx package, by name."""
    return {f"light {name}": shipped(name).SerializeToString() for name in NAMES}
