"""A board in QEMU that is plugged into a machine over SSH, which is a device itself: the whole way, and what fails on it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from devices import connect, inventory
from devices.mcu.boards import board
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import image
from devices.setup.paths import ROOT
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device, Variant
from edgekit.plan import Stage, chain
from tests.cli.bed import edgekit_run
from tests.deploy.test_board_in_pipeline import RATE, right, small
from tests.firmwarebed import needs_qemu
from tests.sshbed import Bed, Host, bed, run

UID = "00c0ffee"
BOARD = board("mps2-an386")
HOLD = """import sys
from edgekit.runtime.serial_line.serial_port import SerialPort
port = SerialPort(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""

pytestmark = needs_qemu


@pytest.fixture(scope="module")
def elf() -> Path:
    return image(BOARD).elf


@pytest.fixture(scope="module")
def lab(elf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


@pytest.fixture(scope="module")
def gate(lab: Bed) -> Host:
    return lab.board("gate")


@pytest.fixture(scope="module")
def port(elf: Path) -> Iterator[str]:
    with emulated(BOARD, elf, uid=UID) as running:
        yield running.port


def told(gate: Host, port: str) -> str:
    """Why no board answers behind a gateway."""
    with connect(Device("mcu", gate.address, port=port)) as connection:
        facts = connection.facts()
    assert facts.board is None and facts.machine.cores >= 1
    return facts.boardless


def test_a_board_is_known_with_what_it_says_behind_its_gateway(gate: Host, port: str) -> None:
    key = run("ssh-keygen", "-lf", gate.folder / "hostkey.pub").split()[1]
    assert edgekit_run("devices", "add", "mcu", gate.address, "--port", port, "--fingerprint", key).code == 0
    (device,) = inventory.known()
    assert (device.variant.engine, device.insn_per_s) == ("mcu", BOARD.clock_hz) and device.memory_bytes and device.flash_bytes
    assert f"port {port}" in edgekit_run("devices", "list").out
    facts = msgspec.json.decode(edgekit_run("devices", "facts", "mcu", "--json").out)["mcu"]
    assert facts["board"]["uid"] == UID and facts["machine"]["home"] == "/mnt"


def test_a_gateway_is_the_head_of_a_pipeline_and_its_board_the_tail(gate: Host, port: str, tmp_path: Path) -> None:
    net, count = small(), len(small().graph.units)
    mcu, head = Device("mcu", gate.address, host="gate", port=port, insn_per_s=RATE), Device("gate", gate.address, host="gate")
    cluster = Cluster((head, mcu), (Link(ANY, ANY, 1e-4, 1e8),))
    plan = chain(net.graph, (Stage(0, 1, ("gate",), Variant("int8")), Stage(1, count, ("mcu",), mcu.variant)))
    with deploy(plan, net.graph, net.model, cluster, home=tmp_path) as pipeline:
        assert pipeline.equality is not None and pipeline.equality.bit_equal
        held = pipeline.connections["mcu"].facts()
        assert held.held == "stage 1@mcu"
        pipeline.stop()
        pipeline.connections["mcu"].stop()


def test_a_board_that_comes_back_at_another_port_is_found(elf: Path, gate: Host, tmp_path: Path) -> None:
    first, second = tmp_path / "ttyACM0", tmp_path / "ttyACM1"
    with ExitStack() as plugged, ExitStack() as again:
        first.symlink_to(plugged.enter_context(emulated(BOARD, elf, uid=UID)).port)

        def moves() -> None:
            plugged.close()
            first.unlink()
            second.symlink_to(again.enter_context(emulated(BOARD, elf, uid=UID)).port)

        right(small(), Device("mcu", gate.address, port=str(first), insn_per_s=RATE), disturb={3: moves})


def test_a_port_that_is_not_there_is_told_with_its_gateway(gate: Host) -> None:
    expected = f"{gate.address}: /dev/ttyACM7: expected the port of a board, there is none; is it plugged in? Its machine has"
    assert told(gate, "/dev/ttyACM7").startswith(expected)


def test_a_port_that_a_program_of_the_gateway_uses_is_told(gate: Host, port: str) -> None:
    command = ["ip", "netns", "exec", gate.space, sys.executable, "-c", HOLD, port]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        said = told(gate, port)
        holder.communicate()
    assert said.startswith(f"{gate.address}: {port} is in use by process ") and "end that first" in said


def test_a_gateway_without_the_packages_of_a_board_says_so(lab: Bed, port: str) -> None:
    bare = lab.board("bare")
    without_packages(bare, "smp", "serial")
    assert told(bare, port).startswith(f"{bare.address}: {port}: smp and pyserial not installed where the board is plugged in; run: ")


def without_packages(host: Host, *names: str) -> None:
    """Give its agent the packages of this machine but some."""
    venv, here = host.home / ROOT / "venv", Path(msgspec.__file__).parents[1]
    venv.unlink()
    site = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for folder in (venv / "bin", site):
        folder.mkdir(parents=True)
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    (venv / "bin" / "python").symlink_to(base)
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    for each in here.iterdir():
        if each.name not in names:
            (site / each.name).symlink_to(each)
