"""Codecs from the command line: losses measured, devices timed, a front with codecs, its plans run, one deployed."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.bed import edgekit_run
from tests.digits import digits, network

CLUSTER = """
name = "pair"
[[devices]]
name = "near"
address = "sim:"
roofline = { macs_per_s = 1e9, memory_bytes_per_s = 1e9 }
[[devices]]
name = "far"
address = "sim:"
roofline = { macs_per_s = 4e9, memory_bytes_per_s = 1e9 }
[[links]]
source = "*"
receiver = "*"
latency_s = 1e-4
bytes_per_s = 2e4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codecs")
    (folder / "net.onnx").write_bytes(network().data)
    (folder / "cluster.toml").write_text(CLUSTER)
    np.savez(folder / "digits.npz", x=digits()[0][1200:1260])
    np.save(folder / "labels.npy", digits()[1][1200:1260])
    return folder


def test_the_way_to_a_pipeline_with_codecs(folder: Path) -> None:
    net, cluster, run = folder / "net.onnx", folder / "cluster.toml", folder / "run"
    data = ("--data", folder / "digits.npz", "--labels", folder / "labels.npy")
    outcome = edgekit_run("quantize", net, "--losses", folder / "net.losses.json", *data)
    assert outcome.code == 0 and "answers that are wrong on its account" in outcome.out and "next: edgekit profile" in outcome.out
    assert "has a range, seen on others than those it was judged on" in outcome.out
    assert edgekit_run("profile", net, "-c", cluster, "-o", run, "--seconds", "0.1", "--codecs").code == 0
    asked = ("-c", cluster, "-p", run, "-o", folder / "front.json", "-O", "latency,loss", "--pin", "0:1=near", "--pin", "2:3=far")
    frames = ("--data", folder / "digits.npz", "--labels", folder / "labels.npy")
    outcome = edgekit_run("partition", net, *asked, "--losses", folder / "net.losses.json", *frames, "--max-loss", "0.5")
    assert outcome.code == 0, outcome.err
    assert "loss, summed" in outcome.out and "→u8c→" in outcome.out
    front = json.loads((folder / "front.json").read_text())
    assert "codecs fp16, u8, u8c" in front["certificate"]["model"]
    best = front["plans"][0]
    assert any(transfer.get("codec") == "u8c" for transfer in best["transfers"]) and best["predicted"]["loss_badge"] == "measured"
    outcome = edgekit_run("verify", folder / "front.json", "-g", net, "-c", cluster, "--pick", "latency", "--seconds", "0.1")
    assert outcome.code == 0, outcome.err
    outcome = edgekit_run("explain", folder / "front.json", "-g", net, "-c", cluster, "-p", run, "--pick", "latency")
    assert outcome.code == 0 and "twice as fast" in outcome.out
    for workers in (1, 2):  # the second finds all that the first has judged
        evolve = ("--evolve", 80, "--workers", workers)
        outcome = edgekit_run("partition", net, *asked, "--losses", folder / "net.losses.json", *frames, *evolve)
        assert outcome.code == 0, outcome.err
    (memory,) = folder.glob("front.*.evolved.json")
    assert len(json.loads(memory.read_text())) == 2 * 2**2 * 2 * 4  # stages, devices, cuts, codecs: all there are
    bred = json.loads((folder / "front.json").read_text())
    assert "then up to 80 choices judged end to end" in bred["certificate"]["model"]
    assert bred["plans"][0]["predicted"]["latency_s"] <= best["predicted"]["latency_s"]
    outcome = edgekit_run("partition", net, *asked, "--losses", folder / "net.losses.json", "--codecs", "fp16", "--json")
    assert outcome.code == 0 and '"u8"' not in outcome.out and '"fp16"' in outcome.out
    outcome = edgekit_run("partition", net, *asked, "--losses", folder / "net.losses.json", "--codecs", "u8c")
    assert outcome.code == 0 and "→u8c→" in outcome.out
    outcome = edgekit_run("verify", folder / "front.json", "-g", net, "-c", cluster, "--pick", "latency", "--seconds", "0.1")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["quantize", "net.onnx"], "expected -o, where to write the network, or --losses"),
        (["quantize", "net.onnx", "--losses", "x.json"], "losses need inputs as the network will see them; add: --data"),
        (["partition", "net.onnx", "-c", "cluster.toml", "-p", "run", "-o", "f.json", "--codecs", "u8"], "--codecs chooses among --losses"),
        (["partition", "net.onnx", "-c", "cluster.toml", "-p", "run", "-o", "f.json", "--evolve", "9"], "--evolve runs plans on frames"),
        (
            ["partition", "net.onnx", "-c", "cluster.toml", "-p", "run", "-o", "f.json", "--losses", "net.losses.json", "--codecs", "zip"],
            "says nothing of zip; it knows fp16, u8, u8c",
        ),
    ],
)
def test_what_cannot_be_is_said(folder: Path, command: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    outcome = edgekit_run(*command)
    assert outcome.code == 2 and words in " ".join(outcome.err.split()), outcome.err
