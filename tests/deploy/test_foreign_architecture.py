"""Set-up, wheels, facts, profiling and pipelines on a machine whose programs are not for this one's processor."""

import time
from collections.abc import Iterator

import pytest

from devices import connect
from devices.login import login, offered, trust
from devices.setup.procedure import remove, setup
from devices.setup.shell_facts import machine_of
from edgekit import api, folders
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device
from tests.armbed import aarch64, emulated
from tests.models import serial, split
from tests.sshbed import Bed, Host, bed

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]  # what sets up and runs there takes twenty times as long as here

CACHE = folders.cache().parent
NET = serial(4)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        patch.setenv("XDG_CACHE_HOME", str(CACHE))  # wheels are fetched once for all runs
        yield made


@pytest.fixture(scope="module")
def bare(lab: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A machine that has nothing of ours."""
    with aarch64(CACHE, tmp_path_factory.mktemp("arm")) as system:
        made = lab.host("pi", system=system)
        trust(made.device(), offered(made.device()))
        yield made
        made.stop()  # before qemu is taken away from it


@pytest.fixture(scope="module")
def pi(bare: Host) -> Iterator[Host]:
    """It was set up with wheels from here, and is as it was afterwards."""
    before = files(bare)
    with login(bare.device()) as shell:
        outcomes = setup(shell, machine_of(shell), offline=True)
        changed = [outcome.step for outcome in outcomes if outcome.state == "changed"]
        assert (changed, outcomes[-1].state) == (["venv", "packages", "agent", "service"], "ok"), outcomes[-1].text
        yield bare
        remove(shell)
    assert files(bare) == before
    assert bare.processes() == []


@pytest.fixture(scope="module")
def cluster(pi: Host) -> Cluster:
    return Cluster((pi.device(), Device("here")), (Link(ANY, ANY, 0.001, 1e7),), name="mixed")


def files(host: Host) -> dict[str, object]:
    return {str(path.relative_to(host.home)): path.read_bytes() if path.is_file() else None for path in host.home.rglob("*")}


def test_a_machine_that_was_set_up_needs_no_more(pi: Host) -> None:
    with login(pi.device()) as shell:
        assert {outcome.state for outcome in setup(shell, machine_of(shell), offline=True)} == {"ok"}


def test_its_facts_are_those_of_its_own_programs(pi: Host) -> None:
    with login(pi.device()) as shell:
        begin = time.monotonic()
        bare = machine_of(shell)
        took_s = time.monotonic() - begin
        assert shell.run("uname -m").out == "aarch64\n"
    with connect(pi.device()) as connection:
        facts = connection.facts()
    for machine in (bare, facts.machine):
        assert (machine.architecture, machine.bits, machine.processor) == ("aarch64", 64, "Cortex-A72")
    assert bare.clock_offset_s is not None and abs(bare.clock_offset_s) < took_s / 4  # it has our clock
    assert facts.engines and "CPUExecutionProvider" in facts.providers


def test_every_unit_is_profiled_there(cluster: Cluster) -> None:
    profile = api.profile(NET.graph, NET.model, cluster, devices=["pi"], budget_s=0.1)["pi"]
    assert (profile.conditions.machine, profile.conditions.processor, profile.coverage) == ("aarch64", "Cortex-A72", 1)
    assert {unit for kernel in profile.kernels for unit in kernel.units} == {0, 1, 2, 3}
    assert all(kernel.seconds > 0 for kernel in profile.kernels)


def test_the_doctor_finds_nothing_that_keeps_it_from_its_neighbours(cluster: Cluster) -> None:
    found = {(finding.subject, finding.check): finding for finding in api.examine(cluster.devices)}
    assert [finding.text for finding in found.values() if finding.state == "failed"] == []
    assert {subject for subject, check in found if check == "data port"} == {"pi → here", "here → pi", "client → pi", "client → here"}


@pytest.mark.parametrize("order", [("here", "pi"), ("pi", "here")])
def test_a_network_split_between_it_and_this_machine_gives_what_the_whole_gives(cluster: Cluster, order: tuple[str, str]) -> None:
    plan = split(NET.graph, (0, 2, order[0]), (2, 4, order[1]))
    with api.deploy(plan, NET.graph, NET.model, cluster) as pipeline:
        assert [emulated(stage.pid) for stage in pipeline.logs()["pi"].stages] == [True]
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance
        with pipeline.client() as client:
            assert [result.frame for result in client.stream([NET.inputs()] * 3)] == [0, 1, 2]
