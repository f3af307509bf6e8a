"""Where each number of an operator lies in a table (firmware/SPEC.md, section 4)."""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from edgekit.errors import GraphError

__all__ = ["LAYOUTS", "Layout", "pack", "unpack"]


class Layout(NamedTuple):
    """The code of an operator, and its numbers after ``code words chunk`` in order: (format of struct, names; "0" has no meaning)."""

    code: int
    parts: tuple[tuple[str, str], ...]

    @property
    def formats(self) -> str:
        return "<BBH" + "".join(kind * len(names.split()) for kind, names in self.parts)

    @property
    def names(self) -> list[str]:
        return [name for _, names in self.parts for name in names.split()]

    @property
    def nbytes(self) -> int:
        return struct.calcsize(self.formats)


_CONV = (
    ("I", "in out scratch"),
    ("H", "in_h in_w in_c out_h out_w out_c"),
    ("B", "k_h k_w stride_h stride_w dilation_h dilation_w pad_top pad_left"),
    ("b", "zero_in zero_out low high"),
    ("H", "groups 0"),
)
_POOL = (("I", "in out"), ("H", "in_h in_w c out_h out_w 0"), ("B", "k_h k_w stride_h stride_w pad_top pad_left"))
_LOOPS = tuple(part for i in range(4) for part in (("H", f"count_{i} 0"), ("i", f"step_in_{i} step_out_{i}")))

LAYOUTS = {
    "conv": Layout(1, _CONV),
    "depthwise": Layout(2, _CONV),
    "dense": Layout(3, (("I", "in out scratch rows"), ("H", "in_n out_n"), ("b", "zero_in zero_out low high"))),
    "add": Layout(
        4,
        (
            ("I", "a b out n n_b"),
            ("i", "m_a m_b m_out"),
            ("b", "s_a s_b s_out 0 zero_a zero_b zero_out 0 low high"),
            ("H", "0"),
        ),
    ),
    "mul": Layout(5, (("I", "a b out n n_b"), ("i", "m_out"), ("b", "s_out zero_a zero_b zero_out low high"), ("H", "0"))),
    "average": Layout(6, (*_POOL, ("B", "whole 0"), ("b", "zero_in zero_out low high"))),
    "maximum": Layout(7, (*_POOL, ("B", "0 0"), ("b", "low high 0 0"))),
    "map": Layout(8, (("I", "in out n"),)),
    "softmax": Layout(9, (("I", "in out rows"), ("H", "n 0"), ("i", "m"), ("b", "s 0"), ("h", "0"), ("i", "least"))),
    "move": Layout(10, (("I", "in out run"), *_LOOPS)),
    "fill": Layout(11, (("I", "out n"), ("b", "value 0 0 0"))),
}
"""By the kind of operator: the name of its class in small letters."""

_BITS = {"B": (0, 8), "H": (0, 16), "I": (0, 32), "b": (1, 7), "h": (1, 15), "i": (1, 31)}


def pack(kind: str, name: str, chunk: int, numbers: Mapping[str, int]) -> bytes:
    """The bytes of an operator that is called ``name`` in messages.

    Raises:
        GraphError: a number does not fit its field.
    """
    layout = LAYOUTS[kind]
    formats = layout.formats[4:]
    for form, field in zip(formats, layout.names, strict=True):
        signed, bits = _BITS[form]
        least, most = -signed << bits, (1 << bits) - 1
        if not least <= numbers.get(field, 0) <= most:
            raise GraphError(f"{name}: {field} is {numbers[field]}, expected {least} to {most}; a board cannot run this {kind}")
    values = [numbers[field] if field != "0" else 0 for field in layout.names]
    return struct.pack(layout.formats, layout.code, layout.nbytes // 4, chunk, *values)


def unpack(data: bytes, at: int) -> tuple[str, int, dict[str, int]]:
    """The operator at ``at``: its kind, the number of its chunk, and its numbers by name."""
    kind = next(kind for kind, layout in LAYOUTS.items() if layout.code == data[at])
    layout = LAYOUTS[kind]
    _, _, chunk, *values = struct.unpack_from(layout.formats, data, at)
    return kind, chunk, {name: value for name, value in zip(layout.names, values, strict=True) if name != "0"}
