"""Links with a rate and a delay: nothing is lost, nothing comes early, nothing is left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from devices.local import connect, find
from devices.shaper import Route, open_routes
from edgekit.cluster import Shape
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.runtime.origin import environment
from tests.runtime.bed import eventually, marked

FREE = Shape()


def parrot(sock: socket.socket) -> None:
    """Say everything again, and goodbye after the goodbye."""
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def drain(sock: socket.socket) -> None:
    """Listen to the end, then say a byte."""
    while sock.recv(65536):
        pass
    sock.sendall(b"!")


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """A server that holds one conversation after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the listener has been closed
                while True:
                    sock, _ = listener.accept()
                    with sock, contextlib.suppress(OSError):
                        talk(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@contextmanager
def shaped(address: tuple[str, int], there: Shape = FREE, back: Shape = FREE) -> Iterator[tuple[str, int]]:
    with open_routes([Route(*address, there, back)]) as (address,):
        yield address


def listen(sock: socket.socket) -> bytes:
    """All that comes."""
    heard = bytearray()
    while data := sock.recv(65536):
        heard += data
    return bytes(heard)


def say(sock: socket.socket, data: bytes) -> threading.Thread:
    """Send from another thread, goodbye included."""

    def send() -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("shape", [FREE, Shape(0.002, 20e6), Shape(0.02)])
def test_all_bytes_arrive_in_order_in_both_directions(shape: Shape) -> None:
    data = np.random.default_rng(0).integers(0, 256, 700_001, np.uint8).tobytes()
    with serving(parrot) as address, shaped(address, shape, shape) as proxy, socket.create_connection(proxy) as sock:
        thread = say(sock, data)
        assert listen(sock) == data
        thread.join()


def test_two_connections_do_not_mix() -> None:
    with serving(lambda sock: sock.sendall(b"one")) as one, serving(lambda sock: sock.sendall(b"other")) as other:
        routes = [Route(*one, FREE, FREE), Route(*other, FREE, FREE)]
        with open_routes(routes) as proxies:
            for proxy, expected in zip(proxies, (b"one", b"other"), strict=True):
                with socket.create_connection(proxy) as sock:
                    assert listen(sock) == expected


def test_a_message_takes_at_least_the_delay() -> None:
    with serving(parrot) as address, shaped(address, Shape(0.05), Shape(0.03)) as proxy, socket.create_connection(proxy) as sock:
        took = []
        for _ in range(5):
            begin = time.monotonic()
            sock.sendall(b"ping")
            assert sock.recv(4) == b"ping"
            took.append(time.monotonic() - begin)
    assert min(took[1:]) >= 0.08  # the first may have waited for the proxy to be there


def test_a_proxy_that_was_late_does_not_delay_what_waited() -> None:
    with serving(parrot) as address, shaped(address, Shape(2.0)) as proxy, socket.create_connection(proxy) as sock:
        eventually(lambda: held(proxy_process())[0] > 2)  # the connection is carried
        pid = proxy_process()
        time.sleep(0.3)  # Linux turns the stamps of arrivals on a moment after they were asked for
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        sock.sendall(b"ping")
        time.sleep(1.5)
        os.kill(pid, signal.SIGCONT)
        assert sock.recv(4) == b"ping"
        assert 2.0 <= time.monotonic() - begin < 3.2


def test_a_megabyte_takes_at_least_its_time() -> None:
    rate = 4e6
    with serving(drain) as address, shaped(address, Shape(0, rate)) as proxy, socket.create_connection(proxy) as sock:
        begin = time.monotonic()
        thread = say(sock, bytes(1_000_000))
        assert listen(sock) == b"!"
        took = time.monotonic() - begin
        thread.join()
    assert 0.9 * 1e6 / rate < took < 20


def test_each_direction_has_its_own_rate() -> None:
    with serving(lambda sock: sock.sendall(bytes(500_000))) as address, shaped(address, FREE, Shape(0, 4e6)) as proxy:
        begin = time.monotonic()
        with socket.create_connection(proxy) as sock:
            assert len(listen(sock)) == 500_000
        assert time.monotonic() - begin > 0.9 * 0.125


def test_many_small_messages_fit_into_a_long_delay() -> None:
    with serving(drain) as address, shaped(address, Shape(0.1)) as proxy, socket.create_connection(proxy) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.monotonic()
        for _ in range(200):  # far below what a link of this delay has under way at once
            sock.sendall(b"tick")
            time.sleep(0.001)
        sock.shutdown(socket.SHUT_WR)
        assert listen(sock) == b"!"
        assert time.monotonic() - begin < 10


def test_a_sender_waits_for_a_receiver_that_stalls() -> None:
    go = threading.Event()

    def stall(sock: socket.socket) -> None:
        go.wait(20)
        drain(sock)

    with serving(stall) as address, shaped(address) as proxy, socket.create_connection(proxy) as sock:
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                sock.sendall(bytes(100_000))
        go.set()


def test_nobody_behind_the_proxy_is_like_a_peer_that_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with shaped(address) as proxy, socket.create_connection(proxy) as sock, contextlib.suppress(ConnectionResetError):
        assert sock.recv(1) == b""


def test_the_end_of_one_side_reaches_the_other() -> None:
    ended = threading.Event()

    def wait(sock: socket.socket) -> None:
        sock.sendall(b"hello")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        ended.set()

    with serving(wait) as address, shaped(address, Shape(0.01), Shape(0.01)) as proxy:
        with socket.create_connection(proxy) as sock:
            assert sock.recv(5) == b"hello"
        assert ended.wait(10)


def proxy_process() -> int:
    """The process number of the only shaper."""
    (pid,) = (pid for pid, line in marked().items() if "devices.shaper" in line)
    return pid


def held(pid: int) -> tuple[int, int]:
    """Threads and file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


def test_connections_that_have_ended_leave_nothing_in_the_proxy() -> None:
    def leave(sock: socket.socket) -> None:
        sock.recv(1)

    with ExitStack() as stack:
        servers = [stack.enter_context(serving(talk)) for talk in (parrot, leave)]
        kind, unkind = stack.enter_context(open_routes([Route(*address, Shape(0.001, 50e6), FREE) for address in servers]))
        pid = proxy_process()
        eventually(lambda: held(pid)[0] == 1 + len(servers))  # threads: one that waits for the end, one for each route
        before = held(pid)
        for _ in range(10):
            with socket.create_connection(kind) as sock:
                thread = say(sock, bytes(50_000))
                assert len(listen(sock)) == 50_000
                thread.join()
            with socket.create_connection(unkind) as sock, contextlib.suppress(OSError):
                sock.sendall(bytes(2_000_000))
            socket.create_connection(kind).close()
        eventually(lambda: held(pid) == before)


def test_proxies_end_when_the_context_is_left() -> None:
    with serving(parrot) as address:
        with shaped(address):
            assert marked()
        assert not marked()
        with pytest.raises(ZeroDivisionError), shaped(address):
            raise ZeroDivisionError
        eventually(lambda: not marked())


OPENER = """
import time
from devices.shaper import Route, open_routes
from edgekit.cluster import Shape
with open_routes([Route("127.0.0.1", 1, Shape(), Shape())]) as routes:
    print(routes[0][1], flush=True)
    time.sleep(60)
"""


def test_proxies_end_with_the_process_that_opened_them() -> None:
    opener = subprocess.Popen([sys.executable, "-c", OPENER], stdout=subprocess.PIPE, env=environment())
    assert opener.stdout is not None
    with opener, opener.stdout:
        assert int(opener.stdout.readline())
        assert len(marked()) == 2
        opener.kill()
    eventually(lambda: not marked())


def test_proxies_with_a_lifeline_stay_until_it_ends(tmp_path: Path) -> None:
    bench = Device("bench")
    with connect(bench, tmp_path) as agent:
        with serving(parrot) as address:
            with open_routes([Route(*address, FREE, FREE)], (agent.folder / "agent.sock", "plan")) as (proxy,):
                pass
            with socket.create_connection(proxy) as sock:
                thread = say(sock, b"still there?")
                assert listen(sock) == b"still there?"
                thread.join()
            agent.stop("another")
            with socket.create_connection(proxy) as sock:
                thread = say(sock, b"and now?")
                assert listen(sock) == b"and now?"
                thread.join()
        agent.stop("plan")
        eventually(lambda: len(marked()) == 1)
        agent.stop()
    eventually(lambda: not marked())
    assert not find(bench, tmp_path)


def test_proxies_whose_lifeline_is_not_there_do_not_start(tmp_path: Path) -> None:
    with (
        pytest.raises(DeviceError, match="the link shaper did not start"),
        open_routes([Route("127.0.0.1", 1, FREE, FREE)], (tmp_path / "no", "plan")),
    ):
        pass


def test_a_proxy_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DeviceError, match="the link shaper did not start"), open_routes([Route("127.0.0.1", 1, FREE, FREE)]):
        pass


def test_no_routes_are_no_process() -> None:
    with open_routes([]) as proxies:
        assert proxies == []
        assert not marked()
