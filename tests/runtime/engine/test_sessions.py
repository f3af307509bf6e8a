"""Models in onnxruntime, read and written in place or through buffers of their own."""

import numpy as np
import pytest

from edgekit.device import Variant
from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.runtime.engine.sessions import BufferedModel, DirectModel, open_session
from tests.runtime.bed import DOUBLE, written

MIXED = """net (float[2,3] x, int64[2] i, bool[3] b) => (float[2,3] y, int64[2] j, bool[3] c)
  { y = Gather <axis = 0> (x, i)
    j = Add (i, i)
    c = Not (b) }"""
INPUTS = (Tensor("x", (2, 3), "float32"), Tensor("i", (2,), "int64"), Tensor("b", (3,), "bool"))
OUTPUTS = (Tensor("y", (2, 3), "float32"), Tensor("j", (2,), "int64"), Tensor("c", (3,), "bool"))


def test_buffers_on_a_device_give_what_the_callers_own_arrays_give() -> None:
    session = open_session(written(MIXED), Variant())
    models = DirectModel(session, INPUTS, OUTPUTS), BufferedModel(session, INPUTS, OUTPUTS, place="cpu")
    for turn in range(3):  # the buffers are used again
        x = np.arange(6, dtype=np.float32).reshape(2, 3) + turn
        inputs = {"x": x, "i": np.array([1, turn % 2]), "b": np.array([True, False, turn == 1])}
        for model in models:
            outputs = {tensor.name: np.empty(tensor.shape, tensor.dtype) for tensor in OUTPUTS}
            model.run(inputs, outputs)
            assert outputs["y"].tolist() == [x[1].tolist(), x[turn % 2].tolist()]
            assert outputs["j"].tolist() == [2, 2 * (turn % 2)]
            assert outputs["c"].tolist() == [False, True, turn != 1]


def test_a_provider_that_onnxruntime_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(GraphError, match=r"onnxruntime here has no RknpuExecutionProvider; it has .*CPUExecutionProvider"):
        open_session(written(DOUBLE), Variant(provider="RknpuExecutionProvider"))
