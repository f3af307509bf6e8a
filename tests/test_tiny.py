"""Is it alive? The whole way through the house on described devices, without torch, processes or a network."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device, Roofline

CLUSTER = Cluster(
    devices=(
        Device("small", "sim:", roofline=Roofline(macs_per_s=1e8, memory_bytes_per_s=1e8)),
        Device("large", "sim:", roofline=Roofline(macs_per_s=4e8, memory_bytes_per_s=4e8)),
    ),
    links=(Link(ANY, ANY, latency_s=1e-4, bytes_per_s=1e7),),
)


def save_network(path: Path) -> None:
    """A network with a skip connection:

    x ─▶ conv0 ─▶ relu0 ─┬─▶ conv1 ─▶ add ─▶ relu1 ─▶ pool ─▶ y
                         └────────────┘
    """
    draw = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((draw.standard_normal(shape) / 4).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "b"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [1, 3, 16, 16]), ("y", [1, 8, 1, 1]))]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], [weight("w0", 8, 3, 3, 3), weight("w1", 8, 8, 3, 3)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def test_a_network_goes_in_and_a_certified_pipeline_comes_out(tmp_path: Path) -> None:
    save_network(tmp_path / "some.onnx")
    run = api.Run(tmp_path)
    api.export(str(tmp_path / "some.onnx"), run.graph)
    graph, model = api.load(run.graph)
    profiles = api.profile(graph, model, CLUSTER)
    front, _ = api.partition(graph, model, CLUSTER, profiles, measure=True)
    assert {"latency", "period"} == set(front.objectives)
    for plan in front.plans:
        assert plan.predicted is not None
        with api.deploy(plan, graph, model, CLUSTER) as pipeline:
            trace = api.verify(pipeline, seconds=0.1)
        assert trace.equality.worst <= trace.equality.tolerance
        assert abs(trace.measured.latency_s / plan.predicted.latency_s - 1) < 1e-6
        assert abs(trace.measured.period_s / plan.predicted.period_s - 1) < 0.02
