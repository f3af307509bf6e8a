"""A device that is throttled, shared with others, or set otherwise meanwhile is caught and named, through agents in processes of their own.

The machine is planted: a folder takes the place of its root for agents that are started here, and a ``vcgencmd`` says what a file says.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from devices.connection import Measure, Measured
from devices.local import LocalConnection
from edgekit.files import read, write
from edgekit.profile import Profile
from profilers.measure import profiler
from tests.cli.bed import Outcome, edgekit_run, toml
from tests.models import serial
from tests.runtime.test_machine import RASPBERRY

TWO = """
[[devices]]
name = "near"
address = "local:"

[[devices]]
name = "far"
address = "local:"
speed = 0.5

[[links]]
source = "client"
receiver = "near"

[[links]]
source = "near"
receiver = "far"

[[links]]
source = "far"
receiver = "client"
"""
"""Nothing leads around either of them, so a plan has a segment on each."""

ELSEWHERE = """
import os
from edgekit.runtime.machine.sources import Here
Here.__init__.__defaults__ = (os.environ["PLANTED_ROOT"], *Here.__init__.__defaults__[1:])
"""
GOVERNOR = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
BUSY_S = 30
BUSY = f"import os, time; os.sched_setaffinity(0, {{%d}}); end = time.monotonic() + {BUSY_S}\nwhile time.monotonic() < end: pass"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a Raspberry Pi that agents find themselves on."""
    root, commands = tmp_path / "root", tmp_path / "bin"
    for name, text in RASPBERRY.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "throttled").write_text("throttled=0x0\n")
    commands.mkdir()
    (commands / "vcgencmd").write_text('#!/bin/sh\n[ "$1" = get_throttled ] && cat "$PLANTED_ROOT/throttled"\n')
    (commands / "vcgencmd").chmod(0o755)
    (commands / "sitecustomize.py").write_text(ELSEWHERE)
    monkeypatch.setenv("PLANTED_ROOT", str(root))
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{commands}:{os.environ.get('PYTHONPATH', '')}")
    return root


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network and its cluster, profiled in as few bursts as there can be."""
    monkeypatch.setattr(profiler, "MOST_BURSTS", profiler.LEAST_BURSTS)
    (tmp_path / "net.onnx").write_bytes(serial(3).data)
    toml(tmp_path, TWO)
    return tmp_path


def profiled(folder: Path, *options: object) -> Outcome:
    return edgekit_run("profile", folder / "net.onnx", "-c", folder / "cluster.toml", "-o", folder / "run", "--seconds", 0.1, *options)


@contextmanager
def busy(core: int, count: int = 2) -> Iterator[None]:
    """Processes that take a core for themselves, for half a minute at the most."""
    processes = [subprocess.Popen([sys.executable, "-S", "-c", BUSY % core]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_run_that_became_throttled_is_refused_by_name(planted: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = LocalConnection.measure

    def measure(connection: LocalConnection, request: Measure) -> tuple[Measured, bytes]:
        (planted / "throttled").write_text("throttled=0x50004\n")
        return ask(connection, request)

    monkeypatch.setattr(LocalConnection, "measure", measure)
    outcome = profiled(folder, "-d", "near")
    assert outcome.code == 3
    assert "near: what was measured is invalid, for meanwhile throttled was nothing, and is throttled" in outcome.message
    assert not list((folder / "run").glob("*.profile.json"))


def test_a_run_beside_busy_processes_is_named_contended_with_what_to_do(folder: Path) -> None:
    core = max(os.sched_getaffinity(0))
    toml(folder, f'[[devices]]\nname = "near"\naddress = "local:"\ncores = [{core}]\n')
    with busy(core):
        outcome = profiled(folder)
    profile = read(folder / "run/near.profile.json", Profile)
    assert profile.conditions.contended and (profile.conditions.wall_over_cpu or 0) > 1.1
    assert f"contended {profile.conditions.wall_over_cpu:.2f}" in outcome.out
    assert "something else used its processor meanwhile" in outcome.out and "pin the device to cores of its own" in outcome.out
    quiet = msgspec.structs.replace(profile, conditions=msgspec.structs.replace(profile.conditions, wall_over_cpu=1.02))
    assert not quiet.conditions.contended


def test_a_governor_changed_after_the_profile_makes_it_stale_by_name(planted: Path, folder: Path) -> None:
    assert profiled(folder).code == 0
    (planted / GOVERNOR).write_text("powersave\n")
    command = ("partition", folder / "net.onnx", "-c", folder / "cluster.toml", "-p", folder / "run", "-o", folder / "front.json")
    assert edgekit_run(*command).code == 0  # what was measured is still what it was
    outcome = edgekit_run(*command, "--measure")
    assert outcome.code == 3
    assert "is stale: governors was ondemand, and is powersave; run edgekit profile again" in outcome.message


def test_two_profiles_tell_what_an_update_changed(planted: Path, folder: Path) -> None:
    assert profiled(folder, "-d", "near").code == 0
    before = read(folder / "run/near.profile.json", Profile)
    write(
        folder / "older.profile.json",
        msgspec.structs.replace(before, conditions=msgspec.structs.replace(before.conditions, engines=("onnxruntime 1.20",))),
    )
    (planted / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
    (planted / GOVERNOR).write_text("performance\n")
    assert profiled(folder, "-d", "near").code == 0
    shown = edgekit_run("profile", "--diff", folder / "older.profile.json", folder / "run/near.profile.json")
    assert f"engines was onnxruntime 1.20, and is {before.conditions.engines[0]}" in shown.out
    assert "system was Debian GNU/Linux 12 (bookworm), and is Debian GNU/Linux 13 (trixie)" in shown.out
    assert "governors was ondemand, and is performance" in shown.out
    again = edgekit_run("profile", "--diff", folder / "older.profile.json", folder / "run/near.profile.json", "--json")
    assert [change["field"] for change in json.loads(again.out)["changes"]] == ["engines", "system", "governors"]
