"""The partition command with everything that can be asked of it, on plain numbers and on described devices."""

import json
from pathlib import Path

import pytest

from tests.cli.bed import edgekit_run

TABLE = {
    "format": "edgekit.costs",
    "version": 1,
    "name": "toy",
    "input_bytes": 1000,
    "units": [{"name": name, "output_bytes": size, "resident_bytes": 100} for name, size in (("a", 500), ("b", 40), ("c", 200), ("d", 8))],
    "devices": [
        {"name": "pi", "count": 2, "seconds": [0.2, 0.4, 0.1, 0.3], "joules": 6.0, "idle_w": 2.0},
        {"name": "nano", "seconds": [0.1, 0.2, 0.05, 0.15], "joules": 9.0, "idle_w": 5.0},
    ],
    "links": [{"source": "*", "receiver": "*", "latency_s": 0.001, "bytes_per_s": 1e4}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "table.json").write_text(json.dumps(TABLE))
    return folder


def partition(folder: Path, *options: object) -> dict[str, object]:
    """The front that is written."""
    outcome = edgekit_run("partition", "--costs", folder / "table.json", "-o", folder / "front.json", *options)
    assert outcome.code == 0, outcome.err
    found: dict[str, object] = json.loads((folder / "front.json").read_text())
    return found


def stages(front: dict[str, object]) -> list[list[list[str]]]:
    return [[stage["devices"] for stage in plan["stages"]] for plan in front["plans"]]  # type: ignore[attr-defined]


def test_a_table_of_numbers_is_partitioned(folder: Path) -> None:
    outcome = edgekit_run("partition", "--costs", folder / "table.json", "-o", folder / "front.json", "--order", "free")
    assert outcome.code == 0 and "plans, exact, predicted" in outcome.out
    assert any("nano" in crew for plan in stages(json.loads((folder / "front.json").read_text())) for crew in plan)


def test_plans_are_numbered_explained_and_compared(folder: Path) -> None:
    outcome = edgekit_run("partition", "--costs", folder / "table.json", "-o", folder / "front.json", "--order", "free", "--team", "2")
    front = json.loads((folder / "front.json").read_text())
    assert front["objectives"] == ["latency", "period"]
    rows = [line.split()[0] for line in outcome.out.splitlines() if " spec" in line]
    assert rows == [str(number) for number in range(len(front["plans"]))]
    assert "run on nano; edgekit inspect lists units" in outcome.out and "these take frames in turn" in outcome.out
    assert "knee: nearest to the best in every objective" in outcome.out
    assert outcome.out.splitlines()[-1].startswith("chose plan ") and "; fastest alone: " in outcome.out.splitlines()[-1]


def test_one_plan_is_one_plan_and_a_pin_says_what_else_to_try(folder: Path) -> None:
    asked = ("partition", "--costs", folder / "table.json", "-o", folder / "front.json", "-O", "latency", "--pin", "a=pi-1")
    outcome = edgekit_run(*asked)
    assert "1 plan, exact" in outcome.out and "--order free tries every order" in outcome.out
    assert "--order free" not in edgekit_run(*asked, "--order", "free").out


def test_what_is_missing_is_named(folder: Path) -> None:
    outcome = edgekit_run("partition", "net.onnx", "-c", "cluster.toml", "-o", folder / "front.json")
    assert outcome.code == 2 and "add -p with the folder of its profiles" in outcome.err


def test_constraints_hold_for_every_plan(folder: Path) -> None:
    assert all(["nano"] not in plan for plan in stages(partition(folder, "--forbid", "nano")))
    assert all(["nano"] in plan for plan in stages(partition(folder, "--require", "nano", "--order", "free")))
    assert all(plan[0] == ["pi-1"] for plan in stages(partition(folder, "--pin", "a=pi-1")))
    assert all(plan[0] == ["pi-2"] for plan in stages(partition(folder, "--private", "input=pi-2")))
    assert all(len(plan) == 1 for plan in stages(partition(folder, "--max-stages", "1")))
    front = partition(folder, "--max-latency", "800ms", "--rate", "1.5")
    assert all(plan["predicted"]["latency_s"] <= 0.8 and plan["predicted"]["period_s"] <= 1 / 1.5 for plan in front["plans"])  # type: ignore[attr-defined]
    front = partition(folder, "-O", "energy,devices", "--max-devices", "1")
    assert [len(plan) for plan in stages(front)] == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-latency", "1ms"], "latency ≤ 0.001 s, the least possible is"),
        (["--max-memory", "100B"], "no plan fits in memory: at best host"),
        (["--max-memory", "nano=100"], "expected bytes such as"),
        (["--pin", "z=pi-1"], "'z' is neither units below 4 nor a node"),
        (["--pin", "a=moon"], "no device 'moon'"),
        (["--private", "z=pi-1"], "has no tensor 'z'"),
        (["--forbid", "nano", "--require", "nano"], "nano must be used"),
        (["--sweep", "height=1..2m"], "expected bandwidth=1..1000Mbit"),
        (["--measure"], "cannot be measured"),
        (["-O", "loss,beauty"], "expected objectives among"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, options: list[str], message: str) -> None:
    outcome = edgekit_run("partition", "--costs", folder / "table.json", "-o", folder / "other.json", *options)
    assert outcome.code == 2 and message in outcome.err
    assert not (folder / "other.json").exists()


def test_a_sweep_is_kept_and_drawn(folder: Path) -> None:
    partition(folder, "--sweep", "bandwidth=1..1000kbit:4", "--sweep", "speed:nano=0.5..2:3", "-O", "latency,period")
    swept = json.loads((folder / "front.sweep.json").read_text())
    assert [len(knob["values"]) for knob in swept["knobs"]] == [4, 3] and len(swept["conditions"]) == 12
    assert (folder / "front.sweep.png").read_bytes().startswith(b"\x89PNG")
