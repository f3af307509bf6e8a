"""Stage processes as their agent sees them: started, replaced, killed and ended."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgekit.errors import DeviceError, GraphError, UsageError
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.agent.supervisor import Supervisor
from edgekit.runtime.verbs import Load, Loaded, Logs, LogsReply, Measure, Measured, Probe, Probed, Put, Run, StageSpec, StageStatus, Stop
from tests.runtime.bed import DOUBLE, LOOKUP, X, Y, alive, eventually, marked, spec, written

MODEL = written(DOUBLE)
STAGE = spec(digest_of(MODEL))


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    made.answer(Put(STAGE.model), MODEL)
    yield made
    made.stop(None)


def status(supervisor: Supervisor) -> tuple[StageStatus, ...]:
    reply, _ = supervisor.answer(Logs(), b"")
    assert isinstance(reply, LogsReply)
    return reply.stages


def running() -> int:
    """How many processes this test has started that still run."""
    return len(marked())


def test_a_stage_is_loaded_with_its_memory_and_its_port(supervisor: Supervisor) -> None:
    reply, outputs = supervisor.answer(Load(STAGE), b"")
    assert isinstance(reply, Loaded)
    assert reply.host == "127.0.0.1" and reply.port > 0 and reply.load_s > 0
    assert 0 < reply.base_bytes <= reply.peak_bytes
    assert len(outputs) == 64
    (stage,) = status(supervisor)
    assert (stage.name, stage.plan, stage.stage, stage.replica, stage.state) == ("stage 0@bench", "plan", 0, 0, "loaded")
    assert alive(stage.pid)


def test_a_model_that_was_never_put_is_named(supervisor: Supervisor) -> None:
    absent = digest_of(b"absent")
    for request in (
        Load(spec(absent)),
        Measure(model=absent, inputs=(X,), outputs=(Y,), mode="segment"),
        Measure(model=absent, inputs=(X,), outputs=(Y,), mode="kernels"),
    ):
        with pytest.raises(DeviceError, match=f"the model {absent[:12]} .* is not in the store; put it first"):
            supervisor.answer(request, b"")
    with pytest.raises(UsageError, match="is not a SHA-256 digest"):
        supervisor.answer(Load(spec("../../etc/passwd")), b"")
    assert running() == 0


@pytest.mark.parametrize("damaged", [bytes(100), MODEL[: len(MODEL) // 2]])
def test_a_damaged_model_is_the_models_fault(supervisor: Supervisor, damaged: bytes) -> None:
    supervisor.answer(Put(digest_of(damaged)), damaged)
    with pytest.raises(GraphError, match="stage 0@bench: onnxruntime .* refuses the model"):
        supervisor.answer(Load(spec(digest_of(damaged))), b"")
    assert status(supervisor) == ()
    assert running() == 0


def test_a_model_whose_tensors_are_others_is_refused(supervisor: Supervisor) -> None:
    other = written(LOOKUP)
    supervisor.answer(Put(digest_of(other)), other)
    with pytest.raises(DeviceError, match="stage 0@bench"):
        supervisor.answer(Load(spec(digest_of(other))), b"")
    assert running() == 0


def test_loading_again_replaces_the_process(supervisor: Supervisor) -> None:
    pids = []
    for _ in range(2):
        supervisor.answer(Load(STAGE), b"")
        pids.append(status(supervisor)[0].pid)
    assert [alive(pid) for pid in pids] == [False, True]
    assert running() == 1


def test_loading_the_same_twice_at_once_leaves_one_process(supervisor: Supervisor) -> None:
    threads = [threading.Thread(target=supervisor.answer, args=(Load(STAGE), b"")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(status(supervisor)) == 1
    assert running() == 1


def test_a_killed_stage_says_so(supervisor: Supervisor) -> None:
    supervisor.answer(Load(STAGE), b"")
    os.kill(status(supervisor)[0].pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match=r"stage 0@bench .* \(killed; the usual cause is memory: choose a smaller stage\)"):
        supervisor.answer(Run(plan="plan", stage=0, replica=0, receivers=()), b"")
    assert status(supervisor)[0].state.startswith("lost: stage 0@bench")
    supervisor.answer(Load(STAGE), b"")
    assert status(supervisor)[0].state == "loaded"


def test_a_stage_that_is_not_there_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(DeviceError, match="stage 7 of plan plan is not loaded here; deploy the plan again"):
        supervisor.answer(Run(plan="plan", stage=7, replica=0, receivers=()), b"")


def test_stopping_a_plan_leaves_the_others(supervisor: Supervisor) -> None:
    supervisor.answer(Load(STAGE), b"")
    supervisor.answer(Load(msgspec.structs.replace(STAGE, plan="other")), b"")
    supervisor.answer(Stop("plan"), b"")
    supervisor.answer(Stop("unknown"), b"")
    assert [stage.plan for stage in status(supervisor)] == ["other"]
    assert running() == 1


def test_a_stage_that_does_not_listen_is_killed(supervisor: Supervisor) -> None:
    supervisor.answer(Load(STAGE), b"")
    pid = status(supervisor)[0].pid
    os.kill(pid, signal.SIGSTOP)
    supervisor.answer(Stop("plan"), b"")
    assert not alive(pid)


@pytest.mark.parametrize("mode", ["segment", "kernels"])
def test_a_measurement_leaves_nothing(supervisor: Supervisor, mode: str, tmp_path: Path) -> None:
    reply, _ = supervisor.answer(Measure(model=STAGE.model, inputs=(X,), outputs=(Y,), mode=mode, budget_s=0.0), b"")  # type: ignore[arg-type]
    assert isinstance(reply, Measured)
    assert running() == 0
    assert [path.name for path in (tmp_path / "store").iterdir()] == [STAGE.model]


def test_a_measured_model_that_fails_is_told(supervisor: Supervisor) -> None:
    text = "net (float[4] x) => (float[1] y) <int64[1] far = {99}> { y = Gather(x, far) }"
    supervisor.answer(Put(digest_of(written(text))), written(text))
    request = Measure(model=digest_of(written(text)), inputs=(X,), outputs=(msgspec.structs.replace(Y, shape=(1,)),), mode="segment")
    with pytest.raises((DeviceError, GraphError), match="measurement"):
        supervisor.answer(request, b"")
    assert running() == 0


def test_one_echo_answers_for_each_address(supervisor: Supervisor) -> None:
    one, _ = supervisor.answer(Probe(), b"")
    same, _ = supervisor.answer(Probe(), b"")
    assert isinstance(one, Probed) and one == same and one.port > 0
    assert running() == 1
    trips, _ = supervisor.answer(Probe(host=one.host, port=one.port, sizes=(1, 1000), samples=5), b"")
    assert isinstance(trips, Probed)
    assert [len(seconds) for seconds in trips.round_trips_s] == [5, 5]


def test_an_echo_that_died_is_started_again(supervisor: Supervisor) -> None:
    one, _ = supervisor.answer(Probe(), b"")
    (child, _), *_ = supervisor._echoes.values()
    child.process.kill()
    eventually(lambda: child.process.poll() is not None)
    other, _ = supervisor.answer(Probe(), b"")
    assert isinstance(one, Probed) and isinstance(other, Probed) and one.port != other.port


def test_an_echo_on_an_address_of_another_machine_is_refused(supervisor: Supervisor) -> None:
    with pytest.raises(DeviceError, match="echo: OSError"):
        supervisor.answer(Probe(listen="203.0.113.1"), b"")
    assert running() == 0


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "agent")
    supervisor.answer(Put(STAGE.model), MODEL)
    (tmp_path / "agent").rename(tmp_path / "elsewhere")
    with pytest.raises(DeviceError, match="is not in the store"):
        supervisor.answer(Load(STAGE), b"")
    with pytest.raises(DeviceError, match="the process of echo does not start .*No such file"):
        supervisor.answer(Probe(), b"")
    with pytest.raises(DeviceError, match="cannot be stored"):
        supervisor.answer(Put(STAGE.model), MODEL)


def test_requests_to_one_stage_wait_for_each_other(supervisor: Supervisor) -> None:
    supervisor.answer(Load(STAGE), b"")
    seen: list[int] = []

    def ask() -> None:
        for _ in range(20):
            seen.extend(stage.stage for stage in status(supervisor))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 80
    assert time.monotonic() - begin < 30


def test_cores_are_those_of_the_stage_process(supervisor: Supervisor) -> None:
    core = min(os.sched_getaffinity(0))
    supervisor.answer(Load(pinned(core)), b"")
    pid = status(supervisor)[0].pid
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    assert os.sched_getaffinity(pid) == {core}
    assert len(threads) > 1


@pytest.mark.parametrize("cores", [(0, 4095), (), (2**40,)])
def test_cores_that_are_not_there_are_refused(supervisor: Supervisor, cores: tuple[int, ...]) -> None:
    with pytest.raises(DeviceError, match="are not all there .this machine has .*; change `cores`"):
        supervisor.answer(Load(pinned(*cores)), b"")
    assert running() == 0


def pinned(*cores: int) -> StageSpec:
    return msgspec.structs.replace(STAGE, cores=cores)
