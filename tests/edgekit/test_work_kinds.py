"""What kind of work the nodes of a unit are, and what they move."""

from edgekit import onnxio
from edgekit.graph.work_kinds import Part, parts_of
from tests.written import imported

CONV = """
net (float[1, 4, 8, 8] x) => (y) <float[8, 4, 3, 3] dense, float[8, 1, 3, 3] deep, float[4, 8, 1, 1] point, float[16, 10] w> {
    a = Conv <pads = [1, 1, 1, 1]> (x, dense)
    b = Relu (a)
    c = Conv <pads = [1, 1, 1, 1], group = 8> (b, deep)
    d = Conv (c, point)
    e = Add (d, x)
    p = MaxPool <kernel_shape = [4, 4], strides = [4, 4]> (e)
    f = Flatten (p)
    y = MatMul (f, w)
}"""

ATTENTION = """
net (float[1, 4, 8] x) => (y) <float[8, 8] w, float[8] bias> {
    a = MatMul (x, w)
    b = Add (a, bias)
    s = Softmax (b)
    t = Transpose <perm = [0, 2, 1]> (s)
    y = Relu (t)
}"""


def drawn(text: str) -> list[list[tuple[str, int, int]]]:
    graph = onnxio.read(imported(text))
    return [[(part.kind, part.macs, part.nbytes) for part in parts_of(graph, unit)] for unit in range(len(graph.units))]


def test_convolutions_differ_by_their_windows_and_take_in_what_follows() -> None:
    kilo = 4 * 64  # bytes of one channel
    assert drawn(CONV) == [
        [("conv", 64 * 8 * 4 * 9, (4 + 8) * kilo)],
        [("depthwise", 64 * 8 * 9, 16 * kilo)],
        [("pointwise", 64 * 4 * 8, 12 * kilo)],
        [("pool", 0, 4 * kilo + 4 * 4 * 4)],
        [("gemm", 16 * 10, (16 + 10) * 4)],
    ]


def test_behind_a_product_of_matrices_every_kernel_counts() -> None:
    tensor = 4 * 4 * 8
    assert drawn(ATTENTION) == [
        [
            ("gemm", 4 * 8 * 8, 2 * tensor),
            ("elementwise", 0, 2 * tensor),
            ("function", 0, 2 * tensor),
            ("layout", 0, 2 * tensor),
            ("elementwise", 0, 2 * tensor),
        ]
    ]


def test_a_unit_of_views_has_no_parts() -> None:
    text = "net (float[2, 4] x) => (y) { y = Flatten (x) }"
    assert drawn(text) == [[]]
    assert Part("conv") == Part("conv", 0, 0)
