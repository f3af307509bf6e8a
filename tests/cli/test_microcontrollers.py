"""A board at a serial port is added, looked at, checked and removed as any device is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices import inventory
from tests.cli.bed import edgekit_run
from tests.runtime.serial_line.board import at


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with at(tmp_path / "ttyACM0"):
        yield str(tmp_path / "ttyACM0")


def test_a_board_is_added_with_what_it_says_of_itself(port: str) -> None:
    assert "next: edgekit devices facts mcu" in edgekit_run("devices", "add", "mcu", f"serial:{port}").out
    (device,) = inventory.known()
    assert (device.variant.engine, device.memory_bytes, device.flash_bytes, device.insn_per_s) == ("mcu", 65536, 1 << 20, 25e6)
    shown = edgekit_run("devices", "facts", "mcu").out
    assert "bench-board 00112233" in shown and "Cortex-M4 at 25 MHz" in shown and "64 KiB for networks" in shown and "1 MiB for" in shown
    facts = json.loads(edgekit_run("devices", "facts", "mcu", "--json").out)["mcu"]
    assert facts["board"]["uid"] == "00112233" and facts["machine"]["cores"] >= 1
    assert "bench-board 00112233, Cortex-M4 at 25 MHz" in edgekit_run("devices", "check", "mcu").out
    checked = json.loads(edgekit_run("doctor", "--json").out)["findings"]
    assert [(each["check"], each["state"]) for each in checked if each["subject"] == "mcu"] == [("agent", "ok"), ("board", "ok")]
    edgekit_run("devices", "remove", "mcu")
    assert inventory.known() == ()


def test_a_board_that_does_not_answer_is_not_added(port: str) -> None:
    refused = edgekit_run("devices", "add", "mcu", f"serial:{port}1")
    assert refused.code == 3 and "is it plugged in?" in refused.err
    assert inventory.known() == ()
