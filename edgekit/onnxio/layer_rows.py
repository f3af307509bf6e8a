"""Networks made of a few layers in a row, with seeded random weights: to learn what a machine makes of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edgekit.onnxio.normalise import normalise
from edgekit.onnxio.sketch import Sketch

__all__ = ["Layer", "draft"]


class Layer(NamedTuple):
    """One operator: it reads what the layer before it made, then its weights.

    Attributes:
        weights: shapes of its float weights.
        whole: integer weights by their values, such as the shape that a Reshape makes.
        again: whether it also reads the network's input, as a sum over a skipped part does.
    """

    op: str
    weights: tuple[tuple[int, ...], ...] = ()
    attributes: Mapping[str, Any] = {}
    whole: tuple[int, ...] = ()
    again: bool = False


def draft(shape: tuple[int, ...], layers: Sequence[Layer], seed: int = 0) -> bytes:
    """The normalised model of layers in a row over one float input."""
    sketch = Sketch(seed)
    first = last = sketch.input(shape)
    for layer in layers:
        reads = [last, *([first] if layer.again else []), *map(sketch.weight, layer.weights)]
        last = sketch.add(layer.op, [*reads, sketch.sizes(layer.whole)] if layer.whole else reads, **layer.attributes)
    return normalise(sketch.model([last]))
