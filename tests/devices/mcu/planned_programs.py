"""Random programs with their plans, made once; tiny programs that brute force can place; chains of real shapes."""

from functools import cache

import numpy as np

from devices.mcu import program as p
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.planner import plan_memory
from tests.devices.mcu.random_programs import random_program

__all__ = ["chain", "conv", "planned", "tiny_program"]


@cache
def planned(seed: int) -> tuple[p.Program, MemoryPlan]:
    """A random program and its plan."""
    program = random_program(seed)
    return program, plan_memory(program)


def end(index: int, buffer: p.Buffer) -> p.End:
    return p.End(buffer.name, index, (buffer.nbytes,), "int8", (0,))


def dense(name: str, source: int, output: int, *, rows: int, taken: int, made: int) -> p.Dense:
    words = np.zeros(made, np.int32)
    weights = np.ones((made, taken), np.int8)
    return p.Dense(
        name=name, input=source, output=output, rows=rows, weights=weights, bias=words, multiplier=words + 2**30, shift=words,
        zero_in=0, zero_out=0, low=-128, high=127,
    )  # fmt: skip


def addition(name: str, source: int, other: int, output: int, count: int) -> p.Add:
    return p.Add(
        name=name, input=source, other=other, output=output, count=count, other_count=count, multipliers=(2**30, 2**30, 2**30),
        shifts=(0, 0, -19), zeros=(0, 0, 0), low=-128, high=127,
    )  # fmt: skip


def tiny_program(seed: int) -> p.Program:
    """At most six buffers of 1 to 18 bytes: products of rows, sums of two tensors or of one with itself."""
    draw = np.random.default_rng(seed)
    sizes = [int(each) for each in draw.integers(1, 19, 1 + int(draw.random() < 0.3))]
    entries, operators = len(sizes), list[p.Operator]()
    for index in range(int(draw.integers(2, 7 - entries))):
        source = int(draw.integers(0, len(sizes)))
        alike = [each for each, size in enumerate(sizes) if size == sizes[source]]
        if draw.random() < 0.4:
            sizes.append(sizes[source])
            operators.append(addition(f"add{index}", source, int(draw.choice(alike)), len(sizes) - 1, sizes[source]))
            continue
        rows = int(draw.choice([each for each in range(1, sizes[source] + 1) if sizes[source] % each == 0]))
        made = int(draw.integers(1, max(2, 18 // rows)))
        sizes.append(rows * made)
        operators.append(dense(f"dense{index}", source, len(sizes) - 1, rows=rows, taken=sizes[source] // rows, made=made))
    buffers = tuple(p.Buffer(f"t{index}", size) for index, size in enumerate(sizes))
    read = {each for operator in operators for each in (operator.input, getattr(operator, "other", 0))}  # type: ignore[union-attr]
    unread = [each for each in range(entries, len(sizes)) if each not in read and draw.random() < 0.9]
    exits = {*unread, len(sizes) - 1, *([0] if draw.random() < 0.1 else [])}
    return p.Program(
        buffers=buffers,
        operators=tuple(operators),
        inputs=tuple(end(each, buffers[each]) for each in range(entries)),
        outputs=tuple(end(each, buffers[each]) for each in sorted(exits)),
    )


def conv(index: int, in_shape: p.Shape, out_shape: p.Shape, *, kernel: int, stride: int, before: int, depthwise: bool) -> p.Conv:
    """From buffer ``index`` to the next one."""
    words = np.zeros(out_shape[2], np.int32)
    return (p.Depthwise if depthwise else p.Conv)(
        name=f"conv{index}", input=index, output=index + 1, in_shape=in_shape, out_shape=out_shape, stride=(stride, stride),
        dilation=(1, 1), pads=(before, before), groups=in_shape[2] if depthwise else 1,
        weights=np.zeros((out_shape[2], kernel, kernel, 1 if depthwise else in_shape[2]), np.int8), bias=words, multiplier=words,
        shift=words, zero_in=0, zero_out=0, low=-128, high=127,
    )  # fmt: skip


def chain(shapes: list[p.Shape], operators: list[p.Operator]) -> p.Program:
    """One tensor after the other."""
    buffers = tuple(p.Buffer(f"t{index}", int(np.prod(shape))) for index, shape in enumerate(shapes))
    return p.Program(
        buffers=buffers,
        operators=tuple(operators),
        inputs=(end(0, buffers[0]),),
        outputs=(end(len(buffers) - 1, buffers[-1]),),
    )
