"""The unit as systemd itself sees it."""

import os
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from devices.setup.paths import AGENT, PYTHON
from devices.setup.service_unit import CRON_LINE, UNIT_TEXT


def complaints(text: str, folder: Path) -> list[str]:
    """What systemd says about a unit, in a home where the agent is set up."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs tool systemd")
    python = folder / PYTHON
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    unit = folder / "edgekit-agent.service"
    unit.write_text(text)
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(["systemd-analyze", "--user", "verify", unit], env=environment, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if unit.name in line or done.returncode]


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    assert complaints(UNIT_TEXT, tmp_path) == []


@pytest.mark.parametrize("word", ["Type=notify", "WatchdogSec=20", "OOMPolicy=continue", "bin/python"])
def test_systemd_would_find_what_is_wrong(word: str, tmp_path: Path) -> None:
    assert complaints(UNIT_TEXT.replace(word, word + "x"), tmp_path)


def test_it_is_watched_restarted_and_there_after_a_boot() -> None:
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT_TEXT)
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"], service["WatchdogSec"]) == ("notify", "main", "20")
    assert (service["Restart"], unit["Unit"]["StartLimitBurst"], unit["Install"]["WantedBy"]) == ("on-failure", "5", "default.target")
    assert service["ExecStart"].split() == [f"%h/{PYTHON}", f"%h/{AGENT}", "serve"]


def test_the_line_for_cron_can_be_found_again_and_is_one_line() -> None:
    assert CRON_LINE.startswith("@reboot ") and CRON_LINE.endswith(" # edgekit")
    assert "\n" not in CRON_LINE and "%" not in CRON_LINE
