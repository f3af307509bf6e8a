"""Stages as ParetoPipe's socket runtime has them, for comparison: a length and a pickle, one thread a stage, and no queue.

    receive ─▶ unpickle ─▶ compute ─▶ pickle ─▶ sendall ─▶ receive …        one after the other, for each frame

As a program, one stage: its spec and model are in the folder of the first argument; it prints its port, reads that of the next stage
from standard input, and ends with its stream. It computes with the very executor of edgekit's stages.
"""

import contextlib
import pickle
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import numpy as np

from devices.shaper import Route, open_routes
from edgekit.cluster import Shape
from edgekit.runtime.engine.executor import Executor, sample_inputs
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import REAL, StageSpec
from edgekit.stages.parts import Part

_LENGTH = struct.Struct(">Q")


def receive(sock: socket.socket, count: int) -> bytes:
    """As it is done there, by adding up bytes."""
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def take(sock: socket.socket) -> Mapping[str, np.ndarray] | None:
    (count,) = _LENGTH.unpack(receive(sock, _LENGTH.size))
    return pickle.loads(receive(sock, count)) if count else None


def send(sock: socket.socket, arrays: Mapping[str, np.ndarray] | None) -> None:
    data = b"" if arrays is None else pickle.dumps(dict(arrays))
    sock.sendall(_LENGTH.pack(len(data)) + data)


def serve(folder: Path) -> None:
    spec = msgspec.json.decode((folder / "spec.json").read_bytes(), type=StageSpec)
    executor = Executor(folder / spec.model, spec.inputs, spec.outputs, spec.variant, (spec.emulation or REAL).speed)
    made = Layout(spec.outputs).views(Layout(spec.outputs).allocate())
    executor.warm_up(sample_inputs(spec.inputs), made)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        with socket.create_connection(("127.0.0.1", int(sys.stdin.readline()))) as after, listener.accept()[0] as before:
            while (arrays := take(before)) is not None:
                executor.run(arrays, made)
                send(after, made)
            send(after, None)


def streamed(parts: Sequence[Part], shape: Shape, frame: Mapping[str, np.ndarray], count: int, folder: Path) -> list[float]:
    """When each of ``count`` frames came out of the stages, in seconds of one clock; every link is shaped."""
    with socket.create_server(("127.0.0.1", 0)) as sink, ExitStack() as stack:
        stages = [stack.enter_context(process(part, folder / str(index))) for index, part in enumerate(parts)]
        ports = [int(stage.stdout.readline()) for stage in stages if stage.stdout is not None] + [sink.getsockname()[1]]
        ways = stack.enter_context(open_routes([Route("127.0.0.1", port, shape, shape) for port in ports]))
        for stage, (_, port) in zip(stages, ways[1:], strict=True):
            assert stage.stdin is not None
            stage.stdin.write(f"{port}\n")
            stage.stdin.flush()
        source = stack.enter_context(socket.create_connection(ways[0]))

        def feed() -> None:
            for _ in range(count):
                send(source, frame)
            send(source, None)

        threading.Thread(target=feed, daemon=True).start()
        done = []
        with sink.accept()[0] as results:
            while take(results) is not None:
                done.append(time.perf_counter())
        return done


@contextmanager
def process(part: Part, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    folder.mkdir(parents=True)
    (folder / "spec.json").write_bytes(msgspec.json.encode(part.spec))
    (folder / part.spec.model).write_bytes(part.model)
    command = [sys.executable, __file__, str(folder)]
    stage = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True)
    try:
        yield stage
    finally:
        stage.kill()
        with contextlib.suppress(BrokenPipeError):
            stage.communicate()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
