"""The order of operators that needs least memory by ``lifetimes.overlap_bytes``: best first over the sets of operators that are done.

What is alive after a set of operators does not depend on their order (Liberis and Lane 2019, arXiv 1910.05110), so that of all orders
of one set the best is enough: at most 2^width · length sets, of which only those are looked at that need less than the answer. Three
things make it quick:

* No order needs less than each operator with what is alive beside it in every order: the search ends when it meets that floor.
* An operator that raises nothing, neither the peak nor what is alive after it, runs at once.
* After an operator that comes before or after each other one, all sets from before it are forgotten.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from devices.mcu.dataflow import Dataflow, aligned, operators_in
from devices.mcu.lifetimes import extent, need_bytes

__all__ = ["BestOrder", "best_order", "orders_below"]

Step = Callable[[int, int, int], tuple[int, int]]
"""(live bytes, set of done operators, operator that runs next) → (bytes it needs, live bytes after it)."""


class BestOrder(NamedTuple):
    """An order, what it needs by the sum of aligned sizes, and what no order goes below."""

    order: tuple[int, ...]
    nbytes: int
    least: int


def best_order(flow: Dataflow, *, states: int = 10_000) -> BestOrder:
    """Exact where ``nbytes == least``; else more than ``states`` sets were looked at."""
    full, floor, step = (1 << len(flow.output)) - 1, _floor(flow), _stepper(flow)
    orders = (tuple(range(len(flow.output))), _depth_first(flow))
    quick, nbytes = min(((order, _need(flow, step, order)) for order in orders), key=lambda each: each[1])
    if nbytes <= floor:
        return BestOrder(quick, nbytes, nbytes)
    milestones, came = _milestones(flow, full), dict[int, tuple[int, int]]()
    arrived, alive = _begin(flow)
    heap, best = [(max(arrived, floor), 0, 0, alive)], {0: arrived}
    while heap and states:
        peak, length, done, alive = heapq.heappop(heap)
        if done == full:
            return BestOrder(_path(came, full), peak, peak)
        if peak > max(best[done], floor):
            continue
        if done in milestones:
            heap.clear()
        states -= 1
        for operator, (need, after) in _successors(flow, step, peak, alive, done):
            now, most = done | 1 << operator, max(need, best[done])
            if most < min(best.get(now, nbytes), nbytes):
                best[now], came[now] = most, (done, operator)
                heapq.heappush(heap, (max(most, floor), length - 1, now, after))
    return BestOrder(quick, nbytes, heap[0][0] if heap else nbytes)


def orders_below(flow: Dataflow, limit: int, *, most: int, steps: int) -> tuple[list[tuple[int, ...]], bool]:
    """Orders that need less than ``limit`` bytes, and whether that are all: at most ``most``, and ``steps`` operators are tried."""
    full, hopeless = (1 << len(flow.output)) - 1, set[int]()
    found: list[tuple[int, ...]] = []
    path: list[int] = []
    if need_bytes(flow, 0, None) >= limit or need_bytes(flow, full, None) >= limit:
        return [], True
    stack = [(0, len(found), list(_ready(flow, 0)))]
    while stack and len(found) <= most and steps:
        done, before, untried = stack[-1]
        if done == full:
            found.append(tuple(path))
        if not untried:
            stack.pop()
            if len(found) == before:
                hopeless.add(done)
            if path:
                path.pop()
            continue
        operator, steps = untried.pop(0), steps - 1
        after = done | 1 << operator
        if after not in hopeless and need_bytes(flow, done, operator) < limit:
            path.append(operator)
            stack.append((after, len(found), list(_ready(flow, after))))
    return found[:most], not stack


def _begin(flow: Dataflow) -> tuple[int, int]:
    """Bytes of all inputs, and of those that are kept."""
    arriving = sum(aligned(flow.sizes[each]) for each in flow.entries)
    unread = sum(aligned(flow.sizes[each]) for each in flow.entries if not flow.readers[each] and each not in flow.exits)
    return arriving, arriving - unread


def _ready(flow: Dataflow, done: int) -> Iterator[int]:
    undone = ~done
    return (each for each, before in enumerate(flow.before) if undone >> each & 1 and not before & undone)


def _successors(flow: Dataflow, step: Step, peak: int, alive: int, done: int) -> list[tuple[int, tuple[int, int]]]:
    """What may come next: only one where it raises neither the peak nor what is alive."""
    found = []
    for operator in _ready(flow, done):
        need, after = step(alive, done, operator)
        if need <= peak and after <= alive:
            return [(operator, (need, after))]
        found.append((operator, (need, after)))
    return found


def _stepper(flow: Dataflow) -> Step:
    """The memory of a step, with what depends on the operator alone worked out once."""
    sizes = [aligned(each) for each in flow.sizes]
    ends = [[(each, flow.readers[each], sizes[each]) for each in read if each not in flow.exits] for read in flow.inputs]
    known: dict[tuple[int, ...], int] = {}

    def joined(operator: int, dying: tuple[int, ...]) -> int:
        if (key := (operator, *dying)) not in known:
            known[key] = _joined(flow, operator, dying)
        return known[key]

    def step(alive: int, done: int, operator: int) -> tuple[int, int]:
        undone, output = ~(done | 1 << operator), flow.output[operator]
        dying = tuple(each for each, readers, _ in ends[operator] if not readers & undone)
        kept = alive - sum(sizes[each] for each in dying)
        unused = not (flow.readers[output] or flow.writers[output] & undone or output in flow.exits)
        if flow.writers[output] & done:
            return alive + aligned(flow.scratch[operator]), kept - (sizes[output] if unused else 0)
        return kept + joined(operator, dying) + aligned(flow.scratch[operator]), kept + (0 if unused else sizes[output])

    return step


def _need(flow: Dataflow, step: Step, order: tuple[int, ...]) -> int:
    peak, alive = _begin(flow)
    done = 0
    for operator in order:
        need, alive = step(alive, done, operator)
        peak, done = max(peak, need), done | 1 << operator
    return peak


def _path(came: dict[int, tuple[int, int]], done: int) -> tuple[int, ...]:
    order = []
    while done:
        done, operator = came[done]
        order.append(operator)
    return tuple(reversed(order))


def _depth_first(flow: Dataflow) -> tuple[int, ...]:
    """Each operator right after what it waits for, the input with most operators behind it first."""
    order, done = list[int](), 0
    for last in (each for each in range(len(flow.output)) if not _later(flow, each)):
        stack = [last]
        while stack:
            operator = stack[-1]
            waits = operators_in(flow.before[operator] & ~done)
            if not waits:
                stack.pop()
                order += [] if done >> operator & 1 else [operator]
                done |= 1 << operator
                continue
            makers = [each for each in waits if flow.output[each] in flow.inputs[operator]] or waits
            stack.append(max(makers, key=lambda each: ((flow.before[each] & ~done).bit_count(), -each)))
    return tuple(order)


def _joined(flow: Dataflow, operator: int, dying: tuple[int, ...]) -> int:
    """The bytes of an output with the inputs that end there."""
    distances = flow.distances[operator]
    over = [(flow.sizes[each], apart) for each in dying if (apart := distances[each]) is not None]
    apart = sum(aligned(flow.sizes[each]) for each in dying if distances[each] is None)
    return apart + extent(flow.sizes[flow.output[operator]], over)


def _milestones(flow: Dataflow, full: int) -> set[int]:
    """The sets through which every order goes: after an operator that comes before or after each other one."""
    found = set()
    for operator, before in enumerate(flow.before):
        if before | _later(flow, operator) | 1 << operator == full:
            found.add(before | 1 << operator)
    return found


def _later(flow: Dataflow, operator: int) -> int:
    return sum(1 << each for each, before in enumerate(flow.before) if before >> operator & 1)


def _floor(flow: Dataflow) -> int:
    """What every order needs: at the begin, at the end, and for each operator with what is alive beside it in every order."""
    begin = sum(aligned(flow.sizes[each]) for each in flow.entries)
    end = sum(aligned(flow.sizes[each]) for each in flow.exits)
    return max([begin, end, *(_floor_at(flow, each) for each in range(len(flow.output)))])


def _floor_at(flow: Dataflow, operator: int) -> int:
    before, later = flow.before[operator], _later(flow, operator)
    output, need = flow.output[operator], aligned(flow.scratch[operator])
    for buffer, size in enumerate(flow.sizes):
        there = buffer in flow.entries or flow.writers[buffer] & before
        wanted = buffer in flow.exits or flow.readers[buffer] & later
        if buffer != output and there and wanted:
            need += aligned(size)
    dying = tuple(each for each in flow.inputs[operator] if each not in flow.exits and not flow.readers[each] & later)
    if flow.writers[output] & before:
        return need + aligned(flow.sizes[output]) + sum(aligned(flow.sizes[each]) for each in dying)
    only = flow.writers[output] == 1 << operator
    return need + (_joined(flow, operator, dying) if only else aligned(flow.sizes[output]))
