"""Settings are tried against what the device takes just then, once each, and the best is told."""

import msgspec
import pytest

from devices import connect
from devices.connection import FactsReply, Measure, Measured
from edgekit.device import Device, Variant
from edgekit.errors import DeviceError, GraphError, UsageError
from edgekit.machine import Machine
from edgekit.runtime.verbs import Engine
from edgekit.tuning import Setting, Tuning
from profilers.measure.tuner import settings_for, tune_device
from tests.models import picking, simulated, skipping

NET = skipping()
PROVIDERS = ("CUDAExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider")


class Played:
    """A device with four cores and an accelerator that does not start; each run is slower than the one before by ``drift``."""

    def __init__(self, device: Device = Device("a"), drift: float = 1.0, lost: int = 10**9):  # noqa: B008  # frozen
        self.device = device
        self.kernel = "6.1"
        self.asked: list[Setting] = []
        self._drift, self._now_s, self._lost = drift, 1.0, lost

    virtual = False

    def facts(self) -> FactsReply:
        machine = Machine("aarch64", 4, processor="Cortex-A76", kernel=self.kernel, system="Debian 12")
        return FactsReply(version="1", machine=machine, engines=(Engine("onnxruntime", "1.31.1", PROVIDERS),))

    def put(self, data: bytes) -> str:
        return f"{len(data)}"

    def measure(self, request: Measure) -> tuple[Measured, bytes]:
        batch = (request.inputs[0].shape or (1,))[0]
        self.asked.append(Setting(request.variant, batch))
        if len(self.asked) > self._lost:
            raise DeviceError("a: went away")
        if request.variant.provider.startswith("CUDA"):
            raise GraphError("onnxruntime 1.31.1 cannot start its CUDAExecutionProvider")
        seconds = self._now_s * batch**0.8 / {1: 1.0, 2: 1.8, 3: 2.2, 4: 2.21}[request.variant.threads]
        self._now_s *= self._drift
        return Measured(
            samples_s=(seconds,) * 11, cpu_s=(seconds * request.variant.threads,) * 11, base_bytes=0, peak_bytes=0, load_s=0.0
        ), b""


def tuned(device: Played, **given) -> Tuning:
    return tune_device(NET.graph, NET.model, device, **given)  # type: ignore[arg-type]  # it plays a Connection


def drawn(tuning: Tuning) -> dict[str, float]:
    """Seconds of a run by ``threads x batch``."""
    return {f"{time.setting.variant.threads}x{time.setting.batch}": round(time.p50_s, 3) for time in tuning.times}


def test_all_that_a_device_has_is_tried_besides_the_default() -> None:
    found = settings_for(Variant("int8"), (Engine("onnxruntime", "1.31.1", PROVIDERS),), 2, (1, 4))
    assert [f"{s.variant.provider.removesuffix('ExecutionProvider')} {s.variant.threads}x{s.batch}" for s in found] == [
        "CUDA 1x1",
        "CPU 2x1",
        "CUDA 1x4",
        "CPU 1x4",
        "CPU 2x4",
    ]
    assert {setting.variant.precision for setting in found} == {"int8"}


def test_the_best_for_latency_and_for_throughput_are_told_apart() -> None:
    tuning = tuned(Played(), batches=(1, 4), budget_s=0.0)
    assert drawn(tuning) == {"1x1": 1.0, "2x1": 0.556, "3x1": 0.455, "4x1": 0.452, "1x4": 3.031, "2x4": 1.684, "3x4": 1.378, "4x4": 1.372}
    assert tuning.quickest.setting == Setting(Variant(threads=3))  # the fourth thread is worth nothing
    assert tuning.most.setting == Setting(Variant(threads=3), 4)
    assert tuning.best == Variant(threads=3)
    assert tuning.efficiency(tuning.quickest) == pytest.approx(2.2 / 3)
    assert {refusal.setting.batch for refusal in tuning.refused} == {1, 4} and "cannot start" in tuning.refused[0].reason


def test_what_a_device_drifts_is_taken_out() -> None:
    steady, drifting = tuned(Played(), budget_s=0.0), tuned(Played(drift=1.01), budget_s=0.0)
    assert drifting.drift > 1.03 and steady.drift == 1.0
    for threads in (2, 3, 4):
        ratio = [t.time(Setting(Variant(threads=threads))).p50_s / t.time(t.default).p50_s for t in (steady, drifting)]  # type: ignore[union-attr]
        assert ratio[1] == pytest.approx(ratio[0], rel=0.02)


def test_rounds_are_repeated_while_there_is_time_and_known_after_each() -> None:
    kept: list[Tuning] = []
    tuning = tuned(Played(), budget_s=60.0, keep=kept.append)
    assert [{time.rounds for time in each.times if time.setting != each.default} for each in kept] == [{1}, {2}, {3}, {4}, {5}]
    assert kept[-1] == tuning


def test_what_was_measured_under_the_same_conditions_is_not_measured_again() -> None:
    first = tuned(Played(), budget_s=0.0)
    again = Played()
    assert tuned(again, budget_s=0.0, before=first) == first and again.asked == []
    more = Played(drift=1.001)
    both = tuned(more, budget_s=0.0, before=first, batches=(1, 2))
    assert {setting.batch for setting in more.asked if setting != first.default} == {2}
    assert set(first.times) < set(both.times) and len(both.times) == 8


@pytest.mark.parametrize("changed", ["kernel", "graph", "default"])
def test_under_other_conditions_everything_is_measured_again(changed: str) -> None:
    first = tuned(Played(), budget_s=0.0)
    device = Played(Device("a", variant=Variant(threads=2)) if changed == "default" else Device("a"))
    if changed == "kernel":
        device.kernel = "6.12"
    before = msgspec.structs.replace(first, graph="another") if changed == "graph" else first
    assert len(tuned(device, budget_s=0.0, before=before).times) == 4 and len(device.asked) > 4


def test_cores_that_a_device_is_pinned_to_bound_its_threads() -> None:
    tuning = tuned(Played(Device("a", cores=(2, 3))), budget_s=0.0)
    assert [time.setting.variant.threads for time in tuning.times] == [1, 2]


def test_a_device_that_goes_away_is_no_setting_that_fails() -> None:
    with pytest.raises(DeviceError, match="went away"):
        tuned(Played(lost=2))


def test_a_network_that_cannot_take_a_batch_says_so_and_is_tuned_without() -> None:
    net = picking()
    tuning = tune_device(net.graph, net.model, Played(), batches=(1, 2), budget_s=0.0)  # type: ignore[arg-type]
    assert {time.setting.batch for time in tuning.times} == {1}
    assert any("times as many samples" in refusal.reason for refusal in tuning.refused if refusal.setting.batch == 2)


def test_a_described_device_has_nothing_to_tune() -> None:
    with connect(simulated("a").devices[0]) as connection, pytest.raises(UsageError, match="a is described with one speed"):
        tune_device(NET.graph, NET.model, connection)
