"""Keeps two controllers from changing one device at once: who comes second is told who came first, and for what."""

import fcntl
import time
from pathlib import Path
from typing import TextIO

from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Failure
from edgekit.runtime.verbs import Claim, Done

__all__ = ["Lease"]


class Lease:
    """A claim to a device: a lock on a file, with its holder's name in it. It ends with the process that holds it, at the latest."""

    def __init__(self, path: Path):
        self._path = path
        self._file: TextIO | None = None

    def claim(self, owner: str, purpose: str) -> None:
        """Hold it from now on; a second claim of the same holder only tells another purpose.

        Raises:
            DeviceError: somebody else does.
        """
        self._file = self._file or self._path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = self._path.read_text(errors="replace").strip() or "somebody else"
            raise DeviceError(f"it is held by {holder}; wait until that is done") from error
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{owner} for {purpose}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        self._file.flush()

    def answer(self, request: Claim) -> Done | Failure:
        """The reply to a controller that claims."""
        try:
            self.claim(request.owner, request.purpose)
            return Done()
        except DeviceError as error:
            return Failure("DeviceError", str(error))

    def close(self) -> None:
        """Hold it no more."""
        if self._file is not None:
            self._file.close()
