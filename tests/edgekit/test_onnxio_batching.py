"""Networks that take several samples at once give what they give one by one, or are refused."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgekit.errors import GraphError
from edgekit.onnxio import batched, load, normalise, read
from edgekit.quantize import Scheme, to_int8
from edgekit.runtime.engine.executor import run_once
from tests.models import draw, paired, picking, skipping


def with_shapes(text: str, shapes: dict[str, list[int]], outputs: dict[str, list[int]], weights: dict[str, list[int]] = {}) -> bytes:  # noqa: B006  # read only
    """A drawn network of input ``x`` (1, 4, 6), whose sizes ``s…`` are written into it as exporters do."""
    proto = onnx.load_from_string(draw(text, {"x": [1, 4, 6]}, outputs, weights))
    proto.graph.initializer.extend(numpy_helper.from_array(np.array(sizes), name) for name, sizes in shapes.items())
    return normalise(proto.SerializeToString())


@pytest.mark.parametrize("net", [skipping, paired], ids=lambda net: net.__name__)
def test_several_samples_at_once_give_what_they_give_one_by_one(net) -> None:
    one = net()
    many = batched(one.model, 3)
    frames = [one.inputs(seed) for seed in range(3)]
    together = run_once(many, {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]})
    for name, got in together.items():
        want = np.concatenate([run_once(one.data, frame)[name] for frame in frames])
        assert got.shape == want.shape and np.allclose(got, want, atol=1e-5)
    assert normalise(many) == many
    assert read(many).macs == 3 * one.graph.macs


def test_sizes_that_an_exporter_wrote_into_the_network_follow() -> None:
    data = with_shapes("Reshape x,s > a\nMatMul a,w > b\nReshape b,t > y", {"s": [1, 24], "t": [1, 2, 4]}, {"y": [1, 2, 4]}, {"w": [24, 8]})
    assert read(batched(load(data), 5)).cuts[-1].tensors[0].shape == (5, 2, 4)


def test_what_is_put_beside_each_sample_follows() -> None:
    data = normalise(draw("Concat x,token > y", {"x": [1, 4, 6]}, {"y": [1, 5, 6]}, {"token": [1, 1, 6]}, Concat={"axis": 1}))
    assert read(batched(load(data), 3)).cuts[-1].tensors[0].shape == (3, 5, 6)


def test_a_quantized_network_takes_several_samples_too() -> None:
    net = skipping()
    model = load(to_int8(net.model, [net.inputs(seed) for seed in range(4)], Scheme(False, True, "")))
    assert read(batched(model, 2)).precision == "int8"


def test_a_network_that_mixes_its_samples_is_refused() -> None:
    mixing = load(with_shapes("ReduceMean x > m\nSub x,m > y", {}, {"y": [1, 4, 6]}))
    with pytest.raises(GraphError, match="net gives other outputs for 2 times as many samples: it mixes them; leave --batch out"):
        batched(mixing, 2)


def test_a_network_whose_sizes_do_not_follow_is_refused() -> None:
    folding = load(with_shapes("Reshape x,s > a\nReshape a,t > y", {"s": [4, 6], "t": [1, 4, 6]}, {"y": [1, 4, 6]}))
    with pytest.raises(GraphError, match="net does not take 2 times as many samples: "):
        batched(folding, 2)
    with pytest.raises(GraphError, match="2 times as many samples: .*channels"):
        batched(picking().model, 2)  # its index is no sample


def test_a_network_of_a_single_number_takes_one_sample_at_a_time() -> None:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []) for name in ("x", "y")]
    proto = helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ends[:1], ends[1:]),
        ir_version=9,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    with pytest.raises(GraphError, match="input x of net has no first axis, so it takes one sample at a time"):
        batched(load(normalise(proto.SerializeToString())), 2)
