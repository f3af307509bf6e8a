"""TensorRT and CUDA stages in processes of their own, with a fake in onnxruntime's place: no GPU is needed, and none is proved."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from edgekit.device import Variant
from edgekit.errors import DeviceError
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.agent.supervisor import Supervisor
from edgekit.runtime.engine import tensorrt
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.verbs import Load, Loaded, Measure, Measured, Put
from tests.runtime.bed import X, Y, alive, eventually, spec
from tests.runtime.nvmlfake import FakeGpu, library

TENSORRT = Variant(provider="TensorrtExecutionProvider")
CUDA = Variant(provider="CUDAExecutionProvider")
CUDA_TF32 = Variant("tf32", "CUDAExecutionProvider")
BUILDING = """
import sys
from pathlib import Path
from edgekit.device import Variant
from edgekit.runtime.engine.tensorrt import build
build(Path(sys.argv[1]), Variant(provider="TensorrtExecutionProvider"))
"""
MODEL = b"a model that nobody reads"
ORIN = {"gpu": "Orin (nvgpu)", "compute_capability": "8.7", "driver": "540.4.0", "tensorrt": "10.3.0", "onnxruntime": "1.23.2"}


class Device:
    """An agent whose stage processes have the fake."""

    def __init__(self, folder: Path):
        self.folder, self.calls = folder / "agent", folder / "calls"
        self.calls.touch()
        self.folder.mkdir()
        self.supervisor = Supervisor(self.folder)
        self.supervisor.answer(Put(digest_of(MODEL)), MODEL)

    def said(self, key: str) -> list[Any]:
        return [line[key] for line in map(json.loads, self.calls.read_text().splitlines()) if key in line]

    def measure(self, variant: Variant) -> Measured:
        reply, _ = self.supervisor.answer(
            Measure(model=digest_of(MODEL), inputs=(X,), outputs=(Y,), mode="segment", variant=variant, budget_s=0.0, least=2), b""
        )
        assert isinstance(reply, Measured)
        return reply

    def load(self, variant: Variant, inputs: np.ndarray) -> tuple[Loaded, np.ndarray]:
        wanted = msgspec.structs.replace(spec(digest_of(MODEL)), variant=variant)
        reply, blob = self.supervisor.answer(Load(wanted), Layout((X,)).pack({"x": inputs}))
        assert isinstance(reply, Loaded)
        return reply, Layout((Y,)).unpack(blob)["y"]


@contextmanager
def faked(folder: Path) -> Iterator[Device]:
    with pytest.MonkeyPatch.context() as patch:
        (folder / "packages").mkdir()
        shutil.copy(Path(__file__).parents[1] / "gpufake.py", folder / "packages" / "onnxruntime.py")
        patch.setenv("PYTHONPATH", str(folder / "packages"), prepend=":")
        patch.setenv("FAKE_CALLS", str(folder / "calls"))
        bench = Device(folder)
        yield bench
        bench.supervisor.stop(None)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with faked(tmp_path) as bench:
        yield bench


class Deployed(NamedTuple):
    """What happened when a model was measured with TensorRT, and then loaded with each of three variants."""

    device: Device
    measured: Measured
    tensorrt: Loaded
    outputs: tuple[list[float], ...]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with faked(tmp_path_factory.mktemp("gpu")) as bench:
        measured = bench.measure(TENSORRT)
        inputs = np.array([1, 2, 3, 4], np.float32)
        (engine, first), (_, second), (_, third) = (bench.load(variant, inputs) for variant in (TENSORRT, CUDA, CUDA_TF32))
        yield Deployed(bench, measured, engine, (first.tolist(), second.tolist(), third.tolist()))


def test_frames_go_to_the_gpu_and_come_back(deployed: Deployed) -> None:
    assert deployed.outputs == ([2, 4, 6, 8],) * 3


def test_the_engine_built_while_profiling_is_the_one_deployed(deployed: Deployed) -> None:
    device = deployed.device
    (builder,) = device.said("builds")
    assert device.said("pid")[0] == builder and builder not in device.said("pid")[1:]  # a process of its own
    assert deployed.measured.build_s == deployed.tensorrt.build_s > 0  # the one building, told by both
    (engine,) = (device.folder / "store" / "engines").glob("*/*.engine")
    assert engine.name.startswith(digest_of(MODEL)[:16] + "fp32")


def test_providers_are_asked_for_in_the_order_of_preference_with_the_cache_in_the_store(deployed: Deployed) -> None:
    (folder,) = (deployed.device.folder / "store" / "engines").iterdir()
    *_, tensorrt, cuda, _ = deployed.device.said("providers")
    assert cuda == [
        ["CUDAExecutionProvider", {"device_id": "0", "use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"}],
        ["CPUExecutionProvider", {}],
    ]
    options = {
        "device_id": "0",
        "trt_fp16_enable": "False",
        "trt_int8_enable": "False",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": digest_of(MODEL)[:16] + "fp32",
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }
    assert tensorrt == [["TensorrtExecutionProvider", options], *cuda]


def test_fp32_has_no_tf32_in_it_unless_that_is_asked_for(deployed: Deployed) -> None:
    # built, measured, served by TensorRT; by CUDA; by CUDA with TF32
    assert deployed.device.said("tf32") == ["0", "0", "0", "0", "1"]
    assert [providers[-2][1]["use_tf32"] for providers in deployed.device.said("providers")] == ["0", "0", "0", "0", "1"]


def test_a_gpu_that_onnxruntime_cannot_start_is_no_reason_to_use_the_processor(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DEFECT", "CUDAExecutionProvider")
    expected = "CUDAExecutionProvider does not start here, and onnxruntime 1.23.2 would run the model on CPUExecutionProvider"
    with pytest.raises(Exception, match=expected):
        device.measure(CUDA)


def test_an_engine_that_takes_too_long_refuses_its_stage(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_BUILD_S", "30")
    with pytest.raises(DeviceError, match=r"has not built the engine in 0.4 s; choose a smaller stage, or CUDAExecutionProvider"):
        tensorrt.build(device.folder / "store" / digest_of(MODEL), TENSORRT, budget_s=0.4)
    monkeypatch.setenv("FAKE_BUILD_S", "0")
    assert device.measure(TENSORRT).build_s > 0  # nothing half built was kept


def test_what_tensorrt_cannot_build_is_refused_in_its_words(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_BUILD_S", "never")
    with pytest.raises(DeviceError, match=r"cannot build the engine \(.*could not build engine for fused node: TRTKernel_0\)"):
        device.measure(TENSORRT)


@pytest.mark.parametrize("field", list(ORIN))
def test_another_gpu_or_version_gets_another_folder(field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "identity", lambda here: ORIN)
    before, name = tensorrt.place(tmp_path / "model", TENSORRT)
    monkeypatch.setattr(tensorrt, "identity", lambda here: ORIN | {field: "9.9"})
    after, same = tensorrt.place(tmp_path / "model", TENSORRT)
    assert before is not None and after is not None and before != after and name == same
    assert json.loads((before / "identity.json").read_text()) == ORIN


def test_precisions_of_a_model_have_engines_of_their_own(tmp_path: Path) -> None:
    variants = [msgspec.structs.replace(TENSORRT, precision=precision) for precision in ("fp32", "tf32", "fp16", "int8")]
    names = [tensorrt.place(tmp_path / "model", variant)[1] for variant in variants]
    assert len(set(names)) == 4


def test_providers_without_engines_have_nothing_built(tmp_path: Path) -> None:
    assert [tensorrt.build(tmp_path / "model", variant) for variant in (CUDA, Variant())] == [0.0, 0.0]
    assert list(tmp_path.iterdir()) == []


def test_a_jetson_is_known_by_its_board_and_its_linux_for_tegra(tmp_path: Path) -> None:
    for path, text in {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n# KERNEL_VARIANT: oot\n",
        "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    known = tensorrt.identity(Here(str(tmp_path), {}))
    assert known["gpu"] == "NVIDIA Jetson Orin Nano Developer Kit" and known["compute_capability"] is None
    assert known["driver"] == "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic" and known["tensorrt"] == "10.3.0"


def test_a_graphics_card_is_known_by_its_name_and_driver(tmp_path: Path) -> None:
    here = Here(str(tmp_path), {}, {"libnvidia-ml.so.1": library(FakeGpu("NVIDIA L4"), driver="550.54.15")})
    known = tensorrt.identity(here)
    assert (known["gpu"], known["compute_capability"], known["driver"]) == ("NVIDIA L4", "8.9", "550.54.15")


def test_the_process_that_builds_ends_with_the_one_that_waits_for_it(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_BUILD_S", "60")
    command = [sys.executable, "-c", BUILDING, str(device.folder / "store" / digest_of(MODEL))]
    with subprocess.Popen(command, env=tensorrt.environment()) as waiting:
        eventually(lambda: device.said("builds"))
        waiting.kill()
    (builder,) = device.said("builds")
    eventually(lambda: not alive(builder))
