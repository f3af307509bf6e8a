"""Sessions are what was asked for, or there are none."""

import onnxruntime
import pytest

from edgekit.device import Variant
from edgekit.errors import GraphError
from edgekit.runtime.executor import open_session
from tests.models import serial


def test_a_provider_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(GraphError, match="onnxruntime here has no QNNExecutionProvider; it has .*CPUExecutionProvider"):
        open_session(serial().data, Variant(provider="QNNExecutionProvider"))


def test_a_provider_that_does_not_start_is_not_replaced_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    make = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda model, options, providers: make(model, options, providers=offered[1:]))
    with pytest.raises(GraphError, match="cannot start its CUDAExecutionProvider; see what that needs to be installed"):
        open_session(serial().data, Variant(provider="CUDAExecutionProvider"))
