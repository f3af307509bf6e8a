"""What every Connection promises, whatever it reaches.

A test module that has a fixture ``connection`` imports these functions: ``from tests.devices.contract import *``.
"""

import threading

import numpy as np
import pytest

from devices import Connection, scheme_of
from edgekit.errors import DeviceError, EdgekitError, GraphError, UsageError
from edgekit.graph import Tensor
from edgekit.runtime.agent.control import Stream
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.engine.executor import run_once, sample_inputs
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.verbs import Emulation, Measure, Run, StageSpec, Work
from tests.runtime.bed import spec, written

__all__ = [
    "test_a_closed_connection_may_be_closed_again",
    "test_a_connection_tells_what_kind_of_device_it_reaches",
    "test_a_damaged_model_is_the_models_fault",
    "test_a_device_says_what_it_is",
    "test_a_forwarded_port_leads_here_and_back",
    "test_a_loaded_stage_runs_and_is_told",
    "test_a_model_that_was_never_put_is_refused",
    "test_a_segment_is_timed",
    "test_a_stage_may_be_loaded_again",
    "test_a_stage_that_was_never_loaded_is_refused",
    "test_energy_is_told_or_why_there_is_none",
    "test_golden_inputs_of_another_size_are_refused",
    "test_golden_inputs_that_are_left_out_are_drawn",
    "test_kernels_are_timed",
    "test_putting_twice_is_putting_once",
    "test_stages_are_stopped_by_their_plan",
    "test_stages_on_a_virtual_clock_are_there_for_the_client",
    "test_the_answer_to_golden_inputs_is_that_of_onnxruntime",
]

INPUTS = (Tensor("x", (1, 3, 8, 8), "float32"),)
OUTPUTS = (Tensor("y", (1, 4, 8, 8), "float32"),)
TEXT = """net (float[1,3,8,8] x) => (float[1,4,8,8] y) <float[4,3,3,3] w, float[4] b>
{ c = Conv<pads=[1,1,1,1]>(x, w, b) y = Relu(c) }"""
MODEL = written(TEXT)
WORKS = (Work(macs=27_648, nbytes=2_000), Work(macs=0, nbytes=2_048))


def stage(digest: str, plan: str = "plan", index: int = 0) -> StageSpec:
    made = spec(digest, INPUTS, OUTPUTS, index, index)
    return StageSpec(**{name: getattr(made, name) for name in made.__struct_fields__} | {"plan": plan, "emulation": Emulation(WORKS)})


def measurement(digest: str, mode: str) -> Measure:
    return Measure(model=digest, inputs=INPUTS, outputs=OUTPUTS, mode=mode, budget_s=0.0, least=6, emulation=Emulation(WORKS))  # type: ignore[arg-type]


def told(connection: Connection) -> list[tuple[str, str, int]]:
    return sorted((each.plan, each.name, each.replica) for each in connection.logs().stages)


def test_a_device_says_what_it_is(connection: Connection) -> None:
    facts = connection.facts()
    assert facts.version and facts.machine.architecture and str(facts.engines[0]).startswith("onnxruntime 1.")
    assert facts.machine.cores >= 1
    assert facts.machine.memory_bytes is None or facts.machine.memory_bytes > 0
    assert connection.device.name == "bench"


def test_a_connection_tells_what_kind_of_device_it_reaches(connection: Connection) -> None:
    assert connection.virtual is connection.device.described
    assert not connection.stays
    here = scheme_of(connection.device).here
    assert (connection.agent_socket is not None and connection.agent_socket.is_socket()) is here
    assert connection.near is None or not here


def test_a_forwarded_port_leads_here_and_back(connection: Connection) -> None:
    def answer(caller: Stream) -> None:
        caller.sendall(caller.recv(4)[::-1])
        caller.close()

    def receive(caller: Stream) -> None:
        threading.Thread(target=answer, args=(caller,), daemon=True).start()

    if connection.virtual:
        with pytest.raises(UsageError, match="bench is simulated"), connection.forward(receive):
            pass
        with pytest.raises(UsageError, match="bench is simulated"):
            connection.dial("127.0.0.1", 1)
        return
    with connection.forward(receive) as address:
        far = connection.dial(*address)
        far.sendall(b"abcd")
        assert far.recv(4) == b"dcba"
        far.close()


def test_stages_on_a_virtual_clock_are_there_for_the_client(connection: Connection) -> None:
    connection.load(stage(connection.put(MODEL)))
    assert sorted(connection.virtual_stages) == ([("plan", 0, 0)] if connection.virtual else [])


def test_its_clock_goes_on(connection: Connection) -> None:
    assert 0 < connection.clock() < connection.clock()


def test_putting_twice_is_putting_once(connection: Connection) -> None:
    assert connection.put(MODEL) == connection.put(MODEL) == digest_of(MODEL)
    assert connection.put(b"other") == digest_of(b"other")


def test_the_answer_to_golden_inputs_is_that_of_onnxruntime(connection: Connection) -> None:
    golden = sample_inputs(INPUTS, seed=7)
    loaded, answer = connection.load(stage(connection.put(MODEL)), Layout(INPUTS).pack(golden))
    np.testing.assert_array_equal(Layout(OUTPUTS).unpack(answer)["y"], run_once(MODEL, golden)["y"])
    assert loaded.load_s >= 0 and loaded.peak_bytes >= loaded.base_bytes >= 0


def test_golden_inputs_that_are_left_out_are_drawn(connection: Connection) -> None:
    _, answer = connection.load(stage(connection.put(MODEL)))
    np.testing.assert_array_equal(Layout(OUTPUTS).unpack(answer)["y"], run_once(MODEL, sample_inputs(INPUTS))["y"])


def test_golden_inputs_of_another_size_are_refused(connection: Connection) -> None:
    with pytest.raises(DeviceError, match="expected 768 bytes of tensors, got 5"):
        connection.load(stage(connection.put(MODEL)), b"short")
    assert told(connection) == []


def test_a_segment_is_timed(connection: Connection) -> None:
    measured, blob = connection.measure(measurement(connection.put(MODEL), "segment"))
    assert len(measured.samples_s) == len(measured.cpu_s) >= 6
    assert all(seconds > 0 for seconds in measured.samples_s)
    assert measured.peak_bytes > 0 and measured.kernels == () and blob == b""


def test_kernels_are_timed(connection: Connection) -> None:
    measured, _ = connection.measure(measurement(connection.put(MODEL), "kernels"))
    assert measured.kernels
    assert all(kernel.seconds >= 0 for kernel in measured.kernels)


def test_energy_is_told_or_why_there_is_none(connection: Connection) -> None:
    measured, _ = connection.measure(measurement(connection.put(MODEL), "energy"))
    assert measured.energy is not None
    assert (measured.energy.gross_j is None) == (measured.energy.reason is not None)


def test_a_loaded_stage_runs_and_is_told(connection: Connection) -> None:
    connection.load(stage(connection.put(MODEL)))
    connection.run(Run(plan="plan", stage=0, replica=0, receivers=()))
    (status,) = connection.logs(spans=5).stages
    assert (status.name, status.plan, status.stage, status.replica) == ("stage 0@bench", "plan", 0, 0)
    assert (status.state, status.frames, status.failed, status.spans) == ("serving", 0, 0, ())


def test_a_stage_may_be_loaded_again(connection: Connection) -> None:
    for _ in range(2):
        connection.load(stage(connection.put(MODEL)))
    assert told(connection) == [("plan", "stage 0@bench", 0)]


def test_stages_are_stopped_by_their_plan(connection: Connection) -> None:
    digest = connection.put(MODEL)
    connection.load(stage(digest))
    connection.load(stage(digest, "other", 1))
    connection.stop("plan")
    connection.stop("unknown")
    assert told(connection) == [("other", "stage 1@bench", 0)]
    with pytest.raises(DeviceError):
        connection.run(Run(plan="plan", stage=0, replica=0, receivers=()))


@pytest.mark.parametrize("mode", ["load", "segment", "kernels"])
def test_a_model_that_was_never_put_is_refused(connection: Connection, mode: str) -> None:
    digest = digest_of(b"absent")
    with pytest.raises(DeviceError, match=f"the model {digest[:12]}.* is not in the store; put it first"):
        if mode == "load":
            connection.load(stage(digest))
        else:
            connection.measure(measurement(digest, mode))
    with pytest.raises(EdgekitError):
        connection.load(stage("no digest at all"))
    assert told(connection) == []


def test_a_damaged_model_is_the_models_fault(connection: Connection) -> None:
    with pytest.raises(GraphError, match="onnxruntime .* refuses the model"):
        connection.load(stage(connection.put(MODEL[:-20])))
    assert told(connection) == []
    connection.load(stage(connection.put(MODEL)))


def test_a_stage_that_was_never_loaded_is_refused(connection: Connection) -> None:
    with pytest.raises(DeviceError, match="stage 3 .*is not loaded.*; deploy the plan again"):
        connection.run(Run(plan="plan", stage=3, replica=0, receivers=()))


def test_a_closed_connection_may_be_closed_again(connection: Connection) -> None:
    with connection as same:
        assert same is connection
        connection.load(stage(connection.put(MODEL)))
    connection.close()
    connection.close()
