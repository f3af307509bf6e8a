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
from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgekit.errors import ProtocolError
from edgekit.graph import ITEMSIZE, Tensor

__all__ = [
    "ALIGNMENT",
    "CHECK_BYTES",
    "EVERY_FRAME",
    "HEADER_BYTES",
    "MAX_NOTE_BYTES",
    "NOTHING",
    "Header",
    "Kind",
    "Layout",
    "body_check",
    "checks",
    "decode_head",
    "decode_header",
    "encode_header",
    "framed",
    "head",
    "require_ours",
]

MAGIC = 0xED6E0001
VERSION = 2
ALIGNMENT = 64
MAX_NOTE_BYTES = 64 * 1024
"""Cap of the payload of anything but DATA: a greeting or the text of an error."""

EVERY_FRAME = 2**64 - 1
"""Frame number of a FAIL that ends the stream."""

NOTHING = memoryview(bytearray())
"""What follows the header of a frame that is only a header."""

_HEADER = struct.Struct("!IBBHIQQIQ")
HEADER_BYTES = _HEADER.size
_CHECKS = struct.Struct("!II")
CHECK_BYTES = _CHECKS.size
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
_DATA = Kind.DATA


class Header(Struct, frozen=True):
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
    return _HEADER.pack(
        MAGIC, VERSION, header.kind, 0, header.epoch, header.sequence, header.frame, header.table_bytes, header.payload_bytes
    )


def decode_header(data: bytes | bytearray | memoryview) -> Header:
    """Read a header.

    Raises:
        ProtocolError: another length, magic or version, an unknown kind, or a note above its cap.
    """
    if len(data) != HEADER_BYTES:
        raise ProtocolError(f"expected a header of {HEADER_BYTES} bytes, got {len(data)}")
    magic, version, number, _, epoch, sequence, frame, table_bytes, payload_bytes = _HEADER.unpack(data)
    if magic != MAGIC:
        require_ours(data)
    if version != VERSION:
        raise ProtocolError(f"the peer speaks frame version {version}, this side {VERSION}; bring both to the same edgekit")
    kind = _KINDS.get(number)
    if kind is None:
        raise ProtocolError(f"frame kind {number} is unknown to this edgekit")
    if (table_bytes or payload_bytes > MAX_NOTE_BYTES) and kind is not _DATA:
        raise ProtocolError(f"{kind.name} announces {table_bytes} + {payload_bytes} bytes, at most {MAX_NOTE_BYTES} are allowed")
    return Header(kind, epoch, sequence, frame, table_bytes, payload_bytes)


def checks(header: bytes | bytearray | memoryview, body: memoryview) -> bytes:
    """What follows a header where nothing else would notice a bit that flips: of the header itself, and of all that comes.

    >>> checks(bytes(40), NOTHING) != checks(bytes(40), memoryview(b"x"))
    True
    """
    return _CHECKS.pack(zlib.crc32(header), body_check(body))


def body_check(body: memoryview) -> int:
    """The second half of ``checks``."""
    if len(body) < LARGE_BYTES:
        return zlib.crc32(body)
    start = len(body) % 8
    total = np.add.reduce(np.frombuffer(body, np.uint64, offset=start))  # many times as fast as a CRC, and sees any bit
    return zlib.crc32(total.tobytes(), zlib.crc32(body[:start]))


def head(header: Header, body: memoryview, checked: bool) -> bytes:
    """What goes over a connection before a body: its header, with checks, unless the connection has its own."""
    begin = encode_header(header)
    return begin + checks(begin, body) if checked else begin


def decode_head(data: memoryview, checked: bool) -> tuple[Header, int]:
    """Read what goes before a body: its header and, where there are checks, what ``body_check`` has to yield.

    Raises:
        ConnectionError: it came damaged.
        ProtocolError: as ``decode_header``.
    """
    if not checked:
        return decode_header(data), 0
    if len(data) != HEADER_BYTES + CHECK_BYTES:
        raise ProtocolError(f"expected a header of {HEADER_BYTES} bytes and its checks of {CHECK_BYTES}, got {len(data)}")
    begin = data[:HEADER_BYTES]
    own, check = _CHECKS.unpack_from(data, HEADER_BYTES)
    if zlib.crc32(begin) != own:
        raise ConnectionError("a header came damaged")
    return decode_header(begin), check


def framed(header: Header, body: bytes = b"", checked: bool = True) -> bytes:
    """A small frame as it goes over a connection."""
    return head(header, memoryview(body), checked) + body


def require_ours(data: bytes | bytearray | memoryview) -> None:
    """Refuse bytes that do not begin as a frame does.

    Raises:
        ProtocolError: with what they begin with.
    """
    if bytes(data[:4]) != MAGIC.to_bytes(4, "big"):
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
        return self.message()[len(self.table) :]

    def message(self) -> NDArray[np.uint8]:
        """A buffer for one message: the table, and behind it an aligned payload."""
        room = np.zeros(len(self.table) + self.nbytes + ALIGNMENT, np.uint8)
        start = -(room.ctypes.data + len(self.table)) % ALIGNMENT
        room.data[start : start + len(self.table)] = self.table
        return room[start : start + len(self.table) + self.nbytes]

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
