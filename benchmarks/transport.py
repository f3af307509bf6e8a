"""Claim: a link costs little more than the connection below it, in clear and encrypted.

    python benchmarks/transport.py [--sizes 1024 819200 4194304 26214400] [--seconds 1.0]

Messages of each size go one way over loopback, as many in flight as the transport allows, from a process of its own to another.
Printed are processor microseconds of a message at each side (medians of nine runs; all that use sockets take turns, so that the
machine is the same for each) and what one processor a side could carry:

    raw           sendmsg and recv_into of the bytes alone, in clear and over TLS 1.3
    link          edgekit's link layer: numbered, acknowledged, checked; before a message is handed to the executor's thread
    hand-over     the same with the hand-over to another thread at both ends
    pickle        a length and a pickle, received by adding up bytes, as ParetoPipe sends tensors
    gRPC          the link layer over a stream of gRPC, in clear and over TLS 1.3, where grpcio is installed
    raw gRPC      such a stream alone, in clear, of bytes that are there already: no link over gRPC can take less
    torch RPC     an empty function called with a tensor, eight calls under way, where torch is installed; over TCP as between
                  machines (within one it would take to shared memory); and the link layer over it

Bars: the link in clear takes at most 15 µs for 1 KiB and carries 0.8 of raw TCP at 800 KiB; over TLS 30 µs, and 0.8 of raw TLS.
gRPC in clear takes no more than torch RPC, at any size.
The bars in microseconds are for a processor on which raw TCP takes 4 µs for 1 KiB; what it takes here is printed beside them. The last
line is JSON; exit code 1 where a bar of a ratio is missed.
"""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import os
import pickle
import socket
import statistics
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from devices.authority import Authority
from edgekit.graph import Tensor
from edgekit.ring import slots_of
from edgekit.runtime.links.carrier import Carrier, Gate
from edgekit.runtime.links.frames import Header, Kind, Layout
from edgekit.runtime.links.greeting import BUFFER_BYTES, Door, Hello
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link import Item, Receiving, Standing
from edgekit.runtime.links.link_end import Greeting
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.links.tls import Guard, Keys, named
from edgekit.runtime.links.transport import TRANSPORTS, Opening, dial, receive
from edgekit.runtime.links.transport_packages import available

SIZES = (1024, 819_200, 4 << 20, 25 << 20)
RUNS = 9
HOUSE = Authority.fresh("bench")
WINDOW = 8


def tuned(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return sock


def layout_of(nbytes: int) -> Layout:
    return Layout((Tensor("x", (nbytes,), "uint8"),))


def send_raw(sock: socket.socket, nbytes: int, count: int) -> None:
    table, payload = layout_of(nbytes).table, np.zeros(nbytes, np.uint8).data
    for _ in range(count):
        parts = [memoryview(bytes(40) + table), payload]
        if hasattr(sock, "cipher"):
            for part in parts:
                sock.sendall(part)
            continue
        while parts:
            sent = sock.sendmsg(parts)
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if sent:
                parts[0] = parts[0][sent:]


def receive_raw(sock: socket.socket, nbytes: int, count: int) -> None:
    buffer = np.zeros(40 + len(layout_of(nbytes).table) + nbytes, np.uint8).data
    for _ in range(count):
        view = buffer
        while view:
            view = view[sock.recv_into(view) :]


class Giver(Outlet):
    """An outlet that gives itself the next message as soon as there is room, without another thread."""

    def __init__(self, nbytes: int, count: int):
        super().__init__(layout_of(nbytes), "there")
        self._left, self.line = count, None
        self._begin()
        self._resume(Standing(0, slots_of(self.layout.nbytes)))
        self._pings = 0
        self._push()

    def _push(self) -> None:
        while self._left and not self._free.empty():
            slot = self._free.get_nowait()
            assert slot is not None
            self._state.give(Item(Kind.DATA, 1, self._left, slot))
            self._left -= 1

    def arrived(self, header: Header) -> None:
        super().arrived(header)
        self._push()
        if not self._left and header.kind is Kind.ACK and not self._state._held:
            self.line.end()


class Taker(Inlet):
    """An inlet that is done with a message as soon as it is there."""

    def __init__(self, nbytes: int):
        super().__init__(layout_of(nbytes), "there")
        self._state = Receiving(slots_of(self.layout.nbytes))

    def arrived(self, header: Header) -> None:
        super().arrived(header)
        if header.kind is Kind.DATA:
            self.drop()


def send_link(sock: socket.socket, nbytes: int, count: int) -> None:
    giver = Giver(nbytes, count)
    giver.line = Line(sock)
    giver.line.run(giver)


def receive_link(sock: socket.socket, nbytes: int, count: int) -> None:
    with contextlib.suppress(ConnectionError):  # it says goodbye
        Line(sock).run(Taker(nbytes))


def send_over(sock: socket.socket, nbytes: int, count: int) -> None:
    outlet = Outlet(layout_of(nbytes), "there")
    outlet.attach(Greeting(Line(sock), Standing(0, slots_of(outlet.layout.nbytes))))
    for frame in range(count):
        outlet.give(1, frame, outlet.acquire())
    for _ in range(slots_of(outlet.layout.nbytes)):  # until all have come
        outlet.acquire()
    outlet.abort()


def receive_over(sock: socket.socket, nbytes: int, count: int) -> None:
    inlet = Inlet(layout_of(nbytes), "here")
    inlet.attach(Greeting(Line(sock)))
    for _ in range(count):
        inlet.head(60)
        inlet.drop()
    inlet.close()


def send_pickle(sock: socket.socket, nbytes: int, count: int) -> None:
    tensor = np.zeros(nbytes, np.uint8)
    for _ in range(count):
        data = pickle.dumps({"tensor": tensor, "batch_start_time": 0.0})
        sock.sendall(struct.pack("!Q", len(data)) + data)


def receive_pickle(sock: socket.socket, nbytes: int, count: int) -> None:
    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += sock.recv(size - len(data))
        return data

    for _ in range(count):
        (size,) = struct.unpack("!Q", exactly(8))
        pickle.loads(exactly(size))


Side = Callable[[socket.socket, int, int], None]
WAYS: dict[str, tuple[Side, Side, bool]] = {
    "raw TCP": (send_raw, receive_raw, False),
    "raw TLS": (send_raw, receive_raw, True),
    "link in clear": (send_link, receive_link, False),
    "link over TLS": (send_link, receive_link, True),
    "hand-over in clear": (send_over, receive_over, False),
    "hand-over over TLS": (send_over, receive_over, True),
    "pickle over TCP": (send_pickle, receive_pickle, False),
}


def cpu_us(way: str, nbytes: int, count: int) -> tuple[float, float]:
    """Processor microseconds of a message at the sender and at the receiver, in processes of their own."""
    send, receive, secure = WAYS[way]
    reader, writer = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = os.fork()
        if child == 0:
            sock, _ = listener.accept()
            tuned(sock)
            if secure:
                sock = Guard(HOUSE.issue("there")).answer(sock, 5)
                sock.settimeout(None)
            begin = time.process_time()
            receive(sock, nbytes, count)
            os.write(writer, f"{(time.process_time() - begin) / count * 1e6}".encode())
            os._exit(0)
        sock = tuned(socket.create_connection(listener.getsockname()))
        if secure:
            sock = Guard(HOUSE.issue("here")).call(sock, named("bench", "there"), 5)
            sock.settimeout(None)
        with sock:
            begin = time.process_time()
            send(sock, nbytes, count)
            here = (time.process_time() - begin) / count * 1e6
            there = float(os.read(reader, 100))
    os.waitpid(child, 0)
    for descriptor in (reader, writer):
        os.close(descriptor)
    return here, there


RAW = "raw gRPC"
LIBRARIES: dict[str, tuple[str, bool]] = {
    RAW: ("grpc", False),
    "gRPC in clear": ("grpc", False),
    "gRPC over TLS": ("grpc", True),
    "link over torch RPC": ("torch", False),
}


def library_us(way: str, nbytes: int, seconds: float) -> tuple[float, float]:
    """The same for the link layer over a library, or gRPC alone; nothing of it is loaded in this process, which forks."""
    transport, secure = LIBRARIES[way]
    take, give = (_raw_take, _raw_give) if way == RAW else (_library_take, _library_give)
    context = multiprocessing.get_context("spawn")
    told, heard = context.SimpleQueue(), context.SimpleQueue()
    keys = [HOUSE.issue(name) if secure else None for name in ("there", "here")]
    taking = context.Process(target=take, args=(transport, nbytes, keys[0], told))
    taking.start()
    giving = context.Process(target=give, args=(transport, told.get(), nbytes, keys[1], seconds, heard))
    giving.start()
    runs = []
    for _ in range(1 + RUNS):
        count, here_s = heard.get()
        runs.append((here_s / count * 1e6, told.get() / count * 1e6))
    giving.join()
    taking.terminate()
    taking.join()
    return medians(runs[1:])


def _bring_torch() -> None:
    """Put torch RPC among the transports of this process."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when it is loaded: a call that fails is no news, as links go on
    from benchmarks.torchrpc.dialer import dial as dial_torch
    from benchmarks.torchrpc.reception import TorchReception

    TRANSPORTS["torch"] = Opening(dial_torch, TorchReception)


def _library_take(transport: str, nbytes: int, keys: Keys | None, told: "multiprocessing.SimpleQueue[object]") -> None:
    def run(carrier: Carrier) -> None:
        taker, begin = Taker(nbytes), time.process_time()
        carrier.welcome(taker._state.standing)
        with contextlib.suppress(ConnectionError):  # it says goodbye
            carrier.run(taker)
        told.put(time.process_time() - begin)

    def admit(carrier: Carrier, hello: Hello) -> None:
        threading.Thread(target=run, args=(carrier,)).start()

    if transport == "torch":
        _bring_torch()
    told.put(receive(transport, Gate(("127.0.0.1", 0), Guard(keys) if keys else None, admit)).address)
    threading.Event().wait()


def _library_give(
    transport: str,
    address: tuple[str, int],
    nbytes: int,
    keys: Keys | None,
    seconds: float,
    heard: "multiprocessing.SimpleQueue[object]",
) -> None:
    if transport == "torch":
        _bring_torch()
    door = Door(*address, named("bench", "there"), Guard(keys) if keys else None, transport)
    count = 20
    for _ in range(1 + RUNS):
        carrier, _ = dial(door, Hello(plan="plan", source=0, source_replica=0, receiver=1, receiver_replica=0), "the other end", 10.0)
        giver = Giver(nbytes, count)
        giver.line = carrier
        begin, clock = time.process_time(), time.perf_counter()
        carrier.run(giver)
        heard.put((count, time.process_time() - begin))
        count = max(count, int(seconds / RUNS / max((time.perf_counter() - clock) / count, 1e-6)))


def _raw_take(transport: str, nbytes: int, keys: None, told: "multiprocessing.SimpleQueue[object]") -> None:
    import grpc

    from edgekit.runtime.links.rpc.channel_options import BOTH

    def run(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        begin = time.process_time()
        for _ in messages:
            pass
        told.put(time.process_time() - begin)
        return iter(())

    server = grpc.server(ThreadPoolExecutor(1), options=BOTH)
    carry = grpc.stream_stream_rpc_method_handler(run)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Raw", {"Carry": carry}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    told.put(("127.0.0.1", port))
    threading.Event().wait()


def _raw_give(
    transport: str, address: tuple[str, int], nbytes: int, keys: None, seconds: float, heard: "multiprocessing.SimpleQueue[object]"
) -> None:
    import grpc

    from edgekit.runtime.links.rpc.channel_options import BOTH
    from edgekit.runtime.links.rpc.stream import PIECE_BYTES

    whole, count = bytes(nbytes), 20
    pieces = [whole[start : start + PIECE_BYTES] for start in range(0, nbytes, PIECE_BYTES)]
    for _ in range(1 + RUNS):
        with grpc.insecure_channel("{}:{}".format(*address), BOTH) as channel:
            begin, clock = time.process_time(), time.perf_counter()
            list(channel.stream_stream("/Raw/Carry")(piece for _ in range(count) for piece in pieces))
            heard.put((count, time.process_time() - begin))
        count = max(count, int(seconds / RUNS / max((time.perf_counter() - clock) / count, 1e-6)))


def rpc_us(sizes: list[int], seconds: float) -> dict[int, tuple[float, float]]:
    """The same for torch RPC; nothing where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch.multiprocessing as processes

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    context = processes.get_context("spawn")
    queue = context.SimpleQueue()
    workers = [context.Process(target=_rpc, args=(rank, sizes, seconds, queue)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return queue.get()


def _take(tensor: object) -> float:
    return time.process_time()


def _rpc(rank: int, sizes: list[int], seconds: float, queue: object) -> None:
    import torch
    import torch.distributed.rpc as rpc

    between_machines = rpc.TensorPipeRpcBackendOptions(_transports=["uv"], _channels=["basic"])
    rpc.init_rpc(("here", "there")[rank], rank=rank, world_size=2, rpc_backend_options=between_machines)
    found = {}
    for nbytes in sizes if rank == 0 else ():
        tensor = torch.zeros(nbytes, dtype=torch.uint8)
        runs = []
        for _ in range(RUNS):
            there = rpc.rpc_sync("there", _take, (tensor,))
            here, begin, count, under_way = time.process_time(), time.perf_counter(), 0, []
            while time.perf_counter() - begin < seconds / RUNS or count < WINDOW:
                under_way.append(rpc.rpc_async("there", _take, (tensor,)))
                count += 1
                if len(under_way) >= WINDOW:
                    last = under_way.pop(0).wait()
            last = max([last, *(each.wait() for each in under_way)])
            runs.append(((time.process_time() - here) / count * 1e6, (last - there) / count * 1e6))
        found[nbytes] = medians(runs)
    rpc.shutdown()
    if rank == 0:
        queue.put(found)  # type: ignore[attr-defined]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=1.0, help="of each transport at each size, about")
    arguments = parser.parse_args()
    found: dict[str, dict[int, tuple[float, float]]] = {way: {} for way in WAYS}
    for nbytes in arguments.sizes:
        counts = {way: max(int(arguments.seconds / RUNS / max(sum(cpu_us(way, nbytes, 20)) * 1e-6, 1e-5)), 10) for way in WAYS}
        rounds = [{way: cpu_us(way, nbytes, count) for way, count in counts.items()} for _ in range(RUNS)]
        for way in WAYS:
            found[way][nbytes] = medians([each[way] for each in rounds])
            told(way, nbytes, found[way][nbytes])
    for way, (transport, _) in LIBRARIES.items():
        if transport not in (*available(), *(["torch"] if importlib.util.find_spec("torch") else [])):
            continue
        found[way] = {nbytes: library_us(way, nbytes, arguments.seconds) for nbytes in arguments.sizes}
        for nbytes, times in found[way].items():
            told(way, nbytes, times)
    found["torch RPC"] = rpc_us(arguments.sizes, arguments.seconds)
    for nbytes, times in found["torch RPC"].items():
        told("torch RPC", nbytes, times)
    met = True
    for link, raw, most_us in (("link in clear", "raw TCP", 15), ("link over TLS", "raw TLS", 30)):
        for nbytes in arguments.sizes:
            share = max(found[raw][nbytes]) / max(found[link][nbytes])
            print(f"{link}, {nbytes} bytes: {share:.2f} of what {raw} carries")
            met &= nbytes != 819_200 or share >= 0.8
            met &= nbytes != 1024 or max(found[link][nbytes]) <= most_us
    for way in ("torch RPC", "link over torch RPC") if "gRPC in clear" in found else ():
        for nbytes, times in found.get(way, {}).items():
            for rpc in (RAW, "gRPC in clear"):
                share = max(times) / max(found[rpc][nbytes])
                print(f"{rpc}, {nbytes} bytes: {share:.2f} of what {way} carries")
            met &= share >= 1 or way != "torch RPC"
    print(
        json.dumps(
            {"cpu_us": {way: {str(n): [round(t, 1) for t in times] for n, times in by.items()} for way, by in found.items()}, "met": met}
        )
    )
    return 0 if met else 1


def medians(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the sender and of the receiver."""
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


def told(way: str, nbytes: int, times: tuple[float, float]) -> None:
    print(f"{way:<20} {nbytes:>9} bytes: {times[0]:>9.1f} µs out, {times[1]:>9.1f} µs in, {nbytes / max(times) / 1e3:.2f} GB/s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
