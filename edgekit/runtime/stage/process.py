"""The child process that holds one stage (or one measurement) and answers its agent over an inherited socket."""

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

from edgekit.device import Variant
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.agent.control import Channel, Failure
from edgekit.runtime.engine.executor import session_options
from edgekit.runtime.links.link_probe import Echo, probe
from edgekit.runtime.stage.measurement import measure_energy, measure_kernels, measure_segment
from edgekit.runtime.stage.process_memory import peak_bytes, resident_bytes
from edgekit.runtime.stage.serving_stage import ServingStage
from edgekit.runtime.verbs import Done, Load, Loaded, Logs, LogsReply, Measure, Probe, Probed, Reply, Request, Run

__all__ = ["main"]

Answer = tuple[Reply, bytes]


class _StageProcess:
    """Carries out an agent's requests; ends with its agent."""

    def __init__(self, store: Path):
        self._store = store
        session_options(Variant())  # loads onnxruntime, which belongs to the process and not to its model
        self._base_bytes = resident_bytes()
        self._stage: ServingStage | None = None

    def answer(self, request: Request, blob: bytes) -> Answer:
        """Do what is asked."""
        match request:
            case Load(spec):
                _pin(spec.cores)
                self._stage = ServingStage(spec, self._store / spec.model)
                outputs = self._stage.golden(blob)
                host, port = self._stage.address
                executor = self._stage.executor
                return Loaded(
                    host=host,
                    port=port,
                    load_s=executor.load_s,
                    base_bytes=self._base_bytes,
                    peak_bytes=peak_bytes(),
                    build_s=executor.build_s,
                ), outputs
            case Run(receivers=receivers):
                self._serving().start(receivers)
                return Done(), b""
            case Logs():
                return LogsReply(text="", stages=(self._serving().status(request),)), b""
            case Measure(model=model, mode="segment"):
                _pin(request.cores)
                return measure_segment(request, self._store / model, self._base_bytes), b""
            case Measure(model=model, mode="energy"):
                _pin(request.cores)
                return measure_energy(request, self._store / model, self._base_bytes), b""
            case Measure(model=model):
                _pin(request.cores)
                return measure_kernels(request, self._store / model, self._base_bytes)
            case Probe(host=None):
                host, port = Echo(request.listen, request.keys, request.transport).address
                return Probed(host=host, port=port), b""
            case Probe():
                return probe(request), b""
        raise DeviceError(f"a stage process does not know {type(request).__name__}")

    def _serving(self) -> ServingStage:
        if self._stage is None:
            raise DeviceError("the stage is not loaded; deploy the plan again")
        return self._stage


def _pin(cores: tuple[int, ...] | None) -> None:
    """Bind this process to processors, before onnxruntime makes its threads."""
    if cores is None:
        return
    with contextlib.suppress(OSError, ValueError, OverflowError):
        os.sched_setaffinity(0, cores)
        if os.sched_getaffinity(0) == set(cores):  # Linux leaves out what is not there, if anything is
            return
    raise DeviceError(f"cores {list(cores)} are not all there (this machine has {os.cpu_count()}); change `cores`")


def main(arguments: list[str]) -> None:
    """Serve the socket whose number is the first argument, with the store in the second."""
    channel = Channel(socket.socket(fileno=int(arguments[0])), "the agent")
    requests: SimpleQueue[tuple[Request, bytes]] = SimpleQueue()
    threading.Thread(target=_follow, args=(channel, requests), name="agent", daemon=True).start()
    process = _StageProcess(Path(arguments[1]))
    while True:
        _reply(channel, process, *requests.get())


def _follow(channel: Channel, requests: SimpleQueue[tuple[Request, bytes]]) -> None:
    """Read what the agent asks; its end is the end of this process, whatever it is busy with."""
    while True:
        try:
            requests.put(channel.receive(Request))
        except EdgekitError:
            os._exit(0)


def _reply(channel: Channel, process: _StageProcess, request: Request, blob: bytes) -> None:
    try:
        channel.send(*process.answer(request, blob))
    except EdgekitError as error:
        channel.send(Failure(type(error).__name__, str(error)))
    except Exception as error:  # told to the agent, which knows what to do about it
        channel.send(Failure("DeviceError", f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main(sys.argv[1:])
