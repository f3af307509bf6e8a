"""Outputs near zero make no right device wrong, and hide no wrong one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgekit.deploy.serve.golden_frames import FRAMES, Golden, golden_frames
from edgekit.errors import GraphError, PromiseError
from edgekit.quantize import to_fp16
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, require
from edgekit.stages.magnitudes import rounding_of
from tests.models import CONV, Net, draw, net, picking

Weights = dict[str, NDArray[np.float32]]
SHAPE = [1, 3, 16, 16]


def drawn(*shape: int) -> NDArray[np.float32]:
    random = np.random.default_rng(sum(shape))
    return (random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


def head(last: str, bias: float) -> Net:
    """Two convolutions with a bias that holds what follows near zero, and the function at the end."""
    text = f"Conv x,w0 > a\nRelu a > b\nConv b,w1,bias > c\n{last} c > y"
    weights = {"w0": drawn(8, 3, 3, 3), "w1": drawn(4, 8, 3, 3), "bias": np.full(4, bias, np.float32)}
    return net(draw(text, {"x": SHAPE}, {"y": [1, 4, 16, 16]}, weights, **CONV))


def sigmoid_head() -> Net:
    return head("Sigmoid", -16.0)


def hard_sigmoid_head() -> Net:
    return head("HardSigmoid", -30.0)


def relu_head() -> Net:
    return head("Relu", -30.0)


def softmax_tail() -> Net:
    """All but the class that takes everything."""
    text = "Conv x,w0 > a\nRelu a > b\nGlobalMaxPool b > c\nFlatten c > d\nGemm d,w1,bias > e\nSoftmax e > f\nSplit f > g,y"
    bias = np.array([18] + [0] * 3, np.float32)
    weights = {"w0": drawn(8, 3, 3, 3), "w1": drawn(8, 4), "bias": bias}
    return net(draw(text, {"x": SHAPE}, {"y": [1, 2]}, weights, Split={"axis": 1}, **CONV))


def cancelling() -> Net:
    """The difference of two ways to the same sum, of which rounding alone is left."""
    one = drawn(8, 3, 3, 3)
    order = np.arange(8)[::-1].copy()
    last = drawn(2, 8, 3, 3)
    weights = {"w0": one, "w1": one[order], "w2": last, "w3": last[:, order].copy()}
    text = "Conv x,w0 > a\nConv x,w1 > b\nConv a,w2 > c\nConv b,w3 > d\nSub c,d > y"
    return net(draw(text, {"x": SHAPE}, {"y": [1, 2, 16, 16]}, weights, **CONV))


NETWORKS = [sigmoid_head, softmax_tail, cancelling, hard_sigmoid_head, relu_head]


def golden(made: Net) -> tuple[Golden, ...]:
    return golden_frames(made.graph, made.model, lambda frame: run_once(made.data, frame), (), TOLERANCE, rounding_of("fp32"))


def judge(made: Net, device: Callable[[dict], dict]) -> None:
    for each in golden(made):
        require(device(dict(each.inputs)), each.expected, "the device", tolerance=TOLERANCE, scales=each.scales)


def changed(made: Net, change: Callable[[Weights], None]) -> bytes:
    """The network with other weights."""
    proto = onnx.load_from_string(made.data)
    weights = {each.name: numpy_helper.to_array(each).copy() for each in proto.graph.initializer}
    change(weights)
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in weights.items())
    return proto.SerializeToString()


def a_percent_off(weights: Weights) -> None:
    weights["w0"] *= np.float32(1.01)


def two_channels_swapped(weights: Weights) -> None:
    weights["w1"][:, [0, 1]] = weights["w1"][:, [1, 0]]


def plainly(data: bytes) -> Callable[[dict], dict]:
    """A device that fuses nothing and sums in another order, in twice the precision where it can."""
    proto = onnx.load_from_string(data)
    runner, names = ReferenceEvaluator(proto), [each.name for each in proto.graph.output]

    def run(frame: dict) -> dict:
        with np.errstate(all="ignore"):
            return dict(zip(names, runner.run(None, frame), strict=True))

    return run


@pytest.mark.parametrize("network", NETWORKS)
def test_a_right_device_is_right_also_near_zero(network: Callable[[], Net]) -> None:
    made = network()
    judge(made, plainly(made.data))


@pytest.mark.parametrize("change", [a_percent_off, two_channels_swapped])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_device_with_other_weights_is_found_also_near_zero(network: Callable[[], Net], change: Callable[[Weights], None]) -> None:
    made = network()
    with pytest.raises(PromiseError, match=r"the device: expected the output of the unsplit run, y\[.*\] is .* its magnitude"):
        judge(made, plainly(changed(made, change)))


@pytest.mark.parametrize("network", [sigmoid_head, hard_sigmoid_head, relu_head])
def test_a_device_that_sums_in_fp16_is_found_also_near_zero(network: Callable[[], Net]) -> None:
    made = network()
    with pytest.raises(PromiseError):
        judge(made, plainly(to_fp16(made.model)))


def test_a_frame_with_larger_inputs_is_added_where_outputs_are_near_zero() -> None:
    assert len(golden(head("Sigmoid", 0.0))) == FRAMES
    dim = golden(sigmoid_head())
    assert len(dim) == FRAMES + 1
    assert max(float(np.abs(each.expected["y"]).max()) for each in dim[:-1]) < 1e-3 < float(dim[-1].expected["y"].max())


def test_a_value_that_is_near_zero_in_one_frame_is_measured_by_all() -> None:
    made = head("Relu", 0.0)
    model = replace(made.model, frames=({"x": np.zeros(SHAPE, np.float32)}, {"x": np.ones(SHAPE, np.float32)}))
    first, second = golden(made._replace(model=model))
    assert not first.expected["y"].any() and first.scales == second.scales
    assert first.scales[0].magnitude >= second.expected["y"].max() > 0


def test_a_network_that_refuses_a_frame_says_what_to_give() -> None:
    made = picking()
    wrong = {"x": np.zeros([1, 3, 8, 8], np.float32), "i": np.full(4, 99)}
    with pytest.raises(GraphError, match="net does not run on the frame of --data .* look at its inputs"):
        golden(made._replace(model=replace(made.model, frames=(wrong,))))
