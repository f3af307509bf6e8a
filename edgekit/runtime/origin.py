"""How a child process finds the very packages that this one runs, be they a checkout, an installation or a zipapp."""

import hashlib
import os
from functools import cache
from pathlib import Path

import edgekit

__all__ = ["environment", "own_digest"]


@cache
def own_digest() -> str:
    """SHA-256 of the zipapp that this process runs; nothing where it runs no such file."""
    root = Path(edgekit.__file__).parent.parent
    return hashlib.sha256(root.read_bytes()).hexdigest() if root.is_file() else ""


def environment() -> dict[str, str]:
    """The environment of a child that imports them from where they were imported here."""
    root = str(Path(edgekit.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
