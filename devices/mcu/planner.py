"""The memory plan of a program: the order of its operators, and the place of each buffer in one arena.

    Program ─▶ Dataflow ─best_order─▶ order ─lifetimes─▶ items ─place─▶ offsets ─▶ MemoryPlan

Where no placement of the best order meets what the order needs at least, other orders are placed too. Operators that follow one
another have one order, and are placed at once (``operator_chain``).
"""

from typing import NamedTuple

from devices.mcu.dataflow import ALIGNMENT, Dataflow, dataflow
from devices.mcu.lifetimes import Lifetime, lifetimes, liveness_bytes, overlap_bytes, overlappable
from devices.mcu.memory_plan import Certificate, Interval, MemoryPlan, Overlap
from devices.mcu.operator_chain import chain_needs, chain_of, place_chain
from devices.mcu.operator_order import best_order, orders_below
from devices.mcu.placement import Item, Placement, place
from devices.mcu.program import Program

__all__ = ["plan_memory"]

WORK = 6000
"""Buffers and operators that are placed at most, in all other orders together; also operators that are tried to find those orders."""


class _Placed(NamedTuple):
    """An order with the offsets of its buffers and scratch."""

    order: tuple[int, ...]
    lives: tuple[Lifetime, ...]
    overlap_bytes: int
    placement: Placement


def plan_memory(program: Program, *, nodes: int = 4000) -> MemoryPlan:
    """Order and place a program so that its arena is small; the same plan for the same program.

    Raises:
        ValueError: the program cannot run in its own order.
    """
    flow = dataflow(program)
    chain = chain_of(flow)
    if chain is not None:
        order, placement = tuple(range(len(chain))), place_chain(chain)
        return _plan(flow, _Placed(order, lifetimes(flow, order), max(chain_needs(chain)), placement), placement.nbytes)
    first = best_order(flow)
    best = _placed(flow, first.order, nodes)
    least = first.least - ALIGNMENT + 1
    if best.placement.nbytes > least:
        best, least = _best_of_orders(flow, best, least, nodes)
    return _plan(flow, best, least)


def _best_of_orders(flow: Dataflow, best: _Placed, least: int, nodes: int) -> tuple[_Placed, int]:
    """The best of all orders that may need less than a first one, and what none of them goes below."""
    most = max(1, WORK // (len(flow.sizes) + len(flow.output)))
    orders, complete = orders_below(flow, best.placement.nbytes, most=most, steps=WORK)
    bounds = [best.placement.least]
    for order in (each for each in orders if each != best.order):
        placed = _placed(flow, order, nodes, below=best.placement.nbytes)
        bounds.append(placed.placement.least)
        if placed.placement.nbytes < best.placement.nbytes:
            best = placed
        if best.placement.nbytes <= least:
            return best, least
    return best, max(least, min(best.placement.nbytes, *bounds)) if complete else least


def _placed(flow: Dataflow, order: tuple[int, ...], nodes: int, *, below: int | None = None) -> _Placed:
    """Place the buffers and the scratch of an order; where ``below`` is given, only a lower arena is looked for."""
    lives = lifetimes(flow, order)
    least = max(overlap_bytes(flow, order))
    items = [Item(size, life.first, life.last) for size, life in zip(flow.sizes, lives, strict=True)]
    items += [Item(flow.scratch[each], at, at) for at, each in enumerate(order) if flow.scratch[each]]
    overlaps = {
        (each, flow.output[operator]): apart
        for at, operator in enumerate(order)
        for each, apart in overlappable(flow, order, lives, at).items()
    }
    return _Placed(order, lives, least, place(items, overlaps, least, nodes=nodes, below=below))


def _plan(flow: Dataflow, placed: _Placed, least: int) -> MemoryPlan:
    order, lives, needed, placement = placed
    offsets, count = placement.offsets, len(flow.sizes)
    scratch = dict(zip((each for each in order if flow.scratch[each]), offsets[count:], strict=True))
    overlaps = [
        Overlap(operator, each, flow.output[operator], apart)
        for at, operator in enumerate(order)
        for each, apart in sorted(overlappable(flow, order, lives, at).items())
        if _share(flow, offsets, each, flow.output[operator])
    ]
    intervals = [Interval(buffer, *life, offsets[buffer], offsets[buffer] + flow.sizes[buffer]) for buffer, life in enumerate(lives)]
    liveness = liveness_bytes(flow, lives, len(order))
    claims = Certificate(liveness, needed, max(least, 0), tuple(intervals), tuple(overlaps))
    places = (offsets[:count], tuple(scratch.get(each, 0) for each in range(len(order))))
    return MemoryPlan(order, *places, placement.nbytes, claims)


def _share(flow: Dataflow, offsets: tuple[int, ...], one: int, other: int) -> bool:
    """Whether two buffers have a byte of the arena in common."""
    return offsets[one] < offsets[other] + flow.sizes[other] and offsets[other] < offsets[one] + flow.sizes[one]
