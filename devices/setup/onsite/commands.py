"""Commands and files on the device, and how failing is told."""

import subprocess
from pathlib import Path

__all__ = ["Failed", "must", "quiet", "text"]

COMMAND_S = 3000.0
MOST_TOLD = 6000


class Failed(Exception):
    """What the user is told."""


def quiet(command: list[str]) -> str | None:
    """What a command prints; None where it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=COMMAND_S)
    except OSError:
        return None
    return None if done.returncode else done.stdout


def must(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a command that has to succeed.

    Raises:
        Failed: it does not; with all that it said.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        cwd=cwd,
        timeout=COMMAND_S,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{done.stdout[-MOST_TOLD:].strip()}\n{' '.join(command)[:80]} failed with exit code {done.returncode}".strip())


def text(path: Path) -> str:
    """What a file says; nothing where there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
