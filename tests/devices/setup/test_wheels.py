"""Wheels for a device's platform, from a folder that takes the place of the package index."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from devices.setup.wheels import Platform, Wheel, fetch, lock, pip_file
from edgekit.errors import UsageError

PI = Platform("aarch64", (2, 36), (3, 11))
JETSON = Platform("aarch64", (2, 35), (3, 10))


def made(folder: Path, name: str, version: str, tag: str = "py3-none-any", requires: str = "") -> Path:
    """A wheel with one module of its own name."""
    path = folder / f"{name}-{version}-{tag}.whl"
    notes = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{notes}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        archive.writestr(f"{notes}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{notes}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip looks for wheels in, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def names(wheels: list[Wheel]) -> list[str]:
    return [wheel.path.name for wheel in wheels]


def test_a_device_takes_the_tags_of_its_own_glibc_and_older_ones() -> None:
    assert PI.tags[:2] == ("manylinux_2_36_aarch64", "manylinux_2_35_aarch64")
    assert PI.tags[-3:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64")
    assert "manylinux_2_36_aarch64" not in JETSON.tags


def test_what_fits_the_device_is_fetched_with_what_it_needs(index: Path, tmp_path: Path) -> None:
    for version, tag in (
        ("1.0", "cp310-cp310-manylinux_2_17_aarch64"),
        ("1.1", "cp311-cp311-manylinux_2_28_aarch64"),
        ("1.2", "cp311-cp311-manylinux_2_39_aarch64"),
        ("1.3", "cp311-cp311-manylinux_2_28_x86_64"),
        ("1.4", "cp312-cp312-manylinux_2_28_aarch64"),
    ):
        made(index, "fast", version, tag, requires="small>=2")
    made(index, "small", "1.0")
    made(index, "small", "2.0")
    assert names(fetch(["fast"], PI, cache=tmp_path)) == ["fast-1.1-cp311-cp311-manylinux_2_28_aarch64.whl", "small-2.0-py3-none-any.whl"]
    assert names(fetch(["fast"], JETSON, cache=tmp_path))[0] == "fast-1.0-cp310-cp310-manylinux_2_17_aarch64.whl"


def test_devices_of_a_kind_get_the_same_bytes_and_need_the_index_once(index: Path, tmp_path: Path) -> None:
    made(index, "small", "1.0")
    first = fetch(["small"], PI, cache=tmp_path / "cache")
    made(index, "small", "2.0")
    assert fetch(["small"], PI, cache=tmp_path / "cache") == first
    assert names(fetch(["small>1"], PI, cache=tmp_path / "cache")) == ["small-2.0-py3-none-any.whl"]


def test_what_was_damaged_here_is_fetched_again(index: Path, tmp_path: Path) -> None:
    made(index, "small", "1.0")
    (wheel,) = fetch(["small"], PI, cache=tmp_path / "cache")
    whole = wheel.path.read_bytes()
    wheel.path.write_bytes(whole[:-1])
    assert fetch(["small"], PI, cache=tmp_path / "cache") == [wheel]
    assert wheel.path.read_bytes() == whole
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [wheel.path.parent.name]


def test_what_there_is_no_wheel_of_is_said_with_the_remedy(index: Path, tmp_path: Path) -> None:
    made(index, "fast", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    with pytest.raises(UsageError, match=r"wheels of fast for manylinux_2_36_aarch64 and Python 3\.11 cannot be .* check its network"):
        fetch(["fast"], PI, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_lock_names_each_wheel_by_its_digest(index: Path, tmp_path: Path) -> None:
    path = made(index, "small", "1.0")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert lock(fetch(["small"], PI, cache=tmp_path)) == f"small==1.0 --hash=sha256:{digest}\n"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The pip of this machine as one file, run by a Python that has none."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (folder / "pip.zip").write_bytes(pip_file())
    return [str(folder / "venv" / "bin" / "python"), "-I", str(folder / "pip.zip" / "pip")]


def install(pip: list[str], folder: Path, wheels: list[Wheel]) -> subprocess.CompletedProcess[str]:
    (folder / "lock.txt").write_text(lock(wheels))
    command = [*pip, "install", "--no-index", f"--find-links={folder}", "--require-hashes", "-r", str(folder / "lock.txt")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pip_from_one_file_installs_what_is_locked(bare: list[str], tmp_path: Path) -> None:
    path = made(tmp_path, "small", "1.0")
    done = install(bare, tmp_path, [Wheel(path, hashlib.sha256(path.read_bytes()).hexdigest())])
    assert done.returncode == 0, done.stderr
    said = subprocess.run([bare[0], "-c", "import small; print(small.version)"], capture_output=True, text=True, check=True)
    assert said.stdout == "1.0\n"


def test_a_wheel_that_was_changed_on_its_way_is_not_installed(bare: list[str], tmp_path: Path) -> None:
    path = made(tmp_path, "evil", "1.0")
    done = install(bare, tmp_path, [Wheel(path, hashlib.sha256(b"what was fetched").hexdigest())])
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


BACKEND = """import os, zipfile
def get_requires_for_build_wheel(settings=None): return []
def build_wheel(into, settings=None, metadata=None):
    name = f"crcmod-1.7-{'py3-none-any' if os.environ.get('CC') == 'false' else 'cp311-cp311-linux_x86_64'}.whl"
    with zipfile.ZipFile(os.path.join(into, name), "w") as made:
        made.writestr("crcmod.py", "")
        made.writestr("crcmod-1.7.dist-info/METADATA", "Metadata-Version: 2.1\\nName: crcmod\\nVersion: 1.7\\n")
        made.writestr("crcmod-1.7.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr("crcmod-1.7.dist-info/RECORD", "")
    return name
"""


def test_what_comes_as_source_alone_is_made_into_a_wheel_here(index: Path, tmp_path: Path) -> None:
    made(index, "smp", "4.2.0", requires="crcmod<2,>=1.7")
    with tarfile.open(index / "crcmod-1.7.tar.gz", "w:gz") as archive:
        for name, text in (
            ("PKG-INFO", "Metadata-Version: 2.1\nName: crcmod\nVersion: 1.7\n"),
            ("pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'),
            ("backend.py", BACKEND),
        ):
            entry = tarfile.TarInfo(f"crcmod-1.7/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert names(fetch(["smp>=4.2"], PI, cache=tmp_path)) == ["crcmod-1.7-py3-none-any.whl", "smp-4.2.0-py3-none-any.whl"]
