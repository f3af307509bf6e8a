"""A pipeline at work, as it is watched: on a terminal, in lines, by machines; and what its devices have logged."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from tests.cli.bed import ROOT, edgekit_run, started, toml
from tests.cli.test_bad_input import plan_file
from tests.models import serial
from tests.traceevents import arrows, checked, names

CLUSTER = """
name = "cluster"
[[devices]]
name = "near"
address = "local:"

[[devices]]
name = "far"
address = "local:"

[[links]]
source = "*"
receiver = "*"
"""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two stages that stay, and somebody who sends frames all the time; the folder of their state."""
    folder = tmp_path_factory.mktemp("w")
    (folder / "net.onnx").write_bytes(serial(3).data)
    plan_file(folder / "plan.json", serial(3).graph.digest, (0, 1, "near"), (1, 3, "far"))
    over = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        outcome = edgekit_run("deploy", folder / "plan.json", "-g", folder / "net.onnx", "-c", toml(folder, CLUSTER))
        assert outcome.code == 0, outcome.err

        def frames() -> Iterator[dict[str, object]]:
            while not over.wait(0.005):
                yield serial(3).inputs()

        def send() -> None:
            with api.connect("cluster") as client:
                for result in client.stream(frames()):  # type: ignore[arg-type]
                    result.value()

        sender = threading.Thread(target=send)
        sender.start()
        yield folder
        over.set()
        sender.join()
        assert edgekit_run("stop").out == "stopped far, near\n"


def looks(busy: Path, tmp_path: Path, count: int) -> list[dict[str, object]]:
    with started("status", "--watch", "--json", temp=tmp_path, state=busy) as process:
        assert process.stdout is not None
        found = [json.loads(process.stdout.readline()) for _ in range(count)]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0
    return found


def test_each_look_is_a_line_of_json_with_what_went_on_since_the_one_before(busy: Path, tmp_path: Path) -> None:
    first, second = looks(busy, tmp_path, 2)
    assert [rate["frames_per_s"] for rate in first["rates"]] == [None, None]
    for rate, stage in zip(second["rates"], second["stages"], strict=True):
        assert rate["stage"] == stage["stage"] and rate["frames_per_s"] > 0 and 0 < rate["busy"] <= 1 and rate["queue"] >= 0
    one, other = ([(link["source"], link["receiver"]) for link in rate["links"]] for rate in second["rates"])
    assert (one, other) == ([("client", 0), (0, 1)], [(1, "client")])
    assert all(link["bytes_per_s"] > 0 for rate in second["rates"] for link in rate["links"])
    assert [host["device"] for host in second["devices"]] == ["near", "far"]


def test_the_pages_of_every_agent_are_where_status_says(busy: Path) -> None:
    shown = json.loads(edgekit_run("status", "--json").out)
    for number, host in enumerate(shown["devices"]):
        with urllib.request.urlopen(f"http://{host['pages']}/metrics", timeout=10) as answer:
            assert f'edgekit_frames_total{{stage="{number}"' in answer.read().decode()
        with urllib.request.urlopen(f"http://{host['pages']}/readyz", timeout=10) as answer:
            assert answer.read() == b"ready\n"
    assert f"metrics of near: http://{shown['devices'][0]['pages']}/metrics" in edgekit_run("status").out.splitlines()


@pytest.mark.parametrize("width", [80, 200])
def test_on_a_terminal_a_table_is_kept_up_to_date_and_gone_in_the_end(busy: Path, tmp_path: Path, width: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from edgekit.cli import main\nmain()", "status", "--watch"],
            cwd=tmp_path,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}  # processes of tests have them
            | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(busy), "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(theirs)
        seen = _read(ours, b"frames/s", 20)
        process.send_signal(signal.SIGINT)
        seen += _read(ours, b"\x1b[?25h", 20)
        assert process.wait(30) == 0
    finally:
        os.close(ours)
    shown, _, rest = seen.rpartition(b"frames/s:")
    assert b"\x1b[?25l" in shown and "→ 1".encode() in shown
    assert b"\x1b[2K" in rest and b"interrupted" not in rest, "the cursor is back and the lines are taken away"
    words = set(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", shown.rpartition(b"deployment")[2].decode()).split())
    assert {"stage", "state", "frames/s", "busy", "links", "temp", "0@near", "1@far", "serving"} <= words
    assert ("process" in words) == (width == 200), "what is least needed is left out where the terminal is narrow"


def test_logs_that_are_followed_end_in_silence(busy: Path, tmp_path: Path) -> None:
    with started("logs", "-f", temp=tmp_path, state=busy) as process:
        assert process.stdout is not None
        assert ": " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0


def _read(terminal: int, until: bytes, within_s: float) -> bytes:
    seen, end_s = b"", time.monotonic() + within_s
    while until not in seen and time.monotonic() < end_s:
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536)
    assert until in seen, seen.decode(errors="replace")
    return seen


def test_a_pipeline_at_work_is_recorded(busy: Path, tmp_path: Path) -> None:
    outcome = edgekit_run("status", "--perfetto", tmp_path / "trace.json", "--seconds", "1")
    assert outcome.code == 0 and "stage 0@near" in outcome.out
    assert [line.split(": ")[0] for line in outcome.err.splitlines()] == ["recording", "near", "far"]
    assert all(" s ahead ± 0." in line for line in outcome.err.splitlines()[1:])
    trace = checked((tmp_path / "trace.json").read_text())
    assert names(trace, "process_name") == ["near", "far"] and len(arrows(trace)) > 10


def test_what_a_command_sends_is_recorded(busy: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", serial(3).inputs()["x"])
    where = ("-g", busy / "net.onnx", "-c", busy / "cluster.toml", "--input", tmp_path / "a.npy", "--output", tmp_path / "y.npz")
    assert edgekit_run("run", busy / "plan.json", *where, "--perfetto", tmp_path / "trace.json").code == 0
    trace = checked((tmp_path / "trace.json").read_text())
    assert names(trace, "process_name") == ["near", "far", "client"]
    assert sorted(way[0]["name"] for way in arrows(trace).values()) == ["client → stage 0", "stage 0 → stage 1", "stage 1 → client"]


def test_logs_are_told_together_and_as_events(busy: Path) -> None:
    lines = edgekit_run("logs").out.splitlines()
    assert {line.split(": ")[0] for line in lines} == {"near", "far"}
    assert any("loaded stage 1@far" in line for line in lines)
    events = [json.loads(line) for line in edgekit_run("logs", "--json").out.splitlines()]
    assert len(events) >= len(lines)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    (loaded,) = [event for event in events if event["event"].startswith("loaded stage 0@near")]
    assert (loaded["device"], loaded["stage"], loaded["replica"], loaded["level"]) == ("near", 0, 0, "info") and loaded["plan"]
