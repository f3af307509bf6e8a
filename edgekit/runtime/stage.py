"""One stage of a plan: its model, the socket that others dial, and one service after the other.

    loaded ──start──▶ serving ──a link is lost──▶ lost
                         ▲                         │ dials those that follow until they are ready,
                         └──── waiting for … ◀─────┘ then lets those before it in: the plan heals from its end

A stage lets its sources in once its own receivers are linked. So a client that the first stages let in has the whole
plan before it.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.errors import DeviceError, EdgekitError, ProtocolError
from edgekit.runtime.executor import Executor, sample_inputs
from edgekit.runtime.frames import Layout
from edgekit.runtime.inlet import Inlet
from edgekit.runtime.memory import peak_bytes
from edgekit.runtime.outlet import Outlet
from edgekit.runtime.service import Service, Tally
from edgekit.runtime.sockets import LOOPBACK, arrivals
from edgekit.runtime.verbs import End, Endpoint, StageSpec, StageStatus, TransferTime, end_name
from edgekit.runtime.wire import Hello, accept, refuse, welcome

__all__ = ["ServingStage"]

BACKLOG = 16

LEAVE_S = 1.0
"""Time in which a client that has hung up is noticed, so that the next one is not refused on its account."""

POLL_S = 0.005
AGAIN_S = (0.05, 1.0)
"""First and longest pause between attempts to link up again."""


class ServingStage:
    """A stage with its model loaded and its data socket open."""

    def __init__(self, spec: StageSpec, model: Path):
        self.spec = spec
        self.executor = Executor(model, spec.inputs, spec.outputs, spec.variant, spec.speed)
        self._scratch = Layout(spec.outputs).views(Layout(spec.outputs).allocate())
        self._tally = Tally()
        self._service: Service | None = None
        self._state = "loaded"
        """While there is no service."""
        self._claimed: list[Inlet | Outlet] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((spec.listen or LOOPBACK, spec.port), backlog=BACKLOG)
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the data socket."""
        host, port = self._listener.getsockname()[:2]
        return host, port

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

    def status(self, spans: int) -> StageStatus:
        """How it is doing, with its latest ``spans`` frames."""
        latest = list(self._tally.spans)[-spans:] if spans else []
        outlets = self._service.outlets.links.items() if self._service is not None else ()
        transfers = tuple(
            TransferTime(end, replica, tuple(seconds for _, seconds in list(link.transfers)[-spans:] if spans))
            for (end, replica), link in outlets
        )
        return StageStatus(
            self.spec.name,
            self.spec.plan,
            self.spec.stage,
            self.spec.replica,
            0,
            self.state,
            self._tally.frames,
            self._tally.failed,
            peak_bytes(),
            tuple(latest),
            transfers,
            self.spec.owner,
        )

    def _new_service(self) -> Service:
        return Service(self.spec, self.executor, self._scratch, self._tally)

    def _serve(self, service: Service, receivers: tuple[Endpoint, ...]) -> None:
        try:
            while True:
                service.serve()
                service.close()
                self._state = f"lost: {service.lost}"
                self._service = service = self._linked(receivers)
        except Exception as error:  # nobody waits for this thread: those who wait for its frames have to learn of it
            service.lost = f"lost: {type(error).__name__}: {error}"
            service.close()

    def _linked(self, receivers: tuple[Endpoint, ...]) -> Service:
        """A new service, once all that follow have let us in."""
        self._service = None
        service, pause_s = self._new_service(), AGAIN_S[0]
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
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, AGAIN_S[1])

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
        known = [
            (port.end, replica) for port in (self.spec.sources if hello.gives else self.spec.receivers) for replica in range(port.replicas)
        ]
        if far not in known:
            raise ProtocolError(f"{self.spec.name} has no link with {end_name(far[0])}")
        service = self._service
        if service is None or service.lost is not None or (far[0] == "client" and service.awaited):
            raise DeviceError(f"{self.spec.name} is {self.state}; see edgekit status, then wait or deploy again")
        link = (service.inlets.links if hello.gives else service.outlets.links)[far]
        if link.connected and far[0] != "client":
            service.lose(f"lost {end_name(far[0])}: it has come anew")
            raise DeviceError(f"{self.spec.name} still takes {end_name(far[0])} for linked; it will let it in soon")
        with self._claim(link, far[0]):
            if isinstance(link, Outlet):
                link.attach(sock, welcome)
            else:
                welcome(sock)
                link.attach(sock, returning=far[0] == "client")
        if service.lost is not None:  # it may have hung up on all before this one was there
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

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
