"""The agent as one file: edgekit.runtime and what it reaches of the ground floor, to be run as ``python agent.pyz``.

The same sources make the same bytes, on any machine: so its digest says whether a device has to be given another one.
"""

import ast
import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import edgekit
from edgekit import __version__

__all__ = ["AgentFile", "agent_file"]

MAIN = b"from edgekit.runtime.agent.server import main\n\nmain()\n"
BIRTH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file knows; every entry has it."""


class AgentFile(NamedTuple):
    """The bytes of ``agent.pyz``, their SHA-256, and the edgekit that they are of."""

    data: bytes
    digest: str
    version: str


@cache
def agent_file() -> AgentFile:
    """The agent of the edgekit that is installed here."""
    root = Path(edgekit.__file__).parent.parent
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as archive:  # packed, its bytes would hang on the version of zlib
        _add(archive, "__main__.py", MAIN)
        for path in sorted(_reached(root)):
            _add(archive, path.relative_to(root).as_posix(), path.read_bytes())
    data = into.getvalue()
    return AgentFile(data, hashlib.sha256(data).hexdigest(), __version__)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, BIRTH)
    entry.create_system = 3  # Unix, wherever it is made
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def _reached(root: Path) -> set[Path]:
    """The files of edgekit.runtime, and of every module of edgekit that they import, directly or not."""
    found: set[Path] = set()
    ahead = sorted((root / "edgekit" / "runtime").rglob("*.py"))
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            ahead += [there for name in _imports(path) for there in _files(root, name)]
    return found


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(str(origin), names):
                yield from (f"{origin}.{alias.name}" for alias in names)  # a module, or a name in one


def _files(root: Path, name: str) -> Iterator[Path]:
    """The files that importing ``name`` runs: its own and those of the packages that it lies in."""
    parts = name.split(".")
    if parts[0] == "edgekit":
        for count in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:count])
            yield from (path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file())
