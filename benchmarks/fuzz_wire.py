"""Claim: whatever bytes come, the decoder, the greeting and both ends of a link refuse them and make no room for what is announced.

    make fuzz                                       # ten minutes; or, with atheris installed:
    python benchmarks/fuzz_wire.py -max_total_time=600 [-seed=1] [CORPUS]

atheris changes inputs so that they reach other branches of the code. The first bytes of an input pick what reads it and whether frames
are sealed, which means that their checks are made to fit: else hardly any would get past them. Anything but ProtocolError or the end of a
connection is a finding: atheris prints it, keeps its input, and exits with 77.
"""

import contextlib
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import atheris

with atheris.instrument_imports(include=["edgekit"], enable_loader_override=False):
    import msgspec

    from edgekit.errors import ProtocolError
    from edgekit.graph import Tensor
    from edgekit.runtime.links import frames
    from edgekit.runtime.links.frames import HEADER_BYTES, MAX_NOTE_BYTES, Header, Kind, Layout
    from edgekit.runtime.links.greeting import Hello, accept, receive_note
    from edgekit.runtime.links.inlet import Inlet
    from edgekit.runtime.links.line import Line
    from edgekit.runtime.links.link import Item, Standing
    from edgekit.runtime.links.outlet import Outlet

LAYOUT = Layout((Tensor("x", (4,), "float32"), Tensor("i", (2, 3), "int64")))
CAP_BYTES = max(MAX_NOTE_BYTES, LAYOUT.nbytes + len(LAYOUT.table))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds()):
            Path(folder, str(number)).write_bytes(seed)
        places = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        atheris.Setup([*sys.argv, *([] if places else [folder])], examine)
        atheris.Fuzz()


def examine(data: bytes) -> None:
    """One input."""
    if len(data) < 2:
        return
    reader = READERS[data[0] % len(READERS)]
    with contextlib.suppress(ProtocolError, ConnectionError):
        reader(sealed(data[2:]) if data[1] % 2 else data[2:])


def sealed(data: bytes) -> bytes:
    """As many frames as there are, each with checks that fit."""
    out, at = [], 0
    while len(data) - at >= HEADER_BYTES:
        head = data[at : at + HEADER_BYTES]
        table, payload = int.from_bytes(head[28:32]), int.from_bytes(head[32:40])
        at += HEADER_BYTES
        body = data[at : at + min(table + payload, CAP_BYTES)]
        at += len(body)
        out.append(head + frames.checks(head, memoryview(body)) + body)
    return b"".join(out)


def header(data: bytes) -> None:
    found = frames.decode_header(data[:HEADER_BYTES])
    if found.kind is Kind.DATA:
        LAYOUT.check(found)
        assert found.payload_bytes == LAYOUT.nbytes
    else:
        assert found.payload_bytes <= MAX_NOTE_BYTES


def tensors(data: bytes) -> None:
    LAYOUT.unpack(data)


def spoken(data: bytes) -> socket.socket:
    """A connection over which these bytes come, and then its end."""
    here, there = socket.socketpair()
    with there:
        there.sendall(data[:60_000])
    return here


def greeting(data: bytes) -> None:
    with spoken(data) as sock:
        assert isinstance(accept(sock), Hello)


def note(data: bytes) -> None:
    with spoken(data) as sock:
        _, got = receive_note(sock, time.monotonic() + 5)
        assert len(got) <= MAX_NOTE_BYTES


def hello(data: bytes) -> None:
    with spoken(frames.framed(Header(Kind.HELLO, payload_bytes=len(data)), data)) as sock:
        if len(data) <= MAX_NOTE_BYTES:
            accept(sock)


def received(data: bytes) -> None:
    end = Inlet(LAYOUT, "fuzzer")
    end._state = end._state.__class__(room=8)
    end._resume(Standing())
    carry(end, data)


def answered(data: bytes) -> None:
    end = Outlet(LAYOUT, "fuzzer")
    end._begin()
    end._give(Item(Kind.END, 1, 0))
    end._resume(Standing(0, 8))
    carry(end, data)


def carry(end: Inlet | Outlet, data: bytes) -> None:
    incoming = end.incoming

    def measured(header: Header):
        found = incoming(header)
        assert len(found) <= CAP_BYTES
        return found

    end.incoming = measured
    with spoken(data) as sock, contextlib.suppress(OSError):
        Line(sock).run(end)


READERS = (header, tensors, greeting, note, hello, received, answered)


def seeds() -> list[bytes]:
    """What each of them reads from one of ours."""
    caller = msgspec.msgpack.encode(Hello(plan="plan", source="client", source_replica=0, receiver=0, receiver_replica=0))
    data = frames.encode_header(Header(Kind.DATA, 1, 1, 0, len(LAYOUT.table), LAYOUT.nbytes)) + LAYOUT.table + bytes(LAYOUT.nbytes)
    ack = frames.encode_header(Header(Kind.ACK, sequence=1, frame=9))
    greet = frames.encode_header(Header(Kind.HELLO, payload_bytes=len(caller))) + caller
    bodies = (data, bytes(LAYOUT.nbytes), greet, greet, caller, data + data, ack)
    return [
        bytes((number, reader not in (header, tensors, hello))) + body
        for number, (reader, body) in enumerate(zip(READERS, bodies, strict=True))
    ]


if __name__ == "__main__":
    main()
