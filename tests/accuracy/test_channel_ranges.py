"""Ranges of channels: what they hold of values seen and not seen, which axis they lie along, and what they are worth on real data."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from edgekit.accuracy.channel_ranges import channel_axis, range_of
from edgekit.device import Variant
from edgekit.graph import Graph, Node, Tensor, Unit
from edgekit.range import Range
from edgekit.runtime.engine.executor import open_session
from tests.digits import KNOWN, digits, network

Floats = NDArray[np.float32]


def held(found: Range, array: Floats) -> Floats:
    """An array as a range holds it."""
    shape = [1] * array.ndim
    shape[found.axis] = len(found.channels)
    scales, zeros = (np.array(each, np.float32).reshape(shape) for each in zip(*found.channels, strict=True))
    return ((np.clip(np.round(array / scales + zeros), 0, 255) - zeros) * scales).astype(np.float32)


def test_all_that_was_seen_is_held_within_half_a_step_and_zero_as_it_is() -> None:
    random = np.random.default_rng(0)
    array = (random.standard_normal((1, 6, 20, 20)) * 10.0 ** np.arange(-2, 4).reshape(1, 6, 1, 1)).astype(np.float32)
    array[0, 3] = np.abs(array[0, 3])
    array[:, :, 0, 0] = 0
    found = range_of(Tensor("x", array.shape, "float32"), 1, array.min((0, 2, 3))[None], array.max((0, 2, 3))[None])
    assert found is not None and found.channels[3][1] == 0
    for channel, (scale, _) in enumerate(found.channels[2:], start=2):  # the first two are finer than steps may be
        apart = np.abs(held(found, array) - array)[:, channel]
        assert apart[..., 0, 0].max() == 0 and apart.max() <= 0.5001 * scale
    assert {scale for scale, _ in found.channels[:2]} == {np.float32(max(scale for scale, _ in found.channels) / 256)}


@pytest.mark.parametrize(("low", "high"), [(np.nan, 1.0), (0.0, np.inf)])
def test_what_is_not_finite_has_no_range(low: float, high: float) -> None:
    tensor = Tensor("x", (1, 2, 3, 3), "float32")
    assert range_of(tensor, 1, np.array([[0, low]], np.float32), np.array([[1, high]], np.float32)) is None


def test_a_tensor_that_was_nothing_but_zero_has_steps_all_the_same() -> None:
    found = range_of(Tensor("x", (1, 2, 3, 3), "float32"), 1, np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32))
    assert found is not None and held(found, np.zeros((1, 2, 3, 3), np.float32)).max() == 0


@pytest.mark.parametrize(
    ("shape", "op", "axis"),
    [
        ((1, 64, 56, 56), "Relu", 1),
        ((8, 64, 56, 56), "Relu", 1),
        ((1, 197, 192), "MatMul", 2),
        ((1, 64, 1000), "Conv", 1),
        ((1, 1280), "Gemm", 1),
        ((10,), "Relu", 0),
        ((), "Relu", None),
        ((1, 0, 3), "Relu", None),
        ((1, 25088), "Gemm", None),
    ],
)
def test_channels_lie_along(shape: tuple[int, ...], op: str, axis: int | None) -> None:
    tensor = Tensor("x", shape, "float32")
    graph = Graph("net", "d", (Node("n", op, ("x",), ("y",)),), (Unit(0, 1),), (tensor,), (), ("x",), ("y",))
    assert channel_axis(graph, tensor) == axis


@cache
def outputs() -> dict[str, Floats]:
    """What both convolutions make of every digit, before and behind their ReLU."""
    proto = ModelProto.FromString(network().data)
    described = {value.name: value for value in proto.graph.value_info}
    proto.graph.output.extend(described[name] for name in "abcd")
    session = open_session(proto.SerializeToString(), Variant())
    runs = [session.run(list("abcd"), {"x": image[None]}) for image in digits()[0]]
    return {name: np.concatenate([run[index] for run in runs]) for index, name in enumerate("abcd")}


def told_db(array: Floats, other: Floats) -> float:
    """How much stronger the values are than what was added to them."""
    return float(10 * np.log10(np.mean(array**2) / np.mean((other - array) ** 2)))


def test_ranges_are_widened_by_as_much_as_folds_differ() -> None:
    tensor = Tensor("x", (1, 2, 3, 3), "float32")
    alike = range_of(tensor, 1, np.zeros((3, 2), np.float32), np.full((3, 2), 25.5, np.float32))
    apart = range_of(tensor, 1, np.zeros((3, 2), np.float32), np.array([[20.4, 5], [25.5, 5], [2, 25.5]], np.float32))
    assert alike is not None and apart is not None
    assert [scale for scale, _ in alike.channels] == pytest.approx([0.1, 0.1])
    assert [scale for scale, _ in apart.channels] == pytest.approx([0.1 * (1 + 2 * (5.1 + 20.5) / 51)] * 2)


def in_one(tensor: Tensor, array: Floats) -> Range:
    """The range of a whole tensor."""
    found = range_of(tensor, 1, np.array([[array.min()]], np.float32), np.array([[array.max()]], np.float32))
    assert found is not None
    return found


@pytest.mark.parametrize("name", "abcd")
def test_channels_by_themselves_hold_real_activations_better_than_one_range_for_all(name: str) -> None:
    seen, unseen = outputs()[name][:KNOWN], outputs()[name][KNOWN:]
    tensor = Tensor(name, (1, *seen.shape[1:]), "float32")
    low, high = (np.stack([reach(seen[fold::5], axis=(0, 2, 3)) for fold in range(5)]) for reach in (np.min, np.max))
    found = range_of(tensor, 1, low, high)
    assert found is not None
    each = told_db(unseen, held(found, unseen))
    assert each > told_db(unseen, held(in_one(tensor, seen), unseen)) + 2
    if name in "ac":  # those of convolutions; what a ReLU leaves reaches far at times
        of_frames = np.concatenate([held(in_one(tensor, image), image) for image in unseen[:, None]])
        assert each > told_db(unseen, of_frames) + 1
