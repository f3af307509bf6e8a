"""As much of onnxruntime-gpu as edgekit touches, for machines without a GPU: every model doubles its input.

A test copies this file to where its processes find it first, as onnxruntime.py.

Names and calls are those of onnxruntime's Python API and of its documented provider options. Device memory is memory that
cannot be read in place; engines take ``FAKE_BUILD_S`` to build and leave a file, as TensorRT's do. What was asked for is
added to the file ``FAKE_CALLS``.
"""

import json
import os
import time
from pathlib import Path

import numpy as np

__all__ = ["IOBinding", "InferenceSession", "OrtValue", "SessionOptions", "get_available_providers"]

__version__ = "1.23.2"
DEFECT = os.environ.get("FAKE_DEFECT")
BOOLEANS = {"True": True, "False": False}


def get_available_providers():
    return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


class SessionOptions:
    def add_session_config_entry(self, name, value):
        pass


class OrtValue:
    def __init__(self, shape, element_type, device):
        self._array, self.device = np.zeros(shape, element_type), device

    @classmethod
    def ortvalue_from_shape_and_type(cls, shape, element_type, device_type="cpu", device_id=0):
        return cls(tuple(shape), element_type, (device_type, device_id))

    def update_inplace(self, array):
        assert (array.shape, array.dtype) == (self._array.shape, self._array.dtype)
        self._array[...] = array

    def numpy(self):
        return self._array.copy()


class IOBinding:
    def __init__(self):
        self.inputs, self.outputs, self.pending = [], [], False

    def bind_ortvalue_input(self, name, value):
        self.inputs.append(value)

    def bind_ortvalue_output(self, name, value):
        self.outputs.append(value)

    def synchronize_inputs(self):
        self.pending = True

    def synchronize_outputs(self):
        assert not self.pending


class InferenceSession:
    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None, **kwargs):
        assert kwargs == {"enable_fallback": 0}
        self._providers = [name for name, _ in providers if name != DEFECT]
        _say({"providers": providers, "tf32": os.environ.get("NVIDIA_TF32_OVERRIDE"), "pid": os.getpid()})
        name, options = providers[0]
        if name == "TensorrtExecutionProvider" and BOOLEANS[options["trt_engine_cache_enable"]]:
            engine = Path(options["trt_engine_cache_path"], options["trt_engine_cache_prefix"] + "_sm87.engine")
            if not engine.exists():
                _say({"builds": os.getpid()})
                if os.environ.get("FAKE_BUILD_S") == "never":
                    raise RuntimeError("TensorRT EP could not build engine for fused node: TRTKernel_0")
                time.sleep(float(os.environ.get("FAKE_BUILD_S", "0")))
                engine.write_text("")

    def get_providers(self):
        return self._providers

    def io_binding(self):
        return IOBinding()

    def run_with_iobinding(self, binding):
        assert binding.pending and all(value.device == ("cuda", 0) for value in (*binding.inputs, *binding.outputs))
        for before, after in zip(binding.inputs, binding.outputs, strict=True):
            after._array[...] = before._array + before._array
        binding.pending = False


def _say(what):
    with open(os.environ["FAKE_CALLS"], "a") as file:
        file.write(json.dumps(what) + "\n")
