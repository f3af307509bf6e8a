"""Packages for a device that has no internet: wheels fetched here for its platform, and pip itself as one file.

    package index ──pip download──▶ $XDG_CACHE_HOME/edgekit/wheels/KIND/  ──SSH──▶ device ──pip install --require-hashes──▶ venv

A kind of device (platform, Python, packages) is fetched for once: devices of a kind get the same bytes.
"""

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from edgekit import folders
from edgekit.errors import UsageError

__all__ = ["Platform", "Wheel", "fetch", "lock", "pip_file"]

FETCH_S = 1800.0
SOURCES = {"smp": "crcmod>=1.7,<2"}
"""Packages that need one of which there is the source alone; where that finds no C compiler, its wheel is pure Python."""

OLDEST_GLIBC = 17
"""Minor version of the oldest glibc that wheels are built for (manylinux2014)."""


class Platform(NamedTuple):
    """What wheels are built for; glibc and Python by their first two numbers."""

    arch: str
    glibc: tuple[int, int]
    python: tuple[int, int]

    @property
    def tags(self) -> tuple[str, ...]:
        """The platform tags of wheels that run there, newest first (PEP 600)."""
        minors = range(self.glibc[1], OLDEST_GLIBC - 1, -1)
        return (*(f"manylinux_2_{minor}_{self.arch}" for minor in minors), f"manylinux2014_{self.arch}", f"linux_{self.arch}")


class Wheel(NamedTuple):
    """A wheel that lies here, and its SHA-256."""

    path: Path
    digest: str

    @property
    def requirement(self) -> str:
        """This very wheel as a line for pip."""
        name, version = self.path.name.split("-")[:2]
        return f"{name}=={version} --hash=sha256:{self.digest}"


def lock(wheels: Sequence[Wheel]) -> str:
    """The requirements that only these wheels meet."""
    return "".join(f"{wheel.requirement}\n" for wheel in wheels)


def fetch(packages: Sequence[str], platform: Platform, *, indexes: Sequence[str] = (), cache: Path | None = None) -> list[Wheel]:
    """The wheels of ``packages`` and of what they need; ``indexes`` are looked at besides pip's own.

    Raises:
        UsageError: they cannot be had here.
    """
    cache = cache or folders.cache() / "wheels"
    sort = hashlib.sha256("\n".join((*packages, *indexes, *platform.tags)).encode()).hexdigest()[:8]
    folder = cache / f"{platform.arch}-py{platform.python[0]}.{platform.python[1]}-{sort}"
    if not _whole(folder):
        cache.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=cache, prefix="part-"))
        try:
            _download(packages, platform, indexes, part)
            (part / "lock.txt").write_text(lock(_wheels(part)))
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # somebody else has fetched the same meanwhile
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return _wheels(folder)


def _wheels(folder: Path) -> list[Wheel]:
    return [Wheel(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.glob("*.whl"))]


def _whole(folder: Path) -> bool:
    """Whether all that was fetched once is still there as it was."""
    try:
        return (folder / "lock.txt").read_text() == lock(_wheels(folder)) != ""
    except OSError:
        return False


def _download(packages: Sequence[str], platform: Platform, indexes: Sequence[str], into: Path) -> None:
    wanted = f"wheels of {', '.join(packages)} for {platform.tags[0]} and Python {platform.python[0]}.{platform.python[1]}"
    places = [f"--extra-index-url={index}" for index in indexes]
    for source in (source for name, source in SOURCES.items() if any(package.startswith(name) for package in packages)):
        _run(["wheel", "--no-deps", "--no-cache-dir", "--no-binary=:all:", f"--wheel-dir={into}", *places, source], wanted)
        places += [f"--find-links={into}"]
    _run(
        [
            "download",
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={platform.python[0]}.{platform.python[1]}",
            *(f"--platform={tag}" for tag in platform.tags),
            f"--dest={into}",
            *places,
            *packages,
        ],
        wanted,
    )


def _run(arguments: Sequence[str], wanted: str) -> None:
    """Let pip do something for what is wanted; it finds no compiler."""
    _pip()
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", "--no-input", *arguments[1:]]
    env = os.environ | {"CC": "false"}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_S, check=False, env=env)
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"the wheels were not fetched within {FETCH_S:g} s; check this machine's network, then do it again") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines() or ["nothing said"]
        why = said[0].removeprefix("ERROR: ")
        raise UsageError(f"{wanted} cannot be fetched by pip on this machine ({why}); check its network and `pip config list`")


def _pip() -> metadata.Distribution:
    """The pip of this Python.

    Raises:
        UsageError: it has none.
    """
    try:
        return metadata.distribution("pip")
    except metadata.PackageNotFoundError as error:
        raise UsageError(f"pip is needed on this machine to set devices up; run: {sys.executable} -m ensurepip") from error


def pip_file() -> bytes:
    """The pip of this machine as one file, for a device without any: ``python pip.zip/pip install``."""
    distribution = _pip()
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(distribution.files or (), key=str):
            if file.parts[0] != ".." and file.suffix not in (".pyc", ".exe"):
                archive.writestr(zipfile.ZipInfo(str(file)), file.read_binary(), zipfile.ZIP_DEFLATED)
    return into.getvalue()
