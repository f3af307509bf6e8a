"""Who opens a segment: onnxruntime, or the engine that a variant names."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.device import Variant
from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.engine.engine import Engine
from edgekit.runtime.engine.engines import ENGINES
from edgekit.runtime.engine.executor import Arrays, Executor
from tests.runtime.bed import X, Y


class Tripling:
    """The segment of an engine."""

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        np.multiply(inputs["x"], 3, out=outputs["y"])


TRIPLING = Variant(engine="tripling")


def test_a_program_can_name_an_engine_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    engine = Engine(lambda *arguments: asked.append(arguments) or Tripling(), lambda variant: "npu")
    monkeypatch.setitem(ENGINES, "tripling", engine)
    executor = Executor(tmp_path / "segment", (X,), (Y,), TRIPLING, speed=1.0)
    outputs = {"y": np.zeros(4, np.float32)}
    executor.run({"x": np.arange(4, dtype=np.float32)}, outputs)
    assert outputs["y"].tolist() == [0, 3, 6, 9]
    assert asked == [(tmp_path / "segment", TRIPLING, (X,), (Y,))]
    assert (executor.runs_on, executor.build_s) == ("npu", 0.0)


def test_an_engine_opens_bytes_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def opened(artifact: Path, *rest: object) -> Tripling:
        read.append(artifact.read_bytes())
        return Tripling()

    monkeypatch.setitem(ENGINES, "tripling", Engine(opened, lambda variant: "cpu"))
    Executor(b"model", (X,), (Y,), TRIPLING, speed=1.0)
    assert read == [b"model"]


def test_an_engine_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(DeviceError, match="no engine hailo is installed here, only: mcu, onnxruntime; install it beside edgekit"):
        Executor(b"model", (X,), (Y,), Variant(engine="hailo"), speed=1.0)


def test_an_engine_as_a_provider_is_answered_with_what_to_write() -> None:
    with pytest.raises(UsageError, match='got "hailo"; write engine = "hailo" for an engine of your own'):
        Variant(provider="hailo")
    with pytest.raises(UsageError, match='engine "hailo" has no provider, got "CUDAExecutionProvider"; leave the provider out'):
        Variant(engine="hailo", provider="CUDAExecutionProvider")
