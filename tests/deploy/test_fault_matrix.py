"""The fault matrix, and those of its faults that strike whole processes.

    F1   a stage is killed                          test_client, test_faults: killed
    F2   a device does not come back                here; test_client: does_not_come_back; test_cutover: device_is_gone
    F3   the client is killed                       here
    F4   the controller is killed                   here
    F5   resets, halves                             test_faults: reset_halve_flip_stall_and_slice; runtime/test_resuming
    F6   a blackhole                                test_faults: goes_dark
    F7   one in one direction                       test_faults: goes_dark (dark_back)
    F8   a link that flaps                          test_faults: flap
    F9   a slow, long link                          test_faults: slow_long_link; benchmarks/pipeline_efficiency.py: slow
    F10  a stage that stands still                  test_faults: stopped_for_a_while
    F11  bits that flip                             test_faults; runtime/test_resuming: bits that flip; runtime/test_link
    F12  lengths and tensors that lie               test_fault_matrix_of_bytes; runtime/test_fuzzing, runtime/test_frames
    F13  garbage, no certificate, slow loris        test_fault_matrix_of_bytes; runtime/test_tls: stranger
    F14  certificates of others, expired, revoked   runtime/test_tls; test_releases: renewed
    F15  a session that is replayed                 test_fault_matrix_of_bytes
    F16  models that are damaged or do not fit      test_fault_matrix_of_devices; runtime/test_agent: damaged_model
    F17  a disk that is full or cannot be written   test_fault_matrix_of_devices; runtime/test_agent: full_disk
    F18  other versions, other plans                test_fault_matrix_of_bytes; test_older_runtime
    F19  no memory                                  test_fault_matrix_of_devices
    F20  a frame that is poison                     test_fault_matrix_of_bytes; test_client: fails_names_its_stage, kills_its_stage
    F21  clocks that jump, or say 1970              test_fault_matrix_of_devices; runtime/test_tls: clock
    F22  SIGTERM, another deployment                here; test_cutover; runtime/test_returning
    F23  a device that starts anew                  here; test_over_ssh: reboot; runtime/test_returning
    F24  an address that changes                    test_fault_matrix_of_addresses
    F25  two controllers                            test_over_ssh: two_controllers; runtime/test_agent: two_who_claim
    F26  one that wakes up when replaced            here; test_cutover: wakes_up; runtime/test_joint
    F27  heat, and others at work                   test_slowing, test_health; cli/test_planted_conditions; profilers/test_calibrating

One seed of what is seeded runs each time, twenty in ``make nightly``; a thousand of the faults of links: benchmarks/link_faults.py.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from devices.local import find
from edgekit import api
from edgekit.deploy.client.client import RECOVERY_S
from edgekit.deploy.client.sink import Result
from edgekit.deploy.serve.pipeline import Pipeline, deploy
from edgekit.device import Device
from edgekit.errors import DeviceError, StageError
from edgekit.runtime.engine.executor import run_once
from edgekit.runtime.origin import environment
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import pid_of, until
from tests.models import local, serial, split
from tests.runtime.bed import eventually, tracked

NET = serial()
CLUSTER = local("a", "b", "c")
PLAN = split(NET.graph, (0, 1, "a"), (1, 3, "b"), (3, 5, "c"))
INPUTS = [NET.inputs(seed) for seed in range(5)]
ANSWERS = [run_once(NET.data, frame) for frame in INPUTS]

AGENT = "import sys, pathlib; from edgekit.runtime.agent.server import serve; serve(pathlib.Path(sys.argv[1]), daemon=True, keeps=True)"
CLIENT = """
import itertools, pathlib, sys
from edgekit import api
from tests.models import serial
with api.attach(pathlib.Path(sys.argv[1])) as pipeline, pipeline.client() as client:
    for result in client.stream(itertools.repeat(serial().inputs())):
        print(result.frame, flush=True)
"""
CONTROLLER = """
import pathlib, sys, time
from edgekit import api
from tests.models import local, serial, split
home, net = pathlib.Path(sys.argv[1]), serial()
plan = split(net.graph, (0, 2, "a"), (2, 4, "b"), (4, 5, "c"))
api.deploy_to_stay(plan, net.graph, net.model, local("a", "b", "c"), home)
with api.attach(home) as pipeline:
    print("ready", flush=True)
    while True:
        pipeline.logs()
        time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy two starts of Python may take a while."""
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 20.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a pipeline serves on three devices whose agents bring their stages back; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("f")
    with tracked(folder):
        booted(folder / "h", "a", "b", "c")
        api.deploy_to_stay(PLAN, NET.graph, NET.model, CLUSTER, folder / "h")
        yield folder / "h"
        api.end(folder / "h")


def program(text: str, home: Path) -> "subprocess.Popen[str]":
    """One of the above, in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", text, str(home)], stdout=subprocess.PIPE, text=True, env=environment())


def said(process: "subprocess.Popen[str]", wanted: str) -> None:
    """Wait for a line."""
    assert process.stdout is not None
    assert any(line.strip() == wanted for line in process.stdout), f"it ended without saying {wanted}"


def booted(home: Path, *names: str) -> None:
    """Agents as a device starts them after a boot: what served comes back with them."""
    for name in names:
        (home / name).mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", AGENT, str(home / name)], check=True, env=environment())
        eventually(lambda name=name: find(Device(name), home))


def right(result: Result, number: int) -> bool:
    """Whether it is the answer to that frame."""
    whole = ANSWERS[number % 5]
    return result.frame == number and compare(result.value(), {name: whole[name] for name in NET.graph.outputs}).worst <= TOLERANCE


def served(pipeline: Pipeline, count: int, at: int = -1, happens: Callable[[], None] = lambda: None) -> float:
    """Stream frames, something happening meanwhile: each has its right result, in its place. The longest wait for one."""
    gap_s, happening = 0.0, threading.Thread(target=happens)
    with pipeline.client() as client:
        last = time.monotonic()
        for number, result in enumerate(client.stream((INPUTS[n % 5] for n in range(count)), window=6)):
            assert right(result, number)
            gap_s, last = max(gap_s, time.monotonic() - last), time.monotonic()
            if number == at:
                happening.start()
        assert number == count - 1
    if at >= 0:
        happening.join()
    return gap_s


def test_f2_a_device_that_does_not_come_back_ends_every_frame_within_15_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", RECOVERY_S)
    with deploy(PLAN, NET.graph, NET.model, CLUSTER) as pipeline, pipeline.client() as client:
        stream = client.stream((INPUTS[n % 5] for n in range(100_000)), window=6)
        for number, result in enumerate(islice(stream, 50)):
            assert right(result, number)
        os.kill(pipeline.connections["b"].process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        begin, after = time.monotonic(), []
        with pytest.raises(StageError, match="stage 1@b is lost") as raised:
            after.extend(stream)  # keeps what came before it raises
        assert time.monotonic() - begin < 15
        assert [result.frame for result in after] == list(range(50, 50 + len(after)))
        assert all(result.error is not None and result.error.stage == "stage 1@b" for result in after[-6:])
        assert (raised.value.stage, raised.value.frame) == ("stage 1@b", None)


def test_f3_a_client_that_is_killed_is_followed_by_the_next_within_5_s(home: Path) -> None:
    with api.attach(home) as pipeline:
        served(pipeline, 200)
        before = held(pipeline)
        for _ in range(3):
            with program(CLIENT, home) as client:
                said(client, "30")
                client.kill()
            begin = time.monotonic()
            eventually(lambda: answers(pipeline), 5)
            assert time.monotonic() - begin < 5
        eventually(lambda: descriptors(pipeline) <= before[0], 5)
        assert held(pipeline)[1] - before[1] < 16e6


def answers(pipeline: Pipeline) -> bool:
    with contextlib.suppress(DeviceError):
        served(pipeline, 20)
        return True
    return False


def processes(pipeline: Pipeline) -> list[int]:
    """Of the pipeline: stages, then agents."""
    agents = [int((connection.folder / "agent.pid").read_text()) for connection in pipeline.connections.values()]  # type: ignore[attr-defined]
    return [*(pid_of(pipeline, stage) for stage in range(3)), *agents]


def descriptors(pipeline: Pipeline) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes(pipeline))


def held(pipeline: Pipeline) -> tuple[int, int]:
    """File descriptors and resident bytes of all processes together."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes(pipeline))
    return descriptors(pipeline), pages * os.sysconf("SC_PAGESIZE")


def test_f4_a_controller_that_is_killed_is_not_missed_and_another_takes_over(home: Path) -> None:
    with program(CONTROLLER, home) as controller:
        said(controller, "ready")
        with api.attach(home) as pipeline:
            assert served(pipeline, 300, 50, controller.kill) < 2
    with api.Observer(home) as observer:
        assert not observer.status().degraded
    again = api.deploy_to_stay(PLAN, NET.graph, NET.model, CLUSTER, home)
    assert again.release != pipeline.release
    with api.attach(home) as other:
        served(other, 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["f22_sigterm", "f23_sigkill"])
def test_a_device_that_starts_anew_under_load_costs_no_frame(home: Path, number: int) -> None:
    with api.attach(home) as pipeline:
        agent, stage = int((home / "b" / "agent.pid").read_text()), pid_of(pipeline, 1)

        def restart() -> None:
            for pid in (agent, stage):
                with contextlib.suppress(ProcessLookupError):  # a stage ends with its agent
                    os.kill(pid, number)
            eventually(lambda: not find(Device("b"), home))
            booted(home, "b")

        gap_s = served(pipeline, 400, 50, restart)
    print(f"gap {gap_s:.2f} s")
    with api.Observer(home) as observer:
        eventually(lambda: not observer.status().degraded)


def test_an_agent_that_stands_still_is_told_and_frames_go_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.observe.status.SILENT_S", 1.0)
    agent = int((home / "b" / "agent.pid").read_text())
    with api.attach(home) as pipeline, pipeline.client() as client, api.Observer(home) as observer:
        os.kill(agent, signal.SIGSTOP)
        try:
            assert observer.status().degraded == ("stage 1@b is out of reach: b: its agent has not answered for 1 s; is it stopped?",)
            assert all(result.error is None for result in client.stream([NET.inputs()] * 5))
        finally:
            os.kill(agent, signal.SIGCONT)
        eventually(lambda: not observer.status().degraded)


def test_f22_a_stage_that_is_told_to_end_comes_back_and_no_frame_is_lost(home: Path) -> None:
    with api.attach(home) as pipeline:
        pid = pid_of(pipeline, 1)
        served(pipeline, 300, 50, lambda: os.kill(pid, signal.SIGTERM))


def test_f26_a_client_that_wakes_up_after_another_took_its_place_disturbs_nothing(home: Path) -> None:
    with api.attach(home) as pipeline, program(CLIENT, home) as sleeper:
        said(sleeper, "30")
        os.kill(sleeper.pid, signal.SIGSTOP)
        assert until(lambda: answers(pipeline), 15)
        served(pipeline, 600, 100, lambda: os.kill(sleeper.pid, signal.SIGCONT))
        sleeper.kill()
