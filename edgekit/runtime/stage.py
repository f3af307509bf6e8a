"""One stage of a plan, serving frames: joins what comes, runs the model, deals out what goes on.

source ─▶ inlets ─▶ executor ─▶ outlets ─▶ next stage
             └──── relayed ────────┘
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DeviceError, EdgekitError, ProtocolError
from edgekit.runtime.executor import Executor, sample_inputs
from edgekit.runtime.frames import Kind, Layout
from edgekit.runtime.inlet import Inlet
from edgekit.runtime.joint import Inlets, Outlets, Turn
from edgekit.runtime.memory import peak_bytes
from edgekit.runtime.outlet import Outlet
from edgekit.runtime.sockets import LOOPBACK, arrivals
from edgekit.runtime.verbs import End, Endpoint, StageSpec, StageStatus, TransferTime, end_name
from edgekit.runtime.wire import Hello, accept, dial, refuse, welcome

__all__ = ["ServingStage"]

WARM_UP = 2
HISTORY = 4096
BACKLOG = 16

LEAVE_S = 1.0
"""Time in which a client that has hung up is noticed, so that the next one is not refused on its account."""

POLL_S = 0.005

Arrays = Mapping[str, NDArray[np.generic]]


class ServingStage:
    """A stage with its model loaded and its data socket open."""

    def __init__(self, spec: StageSpec, model: Path):
        self.spec = spec
        self.executor = Executor(model, spec.inputs, spec.outputs, spec.variant, spec.speed)
        self.inlets = Inlets(spec.sources)
        self.outlets = Outlets(spec.receivers)
        self._scratch = Layout(spec.outputs).views(Layout(spec.outputs).allocate())
        self._spans: deque[tuple[int, float, float]] = deque(maxlen=HISTORY)
        self._frames = self._failed = 0
        self._state = "loaded"
        self._claimed: list[Inlet | Outlet] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((spec.listen or LOOPBACK, 0), backlog=BACKLOG)
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the data socket."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def golden(self, blob: bytes) -> bytes:
        """Warm the model up and answer golden inputs (seeded ones where ``blob`` is empty)."""
        inputs = Layout(self.spec.inputs).unpack(blob) if blob else sample_inputs(self.spec.inputs)
        for _ in range(WARM_UP):
            self.executor.run(inputs, self._scratch)
        return Layout(self.spec.outputs).pack(self._scratch)

    def start(self, receivers: tuple[Endpoint, ...]) -> None:
        """Dial the stages that follow and serve until the process ends.

        Raises:
            DeviceError: a receiver cannot be reached, or this stage serves already.
        """
        if self._state != "loaded":
            raise DeviceError(f"{self.spec.name} is {self._state} already; deploy the plan again")
        for there in receivers:
            hello = Hello(self.spec.plan, self.spec.stage, self.spec.replica, there.end, there.replica)
            outlet = self.outlets.links[there.end, there.replica]
            outlet.attach(dial(there.host, there.port, hello, f"{self.spec.name}: {end_name(there.end)}"))
        self._state = "serving"
        threading.Thread(target=self._serve, name="stage", daemon=True).start()

    def status(self, spans: int) -> StageStatus:
        """How it is doing, with its latest ``spans`` frames."""
        latest = list(self._spans)[-spans:] if spans else []
        transfers = tuple(
            TransferTime(end, replica, tuple(seconds for _, seconds in list(link.transfers)[-spans:] if spans))
            for (end, replica), link in self.outlets.links.items()
        )
        return StageStatus(
            self.spec.name,
            self.spec.plan,
            self.spec.stage,
            self.spec.replica,
            0,
            self._lost() or self._state,
            self._frames,
            self._failed,
            peak_bytes(),
            tuple(latest),
            transfers,
        )

    def _serve(self) -> None:
        try:
            while not self._state.startswith("lost"):
                self._stream()
        except Exception as error:  # nobody waits for this thread: those who wait for its frames have to learn of it
            self._state = f"lost: {type(error).__name__}: {error}"
            self.outlets.lose(0, f"{self.spec.name}: {self._state}")

    def _stream(self) -> None:
        """One stream of frames, from its first to its END."""
        frame, epoch = self.spec.replica, None
        while True:
            turn = self.inlets.take(frame, epoch)
            epoch = turn.epoch
            if turn.lost:
                self._state = f"lost: {turn.note}"
                self.outlets.lose(epoch, f"{self.spec.name}: {turn.note}")
            if turn.lost or turn.kind is Kind.END:
                self.outlets.end(epoch)
                return
            if turn.kind is Kind.FAIL:
                self.outlets.fail(epoch, frame, turn.note, self.outlets.acquire(frame))
            else:
                self._compute(frame, turn)
            frame += self.spec.replicas

    def _compute(self, frame: int, turn: Turn) -> None:
        slots = self.outlets.acquire(frame)
        outputs = dict(self._scratch)
        for slot in slots:
            outputs |= {name: view for name, view in slot.views.items() if name in self._scratch}
        begin = time.monotonic()
        try:
            self.executor.run(turn.arrays, outputs)
        except Exception as error:  # whatever a model raises concerns this frame alone
            self._failed += 1
            self.inlets.done()
            self.outlets.fail(turn.epoch, frame, f"{self.spec.name}: {type(error).__name__}: {error}", slots)
            return
        self._spans.append((frame, begin, time.monotonic()))
        made = {**turn.arrays, **outputs}
        for slot in slots:
            for name, view in slot.views.items():
                if view is not made[name]:
                    view[...] = made[name]
        self.inlets.done()
        self._frames += 1
        self.outlets.give(turn.epoch, frame, slots)

    def _lost(self) -> str | None:
        broken = [link.name for (end, _), link in self.outlets.links.items() if link.broken and end != "client"]
        return f"lost: its link to {broken[0]} ended" if broken else None

    def _listen(self) -> None:
        for sock in arrivals(self._listener):
            threading.Thread(target=self._greet, args=(sock,), name="greeting", daemon=True).start()

    def _greet(self, sock: socket.socket) -> None:
        try:
            self._admit(sock, accept(sock))
        except EdgekitError as error:
            refuse(sock, str(error))
        except OSError:
            sock.close()

    def _admit(self, sock: socket.socket, hello: Hello) -> None:
        here, far = (hello.receiver, hello.receiver_replica), (hello.source, hello.source_replica)
        if not hello.gives:
            here, far = far, here
        if hello.plan != self.spec.plan or here != (self.spec.stage, self.spec.replica):
            raise ProtocolError(f"this is {self.spec.name} of plan {self.spec.plan[:12]}, not what the caller looks for; deploy again")
        link = (self.inlets.links if hello.gives else self.outlets.links).get(far)
        if link is None:
            raise ProtocolError(f"{self.spec.name} has no link with {end_name(far[0])}")
        if lost := self._lost() or (self._state if self._state.startswith("lost") else None):
            raise DeviceError(f"{self.spec.name} is {lost}; deploy again")
        with self._claim(link, far[0]):
            if isinstance(link, Outlet):
                link.attach(sock, welcome)
            else:
                welcome(sock)
                link.attach(sock, returning=far[0] == "client")

    @contextmanager
    def _claim(self, link: Inlet | Outlet, far: End) -> Iterator[None]:
        """Let one caller at a time attach a link, once the caller before has left it."""
        end = time.monotonic() + LEAVE_S
        while True:
            with self._lock:
                if not link.connected and link not in self._claimed:
                    self._claimed.append(link)
                    break
            if time.monotonic() > end:
                raise DeviceError(f"{self.spec.name} already serves {end_name(far)}; wait until that stream has ended")
            time.sleep(POLL_S)
        try:
            yield
        finally:
            with self._lock:
                self._claimed.remove(link)
