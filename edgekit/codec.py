"""How a tensor is written on its way from stage to stage: as it is, in half precision, or in eight bits.

raw     x ──────────────────────────▶ x
fp16    x ─ Cast ─────────▶ x::fp16 ─▶ Cast ─ x
u8      x ─ DynamicQuantizeLinear ─▶ x::u8, x::scale, x::zero ─▶ DequantizeLinear ─ x

The nodes are part of the stages' models. Eight bits are spread over the range that a tensor has in that very frame, so that
nothing is clipped and no range has to be known before.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.graph import Tensor
from edgekit.quantity import Name, Seconds

__all__ = ["CODECS", "OPSETS", "Codec", "CodecTime", "Losses", "TensorLoss", "Written", "carried", "decode_s", "encode_s", "takes"]

Codec = Literal["raw", "fp16", "u8"]

Written = tuple[Tensor, Codec]
"""A tensor, and how it travels."""

CODECS: tuple[Codec, ...] = ("raw", "fp16", "u8")

OPSETS: dict[Codec, int] = {"raw": 1, "fp16": 6, "u8": 11}
"""The first that has the nodes."""


class CodecTime(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds that a device takes to write and to read a tensor: of any one, and of each of its bytes in fp32."""

    codec: Codec
    encode_s: Seconds
    encode_s_per_byte: Seconds
    decode_s: Seconds
    decode_s_per_byte: Seconds


class TensorLoss(Struct, frozen=True, forbid_unknown_fields=True):
    """What is lost in accuracy when this tensor alone is sent in a codec."""

    tensor: Name
    codec: Codec
    loss: Annotated[float, Meta(ge=0)]


class Losses(Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="format", tag="edgekit.losses"):
    """What codecs lose, measured one tensor at a time; sums of it are estimates.

    Attributes:
        measure: ``error``: by how much the share of wrong answers grows; ``disagreement``: share of samples whose largest output is
            another one; ``rms``: root of the mean square of the differences of the outputs, over that of the outputs.
        tensors: those that can be sent so; what is not among them stays as it is.
    """

    graph: Name
    measure: Literal["error", "disagreement", "rms"]
    samples: Annotated[int, Meta(ge=1)]
    tensors: tuple[TensorLoss, ...]
    version: int = 1

    @cached_property
    def _known(self) -> dict[tuple[str, Codec], float]:
        return {(each.tensor, each.codec): each.loss for each in self.tensors}

    def of(self, tensor: str, codec: Codec) -> float | None:
        """What is lost; None: not known, or the tensor cannot be sent so."""
        return 0.0 if codec == "raw" else self._known.get((tensor, codec))

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Those that some tensor can be sent in."""
        found = {each.codec for each in self.tensors}
        return tuple(codec for codec in CODECS if codec in found)


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
    if codec == "u8":
        scale, zero = Tensor(f"{tensor.name}::scale", (), "float32"), Tensor(f"{tensor.name}::zero", (), "uint8")
        return (Tensor(f"{tensor.name}::u8", tensor.shape, "uint8"), scale, zero)
    return (tensor,)


def encode_s(times: Iterable[CodecTime], codec: Codec, nbytes: int) -> float | None:
    """Seconds to write a tensor of so many bytes in fp32; None: not known."""
    if codec == "raw":
        return 0.0
    return next((each.encode_s + nbytes * each.encode_s_per_byte for each in times if each.codec == codec), None)


def decode_s(times: Iterable[CodecTime], codec: Codec, nbytes: int) -> float | None:
    """Seconds to read it back."""
    if codec == "raw":
        return 0.0
    return next((each.decode_s + nbytes * each.decode_s_per_byte for each in times if each.codec == codec), None)
