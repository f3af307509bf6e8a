"""No command tells anybody what it does: nothing is kept in the home folder for it, and no socket leads to another machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit import onnxio
from edgekit.files import encode
from tests.models import raw_skipping, split

ROOT = Path(__file__).parents[2]

WATCH = """
import json, subprocess, sys, time
from pathlib import Path

for words in (["link", "set", "lo", "up"], ["route", "add", "default", "dev", "lo"]):
    subprocess.run(["ip", *words], check=True)
seen, failed = set(), []
for words in json.loads(sys.argv[1]):
    done = subprocess.Popen([sys.executable, "-P", "-c", "from edgekit.cli import main; main()", *words], stdout=2)
    while done.poll() is None:
        for kind in ("tcp", "tcp6", "udp", "udp6"):
            lines = Path("/proc/self/net", kind).read_text().splitlines()[1:]
            seen |= {line.split()[2].rpartition(":")[0] for line in lines}
        time.sleep(0.005)
    if done.returncode:
        failed.append(words)
print(json.dumps([sorted(seen), failed]))
"""
"""Runs commands where every address leads nowhere, and tells with which ones they had a socket."""

HERE = {"00000000", "0100007F", "0" * 32, "0" * 24 + "01000000", "0000000000000000FFFF00000100007F"}
"""Of no connection, 127.0.0.1 and ::1, as proc(5) has them."""


def watched(folder: Path, *commands: list[str]) -> tuple[set[str], list[str]]:
    """The addresses that commands had a socket with, and what they left in the home folder."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY" and not name.startswith("XDG_")}
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", WATCH, json.dumps(commands)],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "HOME": str(home), "XDG_STATE_HOME": str(folder / "state")},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen, failed = json.loads(done.stdout.splitlines()[-1])
    assert not failed, done.stderr
    return set(seen), sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def test_no_command_keeps_or_sends_anything_of_its_own(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs tool unshare and ip, as root")
    raw = raw_skipping()
    (tmp_path / "raw.onnx").write_bytes(raw)
    graph = onnxio.read(onnxio.normalise(raw))
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((20, 1, 3, 8, 8)).astype(np.float32))
    device, link = '[[devices]]\nname = "a"\naddress = "local:"', '[[links]]\nsource = "*"\nreceiver = "*"'
    (tmp_path / "cluster.toml").write_text(f'name = "t"\n{device}\n{link}\n')
    (tmp_path / "plan.json").write_bytes(encode(split(graph, (0, len(graph.units), "a"))))
    network = ["-g", "net.onnx", "-c", "cluster.toml"]
    seen, left = watched(
        tmp_path,
        ["export", "raw.onnx", "-o", "net.onnx"],
        ["quantize", "net.onnx", "--data", "x.npz", "-o", "int8.onnx"],
        ["quantize", "net.onnx", "--data", "x.npz", "-p", "fp16", "-o", "fp16.onnx"],
        ["profile", "net.onnx", "-c", "cluster.toml", "-o", "run", "--seconds", "0.1", "--data", "x.npz"],
        ["run", "plan.json", *network, "--input", "x.npz", "--output", "y.npz"],
        ["deploy", "plan.json", *network, "--data", "x.npz"],
        ["stop"],
    )
    assert seen <= HERE and left == []
