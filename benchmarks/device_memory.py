"""Claim: on a device the agent takes at most 30 MB, and a stage process at most 60 MB besides its model.

    python benchmarks/device_memory.py

The agent is the file that a device is given, run as there (``serve``) by a Python that has numpy, onnxruntime and msgspec. Resident
bytes are counted twice: RSS, which counts what is shared with other processes in full, and PSS, which divides it among them.

Exit code 1 where the RSS of a row was ever more than its bar, or what a stage process says of itself is more than a tenth off.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stage is that of the tests

from devices.local import LocalConnection, connect
from devices.setup.agent_file import agent_file
from edgekit.device import Device
from edgekit.runtime.verbs import Probe
from tests.runtime.bed import DOUBLE, eventually, spec, written

ROOT = Path(__file__).parents[1]
PACKAGES = ("numpy", "onnxruntime", "msgspec")
AGENT_BYTES = 30_000_000
STAGE_BYTES = 60_000_000
UPLOAD_BYTES = 100_000_000
SETTLE_S = 0.5


def venv(folder: Path) -> Path:
    """A Python with what a device has, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, *PACKAGES], check=True, stderr=subprocess.DEVNULL)
    return folder / "bin" / "python"


@contextmanager
def agent(python: Path, folder: Path) -> Iterator[tuple[int, LocalConnection]]:
    """An agent that serves its folder: its process number, and a connection to it."""
    (folder / "agent.pyz").write_bytes(agent_file().data)
    process = subprocess.Popen([python, folder / "agent.pyz", "serve"], env={"HOME": str(folder), "PATH": os.environ["PATH"]})
    try:
        eventually(lambda: (folder / "agent" / "agent.pid").exists() or process.poll() is not None, 60)
        with connect(Device("agent"), folder) as connection:
            yield process.pid, connection
    finally:
        process.terminate()
        process.wait(20)


def field(pid: int, file: str, name: str) -> int:
    """Bytes that /proc has under a name."""
    lines = Path("/proc", str(pid), file).read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def children(pid: int) -> set[int]:
    return {int(number) for path in Path("/proc", str(pid), "task").glob("*/children") for number in path.read_text().split()}


def row(what: str, pid: int, most: int | None = None) -> bool:
    """Print what a process takes; whether it never took more than it may."""
    time.sleep(SETTLE_S)
    rss, pss, peak = field(pid, "smaps_rollup", "Rss"), field(pid, "smaps_rollup", "Pss"), field(pid, "status", "VmHWM")
    bar = f"{most / 1e6:10.0f}" if most else ""
    print(f"{what:40}{rss / 1e6:8.1f}{pss / 1e6:8.1f}{peak / 1e6:8.1f}{bar}", flush=True)
    return most is None or peak <= most


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as name:
        python = venv(Path(name) / "venv")
        print(f"{'MB':40}{'RSS':>8}{'PSS':>8}{'peak':>8}{'at most':>10}")
        with agent(python, Path(name)) as (pid, connection):
            kept = row("agent, idle", pid, AGENT_BYTES)
            connection.facts()
            kept &= row("agent, asked for its facts", pid, AGENT_BYTES)
            connection.put(os.urandom(UPLOAD_BYTES))
            kept &= row("agent, after an upload of 100 MB", pid, AGENT_BYTES)
            connection.probe(Probe())
            (bare,) = children(pid)
            kept &= row("stage process without a model", bare, STAGE_BYTES)
            loaded, _ = connection.load(spec(connection.put(written(DOUBLE))))
            (stage,) = children(pid) - {bare}
            kept &= row("agent, with a stage", pid, AGENT_BYTES)
            row("stage process with a model of one node", stage)
            actual = field(bare, "smaps_rollup", "Rss")
    ratio = loaded.base_bytes / actual
    print(f"of itself it says {loaded.base_bytes / 1e6:.1f} MB before its model: {ratio:.2f} of what a process without one takes")
    kept &= abs(ratio - 1) <= 0.1
    print("kept" if kept else "missed")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
