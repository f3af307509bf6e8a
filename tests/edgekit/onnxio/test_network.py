"""A model in plain Python: nodes, attributes and constants."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekit.graph import Tensor
from edgekit.onnxio.network import network

FLOAT = TensorProto.FLOAT


def test_a_node_tells_its_attributes_in_plain_python() -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value_float=2.5),
        helper.make_node("Constant", [], ["d"], value=numpy_helper.from_array(np.arange(3, dtype=np.int64))),
        helper.make_node("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 3], auto_pad="NOTSET", group=1),
        helper.make_node("LeakyRelu", ["y"], ["z"], "last", alpha=0.5),
    ]
    ends = helper.make_tensor_value_info("x", FLOAT, (1, 2, 5, 7)), helper.make_tensor_value_info("z", FLOAT, None)
    weight = numpy_helper.from_array(np.ones((4, 2, 3, 3), np.float32), "w")
    model = helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight]), opset_imports=[helper.make_opsetid("", 17)])
    found = network(model.SerializeToString())
    assert found.opset == 17
    assert [(node.op, node.name) for node in found.operators] == [("Conv", "Conv_2"), ("LeakyRelu", "last")]
    assert found.operators[0].attributes == {"pads": (0, 1, 2, 3), "auto_pad": "NOTSET", "group": 1}
    assert found.operators[1].attributes == {"alpha": 0.5}
    assert found.constants["c"] == 2.5 and found.constants["d"].tolist() == [0, 1, 2]
    assert found.constants["w"].shape == (4, 2, 3, 3)
    assert found.inputs == (Tensor("x", (1, 2, 5, 7), "float32"),)
    assert found.outputs == (Tensor("z", None, "float32"),)
