import numpy as np
import pytest

from edgekit import onnxio
from tests.light import NAMES, expected_output, inputs_for, prepared, run, run_halves, shipped, shipped_inputs, worst_difference

SMALL = ("shufflenet", "squeezenet", "inception_v1")

UNITS = {
    "bvlc_alexnet": (40, 13),
    "densenet121": (1746, 242),
    "inception_v1": (237, 83),
    "inception_v2": (916, 93),
    "resnet50": (415, 56),
    "shufflenet": (446, 58),
    "squeezenet": (105, 38),
    "vgg19": (82, 24),
    "zfnet512": (38, 13),
}

TOLERANCE = 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_every_light_model_is_imported_and_may_be_cut_behind_each_unit(name: str) -> None:
    data = onnxio.normalise(shipped(name).SerializeToString())
    graph = onnxio.read(data)
    assert (len(graph.nodes), len(graph.units)) == UNITS[name]
    assert graph.candidates == tuple(range(1, len(graph.units)))
    assert len(graph.inputs) == 1
    assert onnxio.normalise(data) == data


@pytest.mark.parametrize(
    ("name", "millions"), [("densenet121", 2834), ("resnet50", 4089), ("shufflenet", 124), ("squeezenet", 349), ("vgg19", 19632)]
)
def test_multiply_accumulates_are_those_of_the_papers(name: str, millions: int) -> None:
    graph = onnxio.read(onnxio.normalise(shipped(name).SerializeToString()))
    assert graph.macs // 1_000_000 == millions
    assert graph.mac_sums()[-1] == graph.macs


@pytest.mark.parametrize("name", SMALL)
def test_a_light_model_gives_the_output_that_its_package_expects(name: str) -> None:
    model = shipped(name)
    want = {model.graph.output[0].name: expected_output(name)}
    assert worst_difference(want, run(model, shipped_inputs(model))) <= TOLERANCE
    assert worst_difference(want, run(onnxio.normalise(model.SerializeToString()), shipped_inputs(model))) <= TOLERANCE


@pytest.mark.parametrize("name", SMALL)
def test_with_other_weights_the_output_depends_on_the_input_and_on_the_weights(name: str) -> None:
    model = prepared(name)
    one, two = (run(model, inputs_for(model, seed)) for seed in (1, 2))
    assert all(np.isfinite(value).all() for value in one.values())
    assert worst_difference(one, two) > 10 * TOLERANCE
    assert worst_difference(one, run(prepared(name, seed=1), inputs_for(model, 1))) > 10 * TOLERANCE


@pytest.mark.parametrize("name", SMALL)
def test_both_halves_of_a_cut_compute_what_the_whole_does(name: str) -> None:
    network = prepared(name)
    frame = inputs_for(network, 1)
    whole = run(network, frame)
    model = onnxio.load(onnxio.normalise(network.SerializeToString()))
    graph = onnxio.read(model)
    for position in graph.candidates[:: max(1, len(graph.candidates) // 5)]:
        assert worst_difference(whole, run_halves(model, graph, position, frame)) <= TOLERANCE


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_every_cut_of_every_light_model_keeps_its_promise(name: str) -> None:
    from benchmarks.cut_equality import check

    row = check(name)
    assert row.cuts == UNITS[name][1] - 1
    assert row.kept, row
