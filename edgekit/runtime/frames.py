"""The bytes between stages, without any I/O: a fixed header, a binary tensor table, and aligned tensor data.

     0      4    5    6      8      12       20       28      32           40
     ├──────┼────┼────┼──────┼──────┼────────┼────────┼───────┼────────────┤
     │magic │ver │kind│flags │epoch │sequence│frame   │table  │payload     │  table │ payload
     │u32   │u8  │u8  │u16   │u32   │u64     │u64     │len u32│len u64     │

Network byte order in the header and the table; tensor data as it lies in memory (little-endian on every
machine that onnxruntime runs on), each tensor at a multiple of 64 bytes so that it can be used in place.
Both ends know the tensors of their link from the plan, so a table is compared, never interpreted.

Where nothing encrypts, and so nothing authenticates, checks follow the header: of itself, and of all that follows.

     │ header │crc u32│sum u32│ table │ payload
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ProtocolError
from edgekit.graph import ITEMSIZE, Tensor

__all__ = [
    "ALIGNMENT",
    "CHECK_BYTES",
    "EVERY_FRAME",
    "HEADER_BYTES",
    "MAX_NOTE_BYTES",
    "Header",
    "Kind",
    "Layout",
    "body_check",
    "checks",
    "decode_header",
    "encode_header",
    "framed",
    "require_ours",
]

MAGIC = 0xED6E0001
_MAGIC = MAGIC.to_bytes(4, "big")
VERSION = 2
ALIGNMENT = 64
MAX_NOTE_BYTES = 64 * 1024
"""Cap of the payload of anything but DATA: a greeting or the text of an error."""

EVERY_FRAME = 2**64 - 1
"""Frame number of a FAIL that ends the stream."""

_HEADER = struct.Struct("!IBBHIQQIQ")
HEADER_BYTES = _HEADER.size
CHECK_BYTES = 8
LARGE_BYTES = 4096
"""From here on a body is summed up."""

_DTYPES = {dtype: code for code, dtype in enumerate(sorted(ITEMSIZE), start=1)}


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    WELCOME = 2
    REJECT = 3
    DATA = 4
    ACK = 5
    FAIL = 6
    END = 7
    PING = 8
    PONG = 9
    BYE = 10


_KINDS = {int(kind): kind for kind in Kind}


class Header(NamedTuple):
    """The fixed part of every frame.

    Attributes:
        epoch: numbers the stream; in an ACK, for how many microseconds the receiver has had the last message whole.
        sequence: numbers the messages of a link; in an ACK, the last one that has come.
        frame: numbers the inputs of a stream; in an ACK, the last message that there is room for. A PONG gives back that of its PING.
    """

    kind: Kind
    epoch: int = 0
    sequence: int = 0
    frame: int = 0
    table_bytes: int = 0
    payload_bytes: int = 0


def encode_header(header: Header) -> bytes:
    """The 40 bytes of a header.

    >>> decode_header(encode_header(Header(Kind.DATA, epoch=3, frame=7, payload_bytes=64))).frame
    7
    """
    kind, epoch, sequence, frame, table_bytes, payload_bytes = header
    return _HEADER.pack(MAGIC, VERSION, kind, 0, epoch, sequence, frame, table_bytes, payload_bytes)


def decode_header(data: bytes | bytearray | memoryview) -> Header:
    """Read a header.

    Raises:
        ProtocolError: another length, magic or version, an unknown kind, or a note above its cap.
    """
    if len(data) != HEADER_BYTES:
        raise ProtocolError(f"expected a header of {HEADER_BYTES} bytes, got {len(data)}")
    require_ours(data)
    _, version, kind, _, epoch, sequence, frame, table_bytes, payload_bytes = _HEADER.unpack(data)
    if version != VERSION:
        raise ProtocolError(f"the peer speaks frame version {version}, this side {VERSION}; bring both to the same edgekit")
    known = _KINDS.get(kind)
    if known is None:
        raise ProtocolError(f"frame kind {kind} is unknown to this edgekit")
    if known is not Kind.DATA and (table_bytes or payload_bytes > MAX_NOTE_BYTES):
        raise ProtocolError(f"{known.name} announces {table_bytes} + {payload_bytes} bytes, at most {MAX_NOTE_BYTES} are allowed")
    return Header(known, epoch, sequence, frame, table_bytes, payload_bytes)


def checks(header: bytes | bytearray, body: Sequence[memoryview]) -> bytes:
    """What follows a header where nothing else would notice a bit that flips: of the header itself, and of all that comes.

    >>> checks(bytes(40), []) == checks(bytes(40), [memoryview(b"")]) != checks(bytes(40), [memoryview(b"x")])
    True
    """
    return zlib.crc32(header).to_bytes(4, "big") + body_check(body)


def body_check(body: Sequence[memoryview]) -> bytes:
    """The second half of ``checks``."""
    total = 0
    for view in body:
        if len(view) >= LARGE_BYTES and not len(view) % 8:
            view = np.add.reduce(np.frombuffer(view, np.uint64)).tobytes()  # many times as fast as a CRC, and sees any bit
        total = zlib.crc32(view, total)
    return total.to_bytes(4, "big")


def framed(header: Header, body: Sequence[memoryview] = (), checked: bool = True) -> list[memoryview]:
    """A frame as it goes over a connection, in pieces; with checks, unless the connection has its own."""
    head = encode_header(header)
    return [memoryview(head + checks(head, body) if checked else head), *(view for view in body if len(view))]


def require_ours(data: bytes | bytearray | memoryview) -> None:
    """Refuse bytes that do not begin as a frame does.

    Raises:
        ProtocolError: with what they begin with.
    """
    if bytes(data[:4]) != _MAGIC:
        raise ProtocolError(f"expected an edgekit frame, got {bytes(data[:4]).hex()}; is something else using this port?")


class Layout:
    """Where each tensor of a message lies in its payload."""

    def __init__(self, tensors: tuple[Tensor, ...]):
        self.tensors = tensors
        self.offsets: dict[str, int] = {}
        end = 0
        for tensor in tensors:
            self.offsets[tensor.name] = end
            end += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        self.nbytes = end
        self.table = b"".join(map(_row, tensors))

    def allocate(self) -> NDArray[np.uint8]:
        """A buffer for one payload, aligned for the kernels that will read it in place."""
        room = np.zeros(self.nbytes + ALIGNMENT, np.uint8)
        start = -room.ctypes.data % ALIGNMENT
        return room[start : start + self.nbytes]

    def views(self, payload: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """The tensors inside a payload, by name; they share its memory."""
        return {
            tensor.name: np.ndarray(tensor.shape or (), tensor.dtype, payload.data, self.offsets[tensor.name])
            if tensor.nbytes
            else np.empty(tensor.shape or (), tensor.dtype)
            for tensor in self.tensors
        }

    def pack(self, arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
        """The payload that carries ``arrays``."""
        payload = self.allocate()
        for name, view in self.views(payload).items():
            view[...] = arrays[name]
        return payload.tobytes()

    def unpack(self, data: bytes | memoryview) -> dict[str, NDArray[np.generic]]:
        """Copies of the tensors in ``data``.

        Raises:
            ProtocolError: ``data`` is not as long as the tensors.
        """
        if len(data) != self.nbytes:
            raise ProtocolError(f"expected {self.nbytes} bytes of tensors, got {len(data)}")
        payload = self.allocate()
        payload[:] = np.frombuffer(data, np.uint8)
        return self.views(payload)

    def check(self, header: Header) -> None:
        """Refuse a DATA header that announces anything but these tensors, before memory is touched."""
        if (header.table_bytes, header.payload_bytes) != (len(self.table), self.nbytes):
            raise ProtocolError(
                f"expected {len(self.table)} + {self.nbytes} bytes for {', '.join(self.offsets)}, "
                f"got {header.table_bytes} + {header.payload_bytes}; the two ends run different plans"
            )


def _row(tensor: Tensor) -> bytes:
    name = tensor.name.encode()
    shape = tensor.shape or ()
    return struct.pack(f"!H{len(name)}sBB{len(shape)}QQ", len(name), name, _DTYPES[tensor.dtype], len(shape), *shape, tensor.nbytes)
