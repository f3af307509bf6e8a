"""Builds a TensorRT engine in a process of its own: TensorRT writes the engine file when this process opens the model."""

import ctypes
import signal
import sys
from pathlib import Path

import msgspec

from edgekit.device import Variant
from edgekit.runtime.engine.sessions import open_session

__all__ = ["main"]

DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def main(arguments: list[str]) -> None:
    """Build the engine of the model that is the first argument, for the variant that is the second."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)  # nothing else interrupts TensorRT
    open_session(Path(arguments[0]), msgspec.json.decode(arguments[1], type=Variant))


if __name__ == "__main__":
    main(sys.argv[1:])
