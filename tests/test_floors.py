"""The import arrows of the toolkit point down; this file is the map and the check.

roof       edgekit.cli → edgekit.api
machines   edgekit.export | networks | quantize | accuracy | report | deploy | profilers | partitioner    (none imports another)
parts      edgekit.stages       ← deploy, profilers, accuracy
reach      devices
shipped    edgekit.runtime
models     edgekit.onnxio
ground     the nouns
"""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("edgekit", "devices", "profilers", "partitioner")

# A module stands on the floor with the longest name here that its own begins with, so every module of edgekit that
# is not named is ground: edgekit.errors, the nouns, edgekit.graph.unit_rule, edgekit.shapes ...
# It may import from its own floor, from the ground, and from the floors on its line.
FLOORS = {
    "edgekit": (),
    "edgekit.onnxio": (),
    "edgekit.runtime": ("edgekit.runtime.links.rpc", "edgekit.runtime.serial_line"),
    "edgekit.runtime.links.rpc": ("edgekit.runtime",),
    "edgekit.runtime.serial_line": ("edgekit.runtime",),
    "devices": ("edgekit.runtime",),
    "devices.mcu": ("edgekit.runtime", "edgekit.onnxio", "devices"),
    "edgekit.stages": ("edgekit.runtime", "edgekit.onnxio", "devices", "devices.mcu"),
    "edgekit.export": ("edgekit.onnxio",),
    "edgekit.networks": ("edgekit.onnxio",),
    "edgekit.quantize": ("edgekit.onnxio",),
    "edgekit.accuracy": ("edgekit.runtime", "edgekit.onnxio", "devices", "edgekit.stages"),
    "edgekit.report": (),
    "edgekit.deploy": ("edgekit.runtime", "edgekit.onnxio", "devices", "edgekit.stages"),
    "profilers": ("edgekit.onnxio", "devices", "edgekit.stages"),
    "partitioner": (),
}
FLOORS["edgekit.api"] = tuple(FLOORS)
FLOORS["edgekit.cli"] = ("edgekit.api",)

# Where only these packages may be imported besides the standard library: they, and no others, are put on a device.
ONLY = {
    "edgekit": ("numpy", "msgspec"),
    "edgekit.runtime": ("numpy", "msgspec", "onnxruntime"),
    "edgekit.runtime.links.rpc": ("numpy", "msgspec", "grpc", "grpc_health"),
    "edgekit.runtime.serial_line": ("msgspec", "smp", "cbor2", "serial"),
}
# Packages that only these floors may import, so that everything else runs without them.
KEEPERS = {
    "onnx": ("edgekit.onnxio",),
    "onnxscript": ("edgekit.export",),
    "onnxruntime.quantization": ("edgekit.quantize",),
    "onnxruntime.transformers": ("edgekit.quantize",),
    "serial": ("edgekit.runtime.serial_line",),
    "smp": ("edgekit.runtime.serial_line",),
    "torch": ("edgekit.export", "edgekit.networks"),
    "torch.onnx": ("edgekit.export",),
    "torchvision": ("edgekit.export", "edgekit.networks"),
}
# The partitioner is a pure function of nouns.
NEVER = {"partitioner": ("onnxruntime",)}


def longest(name: str, prefixes: dict[str, tuple[str, ...]]) -> str | None:
    """The longest of ``prefixes`` that ``name`` is, or lies in."""
    return max((prefix for prefix in prefixes if f"{name}.".startswith(f"{prefix}.")), key=len, default=None)


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Every module of the four rooms under ``root``, by name and path."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(module: str, path: Path) -> Iterator[str]:
    """What a module imports, also inside functions, by ``import_module`` and relatively; ``from a import b`` is ``a.b``."""
    package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(origin, names, level):
                above = package[: len(package) - level + 1] if level else []
                yield from (".".join([*above, *([origin] if origin else []), alias.name]) for alias in names)
            case ast.Call(ast.Name(called) | ast.Attribute(attr=called), [ast.Constant(str(name)), *_]) if called in (
                "import_module",
                "__import__",
            ):
                yield name


def refusal(module: str, imported: str) -> str | None:
    """Why ``module`` may not import ``imported``; None where it may."""
    floor = longest(module, FLOORS)
    assert floor is not None
    top = imported.split(".")[0]
    if top in ROOMS:
        below = longest(imported, FLOORS)
        return None if below in (floor, "edgekit", *FLOORS[floor]) else f"{below} is not below {floor}"
    if top in sys.stdlib_module_names:
        return None
    if floor in ONLY and top not in ONLY[floor]:
        return f"{floor} imports only the standard library, {', '.join(ONLY[floor])}"
    if top in NEVER.get(floor, ()):
        return f"{floor} never imports {top}"
    kept = longest(imported, KEEPERS)
    return None if kept is None or floor in KEEPERS[kept] else f"only {', '.join(KEEPERS[kept])} imports {kept}"


def upward(root: Path) -> list[str]:
    """Every import under ``root`` that does not point down, with the reason."""
    return [
        f"{module} imports {name}: {reason}"
        for module, path in modules(root)
        for name in imports(module, path)
        if (reason := refusal(module, name))
    ]


def test_imports_point_down() -> None:
    found = upward(ROOT)
    assert not found, "\n".join(found)


def test_every_room_is_looked_at() -> None:
    assert {name.split(".")[0] for name, _ in modules(ROOT)} == set(ROOMS)


PLANTS = [
    # the file                     what is planted                                        what it may not reach
    ("edgekit/plan.py", "import edgekit.onnxio", "edgekit.onnxio"),
    ("edgekit/plan.py", "from edgekit import api", "edgekit.api"),
    ("edgekit/errors.py", "import partitioner", "partitioner"),
    ("edgekit/errors.py", "def late():\n    from devices import local", "devices.local"),
    ("edgekit/brand_new.py", "from edgekit.runtime.links import frames", "edgekit.runtime.links.frames"),
    ("edgekit/__init__.py", "from . import cli", "edgekit.cli"),
    ("edgekit/onnxio/stage_model.py", "from edgekit.runtime.links import frames", "edgekit.runtime.links.frames"),
    ("edgekit/runtime/agent/server.py", "import edgekit.onnxio.stage_model", "edgekit.onnxio.stage_model"),
    ("edgekit/runtime/agent/server.py", "from ...deploy.client import client", "edgekit.deploy.client.client"),
    ("devices/local.py", "import profilers.map.kernels", "profilers.map.kernels"),
    ("devices/local.py", "from edgekit import onnxio", "edgekit.onnxio"),
    ("devices/local.py", "import importlib\nimportlib.import_module('edgekit.deploy')", "edgekit.deploy"),
    ("devices/__init__.py", "import devices.mcu", "devices.mcu"),
    ("profilers/map/kernels.py", "from edgekit import api", "edgekit.api"),
    ("profilers/map/kernels.py", "import partitioner.cost", "partitioner.cost"),
    ("profilers/map/kernels.py", "import edgekit.deploy.client.client", "edgekit.deploy.client.client"),
    ("partitioner/solve/exact.py", "import devices.ssh", "devices.ssh"),
    ("partitioner/solve/exact.py", "def late():\n    import profilers", "profilers"),
    ("edgekit/deploy/client/client.py", "from profilers.measure import segments", "profilers.measure.segments"),
    ("edgekit/export.py", "from edgekit.networks import mobile", "edgekit.networks.mobile"),
    ("edgekit/report/page.py", "from edgekit.deploy import client", "edgekit.deploy.client"),
    ("edgekit/api.py", "import edgekit.cli", "edgekit.cli"),
    ("edgekit/cli.py", "def late():\n    from partitioner.solve import exact", "partitioner.solve.exact"),
    ("edgekit/graph.py", "import onnx", "onnx"),
    ("edgekit/graph.py", "from scipy import optimize", "scipy.optimize"),
    ("edgekit/runtime/agent/server.py", "import torch", "torch"),
    ("edgekit/runtime/links/line.py", "def late():\n    import grpc", "grpc"),
    ("edgekit/runtime/agent/server.py", "import serial", "serial"),
    ("devices/local.py", "from smp import packet", "smp.packet"),
    ("edgekit/runtime/agent/server.py", "from paramiko import client", "paramiko.client"),
    ("partitioner/solve/exact.py", "def late():\n    import onnxruntime", "onnxruntime"),
    ("partitioner/solve/exact.py", "from torch import nn", "torch.nn"),
    ("profilers/map/kernels.py", "from onnx import helper", "onnx.helper"),
    ("edgekit/networks/mobile.py", "import torch.onnx", "torch.onnx"),
    ("edgekit/deploy/client/client.py", "from onnxruntime.quantization import shape_inference", "onnxruntime.quantization.shape_inference"),
]


@pytest.fixture(scope="module")
def planted_tree(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is found in a copy of the rooms that has every plant in it."""
    root = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file, planted, _ in PLANTS:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"\n\n{planted}\n")
    return upward(root)


@pytest.mark.parametrize(("file", "planted", "reached"), PLANTS)
def test_an_import_that_points_up_is_caught(planted_tree: list[str], file: str, planted: str, reached: str) -> None:
    module = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    assert any(line.startswith(f"{module} imports {reached}: ") for line in planted_tree), planted_tree


ALLOWED = [
    ("edgekit.runtime.stage.serving_stage", "edgekit.plan.Plan"),
    ("edgekit.runtime.stage.serving_stage", "onnxruntime"),
    ("edgekit.runtime.links.rpc.stream", "grpc"),
    ("edgekit.runtime.serial_line.serial_port", "serial"),
    ("edgekit.onnxio.onnx_graph", "onnx.helper"),
    ("edgekit.cli", "edgekit.errors.EdgekitError"),
    ("edgekit.cli", "edgekit.api"),
    ("edgekit.api", "partitioner.solve.exact"),
    ("devices.local", "edgekit.runtime.agent.server"),
    ("devices.mcu.compiler", "edgekit.onnxio"),
    ("edgekit.export", "torch.onnx"),
    ("edgekit.networks.mobile", "torch.nn"),
    ("edgekit.plan", "numpy"),
]


@pytest.mark.parametrize(("module", "imported"), ALLOWED)
def test_an_import_that_points_down_is_let_through(module: str, imported: str) -> None:
    assert refusal(module, imported) is None
