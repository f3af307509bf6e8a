"""What the outside sees: the names each module offers, that importing has no effects, and what the wheel holds."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("devices", "edgekit", "partitioner", "profilers")


def public_modules() -> dict[str, Path]:
    """Modules by name, without those whose name begins with an underscore."""
    found = {}
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            found[".".join(parts)] = path
    return found


MODULES = public_modules()


def sorting_key(name: str) -> tuple[int, list[tuple[int, int | str]]]:
    """CONSTANTS, then Classes, then the rest, with numbers in them compared as numbers: what ruff's RUF022 keeps."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


def bound(statements: list[ast.stmt]) -> Iterator[str]:
    """Names that a module's statements bind, also under if and try."""
    for statement in statements:
        match statement:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                yield name
            case ast.Import(names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name.split(".")[0] for alias in names)
            case ast.Assign(assigned):
                yield from (node.id for part in assigned for node in ast.walk(part) if isinstance(node, ast.Name))
            case ast.AnnAssign(ast.Name(name)):
                yield name
            case ast.If() | ast.Try() | ast.With():
                branches = (getattr(statement, field, []) for field in ("body", "orelse", "finalbody"))
                yield from (name for branch in branches for name in bound(branch))


def listed(tree: ast.Module) -> list[str] | None:
    """What ``__all__`` says, or None."""
    for statement in tree.body:
        match statement:
            case ast.Assign([ast.Name("__all__")], value) | ast.AnnAssign(ast.Name("__all__"), _, value) if value is not None:
                return list(ast.literal_eval(value))
    return None


@pytest.mark.parametrize("module", MODULES)
def test_all_is_there_sorted_and_complete(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = listed(tree)
    if names is None and all(isinstance(statement, ast.Expr) for statement in tree.body):
        return  # a package that only says what it is
    assert names is not None, f"{module} has no __all__"
    assert names == sorted(names, key=sorting_key), f"{module}: __all__ is not sorted"
    assert len(set(names)) == len(names), f"{module}: __all__ lists a name twice"
    assert not (absent := set(names) - set(bound(tree.body))), f"{module}: __all__ lists {absent}, which do not exist"
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    missing = {name for name in defined if not name.startswith("_")} - set(names)
    assert not missing, f"{module}: {missing} are public but not in __all__"


IMPORT_EACH = """
import importlib, json, logging, os, sys, threading, warnings
from pathlib import Path

def state():
    loggers = [logging.getLogger(), *(each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger))]
    ours = [each for each in loggers if each.name.split(".")[0] in ("root", "edgekit", "devices", "profilers", "partitioner")]
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "log handlers": sorted(f"{each.name}: {handler}" for each in ours for handler in each.handlers),
        "log levels": sorted(f"{each.name}: {each.level}" for each in ours if each.level != (30 if each.name == "root" else 0)),
        "files": sorted(str(path) for path in Path(".").rglob("*")),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
    }

changed = []
before = state()
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    after = state()
    changed += [f"importing {name} changes {what}: {before[what]} -> {after[what]}" for what in after if after[what] != before[what]]
    before = after
print(json.dumps(changed))
"""


def python(*arguments: str, folder: Path) -> str:
    """Standard output of a fresh interpreter whose home, temporary and current folder is ``folder``."""
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "TMPDIR": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-B", *arguments], cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_any_module_has_no_effect(tmp_path: Path) -> None:
    changed = json.loads(python("-c", IMPORT_EACH, json.dumps(list(MODULES)), folder=tmp_path).splitlines()[-1])
    assert not changed, "\n".join(changed)


@pytest.mark.parametrize(
    ("module", "light"),
    [
        ("edgekit", ("matplotlib", "numpy", "onnx", "onnxruntime", "rich", "torch", "typer")),
        ("edgekit.cli", ("matplotlib", "onnx", "onnxruntime", "torch")),
        ("edgekit.runtime.agent.server", ("matplotlib", "onnx", "onnxruntime", "torch", "typer")),
        ("partitioner", ("matplotlib", "onnx", "onnxruntime", "torch")),
    ],
)
def test_what_starts_often_imports_nothing_heavy(module: str, light: tuple[str, ...], tmp_path: Path) -> None:
    loaded = python("-c", f"import sys, {module}; print(*sys.modules)", folder=tmp_path).split()
    assert not set(light) & set(loaded)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel, built from a copy so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in (*ROOMS, "tests", "notebooks", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    python("-m", "build", "--wheel", "--no-isolation", folder=folder)
    with zipfile.ZipFile(next((folder / "dist").glob("*.whl"))) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_four_rooms_and_nothing_else(wheel: list[str]) -> None:
    from edgekit import __version__

    assert sorted({name.split("/")[0] for name in wheel}) == sorted([*ROOMS, f"edgekit-{__version__}.dist-info"])


def test_every_room_in_the_wheel_is_typed(wheel: list[str]) -> None:
    assert [name for name in sorted(wheel) if name.endswith("py.typed")] == [f"{room}/py.typed" for room in ROOMS]


def test_every_module_is_in_the_wheel(wheel: list[str]) -> None:
    sources = {str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert sources <= set(wheel)
    assert not [name for name in wheel if name.endswith(".ipynb") or "/test_" in name]


def test_what_stock_devices_are_described_by_is_in_the_wheel(wheel: list[str]) -> None:
    assert {f"devices/boards/{path.name}" for path in (ROOT / "devices/boards").glob("*.toml")} <= set(wheel)


def test_the_sources_of_the_firmware_are_in_the_wheel(wheel: list[str]) -> None:
    sources = {
        str(path.relative_to(ROOT)) for path in (ROOT / "devices/firmware").rglob("*") if path.suffix in (".c", ".h", ".ld", ".toml")
    }
    assert {Path(name).suffix for name in sources} == {".c", ".h", ".ld", ".toml"}
    assert sources <= set(wheel)


def test_the_licence_travels_with_the_wheel(wheel: list[str]) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
