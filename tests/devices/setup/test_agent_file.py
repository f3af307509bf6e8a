"""The agent as one file: always the same bytes, and all that a device needs."""

import ast
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edgekit
from devices.setup.agent_file import agent_file

ROOT = Path(edgekit.__file__).parent.parent
DIGEST = "from devices.setup.agent_file import agent_file; print(agent_file().digest)"
IMPORT_ALL = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*(module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "edgekit"), sep="\\n")
"""
NEWER_THAN_3_10 = {
    "asyncio.TaskGroup",
    "asyncio.timeout",
    "builtins.ExceptionGroup",
    "contextlib.chdir",
    "datetime.UTC",
    "enum.StrEnum",
    "hashlib.file_digest",
    "itertools.batched",
    "tomllib",
    "typing.LiteralString",
    "typing.Never",
    "typing.NotRequired",
    "typing.Self",
    "typing.Unpack",
    "typing.assert_never",
    "typing.override",
}


def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(agent_file().data))


def modules() -> list[str]:
    """The names of the modules in it."""
    return [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in archive().namelist() if "/" in name]


def test_the_same_sources_make_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "edgekit", tmp_path / "edgekit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "devices", tmp_path / "devices", ignore=shutil.ignore_patterns("__pycache__"))
    for number, path in enumerate(tmp_path.rglob("*.py")):
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
        path.chmod(0o600)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", DIGEST], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == agent_file().digest == hashlib.sha256(agent_file().data).hexdigest()


def test_another_source_makes_another_digest(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "edgekit", tmp_path / "edgekit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "devices", tmp_path / "devices", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "edgekit" / "runtime" / "agent.py").open("a") as file:
        file.write("# more\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", DIGEST], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() != agent_file().digest


def test_it_holds_the_runtime_and_nouns_and_nothing_that_stays_here() -> None:
    names = modules()
    assert {"edgekit", "edgekit.graph", "edgekit.runtime.agent.server", "edgekit.runtime.stage.process"} <= set(names)
    assert not {name.split(".")[1] for name in names if "." in name} & {"api", "cli", "deploy", "export", "onnxio", "report"}


def test_all_of_it_can_be_imported_from_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_file().data)
    command = [sys.executable, "-I", "-c", IMPORT_ALL, str(path), *modules()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert len(found) == len(modules())
    assert all(name.startswith(f"{path}/") for name in found)


def test_it_is_started_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_file().data)
    done = subprocess.run([sys.executable, path, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(mode in done.stdout for mode in ("visit", "serve", "attach"))


def test_the_agent_starts_without_what_is_large(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_file().data)
    code = f"import sys; sys.path.insert(0, {str(path)!r}); import edgekit.runtime.agent.server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "msgspec" in done.stdout.split()
    assert not {"numpy", "onnxruntime", "importlib.metadata"} & set(done.stdout.split())


@pytest.mark.parametrize("name", archive().namelist())
def test_it_is_written_for_the_oldest_python_that_is_served(name: str) -> None:
    tree = ast.parse(archive().read(name), feature_version=(3, 10))
    used = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                used |= {alias.name for alias in names}
            case ast.ImportFrom(str(origin), names):
                used |= {f"{origin}.{alias.name}" for alias in names}
            case ast.Attribute(ast.Name(module), attribute):
                used.add(f"{module}.{attribute}")
            case ast.Name(identifier):
                used.add(f"builtins.{identifier}")
    assert not used & NEWER_THAN_3_10
