"""What the tests of the runtime stand on: sockets that are joined, small models, and a look at what is left behind."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.graph import Tensor
from edgekit.runtime.links import frames
from edgekit.runtime.links.frames import Header
from edgekit.runtime.links.greeting import BUFFER_BYTES
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link_end import Greeting
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.verbs import Port, StageSpec
from tests.written import model

__all__ = [
    "DOUBLE",
    "LOOKUP",
    "X",
    "Y",
    "alive",
    "attach",
    "eventually",
    "framed",
    "marked",
    "pair",
    "spec",
    "stays",
    "tracked",
    "written",
]

MARK = "EDGEKIT_TEST"

X = Tensor("x", (4,), "float32")
Y = Tensor("y", (4,), "float32")

DOUBLE = "net (float[4] x) => (float[4] y) { y = Add(x, x) }"
LOOKUP = "net (int64[1] i) => (float[1] y) <float[4] table = {10, 11, 12, 13}> { y = Gather(table, i) }"


def written(text: str) -> bytes:
    """The bytes of a model in ONNX's text form."""
    return model(text).SerializeToString()


def spec(digest: str, inputs: tuple[Tensor, ...] = (X,), outputs: tuple[Tensor, ...] = (Y,), stage: int = 0, last: int = 0) -> StageSpec:
    """One stage of a chain of ``last + 1``, the client at both ends."""
    return StageSpec(
        plan="plan",
        stage=stage,
        replica=0,
        replicas=1,
        device="bench",
        model=digest,
        inputs=inputs,
        outputs=outputs,
        sources=(Port(end="client" if stage == 0 else stage - 1, replicas=1, tensors=inputs),),
        receivers=(Port(end="client" if stage == last else stage + 1, replicas=1, tensors=outputs),),
    )


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection, set up as those of a link are."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for sock in (one, other):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return one, other


def framed(header: Header, *body: bytes) -> bytes:
    """A frame as it goes over a connection that nothing encrypts."""
    return frames.framed(header, b"".join(body))


def attach(outlet: Outlet, inlet: Inlet) -> None:
    """Join an outlet and an inlet by TCP."""
    here, there = pair()
    outlet.attach(Greeting(Line(here), inlet._fresh()))
    inlet.attach(Greeting(Line(there)))


def eventually(true: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"still not so after {within_s:g} s"
        time.sleep(0.005)


def stays(count: Callable[[], int], for_s: float = 0.3) -> int:
    """Wait until a number no longer changes; the number."""
    seen, since = count(), time.monotonic()
    while time.monotonic() < since + for_s:
        time.sleep(0.01)
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
    return seen


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def marked() -> dict[int, str]:
    """Command lines of the processes that the test has started and that still run, by process number."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and alive(int(folder.name)):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has just ended
    return found


@contextmanager
def tracked(folder: Path) -> Iterator[None]:
    """Check that what runs inside leaves no thread, file descriptor, process or temporary file."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    os.environ[MARK] = str(folder)  # several runs may go on side by side
    try:
        yield
        eventually(lambda: not set(threading.enumerate()) - threads, 5)
        eventually(lambda: not marked(), 5)
        assert not list(folder.glob("edgekit-*"))
        eventually(lambda: _descriptors() <= descriptors, 5)
    finally:
        del os.environ[MARK]


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
