"""A random stack in the making: its nodes, by the layers that networks are made of, and what it has cost so far."""

from dataclasses import dataclass, replace

import numpy as np

from edgekit.onnxio.sketch import Sketch

__all__ = ["Place", "Stack"]

MOST_MACS = (2e8, 6e9)
MOST_WEIGHTS = (2e6, 6e7)
"""Of a stack; each draws its own from these ranges, as networks differ by that much."""

MOST_CHANNELS = 2048

WIDE = 0.3
"""Share of the widest that the narrowest of a wide stack's layers has: most networks do not grow narrow again."""

ACTIVATIONS = ("Relu", "Clip", "HardSwish", "Swish", "LeakyRelu", "Sigmoid", "ErfGelu")
ACTIVATION_SHARES = (0.56, 0.14, 0.1, 0.1, 0.04, 0.03, 0.03)


@dataclass(frozen=True)
class Place:
    """A tensor on the way: ``(1, channels, *sides)``."""

    name: str
    channels: int
    sides: tuple[int, ...]

    @property
    def area(self) -> int:
        return int(np.prod(self.sides))


class Stack:
    """A stack in the making, with what it has cost so far; blocks stop to be added where that is enough."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.sketch = Sketch(seed)
        self.macs = self.weights = 0.0
        self.most_macs, self.most_weights = MOST_MACS[1], MOST_WEIGHTS[1]
        self.most_channels, self.wide = MOST_CHANNELS, False
        self.normalised = self.random.random() < 0.6
        self.act = str(self.random.choice(ACTIVATIONS, p=ACTIVATION_SHARES))

    def limit(self) -> None:
        """Draw how large this one may become."""
        self.most_macs, self.most_weights = self.among(*MOST_MACS), self.among(*MOST_WEIGHTS)
        self.wide = self.chance(0.5)

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def among(self, least: float, most: float) -> int:
        """A whole number, evenly by its logarithm."""
        return max(1, round(float(np.exp(self.random.uniform(np.log(least), np.log(most))))))

    def channels(self, least: int, most: int) -> int:
        """A number of channels, no more than the most of this stack."""
        return self.width(min(least, self.most_channels), min(most, self.most_channels))

    def width(self, least: int, most: int) -> int:
        """A size: of a multiple of 16, of 8, or any."""
        step = int(self.random.choice((16, 8, 4, 1), p=(0.45, 0.25, 0.15, 0.15)))
        least = max(least, int(WIDE * most)) if self.wide else least
        return max(step, round(self.among(least, most) / step) * step)

    def pick(self, *options: int) -> int:
        return int(self.random.choice(options))

    @property
    def spent(self) -> bool:
        return self.macs > self.most_macs or self.weights > self.most_weights

    # ---- nodes -----------------------------------------------------------------------------------------------------

    def conv(self, x: Place, channels: int, *, kernel: int = 1, stride: int = 1, group: int = 1, act: str | None = "") -> Place:
        """Conv, BatchNormalization where this stack has any, and an activation: "" the stack's, None none."""
        sides = tuple((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in x.sides)
        shape = (channels, x.channels // group, *(kernel for _ in sides))
        reads = [x.name, self.sketch.weight(shape), *([] if self.normalised else [self.sketch.weight((channels,))])]
        where = {"kernel_shape": [kernel] * len(sides), "pads": [kernel // 2] * 2 * len(sides), "strides": [stride] * len(sides)}
        made = Place(self.sketch.add("Conv", reads, group=group, **where), channels, sides)
        self.weights += float(np.prod(shape))
        self.macs += float(np.prod(shape)) * made.area
        made = self.norm(made) if self.normalised else made
        return self.activate(made, act)

    def norm(self, x: Place) -> Place:
        four = [self.sketch.weight((x.channels,)) for _ in range(4)]
        return replace(x, name=self.sketch.add("BatchNormalization", [x.name, *four]))

    def activate(self, x: Place, act: str | None = "") -> Place:
        act = self.act if act == "" else act
        add = self.sketch.add
        if act is None:
            return x
        if act == "Clip":
            return replace(x, name=add("Clip", [x.name, self.sketch.number(0.0), self.sketch.number(6.0)]))
        if act == "Swish":
            return replace(x, name=add("Mul", [x.name, add("Sigmoid", [x.name])]))
        if act == "ErfGelu":
            inner = add("Erf", [add("Div", [x.name, self.sketch.number(2**0.5)])])
            outer = add("Mul", [x.name, add("Add", [inner, self.sketch.number(1.0)])])
            return replace(x, name=add("Mul", [outer, self.sketch.number(0.5)]))
        return replace(x, name=add(act, [x.name]))

    def pool(self, x: Place, op: str, kernel: int, stride: int, pad: int) -> Place:
        sides = tuple((side + 2 * pad - kernel) // stride + 1 for side in x.sides)
        where = {"kernel_shape": [kernel] * len(sides), "pads": [pad] * 2 * len(sides), "strides": [stride] * len(sides)}
        return Place(self.sketch.add(op, [x.name], **where), x.channels, sides)

    def plus(self, x: Place, y: Place, op: str = "Add") -> Place:
        return replace(x, name=self.sketch.add(op, [x.name, y.name]))

    def concat(self, *places: Place) -> Place:
        name = self.sketch.add("Concat", [place.name for place in places], axis=1)
        return Place(name, sum(place.channels for place in places), places[0].sides)

    def gemm(self, x: str, fan_in: int, fan_out: int, *, act: str | None = "Relu") -> str:
        reads = [x, self.sketch.weight((fan_out, fan_in)), self.sketch.weight((fan_out,))]
        self.weights += fan_in * fan_out
        self.macs += fan_in * fan_out
        made = self.sketch.add("Gemm", reads, transB=1)
        return self.sketch.add(act, [made]) if act else made

    def linear(self, x: str, tokens: int, fan_in: int, fan_out: int) -> str:
        """MatMul and bias over tokens."""
        self.weights += fan_in * fan_out
        self.macs += tokens * fan_in * fan_out
        product = self.sketch.add("MatMul", [x, self.sketch.weight((fan_in, fan_out))])
        return self.sketch.add("Add", [product, self.sketch.weight((fan_out,))])

    def reshape(self, x: str, *shape: int) -> str:
        return self.sketch.add("Reshape", [x, self.sketch.sizes(shape)])
