"""Who opens a segment: onnxruntime, or what a variant names instead."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.device import Variant
from edgekit.errors import DeviceError
from edgekit.runtime.engine.engines import BACKENDS, Arrays
from edgekit.runtime.engine.executor import Executor
from tests.runtime.bed import X, Y


class Tripling:
    """A backend's segment."""

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        np.multiply(inputs["x"], 3, out=outputs["y"])


def test_a_program_can_name_a_backend_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setitem(BACKENDS, "tripling", lambda *arguments: asked.append(arguments) or Tripling())
    variant = Variant(provider="tripling")
    executor = Executor(tmp_path / "segment", (X,), (Y,), variant, speed=1.0)
    outputs = {"y": np.zeros(4, np.float32)}
    executor.run({"x": np.arange(4, dtype=np.float32)}, outputs)
    assert outputs["y"].tolist() == [0, 3, 6, 9]
    assert asked == [(tmp_path / "segment", variant, (X,), (Y,))]


def test_a_described_device_computes_with_onnxruntime_alone() -> None:
    with pytest.raises(DeviceError, match="backend hailo opens files only; describe a sim: device with CPUExecutionProvider"):
        Executor(b"model", (X,), (Y,), Variant(provider="hailo"), speed=1.0)
