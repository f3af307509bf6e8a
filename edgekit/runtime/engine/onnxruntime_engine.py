"""The run half of onnxruntime: stage models in ONNX, on any of its execution providers; TensorRT's engines are built here."""

from edgekit.runtime.engine import tensorrt
from edgekit.runtime.engine.engine import Engine
from edgekit.runtime.engine.onnxruntime_kernels import kernel_times
from edgekit.runtime.engine.providers import runs_on
from edgekit.runtime.engine.sessions import open_model

__all__ = ["ENGINE"]

ENGINE = Engine(open_model, runs_on, tensorrt.build, kernel_times)
