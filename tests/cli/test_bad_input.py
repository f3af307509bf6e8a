"""Wrong use ends with one clear message, the exit code for who can act on it, and nothing left behind."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import devices.local
from tests.cli.bed import edgekit_run, left_over, toml
from tests.models import picking, raw_skipping, serial, skipping

SIM = """
name = "cluster"
[[devices]]
name = "near"
address = "sim:"
roofline = { macs_per_s = 1e8, memory_bytes_per_s = 1e9 }

[[devices]]
name = "far"
address = "sim:"
roofline = { macs_per_s = 4e8, memory_bytes_per_s = 1e9 }
"""
LINKED = """
[[links]]
source = "*"
receiver = "*"
"""
APART = """
[[links]]
source = "client"
receiver = "*"

[[links]]
source = "*"
receiver = "client"
"""
LOCAL = """
[[devices]]
name = "near"
address = "local:"

[[devices]]
name = "far"
address = "local:"
"""


def onnx_file(op: str, domain: str, shape: list[int | str]) -> bytes:
    """A network of one node."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], domain=domain)], "one", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def plan_file(path: Path, digest: str, *stages: tuple[int, int, str]) -> None:
    drawn = [{"start": start, "stop": stop, "devices": [device]} for start, stop, device in stages]
    path.write_text(json.dumps({"format": "edgekit.plan", "version": 1, "graph": digest, "stages": drawn}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Files that are good, and files that are bad, each in its way."""
    folder = tmp_path_factory.mktemp("run")
    digest = skipping().graph.digest
    (folder / "net.onnx").write_bytes(skipping().data)
    (folder / "other.onnx").write_bytes(serial().data)
    (folder / "pick.onnx").write_bytes(picking().data)
    (folder / "raw.onnx").write_bytes(raw_skipping())
    (folder / "cut_short.onnx").write_bytes(skipping().data[:900])
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "text.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / "unknown.onnx").write_bytes(onnx_file("Frobnicate", "acme.ops", [1, 4]))
    (folder / "open.onnx").write_bytes(onnx_file("Relu", "", ["batch", 4]))
    toml(folder, SIM + LINKED)
    toml(folder, SIM + APART, "apart.toml")
    toml(folder, LOCAL + LINKED, "local.toml")
    toml(folder, SIM.replace('address = "sim:"\nroofline', 'address = "local:"\n#', 1) + LINKED, "mixed.toml")
    toml(folder, LOCAL + LINKED + "[[devices", "damaged.toml")
    toml(folder, LOCAL.replace("far", "near"), "twice.toml")
    toml(folder, LOCAL + 'colour = "red"', "field.toml")
    toml(folder, LOCAL + "speed = 7", "fast.toml")
    toml(folder, LOCAL + "cores = [9999]" + LINKED, "cores.toml")
    toml(folder, 'name = "../up"' + LOCAL + LINKED, "name.toml")
    toml(folder, LOCAL.replace('"far"\naddress = "local:"', '"far"\naddress = "telnet:far"') + LINKED, "telnet.toml")
    plan_file(folder / "plan.json", digest, (0, 2, "near"), (2, 5, "far"))
    plan_file(folder / "short.json", digest, (0, 2, "near"), (2, 4, "far"))
    plan_file(folder / "gap.json", digest, (0, 2, "near"), (3, 5, "far"))
    plan_file(folder / "nobody.json", digest, (0, 5, "nobody"))
    plan_file(folder / "pick.json", picking().graph.digest, (0, 1, "near"), (1, 3, "far"))
    (folder / "new.json").write_text((folder / "plan.json").read_text().replace('"version": 1', '"version": 9'))
    (folder / "torn.json").write_text((folder / "plan.json").read_text()[:60])
    (folder / "empty").mkdir()
    for name in ("profiles", "others"):
        net = "net.onnx" if name == "profiles" else "other.onnx"
        assert edgekit_run("profile", folder / net, "-c", folder / "cluster.toml", "-o", folder / name).code == 0
    command = ("partition", folder / "net.onnx", "-c", folder / "cluster.toml", "-p", folder / "profiles", "-o", folder / "front.json")
    assert edgekit_run(*command).code == 0
    (folder / "bare").mkdir()
    empty = json.loads((folder / "front.json").read_text()) | {"plans": []}
    (folder / "bare" / "front.json").write_text(json.dumps(empty))
    write_inputs(folder)
    return folder


def write_inputs(folder: Path) -> None:
    good = skipping().inputs()["x"]
    np.savez(folder / "good.npz", x=good)
    np.savez(folder / "shape.npz", x=good[:, :2])
    np.savez(folder / "dtype.npz", x=good.astype(np.float64))
    np.savez(folder / "name.npz", picture=good)
    np.savez(folder / "uneven.npz", **{name: np.stack([array] * (2 + (name == "i"))) for name, array in picking().inputs().items()})
    np.savez(folder / "objects.npz", x=np.array([{}]))
    np.savez(folder / "beyond.npz", **(picking().inputs() | {"i": np.array([0, 1, 2, 99])}))
    (folder / "notes.npz").write_text("not an array")
    (folder / "torn.npz").write_bytes((folder / "good.npz").read_bytes()[:200])
    (folder / "same").mkdir()
    np.savez(folder / "same" / "a.npz", x=good)
    np.save(folder / "same" / "a.npy", good)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    yield
    assert left_over() == []
    assert not list((tmp_path / "s").rglob("agent.sock")) and not list((tmp_path / "s").rglob("deployment.json"))


PROFILE = "-c cluster.toml -o out"
PARTITION = "partition net.onnx -c cluster.toml -o out/front.json"
PLANNED = "-g net.onnx -c cluster.toml"
VERIFY = "--seconds 0.1"

CASES = {
    # networks
    "export gone.onnx -o out.onnx": (
        2,
        "gone.onnx: expected an .onnx file, but it cannot be read",
    ),
    "export text.onnx -o out.onnx": (2, "text.onnx: expected an ONNX model, got a text file (a Git LFS pointer or a web page?); export it"),
    "export empty.onnx -o out.onnx": (2, "empty.onnx: expected an ONNX model, got an empty file; export it"),
    "export cut_short.onnx -o out.onnx": (2, "cut_short.onnx: expected an ONNX model, got 900 bytes that are damaged, cut short"),
    "export unknown.onnx -o out.onnx": (2, "has no operator Frobnicate of domain acme.ops"),
    "export open.onnx -o out.onnx": (2, "--input"),
    "export open.onnx -o out.onnx --input 1x4": (0, ""),
    "export open.onnx -o out.onnx --input 1x-4": (2, "input '1x-4': expected a shape such as 1x3x224x224"),
    "export open.onnx -o out.onnx --input z:1x4": (2, "z"),
    "export nowhere.at.all:net -o out.onnx": (2, ""),
    "export raw.onnx -o raw.onnx": (2, "raw.onnx is the network to export, which would be lost"),
    "export raw.onnx -o net.onnx/out.onnx": (2, "net.onnx/out.onnx: cannot be written"),
    "inspect raw.onnx": (2, "raw.onnx is not prepared for edgekit; run: edgekit export"),
    "inspect gone.onnx": (2, "gone.onnx: expected an .onnx file"),
    "inspect cut_short.onnx": (2, "damaged, cut short"),
    "quantize net.onnx -o out.onnx": (
        2,
        "int8 needs inputs as the network will see them, to set the ranges of activations; add: --data",
    ),
    "quantize net.onnx -o out.onnx -p int4": (2, "expected int8 or fp16, got 'int4'; change --precision"),
    "quantize raw.onnx -o out.onnx -p fp16": (2, "raw.onnx is not prepared for edgekit"),
    "quantize net.onnx -o out.onnx --data gone.npz": (2, "gone.npz: expected a file, a folder or -, found nothing there"),
    "quantize net.onnx -o out.onnx --data name.npz": (2, "expected an input 'x', got picture; name the arrays like the inputs"),
    "quantize net.onnx -o out.onnx --data shape.npz": (2, "input 'x' is expected as float32 [1, 3, 8, 8], got float32 [1, 2, 8, 8]"),
    "quantize net.onnx -o out.onnx --data dtype.npz": (2, "got float64 [1, 3, 8, 8]; convert it first"),
    # settings
    "tune net.onnx -c cluster.toml -o out": (2, "near is described with one speed, whatever the settings; leave it out"),
    "tune net.onnx -c cluster.toml -o out --batch 1,some": (2, "expected numbers of frames with commas, such as 1,4,8, got '1,some'"),
    "tune net.onnx -c cluster.toml -o out --batch 0": (2, "expected batches of at least 1 frame, got 0; change --batch"),
    # clusters
    "survey net.onnx -c gone.toml": (2, "gone.toml: cannot be read (No such file or directory); check the path"),
    "survey net.onnx -c damaged.toml": (2, "damaged.toml: not valid TOML"),
    "survey net.onnx -c twice.toml": (2, "near named more than once; give each a name of its own"),
    "survey net.onnx -c field.toml": (2, "field.toml: line 9: unknown field colour in [[devices]] number 2; fields: name, address,"),
    "survey net.onnx -c fast.toml": (2, "fast.toml: line 9: speed in [[devices]] number 2: expected a number of at most 1, got 7"),
    "survey net.onnx -c plan.json": (2, "expected format 'edgekit.cluster', got 'edgekit.plan'"),
    "survey net.onnx -c mixed.toml": (2, "far are sim: devices among real ones"),
    # profiles
    f"profile net.onnx {PROFILE} -d nobody": (2, "no device 'nobody' in cluster cluster; it has near, far"),
    "profile net.onnx -c cores.toml -o out -d far --seconds 0.1": (3, "cores"),
    "profile net.onnx -c telnet.toml -o out -d far": (2, "far: no way to reach 'telnet:far'; addresses begin with local:, sim:"),
    # fronts
    f"{PARTITION} -p empty": (2, "no *.profile.json in empty; run: edgekit profile"),
    f"{PARTITION} -p others": (2, "expected"),
    f"{PARTITION} -p profiles -O latency,speed": (
        2,
        "energy, loss, devices, got 'latency,speed'",
    ),
    f"{PARTITION} -p profiles --order near,nobody": (2, "no device 'nobody' in cluster cluster; it has near, far"),
    f"{PARTITION} -p profiles --order near,near": (2, "names a device twice"),
    # plans
    f"verify gone.json {PLANNED}": (2, "gone.json: cannot be read (No such file or directory); check the path"),
    f"verify torn.json {PLANNED}": (2, "torn.json: expected edgekit.plan as JSON, got something else"),
    f"verify new.json {PLANNED}": (2, "edgekit.plan version 1 is what this edgekit reads, got 9; install a newer edgekit"),
    "verify plan.json -g other.onnx -c cluster.toml": (2, "the plan is for graph"),
    f"verify short.json {PLANNED}": (2, "the stages cover units [0, 4), the graph has 5; let the last stage stop there"),
    f"verify gap.json {PLANNED}": (2, "expected it to start at 2"),
    f"verify nobody.json {PLANNED}": (2, "no device 'nobody' in cluster cluster"),
    "verify plan.json -g net.onnx -c apart.toml": (2, "far is unreachable from near: cluster cluster has no link near → far; add one"),
    "verify plan.json -g net.onnx -c mixed.toml": (2, "mixes sim: devices with real ones"),
    "verify plan.json -g net.onnx -c telnet.toml": (2, "no way to reach 'telnet:far'"),
    "verify plan.json": (2, "--graph and --cluster are missing; write: edgekit … plan.json -g NETWORK.onnx -c cluster.toml"),
    "verify plan.json -c cluster.toml": (2, "--graph is missing; write: edgekit … plan.json -g NETWORK.onnx -c cluster.toml"),
    "profile net.onnx -o out": (2, "--cluster is missing; write: edgekit profile NETWORK.onnx -c cluster.toml -o run"),
    "profile net.onnx -c cluster.toml": (2, "--output is missing; write: edgekit profile"),
    "profile -c cluster.toml -o out": (2, "NETWORK is missing; write: edgekit profile"),
    f"verify plan.json {PLANNED} -p others": (2, "the profile of near is of graph"),
    f"verify front.json {PLANNED} --pick best": (2, "expected knee, latency, period or a number below"),
    f"verify front.json {PLANNED} --pick 99": (2, "got '99'; change --pick"),
    f"verify bare/front.json {PLANNED}": (2, "bare/front.json holds no plan; run edgekit partition again"),
    f"verify plan.json {PLANNED} -p profiles --within 0 {VERIFY}": (1, "promise missed"),
    # deployments
    "verify": (2, "no pipeline is deployed under"),
    "status": (2, "no pipeline is deployed under"),
    "logs -n elsewhere": (2, "elsewhere; run: edgekit deploy, or name a plan"),
    "status -n ../up": (2, "cluster '../up' cannot have a folder of its name"),
    f"deploy plan.json {PLANNED}": (2, "sim: devices live within one command only; use: edgekit verify"),
    "deploy plan.json -g net.onnx -c name.toml": (2, "cluster '../up' cannot have a folder of its name"),
    "deploy plan.json -g other.onnx -c local.toml": (2, "the plan is for graph"),
    "deploy plan.json -g net.onnx -c cores.toml": (3, "far: stage 1@far: cores"),
    # frames
    f"run plan.json {PLANNED} --input gone.npz --output out": (2, "gone.npz: expected a file, a folder or -, found nothing there"),
    f"run plan.json {PLANNED} --input empty --output out": (2, "empty: expected .npz or .npy files, found none"),
    f"run plan.json {PLANNED} --input notes.npz --output out": (2, "notes.npz: expected an .npz or .npy file, got something else"),
    f"run plan.json {PLANNED} --input torn.npz --output out": (2, "torn.npz: expected an .npz or .npy file, got something else"),
    f"run plan.json {PLANNED} --input objects.npz --output out": (2, "objects.npz: expected an .npz or .npy file, got something else"),
    f"run plan.json {PLANNED} --input shape.npz --output out": (
        2,
        "is expected as float32 [1, 3, 8, 8], got float32 [1, 2, 8, 8]",
    ),
    f"run plan.json {PLANNED} --input dtype.npz --output out": (2, "got float64 [1, 3, 8, 8]; convert it first"),
    f"run plan.json {PLANNED} --input name.npz --output out": (
        2,
        "expected an input 'x', got picture; name the arrays",
    ),
    f"run plan.json {PLANNED} --input same --output out": (2, "a.npz and a.npy would give results of one name; rename one"),
    f"run plan.json {PLANNED} --input good.npz --output out.npy": (
        2,
        "expected an .npz file, a folder or -",
    ),
    f"run plan.json {PLANNED} --input good.npz --output net.onnx": (2, "expected an .npz file, a folder or -"),
    f"run plan.json {PLANNED} --input good.npz --output net.onnx/y.npz": (2, "net.onnx/y.npz: cannot be written"),
    "run pick.json -g pick.onnx -c cluster.toml --input beyond.npz --output out": (3, "frame 0 failed: stage 1@far"),
    "run pick.json -g pick.onnx -c cluster.toml --input uneven.npz --output out": (2, "the inputs hold 2 and 3 frames; give each as many"),
    # folders
    "report empty": (2, "no front.json in empty; run: edgekit partition"),
}


@pytest.mark.parametrize("line", CASES)
def test_wrong_use_ends_with_one_message(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(folder)
    code, message = CASES[line]
    outcome = edgekit_run(*line.split())
    assert outcome.code == code, outcome.err + outcome.out
    assert message in outcome.message, outcome.err
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (code in (2, 3))
    assert "Traceback" not in outcome.err


def test_standard_input_that_is_no_array_is_refused(folder: Path) -> None:
    command = ("run", folder / "plan.json", "-g", folder / "net.onnx", "-c", folder / "cluster.toml", "--input", "-", "--output", "-")
    outcome = edgekit_run(*command, given=b"hello")
    assert (outcome.code, outcome.data) == (2, b"")
    assert "standard input: expected an .npz or .npy file, got something else" in outcome.message


def test_an_option_that_does_not_exist_is_wrong_use() -> None:
    assert edgekit_run("partition", "--speed").code == 2
    assert edgekit_run("frobnicate").code == 2


@pytest.mark.parametrize("command", ["profile net.onnx -c local.toml -o out", "verify plan.json -g net.onnx -c local.toml"])
def test_a_device_that_does_not_start_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(devices.local.sys, "executable", "/bin/false")
    outcome = edgekit_run(*command.split())
    assert outcome.code == 3
    assert "near: its agent did not start" in outcome.message


def test_a_place_for_agents_that_is_too_long_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("x" * 99)))
    outcome = edgekit_run(*"deploy plan.json -g net.onnx -c local.toml".split())
    assert outcome.code == 2
    assert "set XDG_STATE_HOME to a shorter folder" in outcome.message


def test_an_interruption_has_its_own_exit_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgekit.api.load", interrupt)
    outcome = edgekit_run("inspect", folder / "net.onnx")
    assert (outcome.code, outcome.message) == (130, "interrupted; what this command started has been stopped")


def test_a_reader_that_goes_away_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    command = "from edgekit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "inspect", str(folder / "net.onnx"), "--json"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.stderr == b""
