import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgekit import onnxio
from edgekit.errors import GraphError
from edgekit.graph import Graph
from tests.light import Arrays, run, run_halves, worst_difference
from tests.written import imported, model


def feeds_for(graph: Graph, seed: int = 1) -> Arrays:
    random = np.random.default_rng(seed)
    feeds: Arrays = {}
    for tensor in (graph.tensor(name) for name in graph.inputs):
        values: NDArray[np.float64] = np.asarray(random.standard_normal(tensor.shape))
        feeds[tensor.name] = np.asarray(values > 0 if tensor.dtype == "bool" else values).astype(tensor.dtype)
    return feeds


def check_every_cut(data: bytes, positions: tuple[int, ...] | None = None) -> Graph:
    """Both halves of every cut are valid and together compute what the whole does."""
    parsed = onnxio.load(data)
    graph = onnxio.read(parsed)
    assert graph.candidates == (tuple(range(1, len(graph.units))) if positions is None else positions)
    for seed in (1, 2):
        feeds = feeds_for(graph, seed)
        whole = run(data, feeds)
        for position in graph.candidates:
            assert worst_difference(whole, run_halves(parsed, graph, position, feeds)) <= 1e-5
    for start in (0, *graph.candidates):
        for stop in (*graph.candidates, len(graph.units)):
            if start < stop:
                check_stage(onnxio.cut(parsed, graph, start, stop), graph, start, stop)
    return graph


def check_stage(data: bytes, graph: Graph, start: int, stop: int) -> None:
    onnx.checker.check_model(data, full_check=True)
    proto = onnx.load_from_string(data).graph
    segment = graph.segment(start, stop)
    assert [value.name for value in proto.input] == [tensor.name for tensor in segment.inputs]
    assert [value.name for value in proto.output] == [tensor.name for tensor in segment.outputs]
    assert {weight.name for weight in proto.initializer} == {tensor.name for tensor in segment.weights}


def test_a_chain_is_cut_anywhere() -> None:
    graph = check_every_cut(
        imported("""net (float[1,2,8,8] x) => (y) <float[3,2,3,3] w, float[3,3,3,3] v> {
        a = Conv(x, w)  b = Relu(a)  c = Conv(b, v)  d = Relu(c)  y = MaxPool <kernel_shape = [2, 2]> (d) }""")
    )
    assert len(graph.units) == 3


def test_skips_several_inputs_and_several_outputs() -> None:
    check_every_cut(
        imported("""net (float[2,4] x, float[2,4] late, float[2,4] spare) => (z, early, x) <float[4,4] w, float[4,4] v> {
        early = MatMul(x, w)  b = MatMul(early, v)  c = Add(b, early)  d = MatMul(c, w)
        e = Mul(d, late)  f = MatMul(e, v)  z = Add(f, x) }""")
    )


def test_weights_used_by_both_halves_are_in_both() -> None:
    data = imported("net (float[2,80] x) => (y) <float[80,80] w> { a = MatMul(x, w)  b = MatMul(a, w)  y = MatMul(b, w) }")
    graph = check_every_cut(data)
    assert [tensor.name for tensor in graph.segment(1, 2).weights] == ["w"]


def test_constants_are_copied_into_each_stage_that_reads_them() -> None:
    graph = check_every_cut(
        imported("""net (float[2,4] x) => (y, k) <float[4,4] w, int64[1] two = {4}> {
        k = Constant <value = float[4] {1,2,3,4}> ()  m = Mul(k, k)  ones = ConstantOfShape <value = float[1] {1}> (two)
        a = MatMul(x, w)  b = Add(a, m)  c = MatMul(b, w)  d = Add(c, m)  e = MatMul(d, w)  y = Add(e, ones) }""")
    )
    assert [len(cut.tensors) for cut in graph.cuts] == [1, 1, 1, 2]


def test_a_weight_may_be_an_output() -> None:
    check_every_cut(imported("net (float[2,4] x) => (y, float[4,4] w) <float[4,4] w> { a = MatMul(x, w)  y = MatMul(a, w) }"))


def test_an_if_brings_along_what_its_branches_capture() -> None:
    graph = check_every_cut(
        imported("""net (float[2,4] x, bool c) => (y) <float[4,4] w, float[4,4] v, float[4] u> {
        a = MatMul(x, w)  b = MatMul(a, v)
        d = If (c) <then_branch = t () => (float[2,4] p) { p = Add(a, u) }, else_branch = e () => (float[2,4] q) { q = MatMul(b, w) }>
        y = MatMul(d, v) }""")
    )
    (branch,) = (node for node in graph.nodes if node.op == "If")
    assert branch.inputs == ("c", "a", "u", "b", "w")
    assert [tensor.name for tensor in graph.cuts[2].tensors] == ["c", "a", "b"]


def test_a_loop_brings_along_what_its_body_captures_even_two_levels_down() -> None:
    graph = check_every_cut(
        imported("""net (float[2,4] x, bool c) => (y) <float[4,4] w, float[4] u, int64 trips = {3}, bool yes = {1}> {
        a = MatMul(x, w)  b = MatMul(a, w)
        d = Loop (trips, yes, b) <body = body (int64 i, bool go, float[2,4] state) => (bool on, float[2,4] next) {
            on = Identity(go)
            s = Add(state, a)
            next = If (c) <then_branch = t () => (float[2,4] p) { p = Add(s, u) }, else_branch = e () => (float[2,4] q) { q = Sub(s, a) }>
        }>
        y = MatMul(d, w) }""")
    )
    (loop,) = (node for node in graph.nodes if node.op == "Loop")
    assert set(loop.inputs) == {"trips", "yes", "b", "a", "c", "u"}
    assert graph.tensor("d").shape == (2, 4)


def test_a_quantized_network_sends_small_integers() -> None:
    data = imported("""net (float[1,2,8,8] x) => (y)
        <float s = {0.05}, uint8 z = {128}, int8[4,2,3,3] w, int8[4,4,3,3] v, float ws = {0.02}, int8 wz = {0}> {
        q0 = QuantizeLinear(x, s, z)  d0 = DequantizeLinear(q0, s, z)  dw = DequantizeLinear(w, ws, wz)
        c0 = Conv <pads = [1, 1, 1, 1]> (d0, dw)  r0 = Relu(c0)  q1 = QuantizeLinear(r0, s, z)  d1 = DequantizeLinear(q1, s, z)
        dv = DequantizeLinear(v, ws, wz)  c1 = Conv <pads = [1, 1, 1, 1]> (d1, dv)  q2 = QuantizeLinear(c1, s, z)
        d2 = DequantizeLinear(q2, s, z)  a = Add(d1, d2)  q3 = QuantizeLinear(a, s, z)  y = DequantizeLinear(q3, s, z) }""")
    parsed = onnxio.load(data)
    graph = onnxio.read(parsed)
    assert len(graph.units) == 4
    for cut in graph.cuts[1:-1]:
        assert {tensor.dtype for tensor in cut.tensors} == {"uint8"}
        feeds = feeds_for(graph)
        halves = run_halves(parsed, graph, cut.position, feeds)["y"]
        assert np.abs(halves - run(data, feeds)["y"]).max() <= 0.05 + 1e-6  # one step of the quantizer


def transformer() -> bytes:
    """Two pre-norm blocks with two heads, the second with its LayerNorm decomposed, on four tokens of eight numbers."""
    block = """
        n{i} = {norm}
        q{i} = MatMul(n{i}, wq)  qs{i} = Reshape(q{i}, heads)  qt{i} = Transpose <perm = [0, 2, 1, 3]> (qs{i})
        k{i} = MatMul(n{i}, wk)  ks{i} = Reshape(k{i}, heads)  kt{i} = Transpose <perm = [0, 2, 3, 1]> (ks{i})
        v{i} = MatMul(n{i}, wv)  vs{i} = Reshape(v{i}, heads)  vt{i} = Transpose <perm = [0, 2, 1, 3]> (vs{i})
        dot{i} = MatMul(qt{i}, kt{i})  scaled{i} = Mul(dot{i}, half)  masked{i} = Add(scaled{i}, mask)  p{i} = Softmax(masked{i})
        mix{i} = MatMul(p{i}, vt{i})  m{i} = Transpose <perm = [0, 2, 1, 3]> (mix{i})  merged{i} = Reshape(m{i}, flat)
        o{i} = MatMul(merged{i}, wo)  h{i} = Add(o{i}, {x})
        g{i} = MatMul(h{i}, wq)  e{i} = Erf(g{i})  f{i} = Add(e{i}, half)  u{i} = Mul(g{i}, f{i})
        z{i} = MatMul(u{i}, wo)  out{i} = Add(z{i}, h{i})
    """
    whole = "LayerNormalization(x, gain, bias)"
    parts = """Identity(nn)"""
    decomposed = """mean = ReduceMean <axes = [-1]> (out0)  c = Sub(out0, mean)  cc = Mul(c, c)  var = ReduceMean <axes = [-1]> (cc)
        ve = Add(var, half)  sd = Sqrt(ve)  cd = Div(c, sd)  cg = Mul(cd, gain)  nn = Add(cg, bias)"""
    body = block.format(i=0, x="x", norm=whole) + decomposed + block.format(i=1, x="out0", norm=parts)
    return imported(
        f"""net (float[1,4,8] x, float[1,1,4,4] mask) => (out1) <float[8,8] wq, float[8,8] wk, float[8,8] wv, float[8,8] wo,
        float[8] gain, float[8] bias, float half = {{0.5}}, int64[4] heads = {{1, 4, 2, 4}}, int64[3] flat = {{1, 4, 8}}> {{ {body} }}"""
    )


def test_a_transformer_is_cut_anywhere_and_between_blocks_by_its_stream_alone() -> None:
    graph = check_every_cut(transformer())
    crossing = [{tensor.name for tensor in cut.tensors} for cut in graph.cuts]
    assert {"out0", "mask"} in crossing
    units = [" ".join(node.outputs[0] for node in graph.unit_nodes(i)) for i in range(len(graph.units))]
    assert "mean c cc var ve sd cd cg nn n1" in units
    assert "dot0 scaled0 masked0 p0" in units


def test_a_cut_at_an_obstacle_says_why_not() -> None:
    data = imported("""net (float[4,4,4] x) => (y) <int64[1] size = {2}, float[4,4] w, float[2,3] v, float[2,2] u> {
        a = MatMul(x, w)  b = MaxPool <kernel_shape = [1]> (a)  i = NonZero(b)  f = Cast <to = 1> (i)  g = MatMul(v, f)
        m = ReduceMean <axes = [0, 1], keepdims = 0> (g)  e = Expand(m, size)  y = MatMul(e, u) }""")
    graph = onnxio.read(data)
    place = next(cut.position for cut in graph.cuts if cut.obstacle)
    with pytest.raises(GraphError, match=rf"cannot be cut at {place}: f has a shape that depends on the data"):
        onnxio.cut(data, graph, 0, place)
    with pytest.raises(GraphError, match="depends on the data"):
        onnxio.cut(data, graph, place, len(graph.units))
    parsed = onnxio.load(data)
    feeds = feeds_for(graph)
    assert graph.candidates
    for position in graph.candidates:
        assert worst_difference(run(data, feeds), run_halves(parsed, graph, position, feeds)) == 0


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (0, 3), (1, 1), (2, 1), (5, 6)])
def test_a_range_outside_the_graph_is_refused(start: int, stop: int) -> None:
    data = imported("net (float[2,2] x) => (y) <float[2,2] w> { a = MatMul(x, w)  y = MatMul(a, w) }")
    with pytest.raises(GraphError, match=r"expected units \[start, stop\) within \[0, 2\)"):
        onnxio.cut(data, onnxio.read(data), start, stop)


def test_a_model_of_another_graph_is_refused() -> None:
    one = imported("net (float[2,2] x) => (y) <float[2,2] w> { a = MatMul(x, w)  y = MatMul(a, w) }")
    two = imported("net (float[2,2] x) => (y) <float[2,2] w> { a = MatMul(x, w)  y = Relu(a) }")
    with pytest.raises(GraphError, match="read the graph from this file again"):
        onnxio.cut(one, onnxio.read(two), 0, 1)


def test_a_segment_that_nothing_reads_is_refused() -> None:
    data = imported("net (float[2,2] x) => (y) <float[2,2] w> { a = MatMul(x, w)  y = MatMul(a, w) }")
    graph = onnxio.read(data)
    first = Graph(graph.name, graph.digest, graph.nodes, graph.units, graph.tensors, graph.weights, graph.inputs, ("a",))
    with pytest.raises(GraphError, match=r"nothing reads what units \[1, 2\) make"):
        onnxio.cut(data, first, 1, 2)


def test_lowered_versions_and_quantization_notes_go_with_the_stage() -> None:
    proto = model(
        "net (float[2,4] x) => (y) <float[4,4] w, float s = {0.5}, float t = {0.25}> { a = MatMul(x, w)  y = MatMul(a, w) }", opset=15, ir=9
    )
    for tensor, scale in (("a", "s"), ("y", "t")):
        note = proto.graph.quantization_annotation.add(tensor_name=tensor)
        note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value=scale)
    data = onnxio.normalise(proto.SerializeToString())
    graph = onnxio.read(data)
    back = onnx.load_from_string(onnxio.cut(data, graph, 1, 2))
    assert (back.ir_version, [(entry.domain, entry.version) for entry in back.opset_import]) == (7, [("", 13)])
    assert [note.tensor_name for note in back.graph.quantization_annotation] == ["a", "y"]
    assert {weight.name for weight in back.graph.initializer} == {"w", "s", "t"}
    front = onnx.load_from_string(onnxio.cut(data, graph, 0, 1))
    assert {weight.name for weight in front.graph.initializer} == {"w", "s"}


def test_sparse_weights_go_with_the_stage_that_uses_them() -> None:
    proto = model("net (float[2,4] x) => (y) <float[4,4] w> { a = MatMul(x, w)  b = MatMul(a, w)  y = Add(b, sparse) }")
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [1], [5.0])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, helper.make_tensor("", TensorProto.INT64, [1], [4]), [2, 4]))
    data = onnxio.normalise(proto.SerializeToString())
    parsed = onnxio.load(data)
    graph = onnxio.read(parsed)
    feeds = feeds_for(graph)
    assert worst_difference(run(data, feeds), run_halves(parsed, graph, 1, feeds)) == 0
    assert not onnx.load_from_string(onnxio.cut(parsed, graph, 0, 1)).graph.sparse_initializer
    assert [w.name for w in graph.segment(1, 2).weights] == ["w", "sparse"]


def test_a_stage_is_no_import_of_its_own() -> None:
    data = imported("net (float[2,2] x) => (y) <float[2,2] w> { a = MatMul(x, w)  y = MatMul(a, w) }")
    stage = onnxio.cut(data, onnxio.read(data), 0, 1)
    with pytest.raises(GraphError, match="edgekit export"):
        onnxio.read(stage)
    assert len(onnxio.read(onnxio.normalise(stage)).units) == 1


def test_noise_crosses_a_cut_instead_of_being_drawn_twice() -> None:
    data = imported("""net (float[4,4] x) => (y, z) <float[4,4] w> {
        n = RandomNormal <shape = [4, 4]> ()  a = MatMul(x, n)  b = MatMul(a, w)  z = Sub(n, n)  y = Add(b, n) }""")
    parsed = onnxio.load(data)
    graph = onnxio.read(parsed)
    for position in graph.candidates:
        fronts = onnx.load_from_string(onnxio.cut(parsed, graph, 0, position)).graph.node
        backs = onnx.load_from_string(onnxio.cut(parsed, graph, position, len(graph.units))).graph.node
        assert [node.op_type for node in (*fronts, *backs)].count("RandomNormal") == 1


@pytest.mark.parametrize(
    ("op", "stamped"),
    [
        ("Relu", (14, 7)),  # defined anew in opset 14, and not since
        ("Identity", (21, 10)),  # since opset 21 only further types were admitted
        ("HardSwish", (14, 7)),
        ("Sub", (14, 7)),
    ],
)
def test_a_stage_is_stamped_with_the_lowest_versions_that_its_operators_allow(op: str, stamped: tuple[int, int]) -> None:
    arguments = "x, x" if op == "Sub" else "x"
    text = f'<ir_version: 13, opset_import: ["" : 26]> net (float[1,4] x) => (float[1,4] y) {{ a = {op}({arguments}) y = Relu(a) }}'
    data = onnxio.normalise(onnx.parser.parse_model(text).SerializeToString())
    part = onnx.load_from_string(onnxio.cut(data, onnxio.read(data), 0, 1))
    assert (part.opset_import[0].version, part.ir_version) == stamped
