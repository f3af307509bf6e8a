"""Files on a device, kept under the SHA-256 of their bytes: what is there already is not sent again.

A file grows as ``<digest>.part`` while its pieces come in, also over several connections, and takes its name when
it is whole, checked and on the disk.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import BinaryIO

from edgekit.errors import DeviceError, UsageError

__all__ = ["PART", "Store", "digest_of"]

PART = ".part"
"""How the names of files that are not yet whole end."""

FORGOTTEN_S = 24 * 3600.0
"""Time after which nobody comes back to finish a file."""

PIECE_BYTES = 256 * 1024

SPARE_BYTES = 16 * 1024 * 1024
"""What an upload leaves free on the disk."""


def digest_of(data: bytes | memoryview) -> str:
    """The name of some bytes."""
    return hashlib.sha256(data).hexdigest()


class Store:
    """A folder of such files; several agents of a device may share one."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{PART}"):
            if time.time() - left.stat().st_mtime > FORGOTTEN_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def holds(self, digest: str) -> bool:
        """Whether it is there, whole."""
        return self.path(digest).is_file()

    def held_bytes(self, digest: str) -> int:
        """How much of it is there."""
        path = self.path(digest)
        for each in (path, path.with_name(digest + PART), path):  # it may take its name meanwhile
            with contextlib.suppress(FileNotFoundError):
                return each.stat().st_size
        return 0

    def path(self, digest: str) -> Path:
        """Where it is, or would be."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise UsageError(f"{digest[:80]!r} is not a SHA-256 digest")
        return self.folder / digest

    def require_whole(self, digest: str) -> None:
        """Look whether a file is still what its name says, and forget it if it is not: disks do damage what lies on them.

        Raises:
            DeviceError: it is not.
        """
        path = self.path(digest)
        with path.open("rb") as file:
            if _digest_of_file(file) == digest:
                return
        path.unlink(missing_ok=True)
        raise DeviceError(f"the file {digest[:12]} in {self.folder} has been damaged, and is forgotten; deploy again, which sends it anew")

    def append(self, digest: str, size_bytes: int, offset: int, data: bytes) -> None:
        """Add a piece of the ``size_bytes``; one that does not follow what is held is left out, for its sender to look again.

        An empty one finishes what is held whole already.

        Raises:
            DeviceError: the whole is not what the digest says (and is forgotten), or the disk is full.
        """
        path = self.path(digest)
        if self.holds(digest) or self.held_bytes(digest) != offset:
            return
        try:
            self._require_room(size_bytes - offset)  # before there is a file that nobody comes back to
            with path.with_name(digest + PART).open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self.holds(digest):  # since this file was opened, which then is another one than that which took its name
                    Path(file.name).unlink(missing_ok=True)
                    return
                held = file.seek(0, os.SEEK_END)
                if held != offset:
                    return
                file.write(data)
                file.flush()
                if held + len(data) < size_bytes:
                    return
                os.fsync(file.fileno())
                if _digest_of_file(file) != digest:
                    os.unlink(file.name)
                    raise DeviceError(f"{held + len(data)} bytes came whose digest is not {digest[:12]}; send them again")
                os.replace(file.name, path)
        except OSError as error:
            path.with_name(digest + PART).unlink(missing_ok=True)
            raise DeviceError(f"{size_bytes} bytes cannot be stored in {self.folder} ({error.strerror}); free some space") from error

    def put(self, digest: str, data: bytes) -> None:
        """Keep all of ``data``."""
        self.append(digest, len(data), held := self.held_bytes(digest), data[held:])

    def _require_room(self, more_bytes: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if more_bytes + SPARE_BYTES > free:
            raise DeviceError(f"{self.folder} has {free} bytes free, and {more_bytes} are to come; free some space")


def _digest_of_file(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
