"""Boards in QEMU: what answers on their line, also to clients that are not ours, and that nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead, ResetWrite
from smpclient.transport.serial import SMPSerialTransport

from devices.mcu.boards import board
from devices.mcu.emulator import Emulator, emulated
from devices.mcu.firmware_image import image
from edgekit.errors import DeviceError, UsageError
from tests.firmwarebed import needs_qemu, on_line

UID = "0badcafe"


@pytest.fixture(scope="module")
def an386() -> Iterator[Emulator]:
    found = board("mps2-an386")
    with emulated(found, image(found).elf, uid=UID) as running:
        yield running


@needs_qemu
def test_a_board_says_what_it_is(an386: Emulator) -> None:
    with on_line(an386.port) as line:
        told = line.ask(0, 0, attempts=5)
        memory = line.ask(0, 8)
    built = image(board("mps2-an386"))
    assert (told["board"], told["cpu"], told["isa"], told["uid"].hex()) == ("mps2-an386", "Cortex-M4", "dsp", UID)
    assert (told["time"], told["num"] / told["den"]) == ("insn", 1 / 1.6), "25 MHz ticks of 64 ns instructions"
    assert (told["pool"], told["flash"]) == (built.pool_bytes, built.flash_left_bytes)
    assert (memory["stack"], memory["data"], memory["lost"]) == (built.stack_bytes, built.data_bytes, 0)
    assert 0 < memory["stack_most"] < memory["stack"]


def bursts(port: str) -> None:
    """Writes close together, after which the line goes on."""
    with on_line(port) as line:
        line.ask(0, 0, attempts=5)
        for _ in range(30):
            line.line.send(b"\x06")
            line.line.send(b"\x09\n")
        assert line.ask(2, 0, {"d": "still there"}, group=0, attempts=2) == {"r": "still there"}


@needs_qemu
def test_two_writes_close_together_do_not_stop_the_line(an386: Emulator) -> None:
    bursts(an386.port)


@needs_qemu
def test_a_reset_board_has_another_boot_number(an386: Emulator) -> None:
    with on_line(an386.port) as line:
        before = line.ask(0, 0, attempts=5)["boot"]
        assert line.ask(2, 5, {}, group=0) == {}
        after = line.ask(0, 0, attempts=5)["boot"]
    assert before != after


@needs_qemu
def test_smpclient_talks_to_a_board(an386: Emulator) -> None:
    async def talk() -> tuple[str, int | None]:
        async with SMPClient(SMPSerialTransport(), an386.port) as client:
            said = await client.request(EchoWrite(d="hello"))
            size = await client.request(MCUMgrParametersRead())
            done = await client.request(ResetWrite())
            assert success(said) and success(size) and success(done)
            return said.r, size.buf_size

    assert asyncio.run(talk()) == ("hello", 1024)


@needs_qemu
def test_smpmgr_talks_to_a_board(an386: Emulator) -> None:
    program = [sys.executable, "-c", "from smpmgr.main import app; app()", "--port", an386.port, "os"]
    for words, expected in ((["echo", "hello"], "r='hello'"), (["reset"], "ResetWriteResponse")):
        done = subprocess.run([*program, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0 and expected in done.stdout, done.stdout + done.stderr


@needs_qemu
@pytest.mark.parametrize(("name", "cpu", "isa"), [("mps2-an500", "Cortex-M7", "dsp"), ("mps2-an385", "Cortex-M3", "plain")])
def test_other_boards_of_mps2_answer(name: str, cpu: str, isa: str) -> None:
    with emulated(board(name), image(board(name)).elf, uid=UID) as running, on_line(running.port) as line:
        told = line.ask(0, 0, attempts=5)
    assert (told["board"], told["cpu"], told["isa"], told["uid"].hex()) == (name, cpu, isa, UID)


@needs_qemu
def test_a_board_with_the_memories_of_an_stm32_answers() -> None:
    found = board("netduinoplus2")
    with emulated(found, image(found).elf, uid=UID) as running, on_line(running.port) as line:
        told = line.ask(0, 0, attempts=5)
        assert line.ask(2, 0, {"d": "x" * 900}, group=0) == {"r": "x" * 900}
    with emulated(found, image(found).elf, uid=UID) as running:
        bursts(running.port)
    assert told["uid"].hex() == UID
    assert 100 << 10 < told["pool"] < 128 << 10 and 900 << 10 < told["flash"] < 1024 << 10


def ended(pid: int) -> bool:
    """Whether a process is gone, or will be within some seconds."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


@needs_qemu
def test_leaving_the_context_ends_the_emulator() -> None:
    found = board("mps2-an386")
    with pytest.raises(KeyboardInterrupt), emulated(found, image(found).elf) as running:
        raise KeyboardInterrupt
    assert ended(running.process.pid)


ORPHAN = """
import sys, time
from devices.mcu.boards import board
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import image
with emulated(board("mps2-an386"), image(board("mps2-an386")).elf) as running:
    print(running.process.pid, flush=True)
    time.sleep(60)
"""


@needs_qemu
def test_a_killed_parent_takes_the_emulator_along() -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    assert ended(pid)


def test_a_board_that_qemu_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="QEMU has no stm32f746; it has .*mps2-an386"), emulated(board("stm32f746"), tmp_path / "fw.elf"):
        pass


@needs_qemu
def test_a_uid_of_another_form_is_refused() -> None:
    found = board("mps2-an386")
    with pytest.raises(UsageError, match="uid of eight hexadecimal digits, got '12'; write"), emulated(found, image(found).elf, uid="12"):
        pass


@needs_qemu
def test_a_file_that_is_not_there_is_told_with_how_it_is_made(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="none.elf is not there; .*edgekit firmware build"),
        emulated(board("mps2-an386"), tmp_path / "none.elf"),
    ):
        pass


@needs_qemu
def test_what_qemu_cannot_start_is_told_in_its_words() -> None:
    found = board("mps2-an386")
    with (
        pytest.raises(DeviceError, match="did not start: .*unsupported machine"),
        emulated(structs.replace(found, machine="mps9"), image(found).elf),
    ):
        pass
