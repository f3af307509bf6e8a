"""What a variant asks of onnxruntime: execution providers in order of preference, and their options.

    CPUExecutionProvider        CPU
    CUDAExecutionProvider       CUDA, then CPU
    TensorrtExecutionProvider   TensorRT, then CUDA, then CPU
    any other                   that one, then CPU

A node that one provider does not support goes to the next. Names of options: docs/execution-providers of onnxruntime.
"""

import os
from pathlib import Path

from edgekit.device import CPU, SUFFIX, RunsOn, Variant

__all__ = ["CUDA", "TENSORRT", "of_gpu", "providers_of", "runs_on", "settle_tf32"]

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

_RUNS_ON: dict[str, RunsOn] = {
    "CUDA": "gpu",
    "Tensorrt": "gpu",
    "NvTensorRTRTX": "gpu",
    "ROCM": "gpu",
    "MIGraphX": "gpu",
    "Dml": "gpu",
    "WebGpu": "gpu",
    "QNN": "npu",
    "Rknpu": "npu",
    "VitisAI": "npu",
    "CANN": "npu",
    "CoreML": "npu",
    "Nnapi": "npu",
}
"""Where providers run by their short name; all others, such as XNNPACK, DNNL, ACL and OpenVINO, run on the CPU."""

TF32 = "tf32"
"""The precision of whose variants fp32 products are rounded to ten bits. It is one of its own, so that fp32 is what it says."""

Options = dict[str, str]


def runs_on(variant: Variant) -> RunsOn:
    """The processor that an execution provider keeps busy.

    >>> [runs_on(Variant(provider=f"{name}ExecutionProvider")) for name in ("CPU", "Xnnpack", "CUDA", "QNN")]
    ['cpu', 'cpu', 'gpu', 'npu']
    """
    return _RUNS_ON.get(variant.provider.removesuffix(SUFFIX), "cpu")


def of_gpu(variant: Variant) -> bool:
    """Whether an NVIDIA GPU does the work."""
    return variant.provider in (CUDA, TENSORRT)


def providers_of(variant: Variant, engines: Path | None = None, model: str = "") -> list[tuple[str, Options]]:
    """Providers with their options, as an onnxruntime session takes them.

    ``engines`` is where TensorRT keeps what it built, under the name of the ``model``; with what it learned of the GPU beside
    it, for the next model.
    """
    cuda = (CUDA, {"device_id": "0", "use_tf32": "1" if variant.precision == TF32 else "0", "arena_extend_strategy": "kSameAsRequested"})
    if variant.provider == CPU:
        return [(CPU, {})]
    if variant.provider == CUDA:
        return [cuda, (CPU, {})]
    if variant.provider == TENSORRT:
        return [(TENSORRT, _tensorrt(variant, engines, model)), cuda, (CPU, {})]
    return [(variant.provider, {}), (CPU, {})]


def _tensorrt(variant: Variant, engines: Path | None, model: str) -> Options:
    options = {
        "device_id": "0",
        "trt_fp16_enable": str(variant.precision == "fp16"),
        "trt_int8_enable": str(variant.precision.startswith("int8")),
    }
    if engines is not None:
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(engines),
            "trt_engine_cache_prefix": model,
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(engines),
        }
    return options


def settle_tf32(variant: Variant) -> None:
    """Before a process first uses a GPU: TensorRT has no option for TF32, only this variable, which CUDA's libraries read once."""
    if of_gpu(variant):
        os.environ["NVIDIA_TF32_OVERRIDE"] = "1" if variant.precision == TF32 else "0"
