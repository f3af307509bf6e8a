"""Set-up, wheels, facts, profiling and pipelines on a machine whose programs are not for this one's processor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import connect
from devices.facts import machine_of
from devices.login import login, offered, trust
from devices.setup import remove, setup
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device
from tests.armbed import aarch64, emulated
from tests.models import serial, split
from tests.sshbed import Bed, Host, bed

pytestmark = pytest.mark.nightly

CACHE = Path("~/.cache").expanduser()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


@pytest.fixture(scope="module")
def pi(lab: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A machine that has nothing of ours yet."""
    with aarch64(CACHE, tmp_path_factory.mktemp("arm")) as system:
        made = lab.host("pi", system=system)
        trust(made.device(), offered(made.device()))
        yield made
        made.stop()  # before qemu is taken away from it


def files(host: Host) -> list[str]:
    return sorted(str(path.relative_to(host.home)) for path in host.home.rglob("*"))


def test_a_machine_of_another_architecture_is_set_up_profiled_used_and_left(pi: Host) -> None:
    before = files(pi)
    with login(pi.device()) as shell:
        machine = machine_of(shell)
        assert (machine.architecture, machine.bits) == ("aarch64", 64)
        assert {outcome.state for outcome in setup(shell, machine, offline=True)} == {"ok", "changed"}
        assert {outcome.state for outcome in setup(shell, machine, offline=True)} == {"ok"}
    net = serial()
    cluster = Cluster((pi.device(), Device("here")), (Link(ANY, ANY, 0.001, 1e7),), name="mixed")
    with connect(pi.device()) as connection:
        facts = connection.facts()
        assert facts.machine.architecture == "aarch64" and facts.onnxruntime and "CPUExecutionProvider" in facts.providers
    profile = api.profile(net.graph, net.model, cluster, ["pi"], budget_s=0.1)["pi"]
    assert profile.conditions.machine == "aarch64" and profile.coverage == 1
    assert {unit for kernel in profile.kernels for unit in kernel.units} == set(range(len(net.graph.units)))
    with api.deploy(split(net.graph, (0, 2, "here"), (2, 5, "pi")), net.graph, net.model, cluster) as pipeline:
        pids = [stage.pid for stage in pipeline.logs()["pi"].stages]
        assert len(pids) == 1 and emulated(pids[0])
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance
        with pipeline.client() as client:
            assert [result.frame for result in client.stream([net.inputs()] * 3)] == [0, 1, 2]
    with login(pi.device()) as shell:
        remove(shell)
    assert files(pi) == before
