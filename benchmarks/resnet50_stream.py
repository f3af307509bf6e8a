"""Claim: a three-stage ResNet-50 pipeline keeps its memory bounded, its results in order and equal to the unsplit run,
and when an agent is killed in mid-stream every outstanding frame ends with a typed error within five seconds.

    python benchmarks/resnet50_stream.py --frames 500

The last line is JSON. Exit code 1 where a part of the claim fails.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device
from edgekit.errors import StageError
from edgekit.plan import Stage, chain
from edgekit.runtime.engine.executor import run_once, sample_inputs
from edgekit.stages.equality import TOLERANCE, compare

Arrays = Mapping[str, NDArray[np.generic]]
CLUSTER = Cluster(devices=(Device("a"), Device("b"), Device("c")), links=(Link(ANY, ANY),))
INPUTS = 8
WINDOW = 8
KILL_AT = 25


def marked(inputs: list[Arrays], count: int) -> Iterator[Arrays]:
    """Inputs in turn; which one a result stems from shows in its value."""
    yield from islice(cycle(inputs), count)


def resident_bytes(pipeline: api.Pipeline) -> int:
    """Bytes resident now in this process and in all stage processes."""
    pids = [os.getpid(), *(stage.pid for reply in pipeline.logs().values() for stage in reply.stages)]
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * resource.getpagesize()


def stream(pipeline: api.Pipeline, inputs: list[Arrays], expected: list[Arrays], frames: int) -> dict[str, object]:
    """Stream the frames; count what is out of order or differs, and watch the memory after the first tenth."""
    worst, wrong, memory = 0.0, 0, []
    with pipeline.client() as client:
        begin = time.perf_counter()
        for index, result in enumerate(client.stream(marked(inputs, frames), window=WINDOW)):
            outcome = compare(result.value(), expected[index % INPUTS])
            worst = max(worst, outcome.worst)
            wrong += result.frame != index or not outcome.worst <= TOLERANCE
            if index % (frames // 10) == 0:
                memory.append(resident_bytes(pipeline))
        seconds = time.perf_counter() - begin
    count = index + 1
    return {
        "frames": count,
        "frames_per_s": round(count / seconds, 1),
        "out_of_order_or_different": wrong,
        "worst_difference": worst,
        "resident_mb_after_a_tenth": round(memory[1] / 1e6, 1),
        "resident_mb_at_the_end": round(memory[-1] / 1e6, 1),
        "growth": round(memory[-1] / memory[1] - 1, 4),
    }


def kill(pipeline: api.Pipeline, inputs: list[Arrays], agent: int) -> dict[str, object]:
    """Kill an agent in mid-stream; how long until the last outstanding frame has ended, and with what."""
    killed = 0.0
    ended: list[str] = []
    final = ""
    with pipeline.client() as client:
        try:
            for index, result in enumerate(client.stream(marked(inputs, 10_000), window=WINDOW)):
                if index == KILL_AT:
                    os.kill(agent, signal.SIGKILL)
                    killed = time.perf_counter()
                if result.error is not None:
                    ended.append(type(result.error).__name__)
        except StageError as error:
            final = str(error)
    return {
        "outstanding_ended_with": sorted(set(ended)),
        "outstanding": len(ended),
        "seconds": round(time.perf_counter() - killed, 3),
        "message": final,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=500)
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        api.export("edgekit.networks.resnet:resnet50", path)
        graph, model = api.load(path)
        whole = path.read_bytes()
    inputs: list[Arrays] = [sample_inputs(graph.cuts[0].tensors, seed) for seed in range(INPUTS)]
    expected = [run_once(whole, one) for one in inputs]
    third = len(graph.units) // 3
    stages = (Stage(0, third, ("a",)), Stage(third, 2 * third, ("b",)), Stage(2 * third, len(graph.units), ("c",)))
    with api.deploy(chain(graph, stages), graph, model, CLUSTER) as pipeline:
        streamed = stream(pipeline, inputs, expected, frames)
        print(streamed)
        agent = pipeline.connections["b"].process.pid  # type: ignore[attr-defined]  # a local: connection has it
        killed = kill(pipeline, inputs, agent)
        print(killed)
    print(json.dumps({"stream": streamed, "kill": killed}))
    bounded = abs(float(str(streamed["growth"]))) < 0.05
    prompt = float(str(killed["seconds"])) < 5 and killed["outstanding_ended_with"] == ["StageError"]
    return 0 if bounded and prompt and streamed["out_of_order_or_different"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
