"""Results into files: one .npz of outputs by tensor name for each frame, or all frames stacked into one."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from edgekit.deploy.client.sink import Result
from edgekit.errors import UsageError
from edgekit.files import write_bytes

__all__ = ["ResultWriter"]

Arrays = Mapping[str, NDArray[np.generic]]
STANDARD = "-"


class ResultWriter:
    """Writes results as they come: one .npz a frame into a folder, or all of them stacked into one file or stdout.

    Raises:
        UsageError: the target is neither.
    """

    def __init__(self, target: str):
        self._target = target
        self._folder = target != STANDARD and Path(target).suffix != ".npz"
        self._kept: list[Arrays] = []
        if self._folder and (Path(target).suffix == ".npy" or Path(target).is_file()):
            raise UsageError(f"expected an .npz file, a folder or - to write results to, got {target}; change --output")

    def write(self, name: str, result: Result) -> None:
        """Keep one result.

        Raises:
            StageError: the frame failed.
        """
        if self._folder:
            write_bytes(Path(self._target, f"{name}.npz"), _npz(result.value()))
        else:
            self._kept.append(result.value())

    def close(self) -> None:
        """Write what has been kept; a single frame keeps its shape, several are stacked."""
        if self._folder or not self._kept:
            return
        first = self._kept[0]
        data = _npz(first if len(self._kept) == 1 else {name: np.stack([kept[name] for kept in self._kept]) for name in first})
        self._kept = []
        if self._target == STANDARD:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write_bytes(self._target, data)


def _npz(arrays: Arrays) -> bytes:
    """An .npz; written by hand, as numpy.savez would take a tensor called "file" for an option."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()
