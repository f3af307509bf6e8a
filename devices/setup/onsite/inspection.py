"""What set-up finds on the device, gathered at once and without changing anything."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from devices.setup.onsite.agent_service import state
from devices.setup.onsite.commands import text

__all__ = ["MARK", "look", "packages_of", "venv_of"]

MARK = "edgekit.json"
"""In a venv: what its packages were installed for, written when all of them were there and ran."""


def look(given: dict[str, Any]) -> dict[str, Any]:
    """All that set-up has to know."""
    root = Path.home() / given["root"]
    place = next(path for path in (root, *root.parents) if path.exists())
    return {
        "python": list(sys.version_info[:2]),
        "home": str(Path.home()),
        "writable": os.access(place, os.W_OK | os.X_OK),
        "free_bytes": shutil.disk_usage(place).free,
        "time_s": time.time(),
        "venv": venv_of(root),
        "agent": _digest(root / "agent.pyz"),
        "pages": text(root / "agent" / "pages"),
        "wheels": {path.name: _digest(path) for path in (root / "wheels").glob("*.whl")},
        "service": state(root, Path.home() / given["unit"], given),
    }


def venv_of(root: Path) -> dict[str, Any] | None:
    """The Python and the packages of a venv that runs; ``asked`` is what they were installed for."""
    command = [str(root / "venv" / "bin" / "python"), "-I", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        said = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    packages = packages_of(root)
    try:
        mark = json.loads(text(root / "venv" / MARK))
    except ValueError:
        mark = {}
    asked = mark.get("asked") if mark.get("packages") == packages else None
    return {"python": [int(word) for word in said.split()], "packages": packages, "asked": asked}


def packages_of(root: Path) -> dict[str, str]:
    """Names and versions of what is installed."""
    folders = (root / "venv").glob("lib/python*/site-packages/*.dist-info")
    pairs = sorted(folder.name.removesuffix(".dist-info").rpartition("-") for folder in folders)
    return {re.sub("[-_.]+", "-", name).lower(): version for name, _, version in pairs}


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
