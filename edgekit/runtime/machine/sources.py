"""Files, commands and libraries of a machine, which may be absent, unreadable, slow or full of nonsense."""

from __future__ import annotations

import glob
import os
import subprocess
from typing import Any

__all__ = ["Here"]

COMMAND_S = 3.0
MOST_BYTES = 1 << 20


class Here:
    """This machine, or a tree of files recorded from another one; ``missing`` collects why something could not be read."""

    def __init__(self, root: str = "/", commands: dict[str, str] | None = None, libraries: dict[str, Any] | None = None):
        self.root = root
        self.missing: dict[str, str] = {}
        self._commands = commands
        self._libraries = {} if libraries is None and commands is not None else libraries

    def path(self, path: str) -> str:
        """Where a path of the machine is."""
        return os.path.join(self.root, path.lstrip("/"))

    def text(self, path: str, field: str = "") -> str | None:
        """What a file says, without the space around it; device-tree files end with a zero byte."""
        try:
            with open(self.path(path), "rb") as file:
                return file.read(MOST_BYTES).decode("utf-8", "replace").strip("\0 \t\r\n")
        except OSError as error:
            self.lacks(field, f"{path}: {error.strerror}")
            return None

    def number(self, path: str, field: str = "") -> int | None:
        """The number that a file holds."""
        found = self.text(path, field)
        if found is None:
            return None
        try:
            return int(found, 0) if found.startswith("0x") else int(found)
        except ValueError:
            self.lacks(field, f"{path}: not a number: {found[:40]!r}")
            return None

    def lines(self, path: str, field: str = "") -> list[str]:
        """The lines of a file; none where there is no such file."""
        return (self.text(path, field) or "").splitlines()

    def glob(self, pattern: str) -> list[str]:
        """Paths of the machine that match, in order."""
        found = sorted(glob.glob(self.path(pattern)))
        return ["/" + os.path.relpath(path, self.root) for path in found]

    def command(self, command: str, field: str = "") -> str | None:
        """What a command prints; None where there is no such command, or it fails, or takes too long."""
        if self._commands is not None:
            if command not in self._commands:
                self.lacks(field, f"{command.split()[0]}: not found")
            return self._commands.get(command)
        try:
            done = subprocess.run(command.split(), stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            slow = isinstance(error, subprocess.TimeoutExpired)
            reason = f"not done after {COMMAND_S:g} s" if slow else getattr(error, "strerror", None) or str(error)
            self.lacks(field, f"{command.split()[0]}: {'not found' if isinstance(error, FileNotFoundError) else reason}")
            return None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            self.lacks(field, f"{command}: exit code {done.returncode}{': ' + said[-1][:80] if said else ''}")
            return None
        return done.stdout[:MOST_BYTES].decode("utf-8", "replace").strip()

    def library(self, name: str, field: str = "") -> Any | None:
        """A shared library of the machine; None where there is none, or it cannot be loaded."""
        if self._libraries is not None:
            if name not in self._libraries:
                self.lacks(field, f"{name}: not found")
            return self._libraries.get(name)
        try:
            import ctypes  # which a Python may have been built without

            return ctypes.CDLL(name)
        except (ImportError, OSError) as error:
            self.lacks(field, str(error).partition(": cannot open")[0] + ": cannot be loaded")
            return None

    def lacks(self, field: str, reason: str) -> None:
        """Say why a field stays empty; the last reason counts."""
        if field:
            self.missing[field] = reason
