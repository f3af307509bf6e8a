"""The commands about microcontrollers."""

import re
import signal
from pathlib import Path

import pytest

from tests.cli.bed import edgekit_run, processes, started, until
from tests.firmwarebed import needs_cross_compiler, needs_qemu, on_line

DATA = Path(__file__).parents[3] / "shared" / "data" / "mcu"


def network(name: str) -> Path:
    """One of the networks for microcontrollers that are there to be measured."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"needs data {path}")
    return path


@needs_cross_compiler
def test_build_writes_a_firmware_and_tells_its_sizes(tmp_path: Path) -> None:
    elf = tmp_path / "new" / "fw.elf"
    done = edgekit_run("firmware", "build", "--board", "netduinoplus2", "-o", elf)
    assert done.code == 0, done.err
    assert elf.read_bytes()[:4] == b"\x7fELF" and elf.with_suffix(".map").is_file()
    assert re.search(r"for netduinoplus2: \d+\.\d KiB code, 0 B weights, \d+ KiB of flash left", done.out)
    ways = f"edgekit firmware flash {elf} --board netduinoplus2 --port PORT; or edgekit firmware run {elf} --emulate netduinoplus2"
    assert f"next: {ways}\n" in done.out


@needs_cross_compiler
@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_build_puts_the_weights_of_a_network_into_flash(tmp_path: Path, suffix: str) -> None:
    elf = tmp_path / "fw.elf"
    done = edgekit_run("firmware", "build", network(f"resnet8_quant.{suffix}"), "--board", "netduinoplus2", "-o", elf)
    assert done.code == 0, done.err
    weights = re.search(r"code, (\d+\.\d) KiB weights", done.out)
    assert weights is not None and 70 < float(weights[1]) < 90
    assert b"EKW1" in elf.read_bytes()


def test_build_names_the_file_that_it_cannot_take(tmp_path: Path) -> None:
    for suffix in ("tflite", "onnx"):
        path = tmp_path / f"net.{suffix}"
        done = edgekit_run("firmware", "build", path, "--board", "netduinoplus2")
        assert done.code == 2 and f"{path}: " in done.message and "No such file" in done.message
        path.write_bytes(b"nothing of the kind")
        done = edgekit_run("firmware", "build", path, "--board", "netduinoplus2")
        assert done.code == 2 and f"{path}: expected " in done.message and "got 19 bytes" in done.message


def test_what_is_no_firmware_is_not_run_and_not_flashed(tmp_path: Path) -> None:
    elf = tmp_path / "fw.elf"
    elf.write_bytes(b"nothing of the kind")
    for words in (("run", "--emulate", "mps2-an386", elf), ("flash", "--board", "stm32f746", elf)):
        done = edgekit_run("firmware", *words)
        assert done.code == 2 and f"{elf}: expected a firmware, got another file; to make one: edgekit" in done.message


def test_build_names_the_boards_there_are(tmp_path: Path) -> None:
    done = edgekit_run("firmware", "build", "--board", "uno", "-o", tmp_path / "fw.elf")
    assert done.code == 2 and "no board is called 'uno'; there are" in done.message


@needs_cross_compiler
def test_flash_without_its_program_prints_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elf = tmp_path / "fw.elf"
    assert edgekit_run("firmware", "build", "--board", "netduinoplus2", "-o", elf).code == 0
    done = edgekit_run("firmware", "flash", elf, "--board", "netduinoplus2", "--port", "/dev/ttyUSB7")
    assert done.code == 0, done.err
    assert f"stm32loader -p /dev/ttyUSB7 -f F4 -e -w -v {elf.with_suffix('.bin')}" in done.out
    assert int.from_bytes(elf.with_suffix(".bin").read_bytes()[:4], "little") == 0x20000000 + 4096, "the vectors begin with the stack"


@needs_cross_compiler
def test_flash_runs_the_program_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, elf = tmp_path / "pyocd", tmp_path / "fw.elf"
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\nexit $(cat {tmp_path}/code)\n')
    tool.chmod(0o755)
    elf.write_bytes(b"\x7fELF")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "code").write_text("0")
    assert edgekit_run("firmware", "flash", elf, "--board", "stm32f746").code == 0
    assert (tmp_path / "said").read_text().split() == ["load", "--target", "stm32f746ng", str(elf)]
    (tmp_path / "code").write_text("4")
    done = edgekit_run("firmware", "flash", elf, "--board", "stm32f746")
    assert done.code == 3 and "pyocd ended with code 4" in done.message


def test_flash_says_what_a_board_lacks(tmp_path: Path) -> None:
    elf = tmp_path / "fw.elf"
    elf.write_bytes(b"\x7fELF")
    assert (
        "has no flash to write; to run its firmware: edgekit firmware run"
        in edgekit_run("firmware", "flash", elf, "--board", "mps2-an386").message
    )
    assert "say which: --port" in edgekit_run("firmware", "flash", elf, "--board", "netduinoplus2").message
    assert (
        "is not there; to make it: edgekit firmware build"
        in edgekit_run("firmware", "flash", tmp_path / "no", "--board", "stm32f746").message
    )


@needs_qemu
def test_run_prints_the_port_and_ends_its_emulator_at_ctrl_c(tmp_path: Path) -> None:
    process = started("firmware", "run", "--emulate", "mps2-an386", "--uid", "00c0ffee", temp=tmp_path, state=tmp_path)
    try:
        assert process.stdout is not None
        port = re.search(r"serial port is (\S+)", process.stdout.readline())
        assert port is not None
        assert process.stdout.readline() == f"next, in another terminal: edgekit devices add board serial:{port[1]}\n"
        with on_line(port[1]) as line:
            assert line.ask(0, 0, attempts=5)["uid"].hex() == "00c0ffee"
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "the emulator has ended" in said
    assert until(lambda: not processes(tmp_path)), processes(tmp_path)


def test_run_names_boards_that_qemu_has() -> None:
    done = edgekit_run("firmware", "run", "--emulate", "stm32f746", Path(__file__))
    assert done.code == 2 and "QEMU has no stm32f746; it has mps2-an385, " in done.message
