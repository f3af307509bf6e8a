"""Kernels as a graph tells of them, and what of a unit is fused."""

import pytest

from edgekit.onnxio import kernel_nodes, load, normalise, read
from edgekit.runtime.verbs import KernelTime
from profilers.map.fusion import learn, parts, signature
from profilers.map.kernel_descriptions import expected, main_op, timed
from profilers.predict.random_stacks import draw_stack
from tests.light import prepared
from tests.models import optimized, skipping


def seen(graph, model):
    nodes = kernel_nodes(optimized(model))
    times = tuple(KernelTime(name=node.name, op=node.op, seconds=2.0**-place) for place, node in enumerate(nodes))
    return times, *timed(graph, model, times, nodes)


@pytest.mark.parametrize("seed", [0, 2, 3, 6, 10, 12])
def test_no_time_is_lost_and_the_kernels_seen_are_those_expected_afterwards(seed):
    model = load(normalise(draw_stack(seed)))
    graph = read(model)
    times, kernels, fusions = seen(graph, model)
    assert sum(kernel.seconds for kernel in kernels) == pytest.approx(sum(time.seconds for time in times))
    assert sum(kernel.events for kernel in kernels) == len(times)
    again = expected(graph, model, learn(fusions))
    ours, theirs = sorted(str(kernel) for kernel, _ in again), sorted(str(sampled.kernel) for sampled in kernels)
    assert len(set(ours) ^ set(theirs)) <= 0.2 * len(theirs)  # a unit may be fused in two ways, by what is around it


def test_a_kernel_is_told_by_its_operators_shapes_and_layouts():
    graph, model = skipping().graph, skipping().model
    kernel, unit = expected(graph, model, {})[0]
    assert (kernel.ops, unit) == (("Conv", "Relu"), 0)
    assert (kernel.reads, kernel.makes, kernel.weights) == (((1, 3, 8, 8),), ((1, 4, 8, 8),), ((4, 3, 3, 3),))
    assert (kernel.before, kernel.blocks, kernel.after) == ((), (16, 8, 4), (4,))  # its four channels are taken as they are by wider ones
    assert kernel.macs == 4 * 3 * 9 * 64


def test_what_was_seen_goes_before_the_rule():
    graph = skipping().graph
    unit = signature(graph, 2)
    assert unit == "Conv, Add 0, Relu 1 @ Relu Relu - -"
    by_rule = [positions for index, positions in parts(graph, {}) if index == 2]
    by_sight = [positions for index, positions in parts(graph, learn([(unit, "0 1 1"), (unit, "0 1 1"), (unit, "0 0 0")])) if index == 2]
    assert [len(positions) for positions in by_rule] == [3]
    assert [len(positions) for positions in by_sight] == [1, 2]


@pytest.mark.parametrize("name", ["resnet50", "shufflenet"])
def test_kernels_of_a_network_whose_weights_are_made_by_nodes_are_found_by_rule(name):
    model = load(normalise(prepared(name).SerializeToString()))
    graph = read(model)
    _, kernels, _ = seen(graph, model)
    assert len(expected(graph, model, {})) == len(kernels)


@pytest.mark.parametrize(
    ("ops", "main"),
    [
        (("Conv", "BatchNormalization", "Relu"), "Conv"),
        (("Add", "LayerNormalization"), "LayerNormalization"),
        (("Div", "Erf", "Add", "Mul", "Mul"), "Gelu"),
        (("Relu",), "Relu"),
        (("Sigmoid", "Mul"), "Swish"),
        (("Sigmoid",), "Sigmoid"),
        ((), ""),
    ],
)
def test_a_kernel_is_called_by_what_costs_most_in_it(ops, main):
    assert main_op(ops) == main
