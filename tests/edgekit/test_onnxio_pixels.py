"""Networks that take pixels in whole numbers: the same answers to a quarter of the bytes."""

import numpy as np
import pytest

from edgekit.errors import GraphError
from edgekit.onnxio import cut, load, read, with_pixels
from edgekit.runtime.engine.executor import run_once
from tests.models import picking, skipping
from tests.written import imported

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize(("mean", "std"), [((), ()), ((0.5,), (0.25,)), (MEAN, STD)])
def test_pixels_give_what_prepared_images_give(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    net = skipping()
    data = with_pixels(net.data, mean, std)
    graph = read(data)
    assert [(tensor.name, tensor.dtype, tensor.nbytes) for tensor in graph.cuts[0].tensors] == [("x", "uint8", 192)]
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8)).astype(np.uint8)
    centre, spread = (np.reshape(values or usual, (1, -1, 1, 1)) for values, usual in ((mean, (0.0,)), (std, (1.0,))))
    image = ((pixels / 255 - centre) / spread).astype(np.float32)
    np.testing.assert_allclose(run_once(data, {"x": pixels})["y"], run_once(net.data, {"x": image})["y"], rtol=1e-4, atol=1e-5)


def test_what_prepares_the_pixels_is_a_unit_like_any_other() -> None:
    data = with_pixels(skipping().data, MEAN, STD)
    graph, model = read(data), load(data)
    assert [node.op for node in graph.unit_nodes(0)] == ["Cast", "Mul", "Add"]
    first = cut(model, graph, 0, 1)
    assert run_once(first, {"x": np.full((1, 3, 8, 8), 255, np.uint8)})["x::image"].max() == pytest.approx((1 - 0.406) / 0.225)


def test_inputs_that_are_no_images_stay_as_they_are() -> None:
    graph = read(with_pixels(picking().data))
    assert {tensor.name: tensor.dtype for tensor in graph.cuts[0].tensors} == {"x": "uint8", "i": "int64"}


@pytest.mark.parametrize(
    ("options", "words"), [({"mean": (1.0, 2.0)}, "expected one mean or 3"), ({"std": (0.0,)}, "expected a std above 0")]
)
def test_coefficients_have_to_fit(options: dict[str, tuple[float, ...]], words: str) -> None:
    with pytest.raises(GraphError, match=words):
        with_pixels(skipping().data, **options)


def test_a_network_without_images_is_refused() -> None:
    with pytest.raises(GraphError, match="has no image among its inputs"):
        with_pixels(imported("net (float[4] x) => (float[4] y) { y = Relu(x) }"))
