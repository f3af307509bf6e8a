"""The fault matrix: models, disks, memory and clocks of a device that fail (F16, F17, F19, F21); what served before goes on to serve."""

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from devices.local import LocalConnection, connect
from edgekit import api
from edgekit.deploy.client.client import Client
from edgekit.deploy.client.client_links import Target
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError, GraphError
from edgekit.graph import Tensor
from edgekit.plan import Plan
from edgekit.runtime.verbs import Port, Run
from tests.deploy.test_fault_matrix import NET, served
from tests.models import local, split
from tests.runtime.bed import X, Y, eventually, spec, tracked, written

CLUSTER = local("a", "b")
FIRST, SECOND = (split(NET.graph, (0, cut, "a"), (cut, 5, "b")) for cut in (2, 3))
UNKNOWN = "net (float[4] x) => (float[4] y) { y = Frobnicate(x) }"
HUGE = "net (float[4] x) => (float[4] y) <int64[2] n = {268435456, 4}> { e = Expand(x, n)  y = ReduceMax<axes = [0], keepdims = 0>(e) }"
GROWING = "net (int64[1] i) => (float[1] y) <float[1] one = {1.0}> { e = Expand(one, i)  y = ReduceMax<axes = [0], keepdims = 1>(e) }"
INDEX, FOUND = Tensor("i", (1,), "int64"), Tensor("y", (1,), "float32")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with tracked(tmp_path):
        yield tmp_path / "h"
        api.end(tmp_path / "h")


def serving(home: Path) -> str:
    """The release that serves, proven by frames."""
    with api.attach(home) as pipeline:
        served(pipeline, 10)
        return pipeline.release


def stay(home: Path, plan: Plan = FIRST) -> str:
    return api.deploy_to_stay(plan, NET.graph, NET.model, CLUSTER, home).release


def truncated(data: bytes) -> bytes:
    return data[:-20]


def rubbish(data: bytes) -> bytes:
    return b"rubbish" * 100


def one_bit_off(data: bytes) -> bytes:
    """In the middle of a weight: it would load, and compute something else."""
    return data[: len(data) // 2] + bytes((data[len(data) // 2] ^ 1,)) + data[len(data) // 2 + 1 :]


def pid_of(agent: LocalConnection) -> int:
    """The process of an agent, which writes its number down soon after it can be reached."""
    eventually(lambda: (agent.folder / "agent.pid").is_file() and (agent.folder / "agent.pid").read_text().endswith("\n"))
    return int((agent.folder / "agent.pid").read_text())


def test_f16_a_model_that_a_disk_has_damaged_is_never_loaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stay(home)
    put = LocalConnection.put
    for damage in (truncated, rubbish, one_bit_off):

        def damaging(self: LocalConnection, data: bytes, damage: Callable[[bytes], bytes] = damage) -> str:
            digest: str = put(self, data)
            if self.device.name == "b":
                (self.folder / "store" / digest).write_bytes(damage(data))
            return digest

        with monkeypatch.context() as patch:
            patch.setattr(LocalConnection, "put", damaging)
            with pytest.raises(DeviceError, match="^b: the file .* has been damaged, and is forgotten; deploy again"):
                stay(home, SECOND)
    assert serving(home) == first
    assert stay(home, SECOND) == serving(home) != first


def test_f16_a_model_with_an_operator_that_is_unknown_or_too_large_for_memory_is_refused_by_name(home: Path) -> None:
    first = stay(home)
    with connect(Device("b"), home) as agent:
        with pytest.raises(GraphError, match="^b: .*onnxruntime .* refuses the model.*Frobnicate"):
            agent.load(spec(agent.put(written(UNKNOWN))))
        pid = pid_of(agent)
        before = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (3 << 30, before[1]))
        try:
            with pytest.raises(EdgekitError, match=r"^b: .*[Ff]ailed to allocate memory .*4294967296"):
                agent.load(spec(agent.put(written(HUGE))))
        finally:
            resource.prlimit(pid, resource.RLIMIT_AS, before)
    assert serving(home) == first


@contextmanager
def mounted(*arguments: str, at: Path) -> Iterator[None]:
    """Something mounted there meanwhile."""
    subprocess.run(["mount", *arguments, str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs hardware root: a disk of a few megabytes")
def test_f17_a_disk_that_is_full_or_cannot_be_written_fails_a_deployment_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "h"
    (home / "b").mkdir(parents=True)
    with tracked(tmp_path), mounted("-t", "tmpfs", "-o", "size=24m", "tmpfs", at=home / "b"), ended(home):
        first = stay(home)
        filler = home / "b" / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(64 * 1024))
                file.flush()
        with pytest.raises(DeviceError, match="^b: .*; free some space$"):
            stay(home, SECOND)
        assert serving(home) == first
        assert not list((home / "b" / "store").glob("*.part"))
        filler.unlink()
        store = home / "b" / "store"
        with mounted("--bind", str(store), at=store):
            subprocess.run(["mount", "-o", "remount,bind,ro", str(store)], check=True)
            with pytest.raises(DeviceError, match="^b: .*Read-only file system"):
                stay(home, SECOND)
            assert serving(home) == first
        assert stay(home, SECOND) == serving(home) != first


@contextmanager
def ended(home: Path) -> Iterator[None]:
    """End what was deployed, also after a failure."""
    try:
        yield
    finally:
        api.end(home)


@contextmanager
def confined(pid: int, nbytes: int) -> Iterator[None]:
    """A process, and those that it starts, in a control group with so much memory."""
    old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root, cap = (old, "memory.limit_in_bytes") if old.is_dir() else (new, "memory.max")
    group = root / f"edgekit-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / cap).write_text(str(nbytes))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"needs hardware root: memory control groups ({error})")
    try:
        yield
    finally:
        for each in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (root / "cgroup.procs").write_text(each)
        eventually(lambda: _removed(group))


def _removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def test_f19_a_stage_that_the_system_kills_for_its_memory_says_so_and_comes_back(home: Path) -> None:
    with connect(Device("b"), home) as agent, confined(pid_of(agent), 256 << 20):
        with pytest.raises(DeviceError, match=r"killed; the usual cause is memory: choose a smaller stage"):
            agent.load(spec(agent.put(written(HUGE)), (X,), (Y,)))
        there, _ = agent.load(spec(agent.put(written(GROWING)), (INDEX,), (FOUND,)))
        agent.run(Run(plan="plan", stage=0, replica=0, receivers=()))
        address = (there.host, there.port)
        ports = ((Port(end=0, replicas=1, tensors=(FOUND,)),), (Port(end=0, replicas=1, tensors=(INDEX,)),))
        with Client(Target("plan", ports, {("client", 0, 0, 0): address, (0, 0, "client", 0): address}, ["stage 0@b"])) as client:
            results = list(client.stream({"i": np.array([n])} for n in (1, 1000, 1 << 28, 1000, 1)))
        assert [result.error is None for result in results] == [True, True, False, True, True]
        assert "frame 2 failed: stage 0@b is lost" in str(results[2].error)
        assert "killed; the usual cause is memory" in agent.logs().text
        agent.stop("plan")


CLOCK = """
import pathlib, time
_real, _shift = time.time, pathlib.Path({path!r})
time.time = lambda: _real() + float(_shift.read_text())
"""


def test_f21_a_clock_that_jumps_is_not_noticed_and_one_in_1970_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shift = tmp_path / "shift"
    (tmp_path / "sitecustomize.py").write_text(CLOCK.format(path=str(shift)))

    def jump(seconds: float) -> None:
        shift.with_suffix(".new").write_text(str(seconds))
        shift.with_suffix(".new").replace(shift)

    def jumps() -> None:
        for seconds in (3600, -3600, 0):
            jump(seconds)
            time.sleep(0.3)

    jump(0)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with deploy(FIRST, NET.graph, NET.model, CLUSTER) as pipeline:
        over = threading.Event()

        def until_over() -> None:
            jumps()
            over.set()

        assert served(pipeline, 600, 20, until_over) < 2.5  # less than a silent peer would be given
        assert over.is_set()
    jump(-time.time())
    with (
        pytest.raises(DeviceError, match=r"the clock of this device says 1970-01-01 .*; set the clock"),
        deploy(FIRST, NET.graph, NET.model, CLUSTER),
    ):
        pass
