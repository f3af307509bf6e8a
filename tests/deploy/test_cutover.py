"""Another release takes over while frames are under way: none is lost, none comes twice, and the one before ends."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit import api
from edgekit.deploy.client.client import Streaming
from edgekit.deploy.serve.attachment import connect
from edgekit.deploy.serve.deployment_record import find_record
from edgekit.errors import StageError
from edgekit.plan import Plan
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import pid_of, until
from tests.models import local, serial, skipping, split
from tests.runtime.bed import eventually, marked, tracked

NET = serial()
INPUTS = [NET.inputs(seed) for seed in range(5)]
ANSWERS = [run_once(NET.data, frame) for frame in INPUTS]
CLUSTER = local("a", "b", "c")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with tracked(tmp_path):
        yield tmp_path / "edgekit" / "cluster"
        api.end(tmp_path / "edgekit" / "cluster")


def stay(home: Path, *stages: tuple[int, int, str], **more: object) -> str:
    """Deploy; the release."""
    return api.deploy_to_stay(split(NET.graph, *stages), NET.graph, NET.model, CLUSTER, home, **more).release  # type: ignore[arg-type]


class Camera:
    """Streams frames until it is told to stop, and checks what comes back."""

    def __init__(self, client: Streaming):
        self.count, self.gap_s = 0, 0.0
        self._stopped, self._sent = threading.Event(), 0
        self._client, self._error = client, None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Every frame that was sent has had its one right result."""
        self._stopped.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error
        assert self.count == self._sent

    def _inputs(self) -> Iterator[dict]:

        while not self._stopped.is_set():
            self._sent += 1
            yield INPUTS[(self._sent - 1) % 5]

    def _run(self) -> None:
        last = time.monotonic()
        try:
            for result in self._client.stream(self._inputs(), window=6):
                assert result.frame == self.count
                assert compare(result.value(), ANSWERS[result.frame % 5]).worst <= TOLERANCE
                now = time.monotonic()
                self.gap_s, last, self.count = max(self.gap_s, now - last), now, self.count + 1
        except BaseException as error:
            self._error = error


def test_a_deployment_takes_over_from_another_in_the_middle_of_a_stream_and_so_does_a_rollback(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    releases = [stay(home, (0, 2, "a"), (2, 5, "b"))]
    with connect("cluster") as client:
        camera = Camera(client)
        assert until(lambda: camera.count > 50, 30)
        for stages in ([(0, 1, "a"), (1, 3, "b"), (3, 5, "c")], [(0, 5, "c")], [(0, 2, "a|b"), (2, 5, "c")]):
            releases.append(stay(home, *stages))
            before = camera.count
            assert until(lambda before=before: camera.count > before + 50, 30)  # type: ignore[misc]
        releases.append(api.roll_back(home).release)
        before = camera.count
        assert until(lambda: camera.count > before + 50, 30)
        with api.Observer(home) as observer:
            found = {stage.plan for reply in observer._ask_all().values() for stage in reply.stages}  # type: ignore[union-attr]
            assert found == {releases[-1]}, "stages of another release are left"
        camera.stop()
    with capsys.disabled():
        print(f"\n  {camera.count} frames through four changes of plans: lost 0, longest gap {1e3 * camera.gap_s:.0f} ms")


def test_a_client_that_rests_goes_over_too_and_one_that_comes_later_finds_what_serves(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.serve.deployments.DRAIN_S", 200.0)
    stay(home, (0, 2, "a"), (2, 5, "b"))
    with connect("cluster") as client:
        assert all(result.error is None for result in client.stream(INPUTS))
        begin = time.monotonic()
        stay(home, (0, 3, "b"), (3, 5, "c"))
        assert time.monotonic() - begin < 100  # it was not waited for until patience ended
        assert all(result.error is None for result in client.stream(INPUTS))
    stay(home, (0, 5, "a"))
    with connect("cluster") as client:
        assert all(result.error is None for result in client.stream(INPUTS))


def test_a_stream_that_ends_during_a_change_of_plans_ends_whole(home: Path) -> None:
    stay(home, (0, 2, "a"), (2, 5, "b"))
    for cut in (1, 3):
        with connect("cluster") as client:
            deploying = threading.Thread(target=stay, args=(home, (0, cut, "a"), (cut, 5, "b")))
            deploying.start()
            count = 0
            while deploying.is_alive():
                count += sum(result.error is None for result in client.stream(INPUTS))
            assert count and not count % 5


def test_a_stream_whose_network_was_replaced_by_another_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.serve.deployments.DRAIN_S", 0.5)
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 0.5)
    stay(home, (0, 2, "a"), (2, 5, "b"))
    other = skipping()
    with connect("cluster") as client:
        camera = Camera(client)
        assert until(lambda: camera.count > 10, 30)
        api.deploy_to_stay(split(other.graph, (0, 5, "a")), other.graph, other.model, CLUSTER, home)
        assert until(lambda: not camera.runs, 30)
        with pytest.raises(StageError, match="a network with other inputs or outputs has been deployed in its place"):
            camera.stop()


GONE = frozenset({"b"})


def gone(home: Path, device: str) -> None:
    """End the agent of a device, with which its stages end, as if its power had failed."""
    os.kill(agent_of(home, device), signal.SIGKILL)


def agent_of(home: Path, device: str) -> int:
    (agent,) = (pid for pid, line in marked().items() if f" {home / device} " in line)
    return agent


def test_when_a_device_is_gone_the_plan_that_was_kept_for_it_takes_over(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spare: dict[frozenset[str], Plan] = {GONE: split(NET.graph, (0, 3, "a"), (3, 5, "c")), frozenset({"a"}): split(NET.graph, (0, 5, "c"))}
    stay(home, (0, 2, "a"), (2, 5, "b"), fallbacks=spare)
    with connect("cluster") as client:
        camera = Camera(client)
        assert until(lambda: camera.count > 50, 30)
        gone(home, "b")
        before = camera.count
        assert until(lambda: camera.count > before + 50, 30)
        gone(home, "a")
        before = camera.count
        assert until(lambda: camera.count > before + 50, 30)
        camera.stop()
    with capsys.disabled():
        print(f"\n  {camera.count} frames, two devices gone: lost 0, longest gap {camera.gap_s:.1f} s")
    assert find_record(home).plan == spare[frozenset({"a"})]
    eventually(lambda: not [line for line in marked().values() if f" {home / 'b'} " in line])


def test_a_device_that_wakes_up_when_its_stages_were_replaced_disturbs_nothing(home: Path) -> None:
    stay(home, (0, 2, "a"), (2, 5, "b"), fallbacks={GONE: split(NET.graph, (0, 3, "a"), (3, 5, "c"))})
    with api.attach(home) as attached:
        stage = pid_of(attached, 1)
    with connect("cluster") as client:
        camera = Camera(client)
        assert until(lambda: camera.count > 50, 30)
        agent = agent_of(home, "b")
        for pid in (agent, stage):
            os.kill(pid, signal.SIGSTOP)
        before = camera.count
        assert until(lambda: camera.count > before + 50, 60)
        assert {name for stage in find_record(home).plan.stages for name in stage.devices} == {"a", "c"}
        for pid in (stage, agent):
            os.kill(pid, signal.SIGCONT)
        before = camera.count
        assert until(lambda: camera.count > before + 2000, 60)
        camera.stop()
        stay(home, (0, 5, "c"))
        eventually(lambda: not [line for line in marked().values() if f" {home / 'b'} " in line])
        assert not find_record(home).left


def test_a_client_that_comes_when_the_device_is_gone_brings_the_plan_as_well(home: Path) -> None:
    stay(home, (0, 2, "a"), (2, 5, "b"), fallbacks={GONE: split(NET.graph, (0, 5, "a"))})
    gone(home, "b")
    told: list[str] = []
    with connect("cluster", told.append) as client:
        assert all(result.error is None for result in client.stream(INPUTS))
    assert told[0] == "b cannot be reached; bringing the plan that does without"
