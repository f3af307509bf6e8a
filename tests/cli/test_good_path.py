"""The whole way on the command line, on agents of this machine and on described devices."""

import contextlib
import io
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from edgekit.errors import UsageError
from edgekit.runtime.engine.executor import run_once
from tests.cli.bed import Outcome, edgekit_run, started, toml, until
from tests.models import Net, serial

LOCAL = """
name = "cluster"
[[devices]]
name = "near"
address = "local:"

[[devices]]
name = "far"
address = "local:"
speed = 0.5

[[links]]
source = "*"
receiver = "*"
"""

SIM = """
name = "paper"

[[devices]]
name = "near"
address = "sim:"
roofline = { macs_per_s = 1e8, memory_bytes_per_s = 1e9 }

[[devices]]
name = "far"
address = "sim:"
roofline = { macs_per_s = 4e8, memory_bytes_per_s = 1e9 }

[[links]]
source = "*"
receiver = "*"
latency_s = 0.0001
bytes_per_s = 1e7
"""


@pytest.fixture(scope="module", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A place of their own for agents and temporary files, which have to be gone in the end."""
    with pytest.MonkeyPatch.context() as patch:
        temp, state = tmp_path_factory.mktemp("t"), tmp_path_factory.mktemp("s")
        patch.setattr(tempfile, "tempdir", str(temp))
        patch.setenv("XDG_STATE_HOME", str(state))
        yield
        assert edgekit_run("stop").out.startswith("nothing was running")
        assert not [path for path in temp.iterdir() if path.name.startswith("edgekit-")]


def done(*arguments: object, given: bytes | None = None) -> Outcome:
    outcome = edgekit_run(*arguments, given=given)
    assert outcome.code == 0, outcome.err + outcome.out
    return outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, exported and looked at."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "raw.onnx").write_bytes(serial(3).data)
    toml(folder, LOCAL)
    toml(folder, SIM, "sim.toml")
    outcome = done("export", folder / "raw.onnx", "-o", folder / "net.onnx")
    assert "3 nodes in 3 units, opset 17" in outcome.out and "next: edgekit inspect" in outcome.out
    return folder


@pytest.fixture(scope="module")
def surveyed(folder: Path) -> Path:
    cluster = folder / "cluster.toml"
    outcome = done("survey", folder / "net.onnx", "-c", cluster)
    assert "near → far" in outcome.out and "measured" in outcome.out
    assert all(link.badge == "measured" for link in api.read_cluster(cluster).links[:-1])
    found = (folder / "cluster.measured.json").read_text()
    done("survey", "-c", cluster, "--replay", folder / "cluster.survey.json")
    assert (folder / "cluster.measured.json").read_text() == found
    assert cluster.read_text() == LOCAL
    return cluster


@pytest.fixture(scope="module")
def front(folder: Path, surveyed: Path) -> Path:
    net, runs, front = folder / "net.onnx", folder / "runs", folder / "runs" / "front.json"
    outcome = done("profile", net, "-c", surveyed, "-o", runs, "--seconds", "0.1")
    assert "load peak" in outcome.out and "run peak" in outcome.out
    assert "near" in outcome.out and "far" in outcome.out and "emulated" in outcome.out
    outcome = done("partition", net, "-c", surveyed, "-p", runs, "-o", front, "-O", "latency,period", "--measure")
    assert "← knee" in outcome.out and "exact" in outcome.out
    return front


@pytest.fixture(scope="module")
def served(folder: Path, surveyed: Path) -> Iterator[None]:
    """Two stages that stay."""
    plan = {"format": "edgekit.plan", "version": 1, "graph": serial(3).graph.digest}
    plan["stages"] = [{"start": 0, "stop": 1, "devices": ["near"]}, {"start": 1, "stop": 3, "devices": ["far"]}]
    (folder / "plan.json").write_text(json.dumps(plan))
    outcome = done("deploy", folder / "plan.json", "-g", folder / "net.onnx", "-c", surveyed)
    assert "near[0:1] → far[1:3] is serving; split output equals unsplit output" in outcome.out
    yield
    done("stop")


def close(got: np.ndarray, want: np.ndarray) -> bool:
    return got.shape == want.shape and float(np.abs(got - want).max()) <= 1e-4 * float(np.abs(want).max())


def unsplit(net: Net, seed: int) -> np.ndarray:
    return run_once(net.data, net.inputs(seed))["y"]


def check_runs(folder: Path, *pipeline: object) -> None:
    """One frame and several, from a file, a folder and standard input."""
    net = serial(3)
    assert done("inspect", folder / "net.onnx", "--json").out.count(net.graph.digest) == 1  # the tests' own import is the same
    frames = [net.inputs(seed)["x"] for seed in range(3)]
    np.savez(folder / "one.npz", x=frames[0])
    done("run", *pipeline, "--input", folder / "one.npz", "--output", folder / "one_y.npz")
    assert close(np.load(folder / "one_y.npz")["y"], unsplit(net, 0))
    np.save(folder / "three.npy", np.stack(frames))
    outcome = done("run", *pipeline, "--input", folder / "three.npy", "--output", folder / "three_y.npz")
    assert "3 frames → " in outcome.err and " frames/s with 8 in flight" in outcome.err
    assert all(close(y, unsplit(net, seed)) for seed, y in enumerate(np.load(folder / "three_y.npz")["y"]))
    (folder / "inputs").mkdir(exist_ok=True)
    for seed, frame in enumerate(frames):
        np.savez(folder / "inputs" / f"frame{seed}.npz", x=frame)
    done("run", *pipeline, "--input", folder / "inputs", "--output", folder / "outputs", "--window", "1")
    assert all(close(np.load(folder / "outputs" / f"frame{seed}.npz")["y"], unsplit(net, seed)) for seed in range(3))
    outcome = done("run", *pipeline, "--input", "-", "--output", "-", given=(folder / "three.npy").read_bytes())
    assert all(close(y, unsplit(net, seed)) for seed, y in enumerate(np.load(io.BytesIO(outcome.data))["y"]))


def check_verdict(outcome: Outcome) -> dict:
    assert outcome.code in (0, 1)  # 1 where the machine is too busy to keep what was predicted
    verdict = json.loads(outcome.out)
    assert set(verdict) == {"errors", "within", "trace"}
    assert verdict["trace"]["format"] == "edgekit.trace"
    missed = any(abs(error) > verdict["within"] for error in verdict["errors"].values())
    assert outcome.code == int(missed) and ("promise missed" in outcome.err) == missed
    return verdict


def test_a_network_is_shown(folder: Path) -> None:
    outcome = done("inspect", folder / "net.onnx")
    assert "activations at least" in outcome.out and "memory in one stage, predicted: at most" in outcome.out
    assert "net: 3 nodes" in outcome.out and "2 cut candidates in 3 units" in outcome.out
    assert json.loads(done("inspect", folder / "net.onnx", "--json").out)["format"] == "edgekit.graph"


def test_a_network_is_quantized_and_its_outputs_compared(folder: Path) -> None:
    np.savez(folder / "frames.npz", x=np.concatenate([serial(3).inputs(seed)["x"] for seed in range(10)]))
    net, made, data = folder / "net.onnx", folder / "net.int8.onnx", ("--data", folder / "frames.npz")
    outcome = done("quantize", net, "-o", made, *data)
    assert "quantizing: calibrating: frame 1 of 8\n" in outcome.err
    assert "net.int8.onnx: int8, " in outcome.out and "on 2 frames, calibrated with 8 others" in outcome.out
    assert "int8" in done("inspect", made).out
    assert json.loads(done("quantize", net, "-o", made, *data, "--json").out)["calibrated"] == 8
    outcome = done("quantize", net, "-p", "fp16", "-o", folder / "net.fp16.onnx")
    assert "its outputs were not compared" in outcome.out
    assert done("quantize", net, "-p", "fp16", "-o", folder / "net.fp16.onnx", "--json").out.strip() == "null"


def test_the_best_setting_of_a_device_is_kept_and_used(folder: Path) -> None:
    text = '[[devices]]\nname = "near"\naddress = "local:"\ncores = [0]\n'
    cluster = toml(folder, text, "near.toml")
    tune = ("tune", folder / "net.onnx", "-c", cluster, "-o", folder / "tuned", "--seconds", "0.1")
    outcome = done(*tune, "--batch", "1,2")
    assert "tuning: near: round 1 of 5: setting 1 of " in outcome.err
    assert "fp32, CPU, 1 thread" in outcome.out and "throughput" in outcome.out
    assert "near: net runs as fp32 CPU ×1 from now on" in outcome.out
    before = (folder / "tuned" / "near.tuning.json").read_text()
    assert json.loads(done(*tune, "--json").out) == [json.loads(before)]
    assert cluster.read_text() == text
    (kept,) = json.loads((folder / "near.measured.json").read_text())["tuned"]
    assert kept["graph"] == serial(3).graph.digest and kept["variant"]["threads"] == 1


def test_local_devices_from_survey_to_a_certified_plan_that_lives_as_long_as_the_command(folder: Path, front: Path, surveyed: Path) -> None:
    plan = (front, "-g", folder / "net.onnx", "-c", surveyed)
    outcome = edgekit_run("verify", *plan, "--seconds", "0.1", "--json", "-o", folder / "trace.json")
    assert "verifying: latency of a frame alone: frame 1 of 8\n" in outcome.err
    verdict = check_verdict(outcome)
    assert set(verdict["errors"]) == {"latency", "period"}
    assert json.loads((folder / "trace.json").read_text()) == verdict["trace"]
    (residual,) = json.loads((folder / "residuals.json").read_text())["found"]
    assert residual["plan"] == verdict["trace"]["plan"]
    for pick in ("latency", "period"):
        done("run", *plan, "--pick", pick, "--input", _frame(folder), "--output", folder / "y.npz")


def _frame(folder: Path) -> Path:
    np.save(folder / "frame.npy", serial(3).inputs()["x"])
    return folder / "frame.npy"


def test_a_deployed_pipeline_runs_is_verified_and_tells_how_it_is(folder: Path, served: None) -> None:
    check_runs(folder)
    verdict = check_verdict(edgekit_run("verify", "--seconds", "0.1", "--json"))
    assert verdict["errors"] == {} and len(verdict["trace"]["loads"]) == 3
    outcome = done("verify", "--seconds", "0.1")
    assert "compute 0@near" in outcome.out and "transfer near→far" in outcome.out and "frames in flight" in outcome.out
    outcome = done("status")
    assert "stage 0@near  serving" in outcome.out and "stage 1@far   serving" in outcome.out
    status = json.loads(done("status", "--json").out)
    assert (status["wanted"], len(status["stages"])) == (2, 2)
    logs = done("logs").out
    assert "near: " in logs and "far: " in logs and "loaded stage 1@far" in logs


def test_a_program_is_served_by_what_was_deployed(served: None) -> None:
    with api.connect("cluster") as client:
        for seed, result in enumerate(client.stream(serial(3).inputs(seed) for seed in range(4))):
            assert close(result.value()["y"], unsplit(serial(3), seed))
    with pytest.raises(UsageError, match="no pipeline called another is deployed; deployed: cluster"), api.connect("another"):
        pass


def test_the_same_deployment_again_changes_nothing(folder: Path, surveyed: Path, served: None) -> None:
    before = json.loads(done("status", "--json").out)
    done("deploy", folder / "plan.json", "-g", folder / "net.onnx", "-c", surveyed)
    after = json.loads(done("status", "--json").out)
    assert after["release"] == before["release"] and after["degraded"] == []
    outcome = edgekit_run("rollback")
    assert outcome.code == 2 and "nothing was deployed to cluster before what serves now" in outcome.message
    done("status")


def test_agents_are_kept_where_the_environment_says(folder: Path, served: None) -> None:
    home = Path(os.environ["XDG_STATE_HOME"]) / "edgekit" / "cluster"
    assert sorted(path.name for path in home.iterdir()) == [".authority", ".releases", "deployment.json", "far", "near"]
    assert (home / "near" / "agent.sock").is_socket()


@pytest.mark.parametrize(("arguments", "text"), [(("status", "--watch", "--json"), '"degraded":[]'), (("logs", "--follow"), ": 20")])
def test_what_is_watched_is_told_again_and_again_until_it_is_interrupted(
    arguments: tuple[str, ...], text: str, served: None, tmp_path: Path
) -> None:
    with started(*arguments, temp=tmp_path, state=Path(os.environ["XDG_STATE_HOME"])) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (0, "")
    assert all(text in line for line in lines)
    done("status")


def test_the_third_of_several_files_is_bad(folder: Path, served: None) -> None:
    (folder / "some").mkdir()
    for name in "abd":
        np.savez(folder / "some" / f"{name}.npz", x=serial(3).inputs()["x"])
    (folder / "some" / "c.npz").write_bytes((folder / "some" / "b.npz").read_bytes()[:300])
    outcome = edgekit_run("run", "--input", folder / "some", "--output", folder / "some_y")
    assert outcome.code == 2 and "c.npz: expected an .npz or .npy file, got something else" in outcome.message
    assert f"results kept in {folder / 'some_y'}: 2" in outcome.err
    assert sorted(path.name for path in (folder / "some_y").iterdir()) == ["a.npz", "b.npz"]
    done("status")


def test_described_devices_need_no_deployment(folder: Path) -> None:
    net, sim, runs = folder / "net.onnx", folder / "sim.toml", folder / "sim"
    done("survey", net, "-c", sim)
    done("profile", net, "-c", sim, "-o", runs, "--json")
    front = json.loads(done("partition", net, "-c", sim, "-p", runs, "-o", runs / "front.json", "--measure", "--json").out)
    assert front["format"] == "edgekit.front" and front["plans"]
    plan = (runs / "front.json", "-g", net, "-c", sim)
    for pick in range(len(front["plans"])):
        verdict = check_verdict(edgekit_run("verify", *plan, "--pick", pick, "--seconds", "0.1", "--json"))
        assert all(abs(error) < 0.01 for error in verdict["errors"].values())
    check_runs(folder, *plan)
    outcome = edgekit_run("deploy", *plan)
    assert outcome.code == 2 and "sim: devices live within one command only; use: edgekit verify" in outcome.message
    (runs / "trace.json").unlink(missing_ok=True)
    outcome = done("report", runs)
    assert all(Path(line).is_file() for line in outcome.out.split())


def test_a_stage_that_was_killed_comes_back(served: None) -> None:
    stages = json.loads(done("status", "--json").out)["stages"]
    os.kill(stages[1]["pid"], signal.SIGKILL)
    assert until(lambda: json.loads(edgekit_run("status", "--json").out)["stages"][1]["pid"] not in (0, stages[1]["pid"]))
    assert until(lambda: edgekit_run("status").code == 0)
    done("verify", "--seconds", "0.1")


def test_a_device_that_is_gone_is_planned_without(folder: Path, surveyed: Path, front: Path, served: None) -> None:
    plan = ("deploy", folder / "plan.json", "-g", folder / "net.onnx", "-c", surveyed, "--on-loss", "replan")
    outcome = edgekit_run(*plan)
    assert outcome.code == 2 and "its profiles are needed; add -p with the folder of edgekit profile" in outcome.message
    outcome = done(*plan, "-p", front.parent)
    assert "without far: near[0:3]" in outcome.out and "without near: far[0:3]" in outcome.out
    home = Path(os.environ["XDG_STATE_HOME"]) / "edgekit" / "cluster"
    os.kill(_agent(home / "far"), signal.SIGKILL)
    check_runs(folder)
    assert [stage["name"] for stage in json.loads(done("status", "--json").out)["stages"]] == ["stage 0@near"]


def _agent(home: Path) -> int:
    """The process whose work is kept there."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if str(home).encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                return int(folder.name)
    raise AssertionError(f"no agent runs for {home}")
