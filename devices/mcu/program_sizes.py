"""How large the table and the blob of a program are, for many programs that share operators: each chunk is packed once."""

from typing import NamedTuple

import numpy as np

from devices.mcu.blob import ENTRY, chunk_id
from devices.mcu.blob import HEADER as BLOB
from devices.mcu.layouts import LAYOUTS
from devices.mcu.packing import chunk_of
from devices.mcu.program import Operator, Program
from devices.mcu.table import CHUNK, END, kind_of
from devices.mcu.table import HEADER as TABLE

__all__ = ["Packed", "Sizes", "sizes_of"]


class Packed(NamedTuple):
    """A chunk by its id, and an operator that reads it: it keeps the arrays alive by which the chunk is found again."""

    operator: Operator
    name: bytes
    nbytes: int


class Sizes(NamedTuple):
    """Bytes of ``table.encode`` and of ``blob.blob_of``."""

    table: int
    blob: int


def sizes_of(program: Program, packed: dict[tuple[int, ...], Packed]) -> Sizes:
    """The sizes of a program; ``packed`` holds the chunks of those before, and takes in its own."""
    chunks = {each.name: each.nbytes for each in (_packed(operator, packed) for operator in program.operators) if each.nbytes}
    rows = sum(LAYOUTS[kind_of(operator)].nbytes for operator in program.operators)
    ends = (len(program.inputs) + len(program.outputs)) * END.size
    data = sum(-(-nbytes // 4) * 4 for nbytes in chunks.values())
    return Sizes(TABLE.size + ends + len(chunks) * CHUNK.size + rows, BLOB.size + len(chunks) * ENTRY.size + data)


def _packed(operator: Operator, packed: dict[tuple[int, ...], Packed]) -> Packed:
    key = tuple(id(value) for value in vars(operator).values() if isinstance(value, np.ndarray))
    if not key or key not in packed:
        chunk = chunk_of(operator)
        found = Packed(operator, chunk_id(chunk), len(chunk))
        if not key:
            return found
        packed[key] = found
    return packed[key]
