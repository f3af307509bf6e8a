"""Small networks with everything that makes cutting interesting, a few kilobytes each."""

import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device, Roofline, Variant
from edgekit.graph import Graph
from edgekit.onnxio import Model, load, normalise, read
from edgekit.plan import Plan, Stage, chain
from edgekit.runtime.engine.executor import open_session, session_options

__all__ = ["CONV", "Net", "draw", "local", "optimized", "paired", "picking", "raw_skipping", "serial", "simulated", "skipping", "split"]

Arrays = dict[str, NDArray[np.generic]]


class Net(NamedTuple):
    """A network and what is needed to cut and to run it."""

    graph: Graph
    model: Model

    @property
    def data(self) -> bytes:
        return self.model.serialized

    def inputs(self, seed: int = 0) -> Arrays:
        """One frame of seeded inputs; whole numbers are small enough to be an index."""
        random = np.random.default_rng(seed)
        return {
            tensor.name: (random.integers(0, 4, tensor.shape) if tensor.dtype == "int64" else random.standard_normal(tensor.shape)).astype(
                tensor.dtype
            )
            for tensor in self.graph.cuts[0].tensors
        }


def optimized(model: Model) -> bytes:
    """The graph that onnxruntime here really runs."""
    with tempfile.TemporaryDirectory() as folder:
        path, options = Path(folder, "optimized.onnx"), session_options(Variant())
        options.optimized_model_filepath = str(path)
        open_session(model.serialized, Variant(), options)
        return path.read_bytes()


def draw(
    text: str,
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    weights: dict[str, list[int] | NDArray[np.float32]],
    **attributes,
) -> bytes:
    """A model from lines such as ``Conv x,w0 > a``; inputs are float, or int64 where they are called ``i…``.

    Of a weight the shape is given, or what it holds.
    """
    random = np.random.default_rng(0)
    nodes = []
    for line in text.strip().splitlines():
        op, read_names, _, made = line.split()
        nodes.append(helper.make_node(op, read_names.split(","), made.split(","), name=made, **attributes.get(op, {})))

    def end(name: str, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.INT64 if name[0] == "i" else TensorProto.FLOAT, shape)

    held = [
        numpy_helper.from_array(
            held if isinstance(held, np.ndarray) else (random.standard_normal(held) / np.sqrt(np.prod(held[1:]))).astype(np.float32), name
        )
        for name, held in weights.items()
    ]
    graph = helper.make_graph(nodes, "net", [end(*i) for i in inputs.items()], [end(*o) for o in outputs.items()], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def net(data: bytes) -> Net:
    model = load(normalise(data))
    return Net(read(model), model)


CONV = {"Conv": {"pads": [1, 1, 1, 1]}}


def raw_skipping() -> bytes:
    """As ``skipping``, before it is prepared for edgekit."""
    return draw(
        """
        Conv x,w0 > a
        Relu a > b
        Conv b,w1 > c
        Relu c > d
        Conv d,w2 > e
        Add e,b > f
        Relu f > g
        Conv g,w3 > h
        GlobalAveragePool h > y
        """,
        {"x": [1, 3, 8, 8]},
        {"y": [1, 4, 1, 1]},
        {"w0": [4, 3, 3, 3], "w1": [4, 4, 3, 3], "w2": [4, 4, 3, 3], "w3": [4, 4, 3, 3]},
        **CONV,
    )


@cache
def skipping() -> Net:
    """Five units; ``b`` skips over unit 1:

    x ─▶ conv relu ─b┬▶ conv relu ─d▶ conv add relu ─g▶ conv ─h▶ pool ─▶ y
                     └─────────────────────┘
    """
    return net(raw_skipping())


@cache
def serial(units: int = 5) -> Net:
    """A chain of convolutions whose tensors differ in size."""
    sizes = [3, 4, 6, 2, 5, 3, 4, 8][: units + 1]
    names = ["x", *(f"t{i}" for i in range(1, units)), "y"]
    return net(
        draw(
            "\n".join(f"Conv {names[i]},w{i} > {names[i + 1]}" for i in range(units)),
            {"x": [1, sizes[0], 8, 8]},
            {"y": [1, sizes[units], 8, 8]},
            {f"w{i}": [sizes[i + 1], sizes[i], 3, 3] for i in range(units)},
            **CONV,
        )
    )


@cache
def paired() -> Net:
    """Two inputs and two outputs; ``b`` is an output and goes on:

    x ─▶ conv ─b┬▶ add ─▶ conv ─▶ y
    z ──────────┼───┘
                └▶ b
    """
    return net(
        draw(
            """
            Conv x,w0 > b
            Add b,z > c
            Conv c,w1 > y
            """,
            {"x": [1, 3, 8, 8], "z": [1, 4, 8, 8]},
            {"b": [1, 4, 8, 8], "y": [1, 2, 8, 8]},
            {"w0": [4, 3, 3, 3], "w1": [2, 4, 3, 3]},
            **CONV,
        )
    )


@cache
def picking() -> Net:
    """A frame whose index is not in 0..3 fails in unit 1, which gathers:

    x ─▶ conv ─b▶ pool gather ─c▶ conv ─▶ y
    i ───────────────┘
    """
    return net(
        draw(
            """
            Conv x,w0 > a
            MaxPool a > b
            Gather b,i > c
            Conv c,w1 > y
            """,
            {"x": [1, 3, 8, 8], "i": [4]},
            {"y": [1, 2, 8, 8]},
            {"w0": [4, 3, 3, 3], "w1": [2, 4, 3, 3]},
            MaxPool={"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
            Gather={"axis": 1},
            **CONV,
        )
    )


def split(graph: Graph, *stages: tuple[int, int, str]) -> Plan:
    """A relayed chain drawn as (start, stop, "device" or "one|other")."""
    return chain(graph, tuple(Stage(start, stop, tuple(devices.split("|"))) for start, stop, devices in stages))


def local(*names: str, links: tuple[Link, ...] = (Link(ANY, ANY),)) -> Cluster:
    """Devices on this machine."""
    return Cluster(tuple(Device(name) for name in names), links)


def simulated(*names: str, links: tuple[Link, ...] = (Link(ANY, ANY, 1e-4, 1e7),), macs_per_s: tuple[float, ...] = ()) -> Cluster:
    """Described devices, each half as fast as the one before unless said otherwise."""
    rates = macs_per_s or tuple(1e9 / 2**i for i in range(len(names)))
    devices = (Device(n, "sim:", roofline=Roofline(rate, 1e9, 1e-5)) for n, rate in zip(names, rates, strict=True))
    return Cluster(tuple(devices), links)
