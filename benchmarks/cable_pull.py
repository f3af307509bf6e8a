"""Claim: a stream that loses a board ends with its typed error within 15 s, and says how many results were kept.

    python benchmarks/cable_pull.py [--pulls 6] [--bound 15]

Three boards over SSH, each a network namespace with its own sshd, carry a network of three stages. While ``edgekit run`` streams
through them, the cable of one is pulled: packets are dropped, and no connection is closed. The board is the first, the middle or the
last in turn, and the pipeline one that was deployed before or one that lives as long as the command. Printed for each pull:
the seconds until the command ended, its exit code and its last lines. The last line is JSON. Exit code 1 where a pull took longer
than the bound, ended with another exit code than 3, or did not say how many results were kept. Needs root and sshd.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # the boards are those of the tests

import numpy as np
import pytest

from edgekit.files import write
from tests.models import serial, split
from tests.runtime.bed import eventually
from tests.sshbed import Host, bed

FRAMES = 20_000
BEFORE = 50
"""Results after which the cable is pulled."""

MOST_S = 120.0
STAGES = ((0, 2), (2, 4), (4, 5))
PLAN = ("plan.json", "-g", "net.onnx", "-c", "cluster.toml")


class Pull(NamedTuple):
    """How a command ended whose board was lost."""

    board: str
    deployed: bool
    seconds: float
    code: int
    said: str

    def keeps(self, bound_s: float) -> bool:
        """Whether it ended as is promised."""
        return self.seconds <= bound_s and self.code == 3 and "results kept in" in self.said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pulls", type=int, default=6)
    parser.add_argument("--bound", type=float, default=15.0, help="seconds until the error")
    arguments = parser.parse_args()
    print(f"held to {arguments.bound:g} s until the error")
    pulls = []
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        bed(Path(folder), patch) as lab,
    ):
        patch.chdir(folder)
        boards = [lab.board(name) for name in ("first", "middle", "last")]
        prepare(boards)
        ways = itertools.cycle([(board, deployed) for deployed in (True, False) for board in boards])
        for board, deployed in itertools.islice(ways, arguments.pulls):
            pulls.append(pulled(board, deployed))
            print(*pulls[-1], flush=True)
    print(json.dumps([pull._asdict() for pull in pulls]))
    return 0 if all(pull.keeps(arguments.bound) for pull in pulls) else 1


def prepare(boards: list[Host]) -> None:
    """Write what the commands read."""
    net = serial()
    Path("net.onnx").write_bytes(net.model.serialized)
    np.savez("x.npz", **{name: np.stack([array] * FRAMES) for name, array in net.inputs().items()})
    devices = "".join(f'[[devices]]\nname = "{board.name}"\naddress = "{board.address}"\n' for board in boards)
    Path("cluster.toml").write_text(f'name = "lab"\n{devices}[[links]]\nsource = "*"\nreceiver = "*"\n')
    write("plan.json", split(net.graph, *((a, b, board.name) for (a, b), board in zip(STAGES, boards, strict=True))))


def pulled(board: Host, deployed: bool) -> Pull:
    """Pull the cable of a board while frames go through it, and plug it in again once the command has ended."""
    with (
        serving() if deployed else tempfile.TemporaryDirectory(),
        tempfile.TemporaryDirectory() as results,
    ):
        run = started("run", *(("-n", "lab") if deployed else PLAN), "--input", "x.npz", "--output", results)
        eventually(lambda: len(os.listdir(results)) >= BEFORE or run.poll() is not None, MOST_S)
        begin_s = time.monotonic()
        board.cut()
        try:
            said = run.communicate(timeout=MOST_S)[1].strip().splitlines()
        finally:
            seconds = time.monotonic() - begin_s
            run.kill()
            board.mend()
        if not deployed:  # its agent would wait for the command to come back
            board.stop()
            board.start()
        return Pull(board.name, deployed, round(seconds, 1), run.returncode, " / ".join(said[-2:]))


@contextmanager
def serving() -> Iterator[None]:
    """The plan, deployed to stay."""
    for command in (("deploy", *PLAN), ("stop", "-n", "lab")):
        if command[0] == "stop":
            yield
        done = started(*command)
        if done.wait(MOST_S):
            raise RuntimeError(f"edgekit {' '.join(command)}: {done.communicate()[1]}")


def started(*words: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-c", "from edgekit.cli import main\nmain()", *words]
    path = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=path)


if __name__ == "__main__":
    sys.exit(main())
