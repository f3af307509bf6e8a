"""What a microcontroller loads for a segment: its table with the chunks that it names, and what the host has to know of it.

The machine of the client writes it; the machine that the board's cable is plugged into reads it, without ONNX. Table and blob
are as ``devices/firmware/SPEC.md`` says, sections 2 and 3. The file form is MessagePack, because most of it is bytes.
"""

from math import prod
from typing import Literal

import msgspec
from msgspec import Struct

from edgekit.errors import FormatError
from edgekit.quantity import Bytes, Count, Name, Rate

__all__ = ["McuArtifact", "McuEnd", "McuOperator", "decode", "encode"]


class McuEnd(Struct, frozen=True, forbid_unknown_fields=True):
    """An input or output: how the tensor that travels becomes the bytes of the board.

    number = round(value / scale) + zero for float32; number = value - 128 for uint8; as it is for int8. ``axes`` is the
    transposition from the declared ``shape`` to that of the board, for example (0, 2, 3, 1) from NCHW.
    """

    name: Name
    shape: tuple[Count, ...]
    dtype: Literal["float32", "uint8", "int8"]
    axes: tuple[Count, ...]
    scale: Rate = 1.0
    zero: int = 0

    @property
    def nbytes(self) -> int:
        """Its size on the board, where each number is one byte."""
        return prod(self.shape)


class McuOperator(Struct, frozen=True, forbid_unknown_fields=True):
    """An operator of the table: the ONNX node that it comes from, and what it does, for example "conv"."""

    name: str
    kind: Name


class McuArtifact(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.mcu_artifact"):
    """A segment for a microcontroller.

    Attributes:
        table: operators with addresses, inputs and outputs in the order of ``inputs`` and ``outputs``.
        blob: the chunks that the table names, for a board that has them neither in flash nor in RAM.
    """

    table: bytes
    blob: bytes
    inputs: tuple[McuEnd, ...]
    outputs: tuple[McuEnd, ...]
    operators: tuple[McuOperator, ...]
    version: int = 1

    @property
    def arena_bytes(self) -> Bytes:
        """RAM that the segment takes for its tensors."""
        return self._number(12, 4)

    @property
    def abi(self) -> int:
        """The version of the table's format; a board takes no other."""
        return self._number(4, 2)

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.table[at : at + size], "little")

    def __post_init__(self) -> None:
        told = (self._number(6, 2), self._number(18, 2), self._number(20, 2), self._number(8, 4))
        held = (len(self.operators), len(self.inputs), len(self.outputs), len(self.table))
        if told != held:
            raise FormatError(f"a table of {told} operators, inputs, outputs and bytes, beside {held}; build the artifact again")


def encode(artifact: McuArtifact) -> bytes:
    """The file form; the same bytes for the same artifact."""
    return msgspec.msgpack.encode(artifact)


def decode(data: bytes, source: str = "this artifact") -> McuArtifact:
    """Read an artifact back.

    Raises:
        FormatError: it is damaged, of another kind or version.
    """
    try:
        artifact = msgspec.msgpack.decode(data, type=McuArtifact)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise FormatError(f"{source}: expected the artifact of a microcontroller, got something else ({error}); deploy again") from error
    if artifact.version != 1:
        raise FormatError(f"{source}: expected an artifact of version 1, got {artifact.version}; install the same edgekit at both ends")
    return artifact
