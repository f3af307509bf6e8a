"""The build half of a microcontroller: a segment is compiled, planned and packed into one artifact.

ONNX ─compiler─▶ Program ─planner─▶ MemoryPlan ─assembly─▶ table, weights, ends
"""

from devices.mcu.assembly import assembled
from devices.mcu.compiler import compile_segment
from devices.mcu.memory_peak import arena_need
from devices.mcu.planner import plan_memory
from devices.mcu.program import Program
from devices.mcu.program_sizes import Packed, Sizes, sizes_of
from edgekit.device import Variant
from edgekit.graph import Graph, Tensor
from edgekit.mcu_artifact import encode
from edgekit.memory_model import MemoryTable, SegmentBytes
from edgekit.onnxio import Model
from edgekit.stages.builder import Builder
from edgekit.stages.mcu_reference import reference
from edgekit.stages.mcu_segments import programs, refusals

__all__ = ["BUILDER"]

_TABLES: dict[tuple[str, tuple[int, ...], str], MemoryTable] = {}
"""By the digest of the network, the order of its units and the precision."""


def _made(onnx: bytes, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> bytes:
    program = compile_segment(onnx, inputs, outputs)
    return encode(assembled(program, plan_memory(program)))


def _cannot_run(graph: Graph, unit: int, variant: Variant, model: Model) -> str:
    return refusals(model, graph, variant.precision)[unit]


def _memory(graph: Graph, variant: Variant, model: Model) -> MemoryTable:
    """A row for each segment that a board can run: arena and table lie in RAM, weights in flash where it has room for them."""
    key = graph.digest, graph.order, variant.precision
    if key not in _TABLES:
        packed: dict[tuple[int, ...], Packed] = {}
        found = programs(model, graph, variant.precision)
        rows = (_row(start, stop, program, sizes_of(program, packed)) for start, stop, program in found)
        _TABLES[key] = MemoryTable(tuple(rows))
    return _TABLES[key]


def _row(start: int, stop: int, program: Program, sizes: Sizes) -> SegmentBytes:
    need = arena_need(program)
    came, went = (sum(program.buffers[end.buffer].nbytes for end in ends) for ends in (program.inputs, program.outputs))
    return SegmentBytes(
        start,
        stop,
        load_bytes=sizes.table,
        run_bytes=sizes.table + need.nbytes,
        flash_bytes=sizes.blob,
        in_bytes=came,
        out_bytes=went,
        peak=need.operator,
    )


BUILDER = Builder(_made, _cannot_run, packages=("smp", "pyserial"), memory=_memory, reference=reference)
