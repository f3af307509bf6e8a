"""Stages of a network in another precision, between the tensors of the one it was made of."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from msgspec.structs import replace
from onnx import ModelProto

from edgekit.device import Variant
from edgekit.errors import GraphError, PlanError
from edgekit.machine import Machine
from edgekit.onnxio import Model, cut, load, paired, read
from edgekit.plan import Stage, chain, validate
from edgekit.quantize import int8_scheme, to_fp16, to_int8
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.composed_run import Composed
from edgekit.stages.parts import part
from tests.digits import network
from tests.models import Net, local, serial, skipping

SCHEME = int8_scheme([Machine("x86_64", 1, features=("avx2",))])


def twin(net: Net, precision: str) -> Model:
    frames = [net.inputs(seed) for seed in range(8)]
    return load(to_int8(net.model, frames, SCHEME) if precision == "int8" else to_fp16(net.model))


def together(net: Net, *precisions: str) -> Net:
    """The network with its twins."""
    return Net(*paired(net.graph, load(net.data), [twin(net, precision) for precision in precisions]))


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("make", [network, skipping, serial])
def test_stages_of_a_twin_give_what_the_whole_twin_gives(make, precision: str) -> None:
    net = together(make(), precision)
    (found,) = net.graph.twins
    assert found.cuts and found.precision == precision
    frame = net.inputs()
    whole = run_once(net.model.twins[precision].serialized, frame)
    for inner in (inner for size in range(3) for inner in combinations(found.cuts, size)):
        ends = (0, *inner, len(net.graph.units))
        stages = tuple(Stage(*pair, (f"d{i}",), Variant(precision)) for i, pair in enumerate(pairwise(ends)))
        plan = validate(chain(net.graph, stages), net.graph)
        got = Composed(part(plan, net.graph, net.model, local(*(f"d{i}" for i in range(len(stages)))), "p")).run(frame)
        for name in net.graph.outputs:
            scale = float(np.abs(whole[name]).max())
            np.testing.assert_allclose(got[name], whole[name], atol=0.02 * scale)  # sums in another order may round to the next step


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_stages_of_both_stand_side_by_side(precision: str) -> None:
    net = together(skipping(), precision)
    frame, (found,) = net.inputs(), net.graph.twins
    plain = run_once(net.data, frame)["y"]
    for position in found.cuts:
        for order in ((precision, "fp32"), ("fp32", precision)):
            stages = (Stage(0, position, ("a",), Variant(order[0])), Stage(position, 5, ("b",), Variant(order[1])))
            plan = validate(chain(net.graph, stages), net.graph)
            got = Composed(part(plan, net.graph, net.model, local("a", "b"), "p")).run(frame)["y"]
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, plain, atol=0.05 * float(np.abs(plain).max()))


def test_what_is_cut_out_of_an_int8_twin_computes_in_int8() -> None:
    net = together(skipping(), "int8")
    data = cut(net.model, net.graph, 0, net.graph.twins[0].cuts[0], precision="int8")
    assert read_ops(data) >= {"QuantizeLinear", "DequantizeLinear", "Conv"}
    assert len(data) < len(net.data)


def read_ops(data: bytes) -> set[str]:
    return {node.op_type for node in ModelProto.FromString(data).graph.node}


def test_twins_have_to_be_of_the_network() -> None:
    net = skipping()
    with pytest.raises(GraphError, match="has other inputs or outputs than net; make it of that: edgekit quantize"):
        paired(net.graph, load(net.data), [twin(serial(), "int8")])
    with pytest.raises(GraphError, match="is in fp32, as another one is"):
        paired(net.graph, load(net.data), [net.model])
    with pytest.raises(GraphError, match="is in int8, as another one is"):
        together(net, "int8", "int8")


def test_a_plan_needs_the_twin_and_its_cuts() -> None:
    net = together(skipping(), "int8")
    stages = (Stage(0, 2, ("a",), Variant("int8")), Stage(2, 5, ("b",)))
    with pytest.raises(PlanError, match="make a network of that precision first, edgekit quantize, and pass it with --twin"):
        validate(chain(skipping().graph, stages), skipping().graph)
    bare = replace(net.graph, twins=(replace(net.graph.twins[0], cuts=(1,)),))
    with pytest.raises(PlanError, match=r"stage 0, units \[0, 2\), cannot run in int8"):
        validate(chain(bare, stages), bare)
    with pytest.raises(GraphError, match="cannot run in int8"):
        cut(net.model, bare, 0, 2, precision="int8")
    assert read(net.model).twins == ()
