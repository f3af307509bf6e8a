"""The command itself: quick to answer, and clear about how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from edgekit import __version__
from edgekit.cli.app import PANELS, ROAD, app
from edgekit.errors import DeviceError, PromiseError, UsageError
from tests.cli.bed import ROOT, edgekit_run


def test_help_names_every_command_on_the_road_and_exit_code() -> None:
    outcome = edgekit_run("--help")
    assert outcome.code == 0
    first = [line.split()[1] for line in outcome.out.splitlines() if line.startswith("│ ") and line[2] != " "]
    commands = [word for word in first if not word.startswith("-")]
    assert commands == [name for name in PANELS if name in commands], "in the order of the road"
    assert set(commands) == set(get_command(app).commands) and "deploy" in commands
    panels = [line.split(" ─")[0].removeprefix("╭─ ") for line in outcome.out.splitlines() if line.startswith("╭─ ")]
    assert panels == ["Options", *ROAD]
    assert "0 done, 1 a promise was missed, 2 wrong use, 3 a device failed, 130 interrupted" in " ".join(outcome.out.split())
    assert edgekit_run("--version").out == f"edgekit {__version__}\n"


@pytest.mark.parametrize("line", ["", "partition", "devices", "devices add", "dev", "dev chaos"])
def test_a_short_option_asks_for_help_everywhere(line: str) -> None:
    short, long = (edgekit_run(*line.split(), option) for option in ("-h", "--help"))
    assert short.code == long.code == 0 and short.out == long.out and "Usage: " in short.out


HEAVY = {"cryptography", "matplotlib", "msgspec", "numpy", "onnx", "onnxruntime", "paramiko", "scipy", "torch"}


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("--help", set()),
        ("partition --help", set()),
        ("--version", set()),
        ("devices list", {"msgspec"}),
        ("status", {"msgspec"}),
        ("inspect net.onnx", {"msgspec", "numpy", "onnx"}),
    ],
)
def test_a_command_imports_only_what_it_needs(line: str, needed: set[str], tmp_path: Path) -> None:
    script = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); from edgekit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *line.split()],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert HEAVY & set(done.stderr.split()) == needed


@pytest.mark.parametrize(("error", "code"), [(PromiseError, 1), (UsageError, 2), (DeviceError, 3)])
def test_an_error_is_one_line_unless_more_is_asked_for(monkeypatch: pytest.MonkeyPatch, error: type[Exception], code: int) -> None:
    def fail(*_: object) -> None:
        raise error("expected this, got that; do so")

    monkeypatch.setattr("edgekit.api.load", fail)
    outcome = edgekit_run("inspect", "net.onnx")
    assert (outcome.code, outcome.out, outcome.err) == (code, "", "error: expected this, got that; do so\n")
    outcome = edgekit_run("-v", "inspect", "net.onnx")
    assert outcome.code == code and "Traceback" in outcome.err
    assert outcome.message == "error: expected this, got that; do so"


def test_stop_all_says_which_folders_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    assert edgekit_run("stop", "--all").out == "edgekit has no folder here\n"
    (tmp_path / "XDG_CONFIG_HOME" / "edgekit").mkdir(parents=True)
    assert edgekit_run("stop", "--all").out == f"to remove what edgekit has on this machine: rm -r {tmp_path}/XDG_CONFIG_HOME/edgekit\n"
