"""Whole numbers that are made up are such as the operators that read them take."""

import numpy as np
import pytest

from edgekit.errors import GraphError
from edgekit.onnxio import cut, frames, legal, load, reaching, read, try_out
from edgekit.onnxio.legal import Bounds
from edgekit.runtime.engine.executor import run_once
from tests.models import picking
from tests.written import imported

FOUND: list[tuple[str, dict[str, Bounds]]] = [
    ("(int64[1,4] i) => (float[1,4,3] y) <float[50,3] w> { y = Gather(w, i) }", {"i": (0, 50)}),
    ("(int32[2] i) => (float[5,2] y) <float[5,7] w> { y = Gather<axis = 1>(w, i) }", {"i": (0, 7)}),
    (
        "(int64[4] i) => (float[4,3] y) <float[50,3] w> { c = Constant<value = int64[1] {2}>() a = Add(i, c) y = Gather(w, a) }",
        {"i": (-2, 48)},
    ),
    (
        "(int64[4] i) => (float[2,2,3] y) <float[9,3] w> { s = Constant<value = int64[2] {2, 2}>() a = Reshape(i, s) y = Gather(w, a) }",
        {"i": (0, 9)},
    ),
    ("(float[4] i) => (float[4,3] y) <float[9,3] w> { a = Cast<to = 7>(i) y = Gather(w, a) }", {"i": (0, 9)}),
    ("(int64[4] i) => (int64[4] y) { c = Constant<value = int64[1] {100}>() y = Div(c, i) }", {"i": (1, 3)}),
    ("(int64[4] i, int64[4] j) => (int64[4] y) { y = Mod(i, j) }", {"i": (0, 2), "j": (1, 3)}),
    ("(float[5,2,3] x, int64[2] n) => (float[5,2,3] y) { y = ReverseSequence(x, n) }", {"n": (1, 6)}),
    (
        "(int64[4] i) => (float[4,3] y) { d = Constant<value = int64 {3}>() v = Constant<value = float[2] {0, 1}>() y = OneHot(i, d, v) }",
        {"i": (0, 3)},
    ),
    ("(float[2,3] x, int64 a) => (float[2,3] y) { y = CumSum(x, a) }", {"a": (0, 2)}),
    ("(bool[4] m, float[4] x, float[4] z) => (float[4] y) { y = Where(m, x, z) }", {"m": (0, 2)}),
    ("(uint8[4] p) => (float[4] y) { y = Cast<to = 1>(p) }", {"p": (0, 256)}),
]


@pytest.mark.parametrize(("text", "bounds"), FOUND)
def test_what_reads_a_whole_number_bounds_it(text: str, bounds: dict[str, Bounds]) -> None:
    model = load(imported(f"net {text}"))
    assert legal(model) == bounds
    try_out(model)


def test_frames_that_were_given_are_taken_in_place_of_made_up_ones() -> None:
    made = picking()
    drawn = frames(made.model, 3)
    assert len(drawn) == 3 and all(frame["i"].min() >= 0 and frame["i"].max() < 4 for frame in drawn)
    assert not np.array_equal(drawn[0]["i"], drawn[1]["i"]) or not np.array_equal(drawn[1]["i"], drawn[2]["i"])


def test_in_the_middle_of_a_network_there_is_what_its_beginning_makes() -> None:
    text = (
        "net (float[1,8] x) => (float[1,4,3] y) <float[8,4] w, float[50,3] t>"
        "{ a = MatMul(x, w) b = Abs(a) c = Cast<to = 7>(b) y = Gather(t, c) }"
    )
    model = load(imported(text))
    graph = read(model)
    (frame,) = frames(model, 1)
    for position in graph.candidates:
        held = reaching(model, graph, position, frame)
        names = [tensor.name for tensor in graph.cuts[position].tensors]
        after = run_once(cut(model, graph, position, len(graph.units)), {name: held[name] for name in names})
        np.testing.assert_allclose(after["y"], run_once(model.serialized, frame)["y"])


def test_a_network_that_refuses_made_up_inputs_asks_for_data() -> None:
    text = "net (int64[1] i, float[2,3] x) => (float[6] y) { y = Reshape(x, i) }"
    with pytest.raises(GraphError, match=r"does not run on made-up inputs \(.*\); give inputs that it accepts: --data x.npz"):
        try_out(load(imported(text)))
