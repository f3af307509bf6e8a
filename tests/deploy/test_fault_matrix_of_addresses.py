"""The fault matrix: a device that has another address after it was away (F24), as a machine of its own with its sshd."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from devices.login import login, offered, trust
from devices.setup.paths import AGENT, PYTHON
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from tests.models import serial, split
from tests.sshbed import Bed, Host, bed, install, run


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


def named(lab: Bed, host: Host) -> None:
    """Have the client's SSH configuration say where ``rover`` is."""
    text = f"Host rover\n  HostName {host.ip}\n  User root\n  HostKeyAlias rover\n"
    (lab.client / ".ssh" / "config").write_text(text)


def moved(host: Host) -> None:
    """End all that runs there, and start it with another address."""
    host.stop()
    there = host.ip.rpartition(".")[0] + ".200"
    run("ip", "-n", host.space, "addr", "del", f"{host.ip}/24", "dev", "eth0")
    run("ip", "-n", host.space, "addr", "add", f"{there}/24", "dev", "eth0")
    host.ip = there
    host.configure()
    host.start()


def test_f24_a_device_that_has_another_address_is_found_by_its_name_and_known_by_its_certificate(lab: Bed, tmp_path: Path) -> None:
    net, base, rover = serial(), lab.board("base"), lab.host("rover")
    named(lab, rover)
    roving = replace(rover.device(), address="ssh://rover")
    trust(roving, offered(roving))
    install(rover)
    cluster = Cluster((base.device(), roving), (Link(ANY, ANY, 0.0005, 12.5e6),), name="lab")
    plan = split(net.graph, (0, 2, "base"), (2, 5, "rover"))

    def deployed() -> tuple[str, str, bytes]:
        """The release, where its second stage is, and what it answers."""
        api.deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path)
        with api.attach(tmp_path) as pipeline, pipeline.client() as client:
            (result,) = client.stream([net.inputs()])
            return pipeline.release, pipeline.addresses[0, 0, 1, 0][0], result.value()["y"].tobytes()

    first, before, answer = deployed()
    assert before == rover.ip
    moved(rover)
    named(lab, rover)
    with login(roving) as shell:
        shell.run(f"cd && {PYTHON} {AGENT} serve --daemon")  # as cron or systemd does after a boot
    second, after, again = deployed()
    assert (after, again) == (rover.ip, answer) and second != first and before != after
    with api.Observer(tmp_path) as observer:
        assert not observer.status().degraded
    api.end(tmp_path)
