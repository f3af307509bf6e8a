"""A stage that is stuck in a frame is ended and comes back, and the frame fails alone."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgekit.deploy.serve.pipeline import deploy
from tests.models import Net, local, net, split


def counting() -> Net:
    """A loop that adds one ``i`` times, between two nodes that copy::

    i ─▶ identity ─▶ loop ─▶ identity ─▶ y
    """
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["again"]), helper.make_node("Add", ["sum", "one"], ["more"])],
        "body",
        [scalar("turn", TensorProto.INT64, []), scalar("on", TensorProto.BOOL, []), scalar("sum", TensorProto.FLOAT, [])],
        [scalar("again", TensorProto.BOOL, []), scalar("more", TensorProto.FLOAT, [])],
    )
    nodes = [
        helper.make_node("Identity", ["i"], ["count"]),
        helper.make_node("Loop", ["count", "yes", "zero"], ["total"], body=body),
        helper.make_node("Identity", ["total"], ["y"]),
    ]
    constants = [
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    graph = helper.make_graph(nodes, "g", [scalar("i", TensorProto.INT64, [])], [scalar("y", TensorProto.FLOAT, [])], constants)
    return net(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


def frame(count: int) -> dict[str, np.ndarray]:
    return {"i": np.array(count, np.int64)}


def test_a_frame_that_never_ends_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.client.client.TRIES", 1)
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 20.0)
    looping = counting()
    plan = split(looping.graph, (0, 1, "a"), (1, len(looping.graph.units), "b"))
    with deploy(plan, looping.graph, looping.model, local("a", "b")) as pipeline, pipeline.client() as client:
        results = list(client.stream([frame(3), frame(2**62), frame(5)]))
        assert [float(result.value()["y"]) for result in (results[0], results[2])] == [3, 5]
        assert "stage 1@b is lost" in str(results[1].error)
        assert "frame 1 has been computed for" in pipeline.logs()["b"].text
