"""Small networks in ONNX's text form, each made so that onnxruntime fuses it in one way, and how its kernels are mapped.

Expected kernels are drawn as ``Op 0`` for a kernel of unit 0; what differs between machines and versions is not drawn.
"""

import numpy as np
import onnx.parser
import pytest
from onnx import TensorProto, numpy_helper

from benchmarks.mapping_coverage import LEVELS, optimize
from edgekit.onnxio import kernel_nodes, normalise, read
from edgekit.runtime.verbs import KernelTime
from profilers.map.kernels import Mapping, map_kernels

NORM = """float[1,8,16] x) => (float[1,8,16] y) {
    m = ReduceMean <axes=[-1]> (x)  d = Sub(x, m)  p = Pow(d, two)  v = ReduceMean <axes=[-1]> (p)  e = Add(v, tiny)
    s = Sqrt(e)  n = Div(d, s)  o = Mul(n, line)  y = Add(o, line)
}"""
GELU = """float[1,8,16] x) => (float[1,8,16] y) {
    a = MatMul(x, square)  h = Add(a, line)  d = Div(h, root)  f = Erf(d)  g = Add(f, one)  i = Mul(h, g)  j = Mul(i, half)
    y = MatMul(j, square)
}"""
SKIP = """float[1,8,16] x, float[1,8,16] z) => (float[1,8,16] y) {
    a = Add(x, z)  n = LayerNormalization <axis=-1> (a, line, line)  b = MatMul(n, square)  y = Add(b, a)
}"""
DENSE = """float[1,8,16] x) => (float[1,8,16] y) { a = MatMul(x, square)  b = Add(a, line)  c = MatMul(b, square)  y = Add(c, line) }"""
SCALED = """float[1,8,16] x) => (float[1,8,8] y) {
    q = MatMul(x, square)  r = Mul(q, half)  k = MatMul(x, square2)  t = Transpose <perm=[0,2,1]> (k)  s = MatMul(r, t)
    y = Softmax <axis=-1> (s)
}"""
HEADS = """float[1,8,16] x) => (float[1,8,4] y) {
    t = Transpose <perm=[0,2,1]> (x)  a = Slice(t, i0, i4, i1)  b = Slice(t, i4, i8, i1)  c = Relu(a)  d = Transpose <perm=[0,2,1]> (c)
    e = Transpose <perm=[0,2,1]> (b)  y = Mul(d, e)
}"""
SHORTCUT = """float[1,8,6,6] x) => (float[1,8,6,6] y) {
    a = Conv <pads=[1,1,1,1]> (x, cube)  b = Relu(a)  c = Conv <pads=[1,1,1,1]> (b, cube)  d = Conv <pads=[1,1,1,1]> (x, cube2)
    s = Add(c, d)  r = Relu(s)  y = Conv <pads=[1,1,1,1]> (r, cube)
}"""
TWINS = """float[1,8,6,6] x) => (float[1,16,6,6] y) {
    a = Conv <pads=[1,1,1,1]> (x, cube)  b = Relu(a)  c = Conv <pads=[1,1,1,1]> (x, cube)  d = Relu(c)  y = Concat <axis=1> (b, d)
}"""
QUANTIZED = """float[1,8,6,6] x) => (float[1,8,6,6] y) {
    x8 = QuantizeLinear(x, step, zero)  xf = DequantizeLinear(x8, step, zero)  wf = DequantizeLinear(kernel, step, nought)
    a = Conv <pads=[1,1,1,1]> (xf, wf)  b = Relu(a)  b8 = QuantizeLinear(b, step, zero)  bf = DequantizeLinear(b8, step, zero)
    c = Conv <pads=[1,1,1,1]> (bf, wf)  c8 = QuantizeLinear(c, step, zero)  cf = DequantizeLinear(c8, step, zero)
    s = Add(cf, bf)  s8 = QuantizeLinear(s, step, zero)  y = DequantizeLinear(s8, step, zero)
}"""
POOLED = """float[1,8,6,6] x) => (float[1,8,1,1] y) {
    x8 = QuantizeLinear(x, step, zero)  xf = DequantizeLinear(x8, step, zero)  p = MaxPool <kernel_shape=[2,2]> (xf)
    q = GlobalAveragePool(p)  q8 = QuantizeLinear(q, step, zero)  y = DequantizeLinear(q8, step, zero)
}"""
HALVES = """float16[1,8,16] x) => (float16[1,8,16] y) {
    a = MatMul(x, square16)  b = Softmax <axis=-1> (a)  c = Relu(b)  y = MatMul(c, square16)
}"""

EVERY = [NORM, GELU, SKIP, DENSE, SCALED, HEADS, SHORTCUT, TWINS, QUANTIZED, POOLED, HALVES]
NAMES = "norm gelu skip dense scaled heads shortcut twins quantized pooled halves".split()


def _weights() -> list[TensorProto]:
    random = np.random.default_rng(0)
    shapes = {"line": (16,), "square": (16, 16), "square2": (16, 16), "cube": (8, 8, 3, 3), "cube2": (8, 8, 3, 3)}
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {
        name: np.float32(value) for name, value in {"two": 2, "root": 2**0.5, "one": 1, "half": 0.5, "tiny": 1e-5, "step": 0.05}.items()
    }
    arrays |= {f"i{value}": np.array([value], np.int64) for value in (0, 1, 4, 8)}
    arrays |= {"zero": np.uint8(0), "nought": np.int8(0), "kernel": random.integers(-99, 99, (8, 8, 3, 3)).astype(np.int8)}
    arrays["square16"] = random.normal(size=(16, 16)).astype(np.float16)
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def fused(text: str, level: int) -> tuple[Mapping, int]:
    """The mapping at a level of optimisation, and how many units the network has."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> net ({text}')
    read_by = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(weight for weight in _weights() if weight.name in read_by)
    data = normalise(proto.SerializeToString())
    nodes = kernel_nodes(optimize(data, level))
    graph = read(data)
    return map_kernels(graph, tuple(KernelTime(name=node.name, op=node.op, seconds=1.0) for node in nodes), nodes), len(graph.units)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("text", EVERY, ids=NAMES)
def test_every_kernel_is_mapped_every_node_is_told_of_and_every_unit_has_a_kernel(text: str, level: int) -> None:
    mapping, units = fused(text, level)
    assert mapping.coverage == 1.0
    assert {unit for kernel in mapping.kernels for unit in kernel.units} == set(range(units))


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [
        (NORM, 2, "LayerNormalization 0"),
        (GELU, 2, "Reshape 0, Gemm 0, Reshape 0, Gelu 0, MatMul 1"),
        (SCALED, 2, "FusedMatMul 0, MatMul 1, FusedMatMul 1+2, Softmax 2"),
        (SHORTCUT, 2, "FusedConv 0, Conv 1, Conv 2, Add 2, Relu 2, Conv 3"),
        (TWINS, 1, "Conv 0+1, Relu 0+1, Concat 2"),
        (QUANTIZED, 2, "QuantizeLinear 0, QLinearConv 1, QLinearConv 2, QLinearAdd 3, DequantizeLinear 3"),
    ],
    ids=["norm", "gelu", "scaled", "shortcut", "twins", "quantized"],
)
def test_a_fused_kernel_has_the_units_of_what_it_fuses(text: str, level: int, expected: str) -> None:
    mapping, _ = fused(text, level)
    kernels = sorted(mapping.kernels, key=lambda kernel: kernel.units[-1])
    assert ", ".join(f"{kernel.op} {'+'.join(map(str, kernel.units))}" for kernel in kernels) == expected
