"""Claim: an upload through an edgekit connection is nearly as fast as that of scp, and what is there already is not sent.

    python benchmarks/ssh_upload.py [--runs 5]

100 MB of random bytes go to a machine of the tests' bed, over a cable of 100 Mbit/s and over one without a limit, in turn by

    store   ``put`` of a connection: digests on both ends, pieces, fsync and rename on the device
    file    ``put`` of a shell, which has no digest: SSH channel, file, rename
    scp     of OpenSSH, through a connection that is open already, as ours is; it waits for no disk

Exit code 1 where a median rate is less than its part of scp's, or a second upload of the same bytes takes more than 64 kB on the wire.
Needs root, sshd and scp.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the machines are those of the tests

from devices.host_keys import ours
from devices.setup.paths import ROOT
from devices.ssh import connect
from edgekit.runtime.agent.store import digest_of
from tests.sshbed import Bed, Host, bed

SIZE_BYTES = 100_000_000
BARS = {"100mbit": 0.9, None: 0.4}
"""The least part of scp's rate, by the limit of the cable."""

AGAIN_BYTES = 64_000
Upload = Callable[[bytes], object]


def received_bytes(host: Host) -> int:
    """What has come in through the machine's cable since it was made."""
    command = ["ip", "-n", host.space, "-json", "-statistics", "link", "show", "eth0"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return int(found[0]["stats64"]["rx"]["bytes"])


@contextmanager
def scp(lab: Bed, host: Host, file: Path) -> Iterator[Upload]:
    """Uploads of the file by scp, through a connection of its own that stays open meanwhile."""
    key, socket, there = lab.client / ".ssh" / "id_ed25519", lab.folder / f"{host.name}.mux", f"root@{host.ip}"
    options = ["-F", "none", "-i", key, "-o", f"UserKnownHostsFile={ours()}", "-o", f"ControlPath={socket}"]
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["ssh", *options, "-f", "-N", "-M", there], check=True, **quiet)
    try:
        yield lambda data: subprocess.run(["scp", "-q", *options, file, f"{there}:upload.scp"], check=True)
    finally:
        subprocess.run(["ssh", *options, "-O", "exit", there], check=True, **quiet)


def rates(lab: Bed, host: Host, runs: int) -> tuple[dict[str, float], int]:
    """Median bytes per second of each way, and the most bytes that a second upload of the same took."""
    taken: dict[str, list[float]] = {"store": [], "file": [], "scp": []}
    again = 0
    file = lab.folder / "upload"
    with connect(host.device()) as connection, scp(lab, host, file) as by_scp:
        ways = {"store": connection.put, "file": partial(connection.shell.put, path="~/upload.file"), "scp": by_scp}
        for _ in range(runs):
            data = os.urandom(SIZE_BYTES)
            file.write_bytes(data)
            for way, upload in ways.items():
                os.sync()  # what others have written is not this one's delay
                begin = time.perf_counter()
                upload(data)
                taken[way].append(time.perf_counter() - begin)
            before = received_bytes(host)
            connection.put(data)
            again = max(again, received_bytes(host) - before)
            for kept in (host.home / "upload.file", host.home / "upload.scp", host.home / ROOT / "store" / digest_of(data)):
                assert kept.read_bytes() == data
                kept.unlink()
    return {way: SIZE_BYTES / median(seconds) for way, seconds in taken.items()}, again


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    kept = True
    print(f"{'cable':12}{'way':8}{'MB/s':>8}{'of scp':>8}{'at least':>10}")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, bed(Path(folder), patch) as lab:
        for limit, bar in BARS.items():
            host = lab.board(limit or "unlimited", limit)
            found, again = rates(lab, host, runs)
            for way, rate in found.items():
                ratio = rate / found["scp"]
                print(f"{host.name:12}{way:8}{rate / 1e6:8.1f}{ratio:8.2f}{'' if way == 'scp' else f'{bar:10.2f}'}", flush=True)
                kept &= way == "scp" or ratio >= bar
            print(f"{host.name:12}again   {again} bytes on the wire, {AGAIN_BYTES} at most", flush=True)
            kept &= again <= AGAIN_BYTES
    print("kept" if kept else "missed")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
