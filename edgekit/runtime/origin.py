"""How a child process finds the very packages that this one runs, be they a checkout, an installation or a zipapp."""

import os
from pathlib import Path

import edgekit

__all__ = ["environment"]


def environment() -> dict[str, str]:
    """The environment of a child that imports them from where they were imported here."""
    root = str(Path(edgekit.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
