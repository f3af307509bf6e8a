"""How far a calibrated description is off: fitted to micro-networks on this machine, asked for networks that it has not seen.

    python benchmarks/roofline_calibration.py [--seconds 0.3] [--keep calibration.json]

Times of MobileNetV2, ResNet-50 and ViT-Tiny (untrained), whole and in four pieces of like work, predicted by a
``sim:`` device and measured on ``local:``, one thread. Prints predicted / measured; it has no bar, for it depends on the machine.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from devices import Connection, connect
from edgekit import api
from edgekit.calibration import Calibration
from edgekit.device import Device
from edgekit.files import write
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.stages.artifact import build, upload
from profilers.measure.segments import request_for
from profilers.predict.calibrator import calibrate

NETWORKS = {"mobilenetv2": "mobilenetv2:mobilenetv2", "resnet50": "resnet:resnet50", "vit_tiny": "vit:vit_tiny"}
PIECES = 4


def pieces(graph: Graph) -> list[tuple[int, int]]:
    """The whole, and the pieces between the cuts that divide its work best."""
    sums = graph.mac_sums()
    wanted = [sums[-1] * part / PIECES for part in range(1, PIECES)]
    places = [min(graph.candidates, key=lambda position, share=share: abs(sums[position] - share)) for share in wanted]
    bounds = [0, *places, len(graph.units)]
    return [(0, len(graph.units)), *zip(bounds, bounds[1:], strict=False)]


def seconds(graph: Graph, model: Model, connection: Connection, start: int, stop: int, budget_s: float) -> float:
    digest = upload(build(model, graph, start, stop, connection.device.variant), connection)
    request = request_for(graph, graph.segment(start, stop), digest, connection, connection.device.variant, budget_s)
    return statistics.median(connection.measure(request)[0].samples_s)


def show(found: Calibration, took_s: float) -> None:
    print(f"calibrated in {took_s:.0f} s: off by {found.error:.0%} in the median, {found.worst_error:.0%} at worst, on its own networks")
    for cost in found.costs:
        rate = f"{1e-9 / cost.s_per_mac:6.1f} GMAC/s" if cost.s_per_mac else " " * 13
        print(f"  {cost.kind:12}{rate}{1e-9 / cost.s_per_byte if cost.s_per_byte else float('inf'):8.1f} GB/s")
    print(f"  {found.overhead_s * 1e6:.2f} µs for each kernel, weights beyond {found.cache_bytes / 2**20:g} MiB at ", end="")
    print(f"{1e-9 / found.stream_s_per_byte if found.stream_s_per_byte else float('inf'):.1f} GB/s")
    for each in sorted(found.networks, key=lambda each: -abs(each.fitted_s / each.measured_s - 1))[:8]:
        print(f"  {each.name:36}{each.measured_s * 1e3:9.3f} ms{each.fitted_s / each.measured_s:7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, connect(Device("here")) as here:
        started = time.monotonic()
        found = calibrate(here, budget_s=asked.seconds)
        show(found, time.monotonic() - started)
        place = asked.keep or Path(name, "calibration.json")
        write(place, found)
        ratios = []
        with connect(Device("described", f"sim:{place}")) as described:
            for network, factory in NETWORKS.items():
                path = Path(name, f"{network}.onnx")
                api.export(f"edgekit.networks.{factory}", path)
                graph, model = api.load(path)
                for start, stop in pieces(graph):
                    came = seconds(graph, model, here, start, stop, 2 * asked.seconds)
                    told = seconds(graph, model, described, start, stop, 0.0)
                    ratios.append(told / came)
                    units = f"[{start}, {stop})"
                    print(
                        f"{network:14}{units:12}{came * 1e3:9.2f} ms measured{told * 1e3:9.2f} ms predicted{told / came:7.2f}", flush=True
                    )
    errors = sorted(abs(ratio - 1) for ratio in ratios)
    print(f"off by {statistics.median(errors):.0%} in the median, {errors[-1]:.0%} at worst, over {len(errors)} segments")


if __name__ == "__main__":
    main()
