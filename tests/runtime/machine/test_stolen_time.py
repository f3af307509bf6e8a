"""Time that a hypervisor takes, as proc(5) counts it."""

import os
import time
from pathlib import Path

import pytest

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.machine.stolen_time import Stolen


def stat(root: Path, steal: str) -> Here:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text(f"cpu  10 0 10 500 0 0 0{steal}\ncpu0 5 0 5 250 0 0 0{steal}\n")
    return Here(str(root))


def test_the_share_is_that_of_all_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    stolen = Stolen(stat(tmp_path, " 1000 0 0"))
    now[0] += 2.0  # four processors had eight seconds; 40 ticks of 10 ms were taken
    stat(tmp_path, " 1040 0 0")
    assert stolen.share() == pytest.approx(0.4 / 8)
    stat(tmp_path, " 1001 0 0")
    assert stolen.share() == 0  # one tick may be a sliver


def test_a_machine_that_does_not_count_it_has_nothing_taken(tmp_path: Path) -> None:
    assert Stolen(stat(tmp_path, "")).share() == 0
    assert Stolen(Here(str(tmp_path / "none"))).share() == 0
