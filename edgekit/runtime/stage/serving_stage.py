"""One stage of a plan: its model, the socket that others dial, and one service after the other.

    loaded ──start──▶ serving ──a link is lost──▶ lost
                         ▲                         │ dials those that follow until they are ready,
                         └──── waiting for … ◀─────┘ then lets those before it in: the plan heals from its end

A stage lets its sources in once its own receivers are linked. So a client that the first stages let in has the whole
plan before it.
"""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.errors import DeviceError, EdgekitError, ProtocolError
from edgekit.runtime.engine.executor import Executor, sample_inputs
from edgekit.runtime.links.carrier import Carrier, Gate
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.links.greeting import Hello
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.links.sockets import LOOPBACK, pauses
from edgekit.runtime.links.tls import Guard
from edgekit.runtime.links.transport import receive
from edgekit.runtime.log import say, say_seldom
from edgekit.runtime.stage.counters import Tally
from edgekit.runtime.stage.service import Service
from edgekit.runtime.stage.stage_status import told
from edgekit.runtime.stage.watchdog import watch
from edgekit.runtime.verbs import REAL, End, Endpoint, Logs, StageSpec, StageStatus, end_name

__all__ = ["ServingStage"]

LEAVE_S = 1.0
"""Time in which a client that has hung up is noticed, so that the next one is not refused on its account."""

POLL_S = 0.005
AGAIN_S = (0.05, 1.0)
"""First and longest pause between attempts to link up again."""


class ServingStage:
    """A stage with its model loaded and its data socket open."""

    def __init__(self, spec: StageSpec, model: Path):
        self.spec = spec
        self._guard = Guard(spec.keys) if spec.keys else None
        self.executor = Executor(model, spec.inputs, spec.outputs, spec.variant, (spec.emulation or REAL).speed, board=spec.board)
        self._scratch = Layout(spec.outputs).views(Layout(spec.outputs).allocate())
        self._tally = Tally()
        self._service: Service | None = None
        self._state = "loaded"
        """While there is no service."""
        self._claimed: list[Inlet | Outlet] = []
        self._lock = threading.Lock()
        address = (spec.listen or LOOPBACK, spec.port)
        gate = Gate(address, self._guard, self._admit, self._say, lambda: self.state == "serving")
        self._reception = receive(spec.transport, gate)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the data socket."""
        return self._reception.address

    @property
    def state(self) -> str:
        """``serving`` when frames can pass; else why not."""
        service = self._service
        if service is None:
            return self._state
        if service.lost is not None:
            return f"lost: {service.lost}"
        return f"waiting for {', '.join(service.awaited)}" if service.awaited else "serving"

    def golden(self, blob: bytes) -> bytes:
        """Warm the model up and answer golden inputs (seeded ones where ``blob`` is empty)."""
        inputs = Layout(self.spec.inputs).unpack(blob) if blob else sample_inputs(self.spec.inputs)
        self.executor.warm_up(inputs, self._scratch)
        return Layout(self.spec.outputs).pack(self._scratch)

    def start(self, receivers: tuple[Endpoint, ...]) -> None:
        """Dial the stages that follow, which have been started before, and serve until the process ends.

        Raises:
            DeviceError: a receiver cannot be reached, or this stage serves already.
        """
        if self.state != "loaded":
            raise DeviceError(f"{self.spec.name} is {self.state} already; deploy the plan again")
        service = self._new_service()
        try:
            for there in receivers:
                service.dial(there)
        except BaseException:
            service.close()
            raise
        self._service = service
        threading.Thread(target=self._serve, args=(service, receivers), name="stage", daemon=True).start()
        watch(self.spec.name, self._tally, self.executor.first_s / (self.spec.emulation or REAL).speed)

    def status(self, asked: Logs) -> StageStatus:
        """How it is doing, with its latest frames."""
        return told(self.spec, self.state, self._tally, self._service, asked)

    def _new_service(self) -> Service:
        return Service(self.spec, self.executor, self._scratch, self._tally, guard=self._guard)

    def _serve(self, service: Service, receivers: tuple[Endpoint, ...]) -> None:
        try:
            while True:
                service.serve()
                service.close()
                self._state = f"lost: {service.lost}"
                say(f"{self.spec.name}: {service.lost}", level="warning", of=self.spec, epoch=service.epoch)
                self._service = None
                del service
                gc.collect()  # it and its links refer to each other: their buffers go before those of the next are made
                self._service = service = self._linked(receivers)
                say(f"{self.spec.name} is linked with those that follow again", of=self.spec)
        except Exception as error:  # nobody waits for this thread: those who wait for its frames have to learn of it
            self._state = f"lost: {type(error).__name__}: {error}"
            say(f"{self.spec.name}: {self._state}", level="error", of=self.spec)
            if (last := self._service) is not None:
                last.lost = self._state
                last.close()

    def _linked(self, receivers: tuple[Endpoint, ...]) -> Service:
        """A new service, once all that follow have let us in."""
        self._service = None
        service, waits = self._new_service(), pauses(*AGAIN_S)
        while True:
            try:
                for there in receivers:
                    service.dial(there)
                if service.lost is None:
                    return service
            except (EdgekitError, OSError) as error:
                self._state = f"lost: {error}"
            if service.lost is not None:
                service.close()
                service = self._new_service()
            time.sleep(next(waits))

    def _say(self, text: str) -> None:
        """Log why somebody was not let in; a few a second at most, whoever knocks."""
        say_seldom(f"{self.spec.name}: {text}", level="warning", of=self.spec)

    def _admit(self, carrier: Carrier, hello: Hello) -> None:
        here, far = (hello.receiver, hello.receiver_replica), (hello.source, hello.source_replica)
        if not hello.gives:
            here, far = far, here
        if hello.plan != self.spec.plan or here != (self.spec.stage, self.spec.replica):
            raise ProtocolError(f"this is {self.spec.name} of plan {self.spec.plan[:12]}, not what the caller looks for; deploy again")
        ports = {port.end: port for port in (self.spec.sources if hello.gives else self.spec.receivers)}
        if far[0] not in ports or not 0 <= far[1] < ports[far[0]].replicas:
            raise ProtocolError(f"{self.spec.name} has no link with {end_name(far[0])}")
        if self._guard is not None:
            carrier.require(ports[far[0]].names[far[1]])
        service = self._service
        if service is None or service.lost is not None or (far[0] == "client" and service.awaited):
            raise DeviceError(f"{self.spec.name} is {self.state}; see edgekit status, then wait or deploy again")
        link = (service.inlets.links if hello.gives else service.outlets.links)[far]
        if hello.resumes:
            link.answer(carrier, hello)
            return
        if link.linked and far[0] != "client" and not link.fresh:
            service.lose(f"lost {end_name(far[0])}: it has come anew")
            raise DeviceError(f"{self.spec.name} still takes {end_name(far[0])} for linked; it will let it in soon")
        with self._claim(link, far[0]):
            link.answer(carrier, hello)
        if service.lost is not None:  # it may have hung up on all before this one was there
            link.leave()

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
