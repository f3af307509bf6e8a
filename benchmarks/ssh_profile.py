"""Claim: a profile over SSH takes seconds, and says how much its own profiler slowed the network down.

    python benchmarks/ssh_profile.py [--network edgekit.networks.mobilenetv2:mobilenetv2]

A network is profiled on a machine of the tests' bed (its own sshd and home, a cable of 100 Mbit/s), quick and full, each in
a fresh connection. Printed: wall time, how much was measured, the median with the profiler on over that without it, and how
far the two halves of each segment's bursts are apart. The last line is JSON. Needs root and sshd.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the machines are those of the tests

from edgekit import api
from edgekit.cluster import Cluster
from tests.sshbed import bed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="edgekit.networks.mobilenetv2:mobilenetv2")
    network = parser.parse_args().network
    result: dict[str, object] = {"network": network}
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ek") as place, pytest.MonkeyPatch.context() as patch:
        path = Path(place) / "net.onnx"
        api.export(network, path)
        graph, model = api.load(path)
        with bed(Path(place), patch) as lab:
            cluster = Cluster((lab.board("board", rate="100mbit").device(),))
            for mode in ("quick", "full"):
                begin = time.perf_counter()
                profile = api.profile(graph, model, cluster, full=mode == "full")["board"]
                seconds = time.perf_counter() - begin
                distortion = (profile.profiled_s or 0.0) / profile.whole.p50_s
                apart = [segment.repeatability for segment in profile.segments if segment.repeatability is not None]
                print(
                    f"{mode}: {seconds:.1f} s, {len(profile.segments)} segments, {len(profile.kernels)} kernels mapped "
                    f"{profile.coverage:.0%}; whole {profile.whole.p50_s * 1e3:.2f} ms, ×{distortion:.3f} with the profiler on; "
                    f"halves apart: median {median(apart):.2%}, most {max(apart):.2%}"
                )
                result[mode] = {
                    "seconds": round(seconds, 2),
                    "segments": len(profile.segments),
                    "distortion": round(distortion, 4),
                    "apart": {"median": round(median(apart), 5), "most": round(max(apart), 5)},
                }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
