"""What a stage has to compute is its engine's own reference, bit for bit, or onnxruntime."""

import numpy as np
import pytest

from edgekit.device import Variant
from edgekit.errors import PromiseError
from edgekit.graph import Tensor
from edgekit.stages.artifact import Artifact
from edgekit.stages.builder import Arrays, Builder
from edgekit.stages.builders import BUILDERS
from edgekit.stages.equality import require
from edgekit.stages.reference_run import has_reference, reference_run
from tests.runtime.bed import DOUBLE, X, Y, written

FRAME = {"x": np.arange(4, dtype=np.float32), "beside": np.zeros(1, np.float32)}


def artifact(engine: str) -> Artifact:
    return Artifact(engine, b"compiled", "digest", written(DOUBLE), (X,), (Y,))


def test_onnxruntime_judges_where_an_engine_has_no_reference() -> None:
    assert not has_reference(Variant().engine)
    assert reference_run(artifact("onnxruntime"))(FRAME)["y"].tolist() == [0, 2, 4, 6]


def test_the_reference_of_an_engine_judges_its_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def reference(onnx: bytes, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]):  # type: ignore[no-untyped-def]
        asked.append((onnx, inputs, outputs))

        def run(frame: Arrays) -> Arrays:
            assert list(frame) == ["x"]
            return {"y": np.asarray(frame["x"] + 1)}

        return run

    monkeypatch.setitem(BUILDERS, "own", Builder(reference=reference))
    assert has_reference("own")
    assert reference_run(artifact("own"))(FRAME)["y"].tolist() == [1, 2, 3, 4]
    assert asked == [(written(DOUBLE), (X,), (Y,))]


def test_what_has_to_be_equal_may_not_differ_by_the_last_bit() -> None:
    want = {"y": np.array([1.0, 2.0], np.float32)}
    assert require({"y": want["y"].copy()}, want, "stage 0", tolerance=0.0).bit_equal
    with pytest.raises(PromiseError, match="it has to be equal"):
        require({"y": np.nextafter(want["y"], np.float32(9))}, want, "stage 0", tolerance=0.0)
