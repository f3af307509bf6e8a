"""The command line, in this process and in one of its own, and a look at what it left behind."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import typer.testing

import edgekit.cli.auto
import edgekit.cli.bench
import edgekit.cli.board_fits
import edgekit.cli.chaos
import edgekit.cli.cluster
import edgekit.cli.devices
import edgekit.cli.doctor
import edgekit.cli.firmware
import edgekit.cli.init
import edgekit.cli.network
import edgekit.cli.partition
import edgekit.cli.pipeline
import edgekit.cli.stop
import edgekit.cli.survey
import edgekit.cli.tune
import edgekit.cli.watching  # noqa: F401  # importing them registers their commands
from edgekit.cli.app import app

__all__ = ["Outcome", "edgekit_run", "processes", "started", "toml", "until"]

ROOT = Path(__file__).parents[2]


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str
    data: bytes

    @property
    def message(self) -> str:
        """The last line on standard error."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


def edgekit_run(*arguments: object, given: bytes | None = None) -> Outcome:
    """Run a command here; an error that is not ours comes through as it is."""
    result = typer.testing.CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout_bytes.decode(errors="replace"), result.stderr, result.stdout_bytes)


def started(*arguments: object, temp: Path, state: Path, before: str = "") -> subprocess.Popen[str]:
    """Start a command in a process of its own, with its own folders for work, temporary files and agents."""
    script = f"{before}\nfrom edgekit.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", script, *map(str, arguments)],
        cwd=temp,  # what it writes without saying where must not land in the checkout
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temp), "XDG_STATE_HOME": str(state)},
        start_new_session=True,
    )


def processes(temp: Path) -> list[str]:
    """Command lines of our processes that were started with this temporary folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={temp}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found += [line] if "edgekit" in line or "devices.shaper" in line else []
        except OSError:
            continue  # it has ended, or is not ours
    return found


def until(true, seconds: float = 10.0) -> bool:
    """Whether something comes true in time."""
    end_s = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def left_over() -> list[str]:
    """What this process left in the temporary folder."""
    return sorted(path.name for path in Path(tempfile.gettempdir()).glob("edgekit-*"))


def toml(folder: Path, text: str, name: str = "cluster.toml") -> Path:
    """Write a cluster."""
    (folder / name).write_text(text)
    return folder / name
