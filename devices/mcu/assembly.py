"""Puts a planned program together into the one file that a microcontroller's engine loads."""

from devices.mcu.blob import blob_of
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.program import End, Program
from devices.mcu.table import encode, kind_of
from edgekit.mcu_artifact import McuArtifact, McuEnd, McuOperator

__all__ = ["assembled"]


def assembled(program: Program, plan: MemoryPlan) -> McuArtifact:
    """The artifact of a segment: its table, the chunks that it names, its ends, and the names of its operators in their order.

    Raises:
        GraphError: a number of an operator does not fit its field.
    """
    return McuArtifact(
        table=encode(program, plan),
        blob=blob_of([program]),
        inputs=tuple(_end(end) for end in program.inputs),
        outputs=tuple(_end(end) for end in program.outputs),
        operators=tuple(McuOperator(each.name, kind_of(each)) for each in (program.operators[index] for index in plan.order)),
    )


def _end(end: End) -> McuEnd:
    return McuEnd(end.name, end.shape, end.dtype, end.axes, end.scale, end.zero)  # type: ignore[arg-type]
