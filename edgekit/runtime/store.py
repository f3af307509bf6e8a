"""Files on a device, kept under the SHA-256 of their bytes: what is there already is not sent again."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from edgekit.errors import DeviceError, UsageError

__all__ = ["PART", "Store", "digest_of"]

PART = ".part"
"""How the names of files that are not yet whole end."""


def digest_of(data: bytes | memoryview) -> str:
    """The name of some bytes."""
    return hashlib.sha256(data).hexdigest()


class Store:
    """A folder of such files."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{PART}"):  # by an agent that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def holds(self, digest: str) -> bool:
        """Whether it is there, whole."""
        return self.path(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where it is, or would be."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise UsageError(f"{digest[:80]!r} is not a SHA-256 digest")
        return self.folder / digest

    def put(self, digest: str, data: bytes) -> None:
        """Keep ``data``; it appears whole or not at all.

        Raises:
            DeviceError: the bytes are not those of the digest, or the disk is full.
        """
        if digest_of(data) != digest:
            raise DeviceError(f"{len(data)} bytes came whose digest is not {digest[:12]}; send them again")
        path = self.path(digest)
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=PART, delete=False) as file:
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(file.name, path)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise DeviceError(f"{len(data)} bytes cannot be stored in {self.folder} ({error.strerror}); free some space") from error
