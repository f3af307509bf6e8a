"""Claim: whatever is done to a pipeline, each frame has its one result, in order and right; and nothing is held on to.

    nice python benchmarks/soak.py [--seconds 3600] [--seed 0] [--fps 60]

Three stages over TLS, all links through proxies of this process that reset, halve, flip, stall and slice as the seed says, and of which
one goes dark for longer than a peer may be silent now and then, in both directions or in one. Meanwhile stage processes are stopped for
a while, and that of the middle stage is killed. Frames come at a steady rate; each result is compared with what the unsplit network
answers to its frame. A stage that was killed may take 20 s to be there again: starts of Python, on a machine that may be busy.

Printed each minute: frames, faults, the worst gap between two results. In the end, for every process: descriptors at the beginning and
at the end, both with all links up and no fault going on, and the slope of its resident memory (of the one that lived longest, where
it was killed), by regression over all but its first minute. The last line is JSON. Exit code 1 where a frame was lost, came twice, out
of its place or wrong, where a stream did not come to its end, or where a process that lived throughout ends with more descriptors.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the proxies are placed as in the tests

import numpy as np
import pytest

from devices.chaos import Chaos, Faults
from edgekit.cluster import ANY, Link
from edgekit.deploy.client.sink import Result
from edgekit.deploy.serve.pipeline import Pipeline, deploy
from edgekit.errors import EdgekitError
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import pid_of, through_chaos
from tests.models import Net, local, serial, split

WEATHER = Faults(reset=0.0005, half=0.0005, flip=0.0005, stall=0.001, slice=0.005, stall_s=0.2, latency_s=0.0005, jitter_s=0.001)
FIRST = ("cut", "dark", "stop", "kill", "dark_back")
LATER = ("cut",) * 12 + ("dark",) * 4 + ("dark_back",) * 4 + ("stop",) * 4 + ("kill",)
EVERY_S = 12.0
SAMPLE_S = 2.0
SETTLE_S = 4.0
DISTINCT = 16
WINDOW = 6
WARM_S = 60.0
STAGES = ((0, 1, "a"), (1, 3, "b"), (3, 5, "c"))

Arrays = Mapping[str, np.ndarray]


class Watch:
    """Resident memory of each process over time, and its descriptors when all is calm."""

    def __init__(self, pipeline: Pipeline):
        self._pipeline = pipeline
        self.memory: dict[tuple[str, int], list[tuple[float, float]]] = {}

    def pids(self) -> dict[str, int]:
        found = {"client": os.getpid()}
        for name, connection in self._pipeline.connections.items():
            found[f"agent {name}"] = connection.process.pid  # type: ignore[attr-defined]
        for stage in range(len(STAGES)):
            with contextlib.suppress(IndexError):
                found[f"stage {stage}"] = pid_of(self._pipeline, stage)
        return found

    def sample(self) -> None:
        for role, pid in self.pids().items():
            with contextlib.suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                self.memory.setdefault((role, pid), []).append((time.monotonic(), pages * os.sysconf("SC_PAGESIZE") / 1e6))

    def descriptors(self) -> dict[tuple[str, int], int]:
        return {(role, pid): len(os.listdir(f"/proc/{pid}/fd")) for role, pid in self.pids().items()}

    def slopes(self) -> dict[str, dict[str, float]]:
        """Megabytes an hour of the process that lived longest, for each role."""
        longest: dict[str, list[tuple[float, float]]] = {}
        for (role, _), samples in self.memory.items():
            if len(samples) > len(longest.get(role, ())):
                longest[role] = samples
        found = {}
        for role, samples in longest.items():
            warm = [each for each in samples if each[0] - samples[0][0] > WARM_S]
            used = warm if len(warm) > 10 else samples
            times, sizes = zip(*used, strict=True)
            slope = float(np.polyfit(np.array(times) - times[0], sizes, 1)[0]) * 3600 if len(used) > 2 else 0.0
            found[role] = {
                "mb_an_hour": round(slope, 2),
                "begin_mb": round(sizes[0], 1),
                "end_mb": round(sizes[-1], 1),
                "over_s": round(times[-1] - times[0]),
            }
        return found


class Weather(threading.Thread):
    """What happens to the pipeline meanwhile, by seed, until told to end; the only thread that asks its agents."""

    def __init__(self, pipeline: Pipeline, ways: list[Chaos], watch: Watch, seed: int, every_s: float):
        super().__init__(name="weather", daemon=True)
        self.counts: Counter[str] = Counter()
        self.over = threading.Event()
        self._pipeline, self._ways, self._watch, self._every_s = pipeline, ways, watch, every_s
        self._dice = random.Random(seed)

    def run(self) -> None:
        for way in self._ways:
            way.faults = WEATHER
        happenings = self._happenings()
        due_s = time.monotonic() + self._every_s / 2
        while not self.over.wait(SAMPLE_S):
            with contextlib.suppress(EdgekitError):  # an agent may be slow to answer while a stage of its is stopped
                self._watch.sample()
            if time.monotonic() >= due_s:
                due_s += self._every_s
                self._do(next(happenings))
        for way in self._ways:
            way.faults = Faults()

    def _happenings(self) -> Iterator[str]:
        yield from FIRST
        while True:
            yield self._dice.choice(LATER)

    def _do(self, kind: str) -> None:
        way = self._dice.choice(self._ways)
        if kind == "cut":
            way.cut()  # which it counts itself
            return
        self.counts[kind] += 1
        if kind in ("dark", "dark_back"):
            event = getattr(way, kind)
            event.set()
            time.sleep(4.0)
            event.clear()
            return
        with contextlib.suppress(IndexError, ProcessLookupError):  # it is being brought back
            if kind == "kill":
                os.kill(pid_of(self._pipeline, 1), signal.SIGKILL)
                return
            pid = pid_of(self._pipeline, self._dice.randrange(len(STAGES)))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self._dice.choice((2.0, 5.0)))
            os.kill(pid, signal.SIGCONT)


class Tally:
    """What became of the frames."""

    def __init__(self, net: Net, inputs: list[Arrays]):
        self.counts: Counter[str] = Counter()
        self.gap_s = 0.0
        self._answers = [{name: run_once(net.data, frame)[name] for name in net.graph.outputs} for frame in inputs]
        self._last: float | None = None

    def take(self, number: int, result: Result) -> None:
        now = time.monotonic()
        self.gap_s, self._last = max(self.gap_s, now - (self._last or now)), now
        self.counts["results"] += 1
        if result.error is not None:
            self.counts["errors"] += 1
            print(f"frame {number}: {result.error}", flush=True)
            return
        got = result.value()
        if not self._equal(got, number % DISTINCT):
            others = [other for other in range(DISTINCT) if self._equal(got, other)]
            behind = others and (number - others[0]) % DISTINCT < DISTINCT / 2
            self.counts["duplicated" if behind else "reordered" if others else "corrupt"] += 1

    def _equal(self, got: Arrays, index: int) -> bool:
        return compare(got, self._answers[index]).worst <= TOLERANCE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fps", type=float, default=60.0)
    arguments = parser.parse_args()
    net = serial()
    with pytest.MonkeyPatch.context() as patch, through_chaos(patch, arguments.seed) as ways:
        patch.setattr("edgekit.deploy.client.client.RECOVERY_S", 20.0)
        cluster = local("a", "b", "c", links=(Link(ANY, ANY, shaped=True),))
        with deploy(split(net.graph, *STAGES), net.graph, net.model, cluster) as pipeline:
            found = soak(net, pipeline, ways, arguments.seconds, arguments.seed, arguments.fps)
    print(json.dumps(found))
    return 0 if found["passed"] else 1


def soak(net: Net, pipeline: Pipeline, ways: list[Chaos], seconds: float, seed: int, fps: float) -> dict[str, object]:
    inputs: list[Arrays] = [net.inputs(number) for number in range(DISTINCT)]
    tally, watch = Tally(net, inputs), Watch(pipeline)
    with pipeline.client() as client:
        list(client.stream(inputs * 4))
        before = watch.descriptors()
        weather = Weather(pipeline, ways, watch, seed, min(EVERY_S, seconds / 6))
        begin = time.monotonic()
        frames = paced(inputs, begin + seconds, fps, tally)
        weather.start()
        ended = "whole"
        try:
            report_s = begin + 60.0
            for number, result in enumerate(client.stream(frames, window=WINDOW)):
                tally.take(number, result)
                if time.monotonic() > report_s:
                    report_s += 60.0
                    print(told(tally, weather, ways, time.monotonic() - begin), flush=True)
        except EdgekitError as error:
            ended = str(error)
        weather.over.set()
        weather.join()
        time.sleep(SETTLE_S)  # what was cut last is linked again
        after = watch.descriptors()
    return summary(tally, weather, ways, watch, before, after, ended, time.monotonic() - begin)


def paced(inputs: list[Arrays], end_s: float, fps: float, tally: Tally) -> Iterator[Arrays]:
    due = time.monotonic()
    while time.monotonic() < end_s:
        due = max(due + 1 / fps, time.monotonic() - 0.5)
        time.sleep(max(due - time.monotonic(), 0))
        tally.counts["frames"] += 1
        yield inputs[(tally.counts["frames"] - 1) % DISTINCT]


def faults(weather: Weather, ways: list[Chaos]) -> Counter[str]:
    done: Counter[str] = Counter(weather.counts)
    for way in ways:
        done += way.counts
    return done


def told(tally: Tally, weather: Weather, ways: list[Chaos], seconds: float) -> str:
    return f"{seconds:6.0f} s: {dict(tally.counts)}, {dict(faults(weather, ways))}, worst gap {tally.gap_s:.2f} s"


def summary(
    tally: Tally,
    weather: Weather,
    ways: list[Chaos],
    watch: Watch,
    before: dict[tuple[str, int], int],
    after: dict[tuple[str, int], int],
    ended: str,
    seconds: float,
) -> dict[str, object]:
    done, counts = faults(weather, ways), tally.counts
    connections = done.pop("connections", 0)
    lost = counts["frames"] - counts["results"]
    descriptors = {role: [before.get((role, pid)), number] for (role, pid), number in after.items()}
    kept = all(number <= begin for begin, number in descriptors.values() if begin is not None)
    wrong = {"lost": lost, **{kind: counts[kind] for kind in ("duplicated", "reordered", "corrupt")}}
    return {
        "seconds": round(seconds, 1),
        "frames": counts["frames"],
        "faults": sum(done.values()),
        "of_each": dict(done),
        "connections": connections,
        **wrong,
        "errors": counts["errors"],
        "worst_gap_s": round(tally.gap_s, 2),
        "stream": ended,
        "memory": watch.slopes(),
        "descriptors": descriptors,
        "passed": not any(wrong.values()) and ended == "whole" and kept,
    }


if __name__ == "__main__":
    sys.exit(main())
