"""How a tensor is written on its way from stage to stage: as it is, in half precision, or in eight bits.

raw     x ──────────────────────────▶ x
fp16    x ─ Cast ─────────▶ x::fp16 ─▶ Cast ─ x
u8      x ─ DynamicQuantizeLinear ─▶ x::u8, x::scale, x::zero ─▶ DequantizeLinear ─ x
u8c     x ─ Div Add QuantizeLinear ─▶ x::u8c ─▶ Cast Sub Mul ─ x          scales and zeros are constants of both models
uint8   … ─ QuantizeLinear ───────▶ x::uint8 ─▶ DequantizeLinear ─ …      as a network in int8 has it; or int8, with a sign

The nodes are part of the stages' models. In u8, eight bits are spread over the range that a tensor has in that very frame, so that
nothing is clipped and no range has to be known before. In u8c each channel has a range of its own, which was seen on data before:
steps are finer, and what lies outside is clipped. Between two stages that run in int8 a tensor goes straight through, in the whole
numbers that the one makes and the other reads: not a bit is lost, and no work is done for it.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from edgekit.graph import Tensor
from edgekit.quantity import Seconds

__all__ = ["CODECS", "FREE", "OPSETS", "STRAIGHT", "Codec", "CodecTime", "Written", "carried", "codec_of", "decode_s", "encode_s", "takes"]

Codec = Literal["raw", "fp16", "u8", "u8c", "uint8", "int8"]

Written = tuple[Tensor, Codec]
"""A tensor, and how it travels."""

CODECS: tuple[Codec, ...] = ("raw", "fp16", "u8", "u8c")
"""Those that any tensor in fp32 can be sent in."""

STRAIGHT: tuple[Literal["uint8", "int8"], ...] = ("uint8", "int8")
"""Those that only tensors which stages at both ends hold so can be sent in."""

FREE: tuple[Codec, ...] = ("raw", *STRAIGHT)
"""Those that lose nothing and take nothing."""

OPSETS: dict[Codec, int] = {"raw": 1, "fp16": 6, "u8": 11, "u8c": 10, "uint8": 10, "int8": 10}
"""The first that has the nodes."""

_WRITTEN: dict[str, Codec] = {**{codec: codec for codec in OPSETS}, "scale": "u8", "zero": "u8"}
"""By the ends of the names that ``carried`` gives."""


class CodecTime(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds that a device takes to write and to read a tensor: of any one, and of each of its bytes in fp32."""

    codec: Codec
    encode_s: Seconds
    encode_s_per_byte: Seconds
    decode_s: Seconds
    decode_s_per_byte: Seconds


def takes(tensor: Tensor, codec: Codec) -> bool:
    """Whether a tensor can be sent so; what is not in fp32 stays as it is.

    >>> takes(Tensor("x", (2,), "float32"), "u8"), takes(Tensor("i", (2,), "int64"), "u8")
    (True, False)
    """
    return codec == "raw" or tensor.dtype == "float32"


def carried(tensor: Tensor, codec: Codec) -> tuple[Tensor, ...]:
    """What travels for a tensor.

    >>> [(each.name, each.nbytes) for each in carried(Tensor("x", (1, 8), "float32"), "u8")]
    [('x::u8', 8), ('x::scale', 4), ('x::zero', 1)]
    """
    if codec == "fp16":
        return (Tensor(f"{tensor.name}::fp16", tensor.shape, "float16"),)
    if codec == "u8c":
        return (Tensor(f"{tensor.name}::u8c", tensor.shape, "uint8"),)
    if codec in STRAIGHT:
        return (Tensor(f"{tensor.name}::{codec}", tensor.shape, codec),)
    if codec == "u8":
        scale, zero = Tensor(f"{tensor.name}::scale", (), "float32"), Tensor(f"{tensor.name}::zero", (), "uint8")
        return (Tensor(f"{tensor.name}::u8", tensor.shape, "uint8"), scale, zero)
    return (tensor,)


def codec_of(name: str) -> Codec:
    """How what travels under a name is written.

    >>> [codec_of(name) for name in ("x", "x::fp16", "x::u8", "x::scale", "x::zero")]
    ['raw', 'fp16', 'u8', 'u8', 'u8']
    """
    return _WRITTEN.get(name.rpartition("::")[2], "raw") if "::" in name else "raw"


def encode_s(times: Iterable[CodecTime], codec: Codec, nbytes: int) -> float | None:
    """Seconds to write a tensor of so many bytes in fp32; None: not known."""
    if codec in FREE:
        return 0.0
    return next((each.encode_s + nbytes * each.encode_s_per_byte for each in times if each.codec == codec), None)


def decode_s(times: Iterable[CodecTime], codec: Codec, nbytes: int) -> float | None:
    """Seconds to read it back."""
    if codec in FREE:
        return 0.0
    return next((each.decode_s + nbytes * each.decode_s_per_byte for each in times if each.codec == codec), None)
