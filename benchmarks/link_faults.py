"""Claim: over a link that is struck a thousand times differently, each message comes once, in its place and intact.

    nice python benchmarks/link_faults.py [--seeds 1000] [--first 0] [--frames 300] [--together 6]

For each seed the two ends of a link, in this process, send messages of 20 kB to each other through a proxy that resets, halves, flips,
stalls and slices as the seed says: every other one over TLS, one in four dialled by the receiver. A link that cannot be resumed in time
ends, which both ends are told; the stream above it would give its frames again. Such links are counted by themselves, and the frames
that had not come by then with them. Each hundred seeds, and in the end: frames, faults, what became of the frames, and the worst gap
between two of one link. If nothing went wrong in n seeds, the rate at which seeds go wrong is below 3/n with 95 % confidence. The last
line is JSON; exit code 1 where a frame was lost, came twice, out of its place or damaged.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the two ends are those of the tests

import numpy as np

from devices.chaos import Faults
from edgekit.errors import DeviceError
from edgekit.graph import Tensor
from edgekit.runtime.links.frames import Kind, Layout
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.outlet import Outlet
from tests.runtime.test_resuming import joined

FAULTS = Faults(reset=0.01, half=0.01, flip=0.01, stall=0.01, slice=0.02, stall_s=0.05)
LAYOUT = Layout((Tensor("number", (1,), "int64"), Tensor("x", (20_000,), "uint8")))
SILENT_S = 30.0
STRIKES = ("reset", "half", "flip", "stall", "slice")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--together", type=int, default=6)
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    gap_s, begin = 0.0, time.monotonic()
    with ThreadPoolExecutor(arguments.together) as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for done, (counts, gap) in enumerate(pool.map(lambda seed: strike(seed, arguments.frames), seeds), 1):
            total += counts
            gap_s = max(gap_s, gap)
            if done % 100 == 0:
                print(f"{done} seeds, {time.monotonic() - begin:.0f} s: {dict(total)}, worst gap {gap_s:.2f} s", flush=True)
    wrong = {kind: total.pop(kind, 0) for kind in ("lost", "duplicated", "reordered", "corrupt")}
    faults = sum(total[kind] for kind in STRIKES)
    print(json.dumps({"seeds": arguments.seeds, "faults": faults, **total, **wrong, "worst_gap_s": round(gap_s, 2)}))
    return 1 if any(wrong.values()) else 0


def strike(seed: int, count: int) -> tuple[Counter[str], float]:
    """What became of the frames of one link, and the worst gap between two."""
    way = "TLS" if seed % 2 else "plain"
    with joined(LAYOUT, FAULTS, seed, receiver_dials=seed % 4 == 3, way=way) as (outlet, inlet, chaos):
        sender = threading.Thread(target=push, args=(outlet, seed, count), daemon=True)
        sender.start()
        found, gap_s = look(inlet, seed, count)
        counts = found + Counter({kind: chaos.counts[kind] for kind in (*STRIKES, "connections")})
    sender.join()
    return counts, gap_s


def push(outlet: Outlet, seed: int, count: int) -> None:
    try:
        for frame in range(count):
            slot = outlet.acquire()
            slot.views["number"][...] = frame
            slot.views["x"][...] = pattern(seed, frame)
            outlet.give(1, frame, slot)
        outlet.end(1)
    except DeviceError:
        pass  # the link was lost, and closed since


def look(inlet: Inlet, seed: int, count: int) -> tuple[Counter[str], float]:
    """Take what comes until the end of the stream, or the news that the link is lost."""
    counts: Counter[str] = Counter(frames=count)
    due, gap_s, last = 0, 0.0, time.monotonic()
    while True:
        item = inlet.head(SILENT_S)
        now = time.monotonic()
        gap_s, last = max(gap_s, now - last), now
        if item.kind is Kind.END:
            counts["lost"] += count - due
            return counts, gap_s
        if item.lost:
            counts["links given up"] += 1
            counts["frames of links given up"] += count - due
            return counts, gap_s
        assert item.slot is not None
        number = int(item.slot.views["number"][0])
        if number != due or item.frame != due:
            counts["duplicated" if number < due else "reordered"] += 1
        if not np.array_equal(item.slot.views["x"], pattern(seed, number)):
            counts["corrupt"] += 1
        due += 1
        inlet.drop()


def pattern(seed: int, frame: int) -> np.ndarray:
    """Bytes that no other frame near it has."""
    return (np.arange(20_000) * (2 * frame + 1) + seed).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
